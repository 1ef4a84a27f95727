//! A process that stays outside, to do there what cannot be done from inside.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use common::called::Called;
use common::spawn::{Bond, Child, Ended, Held, Spawn};
use common::{Context, Fail};
use nix::fcntl::OFlag;
use nix::libc::pid_t;
use nix::unistd::{close, pipe2};

/// It waits for a process id, does its work for that process, says so, and ends.
///
/// It dies with its maker, and ends where nobody is left to ask it: when namespaces are
/// refused nothing stays behind that holds the caller's files.
pub(crate) struct Helper {
    ask: OwnedFd,
    answer: OwnedFd,
    child: Child,
    called: Called,
}

impl Helper {
    /// Forks it.
    pub(crate) fn start(
        called: Called,
        held: &Held,
        work: impl FnOnce(pid_t) -> Result<(), Fail>,
    ) -> Result<Self, Fail> {
        let (asked, ask) = pipe2(OFlag::O_CLOEXEC).failed_to("make a pipe")?;
        let (answer, answered) = pipe2(OFlag::O_CLOEXEC).failed_to("make a pipe")?;
        let bond = Bond::DieWithParent;
        let spawn = Spawn { tool: called.name, flags: 0, cgroup: None, bond };
        let asker = ask.as_raw_fd();
        let child = spawn
            .fork_held(held, move |_| {
                // The fork's own copy would hide the end.
                close(asker).failed_to("close a pipe")?;
                work(read_pid(asked)?).map_err(|fail| called.status(fail))?;
                let _ = std::fs::File::from(answered).write_all(b"\n");
                Err(Fail::done())
            })
            .failed_to("fork")?;
        Ok(Self { ask, answer, child, called })
    }

    /// Lets it do its work for a process, and waits until that is done.
    pub(crate) fn work(self, pid: pid_t) -> Result<Child, Fail> {
        let asked = std::fs::File::from(self.ask).write_all(&pid.to_ne_bytes());
        let mut answer = Vec::new();
        let done = asked
            .and_then(|()| std::fs::File::from(self.answer).read_to_end(&mut answer))
            .is_ok_and(|len| len == 1);
        if done {
            return Ok(self.child);
        }
        // It said why, unless somebody killed it.
        match self.child.reap() {
            Ok(Ended::Killed(_)) => Err(Fail::new("cannot go on: a helper was killed")),
            Ok(Ended::Exited(_)) | Err(_) => Err(Fail::exit(self.called.failure())),
        }
    }
}

fn read_pid(from: OwnedFd) -> Result<pid_t, Fail> {
    let mut pid = [0; size_of::<pid_t>()];
    let read = std::fs::File::from(from).read_exact(&mut pid);
    // The other side said why it does not ask, or was killed.
    read.map_err(|_| Fail::exit(125))?;
    Ok(pid_t::from_ne_bytes(pid))
}
