//! What to mount where before the root changes, decided without a system call.

use std::path::{Path, PathBuf};

use common::explain::Explain;
use common::fail::quote;
use common::mount::Attr;

use crate::cli::Cli;
use crate::standard::{MASKED, PROCESSORS, PROTECTED};
use crate::volume::{Access, Bind, Inside, Tmpfs};

/// The facts of the host that the plan depends on.
#[derive(Debug)]
pub struct Host {
    /// The processors that show when they get too hot.
    pub throttled: Vec<PathBuf>,
}

impl Host {
    /// Reads them.
    pub fn read() -> Self {
        let cpus = Path::new("/").join(PROCESSORS);
        // All of them have it, or none.
        if !cpus.join("cpu0/thermal_throttle").exists() {
            return Self { throttled: Vec::new() };
        }
        let entries = std::fs::read_dir(cpus).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path().join("thermal_throttle"));
        let mut throttled: Vec<_> = paths
            .filter(|path| path.exists())
            .filter_map(|path| path.strip_prefix("/").ok().map(Path::to_owned))
            .collect();
        throttled.sort();
        Self { throttled }
    }
}

/// What to do where there is nothing to hide or protect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Go on: what this kernel does not have it does not tell.
    Skip,
    /// Fail: the caller named it.
    Refuse,
}

/// A file system of the kernel's, new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// Its type.
    pub fstype: &'static str,
    /// What findmnt(8) calls it.
    pub source: &'static str,
    /// Where it goes.
    pub at: Inside,
    /// `MOUNT_ATTR_*`.
    pub attr: Attr,
    /// `key=value`.
    pub options: Vec<(&'static str, String)>,
}

/// One thing to do in the new root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keeps what happens here from other mount namespaces.
    Private,
    /// Makes a directory a mount point where it is none.
    Root(PathBuf),
    /// A file system of the kernel's.
    Fresh(Fresh),
    /// A file or directory of the caller's.
    Bind(Bind),
    /// Nothing is to be seen there.
    Mask(Inside, Missing),
    /// Nothing is to be changed there.
    Protect(Inside, Missing),
    /// What holds for the root itself, but not for what is mounted in it.
    Attributes(Attr),
    /// The root is the new one, and the old one is gone.
    Pivot,
}

/// What root-pivot is going to do.
#[derive(Debug)]
pub struct Plan {
    /// The directory that becomes the root.
    pub root: PathBuf,
    /// In this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Decides.
    pub fn new(cli: &Cli, host: &Host) -> Self {
        let mut steps = vec![Step::Private, Step::Root(cli.root.clone())];
        steps.extend(mounts(cli));
        let std = |table: &[&str]| -> Vec<Inside> {
            let all = table.iter().filter(|_| cli.std);
            all.map(|path| Inside(path.into())).collect()
        };
        let protected = std(&PROTECTED);
        steps.extend(protected.into_iter().map(|at| Step::Protect(at, Missing::Skip)));
        let masked = std(&MASKED).into_iter();
        let throttled = host.throttled.iter().filter(|_| cli.std).cloned().map(Inside);
        let masked = masked.chain(throttled);
        steps.extend(masked.map(|at| Step::Mask(at, Missing::Skip)));
        let ro_paths = cli.ro_path.iter().cloned();
        steps.extend(ro_paths.map(|at| Step::Protect(at, Missing::Refuse)));
        let masks = cli.mask.iter().cloned();
        steps.extend(masks.map(|at| Step::Mask(at, Missing::Refuse)));
        steps.extend(attributes(cli).map(Step::Attributes));
        steps.push(Step::Pivot);
        Self { root: cli.root.clone(), steps }
    }
}

/// An image's own device nodes must not lead to the host's devices.
fn attributes(cli: &Cli) -> Option<Attr> {
    let nodev = if cli.std { Attr::NODEV } else { Attr::NONE };
    let all = if cli.read_only { nodev.and(Attr::RDONLY) } else { nodev };
    (all != Attr::NONE).then_some(all)
}

/// The mounts, parents before what is in them. Where the caller wants to see something
/// else, a file system of the standard set is left out.
fn mounts(cli: &Cli) -> Vec<Step> {
    let asked: Vec<Step> = (cli.tmpfs.iter().map(|t| Step::Fresh(tmpfs(t))))
        .chain(cli.bind.iter().cloned().map(Step::Bind))
        .collect();
    let is_asked = |at: &Inside| asked.iter().any(|step| place(step) == Some(at));
    let mut all: Vec<Step> = standard(cli)
        .into_iter()
        .filter(|fresh| !is_asked(&fresh.at))
        .map(Step::Fresh)
        .collect();
    all.extend(asked.iter().cloned());
    all.sort_by_key(|step| place(step).map_or(0, Inside::depth));
    all
}

fn standard(cli: &Cli) -> Vec<Fresh> {
    let fresh = |fstype, name: &'static str, attr| Fresh {
        fstype,
        source: name,
        at: Inside(name.into()),
        attr,
        options: Vec::new(),
    };
    let device_free = Attr::NOSUID.and(Attr::NODEV);
    let data = device_free.and(Attr::NOEXEC);
    let with_mode = |mut fresh: Fresh, mode: &str| {
        fresh.options.push(("mode", mode.to_owned()));
        fresh
    };
    [
        (cli.proc, fresh("proc", "proc", data)),
        (cli.sys, fresh("sysfs", "sys", data.and(Attr::RDONLY))),
        (cli.run, with_mode(fresh("tmpfs", "run", device_free), "755")),
        (cli.tmp, with_mode(fresh("tmpfs", "tmp", device_free), "1777")),
    ]
    .into_iter()
    .filter(|(asked, _)| *asked || cli.std)
    .map(|(_, fresh)| fresh)
    .collect()
}

