//! Says so when memory ran out and the kernel killed something for it.

use std::fs;
use std::path::Path;

use crate::apply::Group;
use crate::discover::Version;
use crate::limit::{Amount, human};
use crate::plan::Limits;

/// The one line, where there is something to say; the groups must still be there.
pub(crate) fn verdict(groups: &[Group], limits: &Limits) -> Option<String> {
    let group = groups.iter().find(|group| group.controllers.contains(&"memory"))?;
    let read = |file: &str| {
        fs::read_to_string(Path::new(&group.path).join(file)).unwrap_or_default()
    };
    let facts = match group.version {
        Version::V2 => Facts::v2(&read),
        Version::V1 => Facts::v1(&read),
    };
    facts.verdict(limits.memory)
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
    /// `memory.events` counts what happens below as well, `memory.events.local` does not.
    fn v2(read: &dyn Fn(&str) -> String) -> Self {
        let (events, local) = (read("memory.events"), read("memory.events.local"));
        // Before Linux 5.2 there is only the first.
        let own = if local.is_empty() { &events } else { &local };
        Self {
            was_killed: count(&events, "oom_kill") > 0,
            is_ours: count(own, "oom") > 0,
            // Since Linux 5.19.
            peak: read("memory.peak").trim_end().parse().ok(),
        }
    }

    fn v1(read: &dyn Fn(&str) -> String) -> Self {
        let number = |file| read(file).trim_end().parse::<u64>().ok();
        let peak = number("memory.max_usage_in_bytes");
        // Newer kernels do not count what failed for memory and swap together.
        let total = number("memory.memsw.max_usage_in_bytes");
        let is_full = total.zip(number("memory.memsw.limit_in_bytes"));
        let is_full =
            is_full.is_some_and(|(most, limit)| limit <= most.saturating_add(SLACK));
        Self {
            // Since Linux 4.13.
            was_killed: count(&read("memory.oom_control"), "oom_kill") > 0,
            is_ours: number("memory.failcnt").is_some_and(|n| n > 0) || is_full,
            peak,
        }
    }

    fn verdict(&self, limit: Option<Amount>) -> Option<String> {
        if !self.was_killed {
            return None;
        }
        let peak = self.peak.map(|n| format!(" (peak {})", human(n))).unwrap_or_default();
        Some(match limit {
            Some(Amount::Of(n)) if self.is_ours => {
                format!("memory limit {} reached, a process was killed{peak}", human(n))
            }
            Some(Amount::Of(_) | Amount::Max) | None => {
                format!(
                    "a process was killed for lack of memory, not by this limit{peak}"
                )
            }
        })
    }
}

/// A line `KEY N` of a flat keyed file.
fn count(text: &str, key: &str) -> u64 {
    let value = |line: &str| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value).unwrap_or(0)
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
            Facts::v2(&read).verdict(Some(Amount::Of(33_554_432))).as_deref(),
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
            Facts::v2(&read).verdict(Some(Amount::Of(1 << 30))).as_deref(),
            Some("a process was killed for lack of memory, not by this limit")
        );
    }

    #[test]
    fn nothing_killed_is_nothing_said() {
        assert_eq!(Facts::v2(&|_| String::new()).verdict(Some(Amount::Of(1))), None);
        assert_eq!(Facts::v1(&|_| "oom_kill 0\n".into()).verdict(None), None);
    }
}
