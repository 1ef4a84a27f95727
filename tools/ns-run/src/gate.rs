//! Where the one side waits until the other has done its part.

use std::os::fd::{AsRawFd, OwnedFd};

use common::{Context, Fail};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc::pid_t;
use nix::unistd::{close, pipe2, read, write};

/// A pipe: a process id comes through it, or its end where the other side is gone.
pub(crate) struct Gate {
    out: OwnedFd,
    into: OwnedFd,
}

impl Gate {
    pub(crate) fn new() -> Result<Self, Fail> {
        let (out, into) = pipe2(OFlag::O_CLOEXEC).failed_to("make a pipe")?;
        Ok(Self { out, into })
    }

    /// In the forked child: waits, and gives the process id that came.
    pub(crate) fn wait(&self) -> Result<pid_t, Fail> {
        // The fork's own copy, which nothing else in it uses, would hide the end.
        close(self.into.as_raw_fd()).failed_to("close a pipe")?;
        let mut pid = [0; size_of::<pid_t>()];
        match read(&self.out, &mut pid).failed_to("read from a pipe")? {
            n if n == pid.len() => Ok(pid_t::from_ne_bytes(pid)),
            // The other side said why, or was killed.
            _ => Err(Fail::exit(125)),
        }
    }

    /// In the parent: lets the child through.
    pub(crate) fn open(&self, pid: pid_t) -> Result<(), Fail> {
        match write(&self.into, &pid.to_ne_bytes()) {
            // It is dead; how it ended is told by who waits for it.
            Ok(_) | Err(Errno::EPIPE) => Ok(()),
            Err(e) => Err(e).failed_to("write to a pipe"),
        }
    }
}
