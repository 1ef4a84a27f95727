//! Says what ended the command when a limit did, and whose limit it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::fail::quote;
use common::spawn::Ended;

use crate::apply::Group;
use crate::discover::Version;
use crate::usage::{count, denied, home, memory_limit, number, read};
use crate::value::{Amount, human};

/// What became of COMMAND.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Its own end.
    pub(crate) ended: Ended,
    /// After which time all were killed.
    pub(crate) timed_out: Option<Duration>,
}

/// A line for what ended it, where that was a limit; the groups must still be there.
pub(crate) fn verdict(groups: &[Group], end: &End) -> Vec<String> {
    let timeout = end.timed_out.map(|time| {
        format!("timeout of {} reached, all processes were killed", seconds(time))
    });
    let memory = home(groups, "memory").and_then(of_memory);
    // A program that goes on with fewer tasks has not been ended by that.
    let is_failure = end.ended != Ended::Exited(0);
    let tasks = home(groups, "pids").filter(|_| is_failure).and_then(of_tasks);
    timeout.into_iter().chain(memory).chain(tasks).collect()
}

/// `1.5 s`, to the millisecond.
fn seconds(time: Duration) -> String {
    let text = format!("{}.{:03}", time.as_secs(), time.subsec_millis());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Whether a process was killed for lack of memory.
pub(crate) fn is_oom(groups: &[Group]) -> bool {
    home(groups, "memory").is_some_and(|group| Facts::of(group).was_killed)
}

fn of_tasks(group: &Group) -> Option<String> {
    let failed = denied(&group.path).filter(|n| *n > 0)?;
    let limit = number(&group.path, "pids.max")?;
    // On v2 and since Linux 6.12 it counts what the groups below or above denied.
    Some(format!("limit of {limit} tasks reached, {failed} could not be started"))
}

fn of_memory(group: &Group) -> Option<String> {
    let facts = Facts::of(group);
    facts.verdict(memory_limit(group), || whose(group))
}

/// The group above or below whose limit it was, as far as the kernel tells.
fn whose(group: &Group) -> Option<(PathBuf, u64)> {
    if group.version == Version::V1 {
        return None;
    }
    let is_it = |dir: &Path| {
        let limit = number(dir, "memory.max")?;
        let text = read(dir, "memory.events.local")?;
        count(&text, "oom").filter(|n| *n > 0).map(|_| (dir.to_owned(), limit))
    };
    let below = fs::read_dir(&group.path).into_iter().flatten().flatten();
    let mut below = below.filter_map(|entry| is_it(&entry.path()));
    below.next().or_else(|| group.path.ancestors().skip(1).find_map(is_it))
}

/// How far below a limit a charge of several pages may fail.
const SLACK: u64 = 64 * 1024;

/// What the kernel counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    /// A process of the group or below was killed for lack of memory.
    was_killed: bool,
    /// The group's own limit was in the way.
    is_ours: bool,
    /// The most that was used, where the kernel tells.
    peak: Option<u64>,
}

impl Facts {
    fn of(group: &Group) -> Self {
        let read = |file: &str| read(&group.path, file).unwrap_or_default();
        match group.version {
            Version::V2 => Self::v2(&read),
            Version::V1 => Self::v1(&read),
        }
    }

    /// `memory.events` counts what happens below as well, `memory.events.local` does not.
    fn v2(read: &dyn Fn(&str) -> String) -> Self {
        let events = read("memory.events");
        let has = |text: &str, key| count(text, key).is_some_and(|n| n > 0);
        // Most often that is all there is to know.
        if !has(&events, "oom_kill") {
            return Self::default();
        }
        let local = read("memory.events.local");
        // Before Linux 5.2 there is only the first.
        let own = if local.is_empty() { &events } else { &local };
        Self {
            was_killed: true,
            is_ours: has(own, "oom"),
            // Since Linux 5.19.
            peak: read("memory.peak").trim_end().parse().ok(),
        }
    }

