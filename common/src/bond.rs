//! What makes a child die with its parent, also when its ids change.

use std::os::fd::BorrowedFd;

use nix::libc::{self, c_int};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{Context, Fail, sys};

/// Whether the child is to die with the process that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bond {
    /// `PR_SET_PDEATHSIG` SIGKILL: a killed link leaves nothing behind.
    DieWithParent,
    /// The same with another signal.
    Signal(c_int),
    /// It lives on.
    Free,
}

impl Bond {
    pub(crate) fn tie(self, parent: BorrowedFd<'_>) -> Result<(), Fail> {
        match self {
            Self::DieWithParent => bind(parent, libc::SIGKILL),
            Self::Signal(signal) => bind(parent, signal),
            Self::Free => Ok(()),
        }
    }
}

/// Dies with the parent from now on, and at once if it is dead already.
///
/// # Errors
/// Status 137 where it is dead.
pub fn bind(parent: BorrowedFd<'_>, signal: c_int) -> Result<(), Fail> {
    arm(Some(parent), signal)
}

/// Changes credentials and stays bound to the parent.
///
/// The kernel forgets the parent death signal when ids change, prctl(2): it is set
/// again, and the parent, where the chain knows it, is looked at once more.
pub fn keep_bond<T>(
    parent: Option<BorrowedFd<'_>>,
    change: impl FnOnce() -> Result<T, Fail>,
) -> Result<T, Fail> {
    let signal = sys::pdeathsig().failed_to("read the parent death signal")?;
    let done = change()?;
    if signal != 0 {
        arm(parent, signal)?;
    }
    Ok(done)
}

/// Before it looks: a parent that dies in between has its signal sent.
fn arm(parent: Option<BorrowedFd<'_>>, signal: c_int) -> Result<(), Fail> {
    let number = libc::c_ulong::from(signal.cast_unsigned());
    sys::prctl(libc::PR_SET_PDEATHSIG, number, 0)
        .failed_to("set the parent death signal")?;
    if parent.is_some_and(is_dead) {
        return Err(Fail::exit(137));
    }
    Ok(())
}

/// Whether the process of a pidfd has ended.
pub fn is_dead(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
}
