//! Waits for the end of COMMAND, and ends all of its group when its time is over.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::spawn::{Child, Ended};
use common::{Fail, sys};
use nix::libc::{SIGCONT, SIGKILL, SIGTERM};

use crate::apply::Group;
use crate::clean::kill_all;
use crate::cli::Cli;
use crate::discover::Version;
use crate::usage::home;
use crate::verdict::{End, is_oom};

/// How often v1 is asked whether memory ran out: it tells nobody who only waits.
const TICK: Duration = Duration::from_millis(20);

pub(crate) fn watch(child: &Child, groups: &[Group], cli: &Cli) -> Result<End, Fail> {
    let after = |time: Duration| Instant::now().checked_add(time);
    let mut deadline = cli.timeout.and_then(after);
    let mut grace = cli.kill_after;
    let mut timed_out = None;
    let mut is_group = must_watch(groups, cli);
    loop {
        let tick = if is_group { after(TICK) } else { None };
        let until = deadline.into_iter().chain(tick).min();
        if let Some(ended) = child.wait_until(until)? {
            // What the kernel would have killed on v2 may have gone on for a moment.
            let ended =
                if is_group && is_oom(groups) { Ended::Killed(SIGKILL) } else { ended };
            return Ok(End { ended, timed_out });
        }
        if is_group && is_oom(groups) {
            kill_all(groups, child);
            is_group = false;
        }
        if deadline.is_none_or(|at| Instant::now() < at) {
            continue;
        }
        timed_out = cli.timeout;
        deadline = grace.take().and_then(after);
        if deadline.is_some() {
            // As timeout(1): a stopped process would not hear it.
            let _ = sys::pidfd_send_signal(child.pidfd.as_fd(), SIGTERM);
            let _ = sys::pidfd_send_signal(child.pidfd.as_fd(), SIGCONT);
        } else {
            kill_all(groups, child);
        }
    }
}

/// Whether `--oom-group` is ours to keep: v1 has no memory.oom.group.
fn must_watch(groups: &[Group], cli: &Cli) -> bool {
    cli.asked.get("oom-group").is_some()
        && home(groups, "memory").is_some_and(|group| group.version == Version::V1)
}
