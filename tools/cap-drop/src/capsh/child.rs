//! `--forkfor` and `--killit`: a child that sleeps until it is killed.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use common::spawn::Ended;
use common::{Fail, sys};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::arguments::number;
use super::{Session, fail, perror};

/// Waits for the end of a child.
pub(super) fn wait(child: &OwnedFd) -> Result<Ended, Errno> {
    let mut fds = [PollFd::new(child.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
    let ended = sys::wait_child(child.as_fd())?;
    Ok(if ended.code == libc::CLD_EXITED {
        Ended::Exited(u8::try_from(ended.status & 0xff).unwrap_or(u8::MAX))
    } else {
        Ended::Killed(ended.status)
    })
}

pub(super) fn fork_for(session: &mut Session, text: &[u8]) -> Result<(), Fail> {
    if session.child.is_some() {
        return Err(fail("already forked"));
    }
    let seconds = number(text, "forkfor")?;
    if seconds == 0 {
        return Err(fail("require non-zero --forkfor value"));
    }
    let Some((_, child)) = sys::fork(0, None).map_err(perror("unable to fork()"))? else {
        std::thread::sleep(Duration::from_secs(seconds.into()));
        sys::exit_now(0)
    };
    session.child = Some(child);
    Ok(())
}

pub(super) fn kill_it(session: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let signal = number(text, "killit signo")?;
    let signal = libc::c_int::try_from(signal).unwrap_or(libc::c_int::MAX);
    let child = session.child.take().ok_or_else(|| fail("no forked process to kill"))?;
    let sent = sys::pidfd_send_signal(child.as_fd(), signal);
    sent.map_err(perror("Unable to kill child process"))?;
    let died_of = match wait(&child).map_err(perror("waitpid didn't match child"))? {
        Ended::Killed(of) => of,
        Ended::Exited(_) => 0,
    };
    if died_of == signal {
        return Ok(());
    }
    Err(fail(format_args!("child terminated with odd signal ({signal} != {died_of})")))
}
