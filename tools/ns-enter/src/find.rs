//! The process that a target names, held by a descriptor.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::bounded;
use common::fail::Hint;
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};
use serde_json::Value;

use crate::name::Target;

/// As long as no pid file, status record or group of processes is.
const LIMIT: u64 = 1 << 20;

/// `PID_FS_MAGIC`, the file system of pidfds since Linux 6.9.
const PIDFS: FsType = FsType(0x5049_4446);

/// A process.
#[derive(Debug)]
pub struct Process {
    /// Its id here.
    pub pid: i32,
    /// It, even after its id was given to another.
    pub pidfd: OwnedFd,
}

impl Process {
    fn open(pid: i32) -> Result<Self, Fail> {
        let pidfd = sys::pidfd_open(pid)
            .cannot("open process", pid.to_string())
            .hint_on(Errno::EINVAL, "it is a thread of a process")
            .hint_on(Errno::ENOENT, "it is a thread of a process")?;
        Ok(Self { pid, pidfd })
    }

    /// What /proc said was said of this process only if it is still there.
    pub fn confirm(&self) -> Result<(), Fail> {
        match sys::pidfd_send_signal(self.pidfd.as_fd(), 0) {
            Ok(()) | Err(Errno::EPERM) => Ok(()),
            Err(e) => Err(e).cannot("enter process", self.pid.to_string()),
        }
    }
}

/// Finds the process; none where the target is none.
pub fn process(target: &Target) -> Result<Option<Process>, Fail> {
    match target {
        Target::Pid(pid, None) => Process::open(*pid),
        Target::Pid(pid, Some(inode)) => with_inode(*pid, *inode),
        Target::Pidfd(fd) => of_pidfd(*fd),
        Target::File(path) => of_file(path),
        Target::Cgroup(path) => of_cgroup(path),
        Target::Netns(_) => return Ok(None),
    }
    .map(Some)
}

fn with_inode(pid: i32, inode: u64) -> Result<Process, Fail> {
    let process = Process::open(pid)?;
    let object = format!("{pid}:{inode}");
    let fs = fstatfs(&process.pidfd).cannot("open process", &object)?;
    if fs.filesystem_type() != PIDFS {
        return Err(Fail::cannot("open process", object, "it takes Linux 6.9"));
    }
    let found = fstat(&process.pidfd).cannot("open process", &object)?.st_ino;
    if found == inode {
        return Ok(process);
    }
    Err(Fail::cannot("open process", object, Errno::ESRCH.desc())
        .hint("the id was given to another"))
}

fn of_pidfd(fd: RawFd) -> Result<Process, Fail> {
    let object = format!("fd:{fd}");
    let info = format!("/proc/self/fdinfo/{fd}");
    let pidfd = sys::adopt(fd).cannot("use", &object)?;
    let text = fs::read_to_string(&info).cannot("read", &info)?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    let pid = pid.and_then(|pid| pid.trim().parse::<i32>().ok());
    match pid {
        Some(pid @ 1..) => Ok(Process { pid, pidfd }),
        Some(0) => {
            Err(Fail::cannot("use", object, "the process cannot be seen from here"))
        }
        Some(_) => Err(Fail::cannot("use", object, "the process has ended")),
        None => Err(Fail::cannot("use", object, "not a process's descriptor")),
    }
}

fn read(path: &Path) -> Result<String, Fail> {
    let file = File::open(path).cannot("read", path)?;
    let text = bounded::read(file, LIMIT, 4096).cannot("read", path)?;
    let text = text.and_then(|text| String::from_utf8(text).ok());
    text.ok_or_else(|| Fail::cannot("read", path, "not a text, or no end to it"))
}

