//! A program that goes on while the test does something to it.

use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdout};

use common::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Run;

/// A started program, killed at the end of the test unless it has ended before.
pub struct Started {
    /// The process, without its stdout.
    pub child: Child,
    /// What it writes to stdout.
    pub stdout: BufReader<ChildStdout>,
}

impl Run {
    /// Starts it; its directory goes away with the `Run`, not with the program.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self) -> Started {
        let mut child = self.command().spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Started { child, stdout }
    }
}

impl Started {
    /// Waits for the next line, with its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// The ids of its children, each followed by a blank.
    pub fn children(&self) -> String {
        let pid = self.pid();
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap()
    }

    /// Sends it a signal, and to none of its children.
    pub fn signal(&self, signal: i32) {
        let pidfd = sys::pidfd_open(self.pid()).unwrap();
        sys::pidfd_send_signal(pidfd.as_fd(), signal).unwrap();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // The test may have waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits ten seconds at most for the end of a process, a zombie's included.
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap() == 1
}
