//! Fork a child that becomes COMMAND, wait for it, end as it ended.
//!
//! Only links that must outlive COMMAND's start wait: a new pid namespace needs a fork,
//! a cgroup needs somebody to remove it. The one that waits is transparent: signals sent
//! to it reach the child, a stopped child stops it, and it dies of what the child died of.

use std::cell::Cell;
use std::convert::Infallible;
use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc::{self, c_int};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

pub use crate::bond::{Bond, bind, is_dead, keep_bond};
pub use crate::held::Held;
use crate::sys::{self, Came};
pub use crate::vfork::{Memory, Start};
use crate::{Context, Fail, entry, proc};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By exit(3) with this status.
    Exited(u8),
    /// By this signal.
    Killed(c_int),
}

/// What to fork with.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The tool's name, for the child's messages.
    pub tool: &'a str,
    /// `CLONE_NEW*` flags.
    pub flags: i32,
    /// On v2, the cgroup to start in (`CLONE_INTO_CGROUP`, Linux 5.7).
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Whether it dies with us.
    pub bond: Bond,
}

/// A child that was forked and is waited for.
pub struct Child {
    /// Its id in our pid namespace.
    pub pid: libc::pid_t,
    /// It, even after its id was given to another.
    pub pidfd: OwnedFd,
    /// It is the init process of a pid namespace of its own, which this /proc shows.
    init: Option<OwnedFd>,
    /// The signal that it was deaf to and was killed in the place of.
    killed_for: Cell<Option<c_int>>,
    /// It is killed when this process ends.
    tie: Option<OwnedFd>,
    /// Who else ends is reaped meanwhile.
    reaps: bool,
}

impl Spawn<'_> {
    /// Forks; the child runs `body`, which ends in an exec or says why it did not.
    ///
    /// `body` is given a descriptor of its parent (a pidfd), to hand on to links that
    /// change credentials, see [`keep_bond`]. All signals stay blocked in the parent,
    /// for [`Child::wait`]; the child has the mask and dispositions of before.
    ///
    /// # Errors
    /// `EAGAIN`, `EPERM`, `ENOSPC` … of clone(2), for the caller to explain.
    pub fn fork(
        &self,
        body: impl FnOnce(OwnedFd) -> Result<Infallible, Fail>,
    ) -> Result<Child, Errno> {
        let held = Held::hold()?;
        self.fork_held(&held, body).inspect_err(|_| {
            let _ = held.release();
        })
    }

    /// As [`Spawn::fork`] where the signals are held already; they stay so on failure.
    ///
    /// # Errors
    /// As above.
    pub fn fork_held(
        &self,
        held: &Held,
        body: impl FnOnce(OwnedFd) -> Result<Infallible, Fail>,
    ) -> Result<Child, Errno> {
        let parent = sys::pidfd_open(nix::unistd::getpid().as_raw())?;
        match sys::fork(u64::from(self.flags.cast_unsigned()), self.cgroup)? {
            Some((pid, pidfd)) => Ok(Child::new(pid, pidfd)),
            None => sys::exit_now(self.child(parent, held, body)),
        }
    }

    fn child(
        &self,
        parent: OwnedFd,
        held: &Held,
        body: impl FnOnce(OwnedFd) -> Result<Infallible, Fail>,
    ) -> u8 {
        let ready = held.release().failed_to("restore signals");
        self.end(ready.and_then(|()| {
            self.bond.tie(parent.as_fd())?;
            body(parent)
        }))
    }

    /// What a child that did not become COMMAND ends with.
    pub(crate) fn end(&self, body: Result<Infallible, Fail>) -> u8 {
        match body {
            Ok(never) => match never {},
            Err(fail) => entry::report(self.tool, &fail),
        }
    }
}

impl Child {
    pub(crate) fn new(pid: libc::pid_t, pidfd: OwnedFd) -> Self {
        let killed_for = Cell::new(None);
        Self { pid, pidfd, init: None, killed_for, tie: None, reaps: false }
    }

