//! A child that runs in our memory until its exec: no page of ours is copied for it.
//!
//! A fork of a small static process takes about as long as all that such a child does, and
//! most of that is page tables and the pages that either side touches afterwards. This
//! process sleeps meanwhile and hears of SIGKILL alone, so it is for children that only
//! make a few quick calls; what waits for others, or forks again, takes [`Spawn::fork`].

use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::getpid;

use crate::held::{Held, STOPS};
use crate::spawn::{Child, Spawn};
use crate::{Fail, entry, sys};

/// Whose memory a child runs in until its exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// A copy, as of fork(2).
    Own,
    /// That of its parent, which sleeps: vfork(2).
    Lent,
}

impl Memory {
    /// The system call that makes the child.
    pub fn call(self) -> &'static str {
        match self {
            Self::Own => "clone3(CLONE_PIDFD)",
            Self::Lent => "clone(CLONE_VM | CLONE_VFORK | CLONE_PIDFD)",
        }
    }
}

/// What a child begins with: see [`Chain::begin`](crate::chain::Chain::begin).
#[derive(Debug)]
pub struct Start {
    /// A descriptor of its parent.
    pub(crate) parent: OwnedFd,
    /// The signals that it has to give back at the exec.
    pub(crate) held: Option<Held>,
}

impl Spawn<'_> {
    /// As [`Spawn::fork`], in the memory that [`Memory`] says. `given` are the descriptors
    /// that `body` owns: they stay with the child alone.
    ///
    /// In lent memory, `body` must change nothing that this process looks at later, since it
    /// may be killed at any moment. All that it owns is its own; the heap is a counter that
    /// goes up, [`entry::Arena`]. Its signals are held until [`Chain`](crate::chain::Chain)
    /// execs.
    ///
    /// # Errors
    /// Of clone(2).
    pub fn start(
        &self,
        memory: Memory,
        given: &[RawFd],
        body: impl FnOnce(Start) -> Result<Infallible, Fail>,
    ) -> Result<Child, Errno> {
        // Beyond the arena lies the C library's heap, which has more than a counter.
        if memory == Memory::Own || !entry::has_room() {
            return self.fork(|parent| body(Start { parent, held: None }));
        }
        let held = Held::hold()?;
        self.vfork(&held, given, body).inspect_err(|_| {
            let _ = held.release();
        })
    }

    fn vfork(
        &self,
        held: &Held,
        given: &[RawFd],
        body: impl FnOnce(Start) -> Result<Infallible, Fail>,
    ) -> Result<Child, Errno> {
        let parent = sys::pidfd_open(getpid().as_raw())?;
        let given = [given, &[parent.as_raw_fd()]].concat();
        let child = move || {
            self.end(self.bond.tie(parent.as_fd()).and_then(|()| {
                let held = Some(*held);
                body(Start { parent, held })
            }))
        };
        let (pid, pidfd) = sys::vfork(child, &given)?;
        let child = Child::new(pid, pidfd);
        // Of a stop that came meanwhile nothing was seen, see Held::release_for_exec.
        while let Some(stop) = sys::take_signal(&STOPS)? {
            let _ = sys::pidfd_send_signal(child.pidfd.as_fd(), stop);
        }
        Ok(child)
    }
}
