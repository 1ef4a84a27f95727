//! Lists of CPUs and memory nodes: cpuset(7), "List format".

use std::fmt;

/// Numbers in ascending ranges that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List(Vec<(u32, u32)>);

/// No machine has more CPUs.
const MOST: u32 = 65_535;

impl List {
    /// `0-3,7`, as the kernel reads it; not empty.
    ///
    /// # Errors
    /// The reason, without the text itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || "not a list such as 0-3,7".to_owned();
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u32>().ok().filter(|n| is_number && *n <= MOST).ok_or_else(bad)
        };
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err("a range ends before it begins".to_owned());
            }
            ranges.push((first, last));
        }
        Ok(Self::of(ranges))
    }

    fn of(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut all: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ranges {
            match all.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => all.push((first, last)),
            }
        }
        Self(all)
    }

    /// What is in both.
    #[must_use]
    pub(crate) fn within(&self, outer: &Self) -> Self {
        let both = |(a, b): (u32, u32)| {
            outer.0.iter().filter_map(move |(c, d)| {
                let (first, last) = (a.max(*c), b.min(*d));
                (first <= last).then_some((first, last))
            })
        };
        Self::of(self.0.iter().copied().flat_map(both).collect())
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for List {
    /// As the kernel prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shown(text: &str) -> String {
        List::parse(text).map_or_else(|e| e, |list| list.to_string())
    }

    #[test]
    fn a_list_reads_back_as_the_kernel_prints_it() {
        for (text, list) in [
            ("0", "0"),
            ("3,1,2", "1-3"),
            ("0-3,2-5,9", "0-5,9"),
            ("7-7", "7"),
            ("", "not a list such as 0-3,7"),
            ("1,", "not a list such as 0-3,7"),
            ("+1", "not a list such as 0-3,7"),
            ("65536", "not a list such as 0-3,7"),
            ("3-1", "a range ends before it begins"),
        ] {
            assert_eq!(shown(text), list, "{text}");
        }
    }

    #[test]
    fn lists_are_sets() {
        arbtest::arbtest(|u| {
            let mut set = || -> arbtest::arbitrary::Result<BTreeSet<u32>> {
                (0..u.int_in_range(1..=6)?).map(|_| u.int_in_range(0..=12)).collect()
            };
            let (a, b) = (set()?, set()?);
            let list =
                |set: &BTreeSet<u32>| List::of(set.iter().map(|n| (*n, *n)).collect());

            let both = list(&a).within(&list(&b));

            assert_eq!(both, list(&a.intersection(&b).copied().collect()));
            assert_eq!(List::parse(&list(&a).to_string()), Ok(list(&a)));
            Ok(())
        });
    }

    #[test]
    fn no_text_makes_it_panic() {
        arbtest::arbtest(|u| {
            let text: String = u.arbitrary()?;
            if let Ok(list) = List::parse(&text) {
                assert_eq!(List::parse(&list.to_string()), Ok(list));
            }
            Ok(())
        });
    }
}
