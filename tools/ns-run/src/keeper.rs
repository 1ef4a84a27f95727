//! A process that stays outside until COMMAND runs: it keeps namespaces by files, and takes
//! them away again where no COMMAND comes to run.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use common::called::Called;
use common::spawn::{Bond, Ended, Held, Spawn};
use common::{Context, Fail, entry, sys};
use nix::fcntl::OFlag;
use nix::libc::pid_t;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{close, pipe2};

use crate::persist;
use crate::plan::Plan;

/// It kept them.
const KEPT: u8 = b'k';
/// It did not, and has said why.
const REFUSED: u8 = b'r';

/// It is nobody's child: COMMAND, which may be this process, has none that it did not start.
/// It ends when both pipes are closed, by an exec or the end of whoever would ask it.
pub(crate) struct Keeper {
    ask: File,
    answer: File,
    called: Called,
    /// There is something to undo, and somebody to do it.
    has_kept: bool,
}

impl Keeper {
    /// Forks it.
    pub(crate) fn start(called: Called, held: &Held, plan: &Plan) -> Result<Self, Fail> {
        let (asked, ask) = pipe2(OFlag::O_CLOEXEC).failed_to("make a pipe")?;
        let (answer, answered) = pipe2(OFlag::O_CLOEXEC).failed_to("make a pipe")?;
        let bond = Bond::Free;
        let spawn = Spawn { tool: called.name, flags: 0, cgroup: None, bond };
        let ours = [ask.as_raw_fd(), answer.as_raw_fd()];
        let child = spawn.fork_held(held, move |_| {
            // The fork's own copies would hide the end.
            ours.into_iter().try_for_each(close).failed_to("close a pipe")?;
            leave(|| serve(called, plan, asked.into(), answered.into()))
        });
        match child.failed_to("fork")?.reap()? {
            Ended::Exited(0) => {}
            // It said why.
            Ended::Exited(_) => return Err(Fail::exit(called.failure())),
            Ended::Killed(_) => {
                return Err(Fail::new("cannot go on: a helper was killed"));
            }
        }
        Ok(Self { ask: ask.into(), answer: answer.into(), called, has_kept: false })
    }

    /// Has the namespaces of a process kept.
    pub(crate) fn keep(&mut self, pid: pid_t) -> Result<(), Fail> {
        let mut answer = [0];
        let held = Held::hold().failed_to("block signals")?;
        let done = self.tell(&pid.to_ne_bytes());
        let done = done.and_then(|()| self.answer.read_exact(&mut answer));
        let released = held.release().failed_to("restore signals");
        self.has_kept = answer == [KEPT];
        match done {
            Ok(()) if self.has_kept => released,
            Ok(()) => Err(Fail::exit(self.called.failure())),
            Err(_) => Err(Fail::new("cannot go on: a helper was killed")),
        }
    }

    /// Asks it something, with signals held: where it is gone, that is no reason to die of
    /// SIGPIPE.
    fn tell(&mut self, what: &[u8]) -> io::Result<()> {
        self.ask.write_all(what).inspect_err(|_| {
            let mut pipe = SigSet::empty();
            pipe.add(Signal::SIGPIPE);
            let _ = sys::wait_signal(&pipe, Some(Duration::ZERO));
        })
    }

    /// Has them taken away, if they were kept, and waits until they are.
    pub(crate) fn undo(mut self) {
        if self.has_kept {
            let held = Held::hold();
            let _ = self.tell(b"u");
            let _ = self.answer.read_to_end(&mut Vec::new());
            let _ = held.map(|held| held.release());
        }
    }
}

/// Goes on in a child that is left to whoever adopts it.
fn leave(work: impl FnOnce() -> u8) -> Result<Infallible, Fail> {
    // What ends the one in front of it, at the terminal, must not stop it half-way.
    Held::hold().failed_to("block signals")?;
    match sys::fork(0, None).failed_to("fork")? {
        Some(_) => Err(Fail::done()),
        None => sys::exit_now(work()),
    }
}

fn serve(called: Called, plan: &Plan, mut asked: File, mut answered: File) -> u8 {
    let mut pid = [0; size_of::<pid_t>()];
    if asked.read_exact(&mut pid).is_err() {
        return 0;
    }
    let (directory, is_made_there) = (plan.kept_in.as_deref(), plan.fork.is_some());
    let pid = pid_t::from_ne_bytes(pid);
    match persist::keep(&plan.kept, directory, pid, is_made_there) {
        Ok(done) => {
            // Nobody to tell, or a byte more: there will be no COMMAND.
            let is_told = answered.write_all(&[KEPT]).is_ok();
            if !is_told || asked.read(&mut [0]).is_ok_and(|len| len == 1) {
                persist::undo(done);
            }
        }
        Err(fail) => {
            entry::report(called.name, &fail);
            let _ = answered.write_all(&[REFUSED]);
        }
    }
    0
}
