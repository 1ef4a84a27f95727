//! Makes the groups and sets their limits, each read back.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::fail::Hint;
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::libc;
use nix::sys::stat::{Mode, fchmod};
use nix::sys::uio::pread;
use nix::unistd::{mkdir, write};

use crate::discover::Version;
use crate::plan::{File, Step};

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
            });
            Ok(())
        }
        Step::Write { dir, file } => set(made(groups, dir)?, file),
        // All that follows is start's.
        Step::Fork { .. } => Ok(()),
        Step::Join { dir } => {
            let group = made(groups, dir)?;
            group.entry = Some(open_entry(group, "tasks")?);
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
        .hint_on(Errno::EPERM, DELEGATE)
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

fn open_file(group: &Group, name: &str, mode: OFlag) -> Result<OwnedFd, Errno> {
    let flags = mode | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(group.dir.as_fd(), name, flags, Mode::empty())
}

/// Writes a limit, and looks whether the kernel took it as it is.
fn set(group: &Group, file: &File) -> Result<(), Fail> {
    let path = group.path.join(file.name);
    let opened = open_file(group, file.name, OFlag::O_RDWR)
        .cannot("open", &path)
        .hint_on(Errno::ENOENT, absent(file.name))?;
    write(&opened, file.value.as_bytes())
        .failed_to(format_args!("write {} to '{}'", file.value, path.display()))
        .hint_on(Errno::EINVAL, "a group above may allow less")?;
    let mut buf = [0; 64];
    let length = pread(&opened, &mut buf, 0).cannot("read", &path)?;
    let text = String::from_utf8_lossy(buf.get(..length).unwrap_or_default());
    if text.trim_end() != file.reads {
        return Err(Fail::new(format_args!(
            "cannot write {} to '{}': the kernel made {} of it",
            file.value,
            path.display(),
            text.trim_end()
        )));
    }
    Ok(())
}

fn absent(file: &str) -> &'static str {
    match file {
        "memory.swap.max" | "memory.memsw.limit_in_bytes" => {
            "the kernel does not count swap, boot it with swapaccount=1"
        }
        _ => "this kernel has no such limit",
    }
}

pub(crate) fn open_entry(group: &Group, name: &str) -> Result<OwnedFd, Fail> {
    open_file(group, name, OFlag::O_WRONLY).cannot("open", group.path.join(name))
}
