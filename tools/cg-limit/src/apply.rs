//! Makes the groups and sets their limits, each read back.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::fail::{Hint, quote};
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::libc;
use nix::sys::stat::{Mode, fchmod};
use nix::sys::uio::pread;
use nix::unistd::{mkdir, write};

use crate::device::Filter;
use crate::discover::Version;
use crate::file::{File, Reads};
use crate::plan::Step;

/// A group that was made.
pub(crate) struct Group {
    /// Its directory.
    pub(crate) path: PathBuf,
    /// The generation of its hierarchy.
    pub(crate) version: Version,
    /// What it was made for.
    pub(crate) controllers: Vec<&'static str>,
    /// The directory, locked as long as this process lives: `--gc` looks for that.
    pub(crate) dir: OwnedFd,
    /// Where the new process writes itself in.
    pub(crate) entry: Option<OwnedFd>,
    /// Where one that cannot be COMMAND goes back to.
    pub(crate) back: Option<PathBuf>,
}

const MODE: Mode = Mode::from_bits_truncate(0o755);

/// Carries one step out; a group that was made is added to `groups`, also on failure.
pub(crate) fn apply(step: &Step, groups: &mut Vec<Group>) -> Result<(), Fail> {
    match step {
        Step::Enable { dir, controller } => enable(dir, controller),
        Step::Evacuate { from, to } => evacuate(from, to),
        Step::Make { dir, version, controllers } => {
            mkdir(dir, MODE).map_err(|e| not_made(dir, *version, e))?;
            let opened = open_group(dir).inspect_err(|_| {
                let _ = fs::remove_dir(dir);
            })?;
            groups.push(Group {
                path: dir.clone(),
                version: *version,
                controllers: controllers.clone(),
                dir: opened,
                entry: None,
                back: None,
            });
            Ok(())
        }
        Step::Write { dir, file } => set(made(groups, dir)?, file),
        Step::Filter { dir, filter } => attach(made(groups, dir)?, filter),
        // What follows is start's.
        Step::Fork { .. } => Ok(()),
        Step::Enter { dir, back } => {
            let group = made(groups, dir)?;
            group.entry = Some(open_entry(group, "cgroup.procs")?);
            group.back = Some(back.join("cgroup.procs"));
            Ok(())
        }
        Step::Join { dir, back } => {
            let group = made(groups, dir)?;
            group.entry = Some(open_entry(group, "tasks")?);
            group.back = Some(back.join("tasks"));
            Ok(())
        }
    }
}

fn made<'g>(groups: &'g mut [Group], dir: &Path) -> Result<&'g mut Group, Fail> {
    groups
        .iter_mut()
        .find(|group| group.path == dir)
        .ok_or_else(|| Fail::cannot("use", dir, "planned wrongly"))
}

fn enable(dir: &Path, controller: &str) -> Result<(), Fail> {
    let path = dir.join("cgroup.subtree_control");
    // One by one: a refused controller refuses all of a write.
    fs::write(&path, format!("+{controller}"))
        .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0)))
        .cannot(&format!("enable {controller} in"), path)
        .hint_on(Errno::EBUSY, "the group has processes, name another with --parent")
        .hint_on(Errno::EACCES, DELEGATE)
        .hint_on(
            Errno::EPERM,
            "a process of another user is below it, or the group was not delegated",
        )
        .hint_on(Errno::EROFS, READ_ONLY)
        .hint_on(Errno::ENOENT, "the controller is not enabled in the group above")
}

/// Moves all processes, until none was born meanwhile.
fn evacuate(from: &Path, to: &Path) -> Result<(), Fail> {
    match mkdir(to, MODE) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(not_made(to, Version::V2, e)),
    }
    let (source, target) = (from.join("cgroup.procs"), to.join("cgroup.procs"));
    for _ in 0..EVACUATIONS {
        let text = fs::read_to_string(&source).cannot("read", &source)?;
        if text.is_empty() {
            return Ok(());
        }
        for pid in text.lines() {
            match fs::write(&target, pid) {
                // It has ended.
                Err(e) if e.raw_os_error() == Some(libc::ESRCH) => {}
                moved => moved.cannot(&format!("move process {pid} to"), to)?,
            }
        }
    }
    Err(Fail::cannot("empty the group", from, "processes are born faster than they move"))
}

/// How often a group is looked at before it is given up.
const EVACUATIONS: u32 = 100;

pub(crate) const DELEGATE: &str =
    "run as root, or in a group of yours: systemd-run --user --scope -p Delegate=yes …";
const READ_ONLY: &str = "the cgroup file system must be mounted read-write";

fn not_made(dir: &Path, version: Version, errno: Errno) -> Fail {
    let parent = dir.parent().unwrap_or(dir);
    let fail = Fail::cannot("make a group in", parent, errno.desc());
    match (errno, version) {
        (Errno::EACCES | Errno::EPERM, Version::V2) => fail.hint(DELEGATE),
        (Errno::EACCES | Errno::EPERM, Version::V1) => {
            fail.hint("cgroup v1 takes root, or a group of yours by --parent")
        }
        (Errno::EROFS, _) => fail.hint(READ_ONLY),
        (Errno::EEXIST, _) => {
            fail.hint("a group of that name is there, see --update and --kill")
        }
        (Errno::EAGAIN, _) => {
            fail.hint("see cgroup.max.descendants and cgroup.max.depth above")
        }
        _ => fail,
    }
}