    /// Says that it is the init process of a pid namespace: deaf to signals that it does
    /// not catch. `proc` is a /proc of ours, since it may mount another where we look.
    #[must_use]
    pub fn as_init(self, proc: OwnedFd) -> Self {
        Self { init: Some(proc), ..self }
    }

    /// Lets it be killed when the process of a pidfd ends. The kernel tells this one by a
    /// SIGCHLD, which no change of COMMAND's ids can take away.
    ///
    /// # Errors
    /// When that process is dead already; the child is left to the caller.
    pub fn tied_to(self, process: OwnedFd) -> Result<Self, Fail> {
        bind(process.as_fd(), libc::SIGCHLD)?;
        Ok(Self { tie: Some(process), ..self })
    }

    /// Lets [`Child::wait`] reap whatever else becomes a child of this process and ends.
    #[must_use]
    pub fn reaping(self) -> Self {
        Self { reaps: true, ..self }
    }

    /// Waits for the end, forwarding signals meanwhile.
    pub fn wait(&self) -> Result<Ended, Fail> {
        loop {
            if let Some(ended) = self.wait_until(None)? {
                return Ok(ended);
            }
        }
    }

    /// As [`Child::wait`], until some time at most: none where it still runs then.
    pub fn wait_until(&self, deadline: Option<Instant>) -> Result<Option<Ended>, Fail> {
        let all = SigSet::all();
        loop {
            if let Some(ended) = self.look()? {
                return Ok(Some(ended));
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            if self.tie.as_ref().is_some_and(|tie| is_dead(tie.as_fd())) {
                let _ = sys::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGKILL);
            }
            if self.reaps {
                self.reap_others();
            }
            match sys::wait_signal(&all, left) {
                Ok(Came { signal: libc::SIGCHLD, .. })
                | Err(Errno::EINTR | Errno::EAGAIN) => {}
                Ok(came) => self.forward(came),
                Err(e) => return Err(Fail::os("cannot wait for a signal", e)),
            }
        }
    }

