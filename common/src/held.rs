//! The signals, held back from before the fork until COMMAND has them.

use nix::errno::Errno;
use nix::libc::{SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU, c_int};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use crate::sys::{self, Disposition};

/// What stops a process and can be caught.
pub(crate) const STOPS: [c_int; 3] = [SIGTSTP, SIGTTIN, SIGTTOU];

/// All signals blocked until COMMAND has them, and what they were before.
///
/// For a link that makes something which outlives it: held from before the making until
/// after the removing, no signal can end the link in between.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    mask: SigSet,
    sigchld: Disposition,
}

impl Held {
    /// Blocks all signals; SIGCHLD gets its default.
    ///
    /// # Errors
    /// None that a sound process could meet.
    pub fn hold() -> Result<Self, Errno> {
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
        // A caller that ignores SIGCHLD would have the kernel reap the child unseen.
        let sigchld = sys::default_signal(SIGCHLD)?;
        Ok(Self { mask, sigchld })
    }

    /// Gives them back.
    pub fn release(&self) -> Result<(), Errno> {
        sys::restore_signal(SIGCHLD, &self.sigchld)?;
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)
    }

    /// Gives them back for as long as it takes to exec, in a child of vfork(2).
    ///
    /// A child that stopped there would leave its parent where only SIGKILL reaches it, and
    /// the shell would wait for both: what stops is caught, to do nothing, until the exec
    /// makes it the default again. [`Spawn::vfork`](crate::spawn::Spawn::vfork) sends it
    /// once more.
    pub(crate) fn release_for_exec<T>(
        &self,
        exec: impl FnOnce() -> T,
    ) -> Result<T, Errno> {
        STOPS.into_iter().try_for_each(sys::catch_default)?;
        self.release()?;
        let failed = exec();
        // A complaint to the terminal must not stop it either.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?;
        Ok(failed)
    }
}
