//! User and group id maps, user_namespaces(7).

use std::fmt;
use std::fs;

use crate::{Context, Fail};

/// `count` ids from `inside` in the namespace are those from `outside` out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First id in the namespace.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// A uid_map or gid_map: at most 340 ranges, Linux 4.15.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMap(pub Vec<Range>);

impl Range {
    /// Whether an id inside the namespace is in the range.
    pub fn has_inside(&self, id: u32) -> bool {
        id.checked_sub(self.inside).is_some_and(|offset| offset < self.count)
    }
}

impl IdMap {
    /// Reads what /proc/PID/uid_map says; a line that is not understood is left out.
    pub fn from_kernel(text: &str) -> Self {
        let range = |line: &str| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse);
            let mut next = || numbers.next()?.ok();
            Some(Range { inside: next()?, outside: next()?, count: next()? })
        };
        Self(text.lines().filter_map(range).collect())
    }

    /// This process's own map: `uid_map` or `gid_map`.
    pub fn own(file: &str) -> Result<Self, Fail> {
        let path = format!("/proc/self/{file}");
        Ok(Self::from_kernel(&fs::read_to_string(&path).cannot("read", path)?))
    }

    /// Whether an id means something inside the namespace.
    pub fn has_inside(&self, id: u32) -> bool {
        self.0.iter().any(|range| range.has_inside(id))
    }
}

impl fmt::Display for IdMap {
    /// As it is written to the kernel.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Range { inside, outside, count } in &self.0 {
            writeln!(f, "{inside} {outside} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_as_the_kernel_prints_it_and_written_as_it_reads() {
        let map = IdMap::from_kernel(
            "         0       1000          1\n         1     100000      65536\n",
        );

        assert_eq!(map.to_string(), "0 1000 1\n1 100000 65536\n");
        assert!(map.has_inside(65536) && !map.has_inside(65537));
    }

    #[test]
    fn reading_what_was_written_is_the_identity() {
        arbtest::arbtest(|u| {
            let ranges: Vec<(u32, u32, u32)> = u.arbitrary()?;
            let ranges = ranges.into_iter();
            let map = IdMap(
                ranges
                    .map(|(inside, outside, count)| Range { inside, outside, count })
                    .collect(),
            );
            assert_eq!(IdMap::from_kernel(&map.to_string()), map);
            Ok(())
        });
    }
}