    /// Waits for the end of a helper, which gets none of our signals: they stay pending.
    pub fn reap(&self) -> Result<Ended, Fail> {
        loop {
            if let Some(ended) = self.look()? {
                return Ok(ended);
            }
            let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(Fail::os("cannot wait for a helper", e)),
            }
        }
    }

    fn reap_others(&self) {
        while let Ok(pid) = sys::peek_child() {
            if pid == 0 || pid == self.pid {
                return;
            }
            let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), None);
        }
    }

    fn look(&self) -> Result<Option<Ended>, Fail> {
        let seen = sys::wait_child(self.pidfd.as_fd()).failed_to("wait for COMMAND")?;
        match seen.code {
            libc::CLD_EXITED => {
                Ok(Some(Ended::Exited(u8::try_from(seen.status & 0xff).unwrap_or(255))))
            }
            libc::CLD_KILLED | libc::CLD_DUMPED => {
                let asked =
                    self.killed_for.get().filter(|_| seen.status == libc::SIGKILL);
                Ok(Some(Ended::Killed(asked.unwrap_or(seen.status))))
            }
            libc::CLD_STOPPED => {
                // The shell that started us must see its job stopped, and wakes us.
                let _ = nix::sys::signal::kill(Pid::this(), Signal::SIGSTOP);
                let _ = sys::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGCONT);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Sends the child what was sent to us.
    ///
    /// What the terminal sends, it sends to the whole foreground group: the child has
    /// it already unless it left the group. The init process of a pid namespace is deaf
    /// to signals it does not catch, pid_namespaces(7); where any other process would
    /// die of the signal, it is killed, as if the namespace were not there.
    fn forward(&self, came: Came) {
        let group = |pid| nix::unistd::getpgid(pid).ok();
        // Of a terminal that is hung up only the leader of the session is told.
        let for_leader = || {
            came.signal == libc::SIGHUP && nix::unistd::getsid(None) == Ok(Pid::this())
        };
        let has_it = !came.from_process
            && is_terminals(came.signal)
            && group(Some(Pid::from_raw(self.pid))) == group(None)
            && !for_leader();
        // An init process would lose it for good where it comes before the mask is given
        // back: blocked it waits, and unblocked it is dropped. That is soon, unless somebody
        // stopped it.
        let init = self.init.as_ref().filter(|_| is_deadly(came.signal));
        for _ in 0..1000 {
            if !init.is_some_and(|proc| self.is_held(proc)) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        if !has_it {
            // It may be gone by now; then its end is what comes next.
            let _ = sys::pidfd_send_signal(self.pidfd.as_fd(), came.signal);
        }
        if init.is_some_and(|proc| self.is_deaf_to(proc, came.signal)) {
            // What it dies of is told as the signal that was meant.
            self.killed_for.set(Some(came.signal));
            let _ = sys::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGKILL);
        }
    }

    /// Whether it is still our own code that has not released the signals yet.
    fn is_held(&self, proc: &OwnedFd) -> bool {
        let of = |process: &str| read_at(proc, &format!("{process}/cmdline"));
        let pid = self.pid.to_string();
        let status = read_at(proc, &format!("{pid}/status"));
        let blocked = status.and_then(|text| proc::status_mask(&text, "SigBlk"));
        let deadly = 1 << libc::SIGTERM.saturating_sub(1);
        blocked.is_some_and(|mask| mask & deadly != 0)
            && of(&pid).is_some_and(|line| !line.is_empty() && of("self") == Some(line))
    }

    fn is_deaf_to(&self, proc: &OwnedFd, signal: c_int) -> bool {
        let Some(status) = read_at(proc, &format!("{}/status", self.pid)) else {
            return false;
        };
        let bit =
            1_u64.checked_shl(signal.cast_unsigned().saturating_sub(1)).unwrap_or(0);
        ["SigCgt", "SigIgn", "SigBlk"].iter().all(|set| {
            proc::status_mask(&status, set).is_some_and(|mask| mask & bit == 0)
        })
    }
}

/// A file of /proc as text, or nothing.
fn read_at(proc: &OwnedFd, path: &str) -> Option<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let fd = openat(proc, path, flags, Mode::empty()).ok()?;
    let mut text = Vec::new();
    fs::File::from(fd).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The signals that the kernel sends to a terminal's whole foreground group.
///
/// Any other signal of the kernel's is meant for one process: an alarm(2) set before
/// the exec of a link comes to the link alone.
fn is_terminals(signal: c_int) -> bool {
    matches!(
        signal,
        libc::SIGHUP
            | libc::SIGINT
            | libc::SIGQUIT
            | libc::SIGTSTP
            | libc::SIGTTIN
            | libc::SIGTTOU
            | libc::SIGCONT
            | libc::SIGWINCH
    )
}

/// Whether a signal ends a program that does nothing about it, signal(7).
fn is_deadly(signal: c_int) -> bool {
    !matches!(
        signal,
        libc::SIGCHLD
            | libc::SIGCONT
            | libc::SIGTSTP
            | libc::SIGTTIN
            | libc::SIGTTOU
            | libc::SIGURG
            | libc::SIGWINCH
    )
}

/// Ends this process as the child ended.
///
/// Dies of the same signal, so that a shell says so, but leaves no second core file.
pub fn end_like(ended: Ended) -> Fail {
    let signal = match ended {
        Ended::Exited(status) => return Fail::exit(status),
        Ended::Killed(signal) => signal,
    };
    let _ = sys::prctl(libc::PR_SET_DUMPABLE, 0, 0);
    let _ = sys::default_signal(signal);
    // Only this one: another that waits meanwhile must not be what we die of.
    let _ = sys::unblock_signal(signal);
    if let Ok(myself) = sys::pidfd_open(Pid::this().as_raw()) {
        let _ = sys::pidfd_send_signal(myself.as_fd(), signal);
    }
    // Still here: an init process is immune.
    Fail::exit(u8::try_from(signal.saturating_add(128)).unwrap_or(255))
}