fn open_group(dir: &Path) -> Result<OwnedFd, Fail> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = open(dir, flags, Mode::empty()).cannot("open", dir)?;
    // The umask had its say, and COMMAND may become another user.
    fchmod(&opened, MODE).cannot("set mode of", dir)?;
    sys::flock(opened.as_fd(), libc::LOCK_EX).cannot("lock", dir)?;
    Ok(opened)
}

fn open_file(dir: BorrowedFd<'_>, name: &str, mode: OFlag) -> Result<OwnedFd, Errno> {
    let flags = mode | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

fn set(group: &Group, file: &File) -> Result<(), Fail> {
    write_limit(&group.path, group.dir.as_fd(), file)
}

/// Writes a limit and reads it back.
pub(crate) fn write_limit(
    path: &Path,
    dir: BorrowedFd<'_>,
    file: &File,
) -> Result<(), Fail> {
    let at = path.join(&file.name);
    let mode = match file.reads {
        Reads::Anything => OFlag::O_WRONLY,
        Reads::Just(_) | Reads::Line(..) | Reads::Alike => OFlag::O_RDWR,
    };
    let opened = match (open_file(dir, &file.name, mode), &file.instead) {
        (Err(Errno::ENOENT), Some(other)) => return write_limit(path, dir, other),
        (opened, _) => opened
            .cannot("open", &at)
            .hint_on(Errno::ENOENT, absent(&file.name))
            .hint_on(Errno::EACCES, DELEGATE)?,
    };
    let said = format_args!("write {} to '{}'", file.value, at.display()).to_string();
    write(&opened, file.value.as_bytes())
        .failed_to(&said)
        .map_err(|fail| refused(fail, &file.name))?;
    if file.reads == Reads::Anything {
        return Ok(());
    }
    // What a file of a group has fits into a page, or the rest is of no interest.
    let mut buf = [0; 4096];
    let length = pread(&opened, &mut buf, 0).cannot("read", &at)?;
    let text = String::from_utf8_lossy(buf.get(..length).unwrap_or_default());
    if file.reads.is_met(&file.value, &text) {
        return Ok(());
    }
    let text = text.trim_end().replace('\n', ", ");
    Err(Fail::new(format_args!("cannot {said}: the kernel made {} of it", quote(text)))
        .hint(other_value(&file.name)))
}

/// Why the kernel may have made something else of a value.
fn other_value(file: &str) -> &'static str {
    match file {
        "cpuset.cpus.partition" => "see cgroup-v2.rst, \"cpuset.cpus.partition\"",
        file if file.starts_with("memory.") => "memory is counted in whole pages",
        file if file.starts_with("hugetlb.") => "it is counted in whole huge pages",
        _ => "give the value that it takes",
    }
}

/// What the kernel means by refusing a value.
fn refused(fail: Fail, file: &str) -> Fail {
    let hint = match fail.errno {
        Some(Errno::EBUSY) if file.starts_with("memory.") => {
            "more is used already and cannot be reclaimed"
        }
        Some(Errno::ENODEV) => "there is no such disk, or only a part of one",
        Some(Errno::EOPNOTSUPP) => "the disk or the kernel cannot do that",
        Some(Errno::EINVAL | Errno::ERANGE) if file.starts_with("cpuset.") => {
            "the machine or a group above has no such CPU or node"
        }
        Some(Errno::EINVAL | Errno::ERANGE) => "a group above may allow less",
        Some(Errno::EPERM | Errno::EACCES) => "it takes root, or more of it",
        _ => return fail,
    };
    fail.hint(hint)
}

fn absent(file: &str) -> &'static str {
    match file {
        "memory.swap.max" | "memory.memsw.limit_in_bytes" => {
            "the kernel does not count swap, boot it with swapaccount=1"
        }
        file if file.starts_with("hugetlb.") => {
            "the kernel has no pages of that size, see /sys/kernel/mm/hugepages"
        }
        file if file.starts_with("io.weight") || file.starts_with("blkio.") => {
            "the kernel shares no disks by weight: modprobe bfq"
        }
        _ => "this kernel has no such limit",
    }
}

fn attach(group: &Group, filter: &Filter) -> Result<(), Fail> {
    let program = sys::bpf_load_device_filter(&filter.program());
    program
        .and_then(|program| {
            sys::bpf_attach_device_filter(group.dir.as_fd(), program.as_fd())
        })
        .cannot("attach a device filter to", &group.path)
        .hint_on(Errno::EPERM, "it takes root, also in a delegated group")
        .hint_on(Errno::EACCES, "it takes root, also in a delegated group")
        .hint_on(Errno::ENOSYS, "the kernel has no bpf(2)")
        .hint_on(Errno::EINVAL, "the kernel has no CONFIG_CGROUP_BPF")
}

pub(crate) fn open_entry(group: &Group, name: &str) -> Result<OwnedFd, Fail> {
    open_file(group.dir.as_fd(), name, OFlag::O_WRONLY)
        .cannot("open", group.path.join(name))
}
