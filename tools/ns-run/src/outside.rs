//! What is opened before anything changes: later, paths and descriptors mean other things.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use common::nstype::{KINDS, Ns};
use common::{Context, Fail, entry, sys};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::libc::pid_t;
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, ftruncate, getppid, unlinkat};
use serde_json::{Map, Value, json};

use crate::plan::Plan;
use crate::step::Step;

/// The world of the caller, as far as it is needed later.
#[derive(Default)]
pub(crate) struct Outside {
    /// Its /proc.
    pub(crate) proc: Option<OwnedFd>,
    /// Who started us, to die with.
    pub(crate) starter: Option<OwnedFd>,
    pid_file: Option<PidFile>,
    /// `--wait-fd` and `--ready-fd`: COMMAND does not get them.
    control: Vec<OwnedFd>,
}

struct PidFile {
    directory: OwnedFd,
    name: OsString,
    file: OwnedFd,
    is_new: bool,
    is_written: Cell<bool>,
}

impl Outside {
    pub(crate) fn open(plan: &Plan) -> Result<Self, Fail> {
        let mut outside = Self::default();
        if plan.is_tied {
            outside.starter = Some(starter()?);
        }
        if plan.needs_proc() {
            outside.proc = Some(directory(Path::new("/proc"))?);
        }
        for step in &plan.steps {
            if let Step::Wait { fd, .. } = step {
                outside.control(*fd, "wait for")?;
            } else if let Step::Ready(fd) = step {
                outside.control(*fd, "write to")?;
            } else if let Step::PidFile(path) = step {
                outside.pid_file = Some(PidFile::open(path)?);
            }
        }
        Ok(outside)
    }

    fn control(&mut self, fd: RawFd, verb: &str) -> Result<(), Fail> {
        let verb = format!("{verb} descriptor");
        sys::open_flags(fd).cannot(&verb, fd.to_string())?;
        if fd > 2 && !self.control.iter().any(|known| known.as_raw_fd() == fd) {
            self.control.push(sys::adopt(fd).cannot(&verb, fd.to_string())?);
        }
        Ok(())
    }

    /// This process's id as the caller sees it, whatever pid namespace it is in.
    pub(crate) fn pid(&self) -> Result<pid_t, Fail> {
        let proc = self.proc()?;
        let link = nix::fcntl::readlinkat(proc, "self").cannot("read", "/proc/self")?;
        let pid = link.to_str().and_then(|pid| pid.parse().ok());
        pid.ok_or_else(|| Fail::cannot("read", "/proc/self", "it is no number"))
    }

    pub(crate) fn proc(&self) -> Result<&OwnedFd, Fail> {
        self.proc.as_ref().ok_or_else(|| Fail::new("cannot do without '/proc'"))
    }

    /// Process id and namespaces, as `ls -i /proc/PID/ns` has them. An exec moves COMMAND
    /// into the time namespace that this process made.
    pub(crate) fn record(&self, moves_in_time: bool) -> Result<Value, Fail> {
        let mut all = Map::new();
        for kind in &KINDS {
            let moves = kind.ns == Ns::Time && moves_in_time;
            let file = if moves { "time_for_children" } else { kind.file };
            let path = format!("self/ns/{file}");
            match fstatat(self.proc()?, path.as_str(), AtFlags::empty()) {
                Ok(stat) => {
                    all.insert(kind.file.to_owned(), stat.st_ino.into());
                }
                Err(Errno::ENOENT) if kind.ns >= Ns::Cgroup => {}
                Err(e) => return Err(e).cannot("read", format!("/proc/{path}")),
            }
        }
        Ok(json!({ "pid": self.pid()?, "ns": all }))
    }

    /// Writes the process id to its file.
    pub(crate) fn write_pid(&self) -> Result<(), Fail> {
        let pid = self.pid()?;
        let Some(PidFile { file, name, is_written, .. }) = &self.pid_file else {
            return Ok(());
        };
        is_written.set(true);
        ftruncate(file, 0)
            .and_then(|()| {
                entry::write_all(file.as_raw_fd(), format!("{pid}\n").as_bytes())
            })
            .cannot("write to", name)
    }

    /// Leaves no file of a process that there will not be; an empty one where it was there
    /// before, or where its directory is another user's by now.
    pub(crate) fn forget_pid(&self) {
        let Some(pid) = &self.pid_file else { return };
        if pid.is_written.get() {
            let _ = ftruncate(&pid.file, 0);
        }
        if pid.is_new {
            let name = pid.name.as_os_str();
            let _ = unlinkat(&pid.directory, name, UnlinkatFlags::NoRemoveDir);
        }
    }
}

impl PidFile {
    fn open(path: &Path) -> Result<Self, Fail> {
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let name = path.file_name().unwrap_or(OsStr::new(""));
        let directory = directory(parent.unwrap_or(Path::new(".")))?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o644);
        let file = |more| openat(&directory, name, flags | more, mode);
        let (file, is_new) = match file(OFlag::O_EXCL) {
            Err(Errno::EEXIST) => (file(OFlag::empty()).cannot("open", path)?, false),
            other => (other.cannot("make", path)?, true),
        };
        let (name, is_written) = (name.to_owned(), Cell::new(false));
        Ok(Self { directory, name, file, is_new, is_written })
    }
}

fn directory(path: &Path) -> Result<OwnedFd, Fail> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).cannot("open", path)
}

/// The process that started this one.
fn starter() -> Result<OwnedFd, Fail> {
    let parent = getppid();
    let pidfd = sys::pidfd_open(parent.as_raw()).failed_to("find the starter")?;
    // Another may have got its number meanwhile.
    if getppid() == parent { Ok(pidfd) } else { Err(Fail::exit(137)) }
}
