//! What to stack, and where changes go, decided without a system call.

use std::path::{Path, PathBuf};

use common::explain::Explain;
use common::fail::quote;
use common::parse::Bytes;
use common::{Fail, proc};

use crate::cli::Cli;
use crate::layers;

/// As many layers as overlayfs stacks, `OVL_MAX_STACK`.
pub const MOST_LAYERS: usize = 500;

/// The facts of the host that the plan depends on.
#[derive(Debug)]
pub struct Host {
    /// Only there may `trusted.*` attributes be set.
    pub initial_userns: bool,
    /// What `--image` or `--layers` names, bottom first.
    pub layers: Vec<PathBuf>,
}

impl Host {
    /// Reads them.
    pub fn read(cli: &Cli) -> Result<Self, Fail> {
        let layers = match (&cli.image, &cli.layers) {
            (Some(dir), _) => layers::of_image(dir)?,
            (None, Some(file)) => {
                layers::listed(file, if cli.null { b'\0' } else { b'\n' })?
            }
            (None, None) => Vec::new(),
        };
        Ok(Self { initial_userns: proc::in_initial_userns()?, layers })
    }
}

/// The extended attributes that hold what overlayfs notes on files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Xattrs {
    /// `trusted.overlay.*`, in the first user namespace.
    Trusted,
    /// `user.overlay.*`, elsewhere. Since Linux 5.11.
    User,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Opens an image's config.json, to be handed on to img-exec.
    Config(PathBuf),
    /// Opens a layer; the topmost comes first.
    Lower(PathBuf),
    /// Starts the overlay, which takes the right to mount: nothing was made yet.
    Fsopen,
    /// Opens the directories that take the changes.
    Upper {
        /// The changes.
        upper: PathBuf,
        /// The kernel's own.
        work: PathBuf,
    },
    /// Makes both in one directory.
    Rw(PathBuf),
    /// Makes both on a tmpfs that is mounted nowhere.
    Tmpfs(Option<Bytes>),
    /// Makes the mount.
    Overlay(Xattrs),
    /// One layer that nobody may change: a bind does, an overlay takes two layers.
    Bind,
    /// Puts it into its place.
    Attach(PathBuf),
}

/// What ovl-mount is going to do.
#[derive(Debug)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// When there are no layers, or more than the kernel stacks.
    pub fn new(cli: &Cli, host: Host) -> Result<Self, Fail> {
        let lowers = if cli.lower.is_empty() {
            topmost_first(host.layers)
        } else {
            cli.lower.clone()
        };
        let count = lowers.len();
        if count == 0 {
            return Err(Fail::new("cannot mount an overlay without layers"));
        }
        if count > MOST_LAYERS {
            let text = format!("cannot mount an overlay of {count} layers");
            return Err(Fail::new(text).hint("the kernel's limit is 500"));
        }
        let mut steps: Vec<_> = lowers.into_iter().map(Step::Lower).collect();
        if let Some(dir) = &cli.image {
            steps.insert(0, Step::Config(dir.join("config.json")));
        }
        match writable(cli) {
            None if count == 1 => steps.push(Step::Bind),
            writable => {
                steps.push(Step::Fsopen);
                steps.extend(writable);
                let trusted = host.initial_userns;
                let xattrs = if trusted { Xattrs::Trusted } else { Xattrs::User };
                steps.push(Step::Overlay(xattrs));
            }
        }
        steps.push(Step::Attach(cli.target.clone()));
        Ok(Self { steps })
    }
}

fn writable(cli: &Cli) -> Option<Step> {
    let dirs = cli.upper.clone().zip(cli.work.clone());
    let dirs = dirs.map(|(upper, work)| Step::Upper { upper, work });
    dirs.or_else(|| cli.rw.clone().map(Step::Rw)).or(cli.tmpfs.map(Step::Tmpfs))
}

/// Turns an image's list round. A layer that occurs again counts where it is topmost:
/// there it covers all that it could do further down, and the kernel takes it once only.
fn topmost_first(bottom_first: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = std::collections::HashSet::new();
    bottom_first.into_iter().rev().filter(|layer| seen.insert(layer.clone())).collect()
}

