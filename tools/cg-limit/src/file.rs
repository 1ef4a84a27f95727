//! A file of a group: what is written, and what must be read afterwards.

use common::parse;

use crate::list::List;
use crate::value::{Amount, Quota};

/// A file of a group and what goes into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What is written.
    pub value: String,
    /// What must be read afterwards.
    pub reads: Reads,
    /// What serves where there is no such file.
    pub instead: Option<Box<Self>>,
}

/// What must be read after the writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// This, alone.
    Just(String),
    /// A line that begins with a key and has these words.
    Line(String, String),
    /// The same, or the same size in bytes, or in a line of it.
    Alike,
    /// It cannot be read, or reads as nobody can tell.
    Anything,
}

impl File {
    /// One that reads as it was written.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = value.into();
        Self {
            name: name.into(),
            reads: Reads::Just(value.clone()),
            value,
            instead: None,
        }
    }

    /// One that reads as something else.
    pub fn reading(
        name: impl Into<String>,
        value: impl Into<String>,
        reads: Reads,
    ) -> Self {
        Self { name: name.into(), value: value.into(), reads, instead: None }
    }

    /// One that is not read.
    pub fn unread(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::reading(name, value, Reads::Anything)
    }

    /// One of lines that begin with a key.
    pub fn line(name: impl Into<String>, key: &str, words: &str) -> Self {
        let reads = Reads::Line(key.to_owned(), words.to_owned());
        Self::reading(name, format!("{key} {words}"), reads)
    }

    /// And another where there is no such file.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { instead: Some(Box::new(other)), ..self }
    }
}

impl Reads {
    /// Whether the kernel has what was written.
    pub(crate) fn is_met(&self, value: &str, text: &str) -> bool {
        let has_line = |key: &str, words: &str| {
            text.lines().any(|line| {
                let mut have = line.split_whitespace();
                let rest: Vec<_> = match have.next() {
                    Some(first) if first == key => have.collect(),
                    _ => return false,
                };
                words.split_whitespace().all(|word| rest.contains(&word))
            })
        };
        match self {
            Self::Just(expected) => text.trim_end() == expected,
            Self::Line(key, words) => has_line(key, words),
            Self::Alike => {
                let (text, bytes) = (text.trim_end(), |t: &str| parse::bytes(t).ok());
                let (key, rest) = value.split_once(' ').unwrap_or((value, ""));
                text == value
                    || bytes(value).is_some_and(|b| Some(b) == bytes(text))
                    || has_line(key, rest)
            }
            Self::Anything => true,
        }
    }
}

/// The files of a v2 group whose limits a new one beside it must keep within.
pub(crate) const HOLDING: [(&str, &str); 9] = [
    ("memory", "memory.max"),
    ("memory", "memory.high"),
    ("memory", "memory.swap.max"),
    ("memory", "memory.zswap.max"),
    ("cpu", "cpu.max"),
    ("cpuset", "cpuset.cpus"),
    ("cpuset", "cpuset.mems"),
    ("io", "io.max"),
    ("pids", "pids.max"),
];

/// What goes into a file so that it is within what another group has in it.
///
/// None where the two have nothing in common: CPUs that the other may not use.
pub(crate) fn within(name: &str, ours: Option<&str>, outer: &str) -> Option<Vec<File>> {
    let outer = outer.trim_end();
    let one = |text: String| Some(vec![File::new(name, text)]);
    match name {
        "cpu.max" => {
            let outer = Quota::read(outer)?;
            let ours = ours.and_then(Quota::read);
            one(ours.map_or(outer, |ours| ours.within(outer)).to_string())
        }
        "cpuset.cpus" | "cpuset.mems" => {
            let outer = List::parse(outer).ok()?;
            let both = match ours.and_then(|text| List::parse(text).ok()) {
                Some(ours) => ours.within(&outer),
                None => outer,
            };
            if both.is_empty() { None } else { one(both.to_string()) }
        }
        // Its lines are merged when they are written: the stricter of each word.
        "io.max" => Some(io_within(ours.unwrap_or_default(), outer)),
        _ => {
            let outer = Amount::read(outer)?;
            let ours = ours.and_then(Amount::read);
            one(ours.map_or(outer, |ours| ours.within(outer)).to_string())
        }
    }
}

/// `8:0 rbps=1 wbps=max …` of both, a line a write.
fn io_within(ours: &str, outer: &str) -> Vec<File> {
    let mut all = Vec::new();
    for line in outer.lines() {
        let Some((disk, words)) = line.split_once(' ') else { continue };
        for (key, limit) in words.split(' ').filter_map(|word| word.split_once('=')) {
            let of_ours = ours.lines().filter_map(|line| {
                let words = line.strip_prefix(disk)?.strip_prefix(' ')?;
                let value = words.split(' ').find_map(|w| w.strip_prefix(key))?;
                Amount::read(value.strip_prefix('=')?)
            });
            let Some(outer) = Amount::read(limit) else { continue };
            let limit = of_ours.fold(outer, Amount::within);
            if limit != Amount::Max {
                all.push(File::line("io.max", disk, &format!("{key}={limit}")));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, ours: Option<&str>, outer: &str) -> Vec<String> {
        let files = within(name, ours, outer);
        files.map_or(vec!["none".to_owned()], |all| {
            all.into_iter().map(|f| f.value).collect()
        })
    }

    #[test]
    fn the_lower_limit_holds() {
        assert_eq!(shown("memory.max", Some("5"), "7\n"), ["5"]);
        assert_eq!(shown("memory.max", Some("max"), "7\n"), ["7"]);
        assert_eq!(shown("pids.max", None, "7\n"), ["7"]);
        assert_eq!(
            shown("cpu.max", Some("50000 100000"), "10000 20000\n"),
            ["50000 100000"]
        );
        assert_eq!(
            shown("cpu.max", Some("max 100000"), "10000 20000\n"),
            ["10000 20000"]
        );
        assert_eq!(shown("cpuset.cpus", Some("1-5"), "0-2\n"), ["1-2"]);
        assert_eq!(shown("cpuset.cpus", None, "0-2\n"), ["0-2"]);
        assert_eq!(shown("cpuset.cpus", Some("4"), "0-2\n"), ["none"]);
        assert_eq!(
            shown(
                "io.max",
                Some("8:0 rbps=9\n8:16 rbps=1"),
                "8:0 rbps=10 wbps=3 riops=max\n"
            ),
            ["8:0 rbps=9", "8:0 wbps=3"]
        );
    }

    #[test]
    fn a_value_is_read_back_in_the_kernels_form() {
        for (reads, value, text, is_met) in [
            (Reads::Just("5".into()), "5", "5\n", true),
            (Reads::Just("root".into()), "root", "root invalid (no)\n", false),
            (
                Reads::Line("8:0".into(), "rbps=5".into()),
                "",
                "8:0 rbps=5 wbps=max\n",
                true,
            ),
            (Reads::Line("8:0".into(), "rbps=5".into()), "", "8:16 rbps=5\n", false),
            (Reads::Alike, "64M", "67108864\n", true),
            (Reads::Alike, "8:0 wbps=1", "8:16 wbps=1\n8:0 rbps=max wbps=1\n", true),
            (Reads::Alike, "5000", "4096\n", false),
            (Reads::Alike, "a b", "c\n", false),
        ] {
            assert_eq!(reads.is_met(value, text), is_met, "{value} {text}");
        }
    }
}
