//! What to mount where before the root changes, decided without a system call.

use std::path::{Path, PathBuf};

use common::Fail;
use common::mount::Attr;

use crate::cli::Cli;
use crate::file::{Content, Given, Origin};
use crate::inside::Inside;
use crate::standard::{self, MASKED, PROCESSORS, PROTECTED};
use crate::step::{Fresh, Missing, Step};
use crate::tmpfs::Tmpfs;

/// The facts of the host that the plan depends on.
#[derive(Debug)]
pub struct Host {
    /// The processors that show when they get too hot.
    pub throttled: Vec<PathBuf>,
}

impl Host {
    /// Reads them.
    pub fn read(cli: &Cli) -> Self {
        let cpus = Path::new("/").join(PROCESSORS);
        // All of them have it, or none.
        if !cli.std || !cpus.join("cpu0/thermal_throttle").exists() {
            return Self { throttled: Vec::new() };
        }
        let entries = std::fs::read_dir(cpus).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path().join("thermal_throttle"));
        let paths = paths.filter(|path| path.exists());
        let inside = |path: PathBuf| path.strip_prefix("/").ok().map(Path::to_owned);
        Self { throttled: paths.filter_map(inside).collect() }
    }
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
    ///
    /// # Errors
    /// When nobody said where volumes are.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        let mut steps: Vec<_> = cli.image.iter().cloned().map(Step::Image).collect();
        steps.extend([Step::Private, Step::Root(cli.root.clone())]);
        steps.extend(mounts(cli)?);
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
        Ok(Self { root: cli.root.clone(), steps })
    }
}

/// An image's own device nodes must not lead to the host's devices.
fn attributes(cli: &Cli) -> Option<Attr> {
    let nodev = if cli.std { Attr::NODEV } else { Attr::NONE };
    let all = if cli.read_only { nodev.and(Attr::RDONLY) } else { nodev };
    (all != Attr::NONE).then_some(all)
}

/// The mounts, parents before what is in them, and at one place the last one on top. Where
/// the caller wants to see something else, a file system of the standard set is left out.
fn mounts(cli: &Cli) -> Result<Vec<Step>, Fail> {
    let volumes = cli.volume.iter().map(|volume| {
        let dir = volume.directory(cli.volumes.as_deref())?;
        Ok(Step::Volume(dir, volume.clone()))
    });
    let volumes: Vec<Step> = volumes.collect::<Result<_, Fail>>()?;
    let asked: Vec<Step> = (cli.tmpfs.iter().map(|t| Step::Fresh(tmpfs(t))))
        .chain(volumes)
        .chain(cli.bind.iter().cloned().map(Step::Bind))
        .chain(files(cli).map(Step::File))
        .collect();
    let is_asked = |at: &Inside| asked.iter().any(|step| step.place() == Some(at));
    let mut all: Vec<Step> = standard::mounts(cli)
        .into_iter()
        .filter(|fresh| !is_asked(&fresh.at))
        .map(Step::Fresh)
        .collect();
    all.extend(asked.iter().cloned());
    // Few places are deeper than ten: a sort of the library's would be half as large as
    // all that is decided here.
    let depth = |step: &Step| step.place().map_or(0, Inside::depth);
    let deepest = all.iter().map(depth).max().unwrap_or(0);
    let at = |wanted| all.iter().filter(move |step| depth(step) == wanted).cloned();
    Ok((0..=deepest).flat_map(at).collect())
}

/// Those of /etc first: a file that was named by its path comes on top.
fn files(cli: &Cli) -> impl Iterator<Item = Given> {
    let resolv = cli.resolv.clone().map(Content::Resolv);
    let more = || cli.add_host.clone();
    let hosts = cli.hosts.clone().or_else(|| (!more().is_empty()).then_some(Origin::New));
    let hosts = hosts.map(|origin| Content::Hosts(origin, more()));
    let hostname = cli.hostname_file.then_some(Content::Hostname);
    let of_etc =
        [("etc/resolv.conf", resolv), ("etc/hosts", hosts), ("etc/hostname", hostname)];
    let of_etc =
        of_etc.into_iter().filter_map(|(at, content)| Some(Given::new(at, content?)));
    of_etc.chain(cli.file.iter().cloned())
}

fn tmpfs(tmpfs: &Tmpfs) -> Fresh {
    let (at, attr, options) = (tmpfs.at.clone(), tmpfs.attr, tmpfs.options());
    Fresh { fstype: "tmpfs", source: "tmpfs", at, attr, options }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn plan(args: &[&str]) -> Vec<Step> {
        let args = ["root-pivot"].iter().chain(args).map(OsString::from).collect();
        let cli: Cli = common::cli::parse(args).unwrap();
        Plan::new(&cli, &Host { throttled: vec!["sys/hot".into()] }).unwrap().steps
    }

    fn places(args: &[&str]) -> Vec<String> {
        let steps = plan(args);
        let mounts = steps.iter().filter(|step| {
            step.place().is_some() && !matches!(step, Step::Mask(..) | Step::Protect(..))
        });
        mounts.map(|step| step.place().unwrap().0.display().to_string()).collect()
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
            "--bind=a:/data/x",
            "--tmpfs=/data",
            "--tmpfs=/tmp/y",
            "--file=/data/x/f=text",
            "--volume=./v:/data/v",
            "--cgroup",
            "r",
        ];

        assert_eq!(
            places(&args),
            ["tmp", "data", "tmp/y", "data/v", "data/x", "sys/fs/cgroup", "data/x/f"]
        );
    }

    #[test]
    fn what_the_caller_shows_takes_the_place_of_the_standard() {
        let args = ["--std", "--bind", "/proc:/proc", "--tmpfs", "/run:size=1M", "r"];

        assert_eq!(places(&args), ["sys", "tmp", "run", "proc"]);
    }

    #[test]
    fn the_files_of_etc_are_given_where_they_are_asked_for() {
        let args = ["--resolv=host", "--add-host=db:10.0.0.1", "--hostname-file", "r"];

        assert_eq!(places(&args), ["etc/resolv.conf", "etc/hosts", "etc/hostname"]);
        assert_eq!(places(&["--hosts=new", "r"]), ["etc/hosts"]);
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