impl Explain for Step {
    fn call(&self) -> String {
        let open = |path: &Path| format!("open({}, O_PATH|O_DIRECTORY)", quote(path));
        match self {
            Self::Config(path) => format!("open({}, O_RDONLY)", quote(path)),
            Self::Lower(path) => open(path),
            Self::Fsopen => "fsopen('overlay')".into(),
            Self::Upper { upper, work } => format!("{}; {}", open(upper), open(work)),
            Self::Rw(dir) => {
                let below = |name| quote(dir.join(name));
                format!("mkdirat({}); mkdirat({})", below("upper"), below("work"))
            }
            Self::Tmpfs(size) => {
                let size = size.map(|n| format!("'size={n}'")).unwrap_or_default();
                format!("fsopen('tmpfs'); fsmount({size}); mkdirat(…)")
            }
            Self::Overlay(xattrs) => {
                let user = match xattrs {
                    Xattrs::Trusted => "",
                    Xattrs::User => "fsconfig('userxattr'); ",
                };
                format!("fsconfig('lowerdir+', …); {user}fsmount(MOUNT_ATTR_NODEV)")
            }
            Self::Bind => "open_tree(…, OPEN_TREE_CLONE|AT_RECURSIVE); mount_setattr(MOUNT_ATTR_RDONLY|MOUNT_ATTR_NODEV)".into(),
            Self::Attach(target) => format!("move_mount({})", quote(target)),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Config(_) => "the image's config, for img-exec",
            Self::Lower(_) => "a layer, below those before it",
            Self::Fsopen => "an overlay",
            Self::Upper { .. } => "what takes the changes",
            Self::Rw(_) => "what takes the changes, kept",
            Self::Tmpfs(_) => "what takes the changes, in memory and never visible",
            Self::Overlay(Xattrs::Trusted) => "the layers as one tree",
            Self::Overlay(Xattrs::User) => {
                "the layers as one tree; trusted.* attributes take real root"
            }
            Self::Bind => "one layer, read-only",
            Self::Attach(_) => "in its place, made where it is missing",
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn plan(args: &[&str], layers: &[&str], initial_userns: bool) -> Result<Plan, Fail> {
        let args = ["ovl-mount"].iter().chain(args).map(OsString::from).collect();
        let cli: Cli = common::cli::parse(args)?;
        let layers = layers.iter().map(PathBuf::from).collect();
        Plan::new(&cli, Host { initial_userns, layers })
    }

    fn lower(path: &str) -> Step {
        Step::Lower(path.into())
    }

    #[test]
    fn an_image_is_listed_bottom_first_and_stacked_topmost_first() {
        let plan = plan(&["--image", "box", "--tmpfs=1M", "root"], &["a", "b"], false);

        assert_eq!(
            plan.unwrap().steps,
            [
                Step::Config("box/config.json".into()),
                lower("b"),
                lower("a"),
                Step::Fsopen,
                Step::Tmpfs(Some(Bytes(1 << 20))),
                Step::Overlay(Xattrs::User),
                Step::Attach("root".into()),
            ]
        );
    }

    #[test]
    fn lower_directories_are_named_topmost_first() {
        let args = ["--lower", "a", "--lower", "b", "t"];
        let plan = plan(&args, &[], true);

        let rest =
            [Step::Fsopen, Step::Overlay(Xattrs::Trusted), Step::Attach("t".into())];
        let all = [&[lower("a"), lower("b")], rest.as_slice()].concat();
        assert_eq!(plan.unwrap().steps, all);
    }

    #[test]
    fn a_layer_that_occurs_again_counts_where_it_is_topmost() {
        let steps = plan(&["--layers", "-", "t"], &["a", "b", "a", "c"], true);

        let lowers = [lower("c"), lower("a"), lower("b")];
        assert_eq!(steps.unwrap().steps[..3], lowers);
    }

    #[test]
    fn one_layer_that_nobody_may_change_is_a_bind() {
        for args in [&["--lower", "a", "t"][..], &["--ro", "--lower", "a", "t"]] {
            let steps = plan(args, &[], true).unwrap().steps;

            assert_eq!(steps[1..], [Step::Bind, Step::Attach("t".into())]);
        }
    }

    #[test]
    fn the_kernel_stacks_500_layers_and_no_more() {
        let names: Vec<String> = (0..=MOST_LAYERS).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();

        assert!(plan(&["--layers", "-", "t"], &names[1..], true).is_ok());
        assert_eq!(
            plan(&["--layers", "-", "t"], &names, true).unwrap_err().text,
            "cannot mount an overlay of 501 layers; the kernel's limit is 500"
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for args in [
            &["t"][..],
            &["--lower", "a", "--image", "b", "t"],
            &["--lower", "a", "--rw", "b", "--tmpfs", "t"],
            &["--lower", "a", "--upper", "b", "t"],
            &["--lower", "a", "--work", "b", "t"],
            &["--lower", "a", "--ro", "--tmpfs", "t"],
        ] {
            assert_eq!(plan(args, &[], true).unwrap_err().status, 125, "{args:?}");
        }
        assert!(plan(&["--layers", "-", "t"], &[], true).is_err());
    }
}