/// A pid file, or records of `ns-run --status-fd`, of which the last counts.
fn of_file(path: &Path) -> Result<Process, Fail> {
    let text = read(path)?;
    let bad = || Fail::cannot("use", path, "neither a pid nor a status record");
    if !text.trim_start().starts_with('{') {
        let pid = text.trim().parse().ok().filter(|pid| *pid > 0).ok_or_else(bad)?;
        return Process::open(pid);
    }
    let mut records =
        text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let record = records.rfind(|record| record.get("pid").is_some()).ok_or_else(bad)?;
    let pid = record.get("pid").and_then(Value::as_i64);
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
    let process = Process::open(pid.ok_or_else(bad)?)?;
    let kinds = record.get("ns").and_then(Value::as_object);
    for (kind, inode) in kinds.into_iter().flatten() {
        is_recorded(&process, kind, inode)?;
    }
    process.confirm()?;
    Ok(process)
}

/// The id may have been given to another process since.
fn is_recorded(process: &Process, kind: &str, inode: &Value) -> Result<(), Fail> {
    let known = common::nstype::KINDS.iter().find(|known| known.file == kind);
    let Some(known) = known else { return Ok(()) };
    let file = format!("/proc/{}/ns/{}", process.pid, known.file);
    let found = fs::metadata(&file).cannot("read", &file)?.ino();
    if inode.as_u64() == Some(found) {
        return Ok(());
    }
    let reason = format!("it is not in the {kind} namespace of the record");
    Err(Fail::cannot("enter process", process.pid.to_string(), reason)
        .hint("the id was given to another"))
}

/// The first process of a cgroup, or of the first below it that has one.
fn of_cgroup(path: &Path) -> Result<Process, Fail> {
    let dir = directory(path)?;
    let Some((at, pid)) = first(&dir, 16)? else {
        return Err(Fail::cannot("enter cgroup", path, "there is no process in it"));
    };
    if pid == 0 {
        let reason = "its first process cannot be seen from here";
        return Err(Fail::cannot("enter cgroup", path, reason));
    }
    let process = Process::open(pid)?;
    // Its id may have been given to another before it was opened.
    let number = pid.to_string();
    if read(&at)?.lines().any(|line| line == number) {
        return Ok(process);
    }
    Err(Fail::cannot("enter cgroup", path, "its first process has just left"))
}

/// A directory as it is, or as /proc/PID/cgroup names it.
fn directory(path: &Path) -> Result<PathBuf, Fail> {
    if path.join("cgroup.procs").exists() {
        return Ok(path.to_owned());
    }
    let mounts =
        fs::read("/proc/self/mountinfo").cannot("read", "/proc/self/mountinfo")?;
    let mounts = common::proc::mountinfo(&mounts);
    let mounts = mounts.iter().filter(|mount| mount.fstype.starts_with("cgroup"));
    let below = path.strip_prefix("/").unwrap_or(path);
    let mut places = mounts.map(|mount| mount.target.join(below));
    places.find(|place| place.join("cgroup.procs").exists()).ok_or_else(|| {
        Fail::cannot("enter cgroup", path, Errno::ENOENT.desc())
            .hint("its directory, or its path as in /proc/PID/cgroup")
    })
}

fn first(dir: &Path, depth: usize) -> Result<Option<(PathBuf, i32)>, Fail> {
    let procs = dir.join("cgroup.procs");
    // A threaded group has no processes of its own; those are its domain's.
    let text = match fs::read_to_string(&procs) {
        Err(e) if e.raw_os_error().map(Errno::from_raw) == Some(Errno::EOPNOTSUPP) => {
            String::new()
        }
        other => other.cannot("read", &procs)?,
    };
    if let Some(pid) = text.lines().next().and_then(|line| line.parse().ok()) {
        return Ok(Some((procs, pid)));
    }
    let Some(depth) = depth.checked_sub(1) else { return Ok(None) };
    let entries = fs::read_dir(dir).cannot("read", dir)?.flatten();
    let dirs = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    let mut dirs: Vec<_> = dirs.map(|entry| entry.path()).collect();
    dirs.sort();
    for below in dirs {
        if let Some(found) = first(&below, depth)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