fn tmpfs(Tmpfs { at, size, mode }: &Tmpfs) -> Fresh {
    let mut options = vec![("mode", format!("{mode:o}"))];
    options.extend(size.map(|size| ("size", size.to_string())));
    let attr = Attr::NOSUID.and(Attr::NODEV);
    Fresh { fstype: "tmpfs", source: "tmpfs", at: at.clone(), attr, options }
}

fn place(step: &Step) -> Option<&Inside> {
    match step {
        Step::Fresh(fresh) => Some(&fresh.at),
        Step::Bind(bind) => Some(&bind.at),
        Step::Mask(at, _) | Step::Protect(at, _) => Some(at),
        Step::Private | Step::Root(_) | Step::Attributes(_) | Step::Pivot => None,
    }
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Private => {
                "mount_setattr('/', AT_RECURSIVE, propagation MS_PRIVATE)".into()
            }
            Self::Root(path) => {
                let path = quote(path);
                format!(
                    "open_tree({path}, OPEN_TREE_CLONE|AT_RECURSIVE); move_mount({path})"
                )
            }
            Self::Fresh(Fresh { fstype, at, attr, .. }) => {
                format!("fsopen('{fstype}'); fsmount({}); move_mount({at})", attr.names())
            }
            Self::Bind(Bind { source, at, .. }) => {
                let source = quote(source);
                format!(
                    "open_tree({source}, OPEN_TREE_CLONE|AT_RECURSIVE); move_mount({at})"
                )
            }
            Self::Mask(at, _) => {
                format!("openat2({at}, RESOLVE_IN_ROOT); move_mount({at})")
            }
            Self::Protect(at, _) => {
                format!(
                    "open_tree({at}); mount_setattr(MOUNT_ATTR_RDONLY); move_mount({at})"
                )
            }
            Self::Attributes(attr) => format!("mount_setattr('.', {})", attr.names()),
            Self::Pivot => {
                "pivot_root('.', '.'); umount2('.', MNT_DETACH); chdir('/')".into()
            }
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Private => "no mount of ours in another namespace".into(),
            Self::Root(_) => "a mount point, where it is none yet".into(),
            Self::Fresh(fresh) if fresh.options.is_empty() => {
                "every program expects it".into()
            }
            Self::Fresh(Fresh { options, .. }) => {
                let all: Vec<_> =
                    options.iter().map(|(k, v)| format!("{k}={v}")).collect();
                all.join(",")
            }
            Self::Bind(Bind { access: Access::ReadOnly, .. }) => {
                "of the caller's, mount_setattr(AT_RECURSIVE, MOUNT_ATTR_RDONLY)".into()
            }
            Self::Bind(_) => "of the caller's".into(),
            Self::Mask(_, Missing::Skip) => "hidden where it exists".into(),
            Self::Mask(_, Missing::Refuse) => "hidden".into(),
            Self::Protect(_, Missing::Skip) => "read-only where it exists".into(),
            Self::Protect(_, Missing::Refuse) => "read-only".into(),
            Self::Attributes(_) => "for the root, not for what is mounted in it".into(),
            Self::Pivot => "the old root is gone".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn plan(args: &[&str]) -> Vec<Step> {
        let args = ["root-pivot"].iter().chain(args).map(OsString::from).collect();
        let cli: Cli = common::cli::parse(args).unwrap();
        Plan::new(&cli, &Host { throttled: vec!["sys/hot".into()] }).steps
    }

    fn places(args: &[&str]) -> Vec<String> {
        let steps = plan(args);
        let mounts = steps.iter().filter(|s| matches!(s, Step::Fresh(_) | Step::Bind(_)));
        mounts.map(|step| place(step).unwrap().0.display().to_string()).collect()
    }

    #[test]
    fn without_options_the_root_changes_and_nothing_else() {
        assert_eq!(plan(&["r"]), [Step::Private, Step::Root("r".into()), Step::Pivot]);
    }

    #[test]
    fn the_standard_set_is_four_mounts_and_dockers_masks() {
        let steps = plan(&["--std", "r"]);

        assert_eq!(places(&["--std", "r"]), ["proc", "sys", "run", "tmp"]);
        let masks = steps.iter().filter(|s| matches!(s, Step::Mask(_, Missing::Skip)));
        assert_eq!(masks.count(), MASKED.len() + 1);
        assert_eq!(steps[2..].iter().position(|s| *s == Step::Pivot), Some(23));
        assert_eq!(plan(&["--proc", "--sys", "--run", "--tmp", "r"])[2..6], steps[2..6]);
    }

    #[test]
    fn parents_are_mounted_before_what_is_in_them() {
        let args = [
            "--tmp",
            "--bind",
            "a:/data/x",
            "--tmpfs",
            "/data",
            "--tmpfs",
            "/tmp/y",
            "r",
        ];

        assert_eq!(places(&args), ["tmp", "data", "tmp/y", "data/x"]);
    }

    #[test]
    fn what_the_caller_shows_takes_the_place_of_the_standard() {
        let args = ["--std", "--bind", "/proc:/proc", "--tmpfs", "/run:size=1M", "r"];

        assert_eq!(places(&args), ["sys", "tmp", "run", "proc"]);
    }

    #[test]
    fn what_the_caller_hides_must_be_there() {
        let steps = plan(&["--mask", "/a", "--ro-path", "/b", "--read-only", "r"]);

        let at = |path: &str| Inside(path.into());
        assert_eq!(
            steps[2..],
            [
                Step::Protect(at("b"), Missing::Refuse),
                Step::Mask(at("a"), Missing::Refuse),
                Step::Attributes(Attr::RDONLY),
                Step::Pivot,
            ]
        );
    }
}
