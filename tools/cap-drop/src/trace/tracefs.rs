//! An instance of the kernel's tracing of our own, reached through a mount that nobody sees.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use common::fail::Hint;
use common::{Context, Fail, sys};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc::pid_t;
use nix::sys::signal::kill;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Pid, UnlinkatFlags, unlinkat};

const EVENT: &str = "events/capability/cap_capable";

/// What else there is.
pub(super) const INSTEAD: &str = "--trace=bisect runs COMMAND several times instead";

/// A directory of instances/, removed when this goes.
pub(super) struct Instance {
    instances: OwnedFd,
    name: String,
    dir: OwnedFd,
}

fn open(dir: &OwnedFd, path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
    openat(dir, path, flags | OFlag::O_CLOEXEC, Mode::empty())
}

impl Instance {
    /// Makes one that traces nothing yet.
    pub(super) fn make() -> Result<Self, Fail> {
        let what = "trace COMMAND";
        let root = mount().failed_to(what).map_err(|fail| match fail.errno {
            Some(Errno::EPERM) => fail.hint(format_args!(
                "it takes CAP_SYS_ADMIN in the first user namespace; {INSTEAD}"
            )),
            _ => fail.hint(format_args!("the kernel has no tracefs; {INSTEAD}")),
        })?;
        open(&root, EVENT, OFlag::O_PATH).failed_to(what).hint_on(
            Errno::ENOENT,
            format_args!("the tracepoint cap_capable came with Linux 6.14; {INSTEAD}"),
        )?;
        let instances =
            open(&root, "instances", OFlag::O_RDONLY).cannot("open", "instances")?;
        remove_stale(&instances);
        let name = format!("cap-drop.{}", Pid::this());
        mkdirat(&instances, name.as_str(), Mode::S_IRWXU).failed_to(what)?;
        let dir = open(&instances, &name, OFlag::O_PATH).failed_to(what)?;
        let instance = Self { instances, name, dir };
        // Children of what is traced are traced.
        instance.write("options/event-fork", "1")?;
        // Every event is read: an old one shall not be written over for want of room.
        instance.write("options/overwrite", "0")?;
        // Which code asks for CAP_SYS_ADMIN tells whether it is of use.
        instance.write(&format!("{EVENT}/trigger"), "stacktrace if cap == 21")?;
        Ok(instance)
    }

    /// Traces a process from here on.
    pub(super) fn trace(&self, pid: pid_t) -> Result<(), Fail> {
        self.write("set_event_pid", &pid.to_string())?;
        self.write(&format!("{EVENT}/enable"), "1")
    }

    /// Where the text comes from; it is not waited for.
    pub(super) fn text(&self) -> Result<File, Fail> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        Ok(open(&self.dir, "trace_pipe", flags).cannot("open", "trace_pipe")?.into())
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Fail> {
        let fd = open(&self.dir, file, OFlag::O_WRONLY | OFlag::O_TRUNC)
            .cannot("open", file)?;
        File::from(fd).write_all(text.as_bytes()).cannot("write to", file)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.write(&format!("{EVENT}/enable"), "0");
        let _ = unlinkat(&self.instances, self.name.as_str(), UnlinkatFlags::RemoveDir);
    }
}

/// tracefs, on a mount that is in no mount namespace.
fn mount() -> Result<OwnedFd, Errno> {
    let context = sys::fsopen(c"tracefs")?;
    sys::fsconfig_create(context.as_fd())?;
    sys::fsmount(context.as_fd(), 0)
}

/// Those of processes that were killed.
fn remove_stale(instances: &OwnedFd) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut dir) = Dir::openat(instances, ".", flags, Mode::empty()) else { return };
    let name =
        |entry: nix::dir::Entry| entry.file_name().to_str().ok().map(str::to_owned);
    for name in dir.iter().filter_map(Result::ok).filter_map(name) {
        let pid = name.strip_prefix("cap-drop.").and_then(|pid| pid.parse().ok());
        let is_gone = |pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH);
        if pid.is_some_and(is_gone) {
            let _ = unlinkat(instances, name.as_str(), UnlinkatFlags::RemoveDir);
        }
    }
}
