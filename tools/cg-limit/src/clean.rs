//! Ends what is left in the groups and removes them.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::spawn::Child;
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::libc::SIGKILL;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::apply::Group;
use crate::discover::Version;

/// How long killed processes may take to be gone: a disk that hangs holds them.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many processes are dealt with in one turn: each takes a descriptor.
const TURN: usize = 256;

/// Kills everything in the groups, removes them, and says what could not be removed.
pub(crate) fn remove(groups: &[Group]) -> Vec<Fail> {
    let deadline = Deadline::after(PATIENCE);
    // Most often nothing is left, and it is one call a group.
    let left: Vec<_> = groups
        .iter()
        .rev()
        .filter(|group| !is_gone(fs::remove_dir(&group.path)))
        .collect();
    for group in &left {
        kill(group, None, &deadline);
    }
    let one = |group: &&Group| remove_tree(&group.path, &deadline).err();
    left.iter().filter_map(one).collect()
}

fn is_gone(removed: io::Result<()>) -> bool {
    removed.map_or_else(|e| e.kind() == io::ErrorKind::NotFound, |()| true)
}

/// A time that something must not take longer than.
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// From now on.
    pub(crate) fn after(time: Duration) -> Self {
        let now = Instant::now();
        Self(now.checked_add(time).unwrap_or(now))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    fn timeout(&self) -> PollTimeout {
        PollTimeout::try_from(self.left()).unwrap_or(PollTimeout::ZERO)
    }
}

/// Kills everything in the groups, of which one process is our child and stays a zombie.
pub(crate) fn kill_all(groups: &[Group], child: &Child) {
    let deadline = Deadline::after(PATIENCE);
    let _ = sys::pidfd_send_signal(child.pidfd.as_fd(), SIGKILL);
    for group in groups.iter().rev() {
        kill(group, Some(child.pid), &deadline);
    }
}

fn kill(group: &Group, child: Option<i32>, deadline: &Deadline) {
    let is_left = || processes(&group.path).into_iter().any(|pid| Some(pid) != child);
    while !deadline.is_over() && is_left() {
        // The kernel does it at once, for the whole tree, since Linux 5.14.
        let at_once = group.version == Version::V2
            && fs::write(group.path.join("cgroup.kill"), "1").is_ok();
        if !at_once || !is_emptied(&group.path, deadline) {
            halt(&group.path, true);
            kill_listed(&group.path, deadline);
        }
    }
}

/// Lets nothing in a group fork, as far as it has what that takes; or lets it go on.
///
/// On v1 a frozen process does not even die, cgroup-v1/freezer-subsystem.rst.
fn halt(group: &Path, is_halted: bool) {
    let state = if is_halted { "FROZEN" } else { "THAWED" };
    let _ = fs::write(group.join("freezer.state"), state);
    if is_halted {
        let _ = fs::write(group.join("pids.max"), "0");
        let _ = fs::write(group.join("cgroup.freeze"), "1");
    }
}

/// Waits for `populated 0`; tells whether it can be waited for.
fn is_emptied(group: &Path, deadline: &Deadline) -> bool {
    let path = group.join("cgroup.events");
    while !deadline.is_over() {
        let Ok(file) = fs::File::open(&path) else { return false };
        let Ok(text) = io::read_to_string(&file) else { return false };
        if text.lines().any(|line| line == "populated 0") {
            return true;
        }
        // A change since the file was read wakes us, cgroup-v2.rst, "[Un]populated".
        let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
        let _ = poll(&mut fds, deadline.timeout());
    }
    false
}

/// Kills the processes one by one and waits until they are dead.
///
/// A process that forks meanwhile is met in the next turn; one that has a fatal signal
/// pending forks no more, so the turns come to an end. A number is not trusted until it
/// is seen in the group while a descriptor holds the process: it may be another's by then.
fn kill_listed(group: &Path, deadline: &Deadline) {
    let held: Vec<(i32, OwnedFd)> = processes(group)
        .into_iter()
        .take(TURN)
        .filter_map(|pid| Some((pid, sys::pidfd_open(pid).ok()?)))
        .collect();
    let still = processes(group);
    let ours: Vec<_> = held.iter().filter(|(pid, _)| still.contains(pid)).collect();
    for (_, pidfd) in &ours {
        let _ = sys::pidfd_send_signal(pidfd.as_fd(), SIGKILL);
    }
    // Those of groups below, that COMMAND may have frozen itself, as well.
    for dir in tree(group) {
        halt(&dir, false);
    }
    for (_, pidfd) in &ours {
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, deadline.timeout());
    }
    if ours.is_empty() {
        // Only dead ones that are not gone yet, or those of another pid namespace.
        sleep(Duration::from_millis(1));
    }
}

/// The processes of a group and of all groups below it.
pub(crate) fn processes(group: &Path) -> Vec<i32> {
    let mut all = Vec::new();
    for dir in tree(group) {
        let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        all.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    }
    all
}

/// The group and all groups below it, each before those below it.
fn tree(group: &Path) -> Vec<PathBuf> {
    let mut all = vec![group.to_owned()];
    let mut next = 0;
    while let Some(dir) = all.get(next) {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let is_dir = |e: &fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir());
        let below: Vec<_> = entries.filter(is_dir).map(|e| e.path()).collect();
        all.extend(below);
        next = next.saturating_add(1);
    }
    all
}

/// Removes a group and those below it, children first.
pub(crate) fn remove_tree(group: &Path, deadline: &Deadline) -> Result<(), Fail> {
    loop {
        let mut failure = None;
        for dir in tree(group).iter().rev() {
            let removed = fs::remove_dir(dir);
            if let Err(e) = removed.as_ref()
                && e.kind() != io::ErrorKind::NotFound
            {
                failure =
                    Some((dir.clone(), Errno::from_raw(e.raw_os_error().unwrap_or(0))));
            }
        }
        let Some((dir, errno)) = failure else { return Ok(()) };
        if errno != Errno::EBUSY || deadline.is_over() {
            return Err(errno).cannot("remove the group", dir);
        }
        // A dead process counts until the kernel has put it away.
        sleep(Duration::from_millis(1));
    }
}