    fn v1(read: &dyn Fn(&str) -> String) -> Self {
        // Since Linux 4.13.
        let killed = count(&read("memory.oom_control"), "oom_kill");
        if killed.is_none_or(|n| n == 0) {
            return Self::default();
        }
        let number = |file| read(file).trim_end().parse::<u64>().ok();
        let peak = number("memory.max_usage_in_bytes");
        // Newer kernels do not count what failed for memory and swap together.
        let total = number("memory.memsw.max_usage_in_bytes");
        let is_full = total.zip(number("memory.memsw.limit_in_bytes"));
        let is_full =
            is_full.is_some_and(|(most, limit)| limit <= most.saturating_add(SLACK));
        Self {
            was_killed: true,
            is_ours: number("memory.failcnt").is_some_and(|n| n > 0) || is_full,
            peak,
        }
    }

    fn verdict(
        &self,
        limit: Option<Amount>,
        whose: impl FnOnce() -> Option<(PathBuf, u64)>,
    ) -> Option<String> {
        if !self.was_killed {
            return None;
        }
        let peak = self.peak.map(|n| format!(" (peak {})", human(n))).unwrap_or_default();
        Some(match limit {
            Some(Amount::Of(n)) if self.is_ours => {
                format!("memory limit {} reached, a process was killed{peak}", human(n))
            }
            Some(Amount::Of(_) | Amount::Max) | None => match whose() {
                Some((dir, n)) => format!(
                    "memory limit {} of {} reached, a process was killed{peak}",
                    human(n),
                    quote(dir)
                ),
                None => format!(
                    "a process was killed for lack of memory, not by this limit{peak}"
                ),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_at_our_limit_names_the_limit_and_the_peak() {
        let read = |file: &str| match file {
            "memory.events" => "low 0\nmax 31\noom 1\noom_kill 2\n".to_owned(),
            "memory.events.local" => "oom 1\noom_kill 2\n".to_owned(),
            "memory.peak" => "33554432\n".to_owned(),
            _ => String::new(),
        };

        assert_eq!(
            Facts::v2(&read).verdict(Some(Amount::Of(33_554_432)), || None).as_deref(),
            Some("memory limit 32 MiB reached, a process was killed (peak 32 MiB)")
        );
    }

    #[test]
    fn v1_has_the_same_facts_in_other_files() {
        let read = |file: &str| match file {
            "memory.oom_control" => {
                "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n".to_owned()
            }
            "memory.memsw.limit_in_bytes" => "33554432\n".to_owned(),
            "memory.memsw.max_usage_in_bytes" | "memory.max_usage_in_bytes" => {
                "33550336\n".to_owned()
            }
            _ => String::new(),
        };

        assert_eq!(
            Facts::v1(&read),
            Facts { was_killed: true, is_ours: true, peak: Some(33_550_336) }
        );
    }

    #[test]
    fn a_kill_for_somebody_elses_limit_does_not_blame_ours() {
        let read = |file: &str| match file {
            // A group of the command's, below, has a limit as well.
            "memory.events" => "oom 1\noom_kill 1\n".to_owned(),
            "memory.events.local" => "oom 0\noom_kill 0\n".to_owned(),
            _ => String::new(),
        };

        assert_eq!(
            Facts::v2(&read).verdict(Some(Amount::Of(1 << 30)), || None).as_deref(),
            Some("a process was killed for lack of memory, not by this limit")
        );
    }

    #[test]
    fn the_group_whose_limit_it_was_is_named() {
        let facts = Facts { was_killed: true, is_ours: false, peak: None };

        assert_eq!(
            facts.verdict(None, || Some(("/cg/above".into(), 1 << 20))).as_deref(),
            Some("memory limit 1 MiB of '/cg/above' reached, a process was killed")
        );
    }

    #[test]
    fn times_are_told_without_more_digits_than_they_have() {
        for (ms, text) in
            [(5000, "5 s"), (200, "0.2 s"), (1, "0.001 s"), (90_500, "90.5 s")]
        {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn nothing_killed_is_nothing_said() {
        assert_eq!(
            Facts::v2(&|_| String::new()).verdict(Some(Amount::Of(1)), || None),
            None
        );
        assert_eq!(Facts::v1(&|_| "oom_kill 0\n".into()).verdict(None, || None), None);
    }
}
