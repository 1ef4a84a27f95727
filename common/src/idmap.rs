//! User and group id maps, user_namespaces(7), and how they are asked for.

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

/// Where the ids of a map come from, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The caller's line of /etc/subuid or /etc/subgid, inside from 0.
    Auto,
    /// The same line, inside the same ids as outside.
    Subids,
    /// Every id that exists here, unchanged.
    All,
    /// `I:O:N` or `O,I,N`.
    Given(Range),
}

/// A source of [`IdMap::compose`]: ids outside, and where they go inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The first id inside; without one, whatever is free from 0 on.
    pub inside: Option<u32>,
    /// The first id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Reads `auto`, `subids`, `all`, `INSIDE:OUTSIDE:COUNT` or `OUTSIDE,INSIDE,COUNT`.
///
/// # Errors
/// The reason, without the text itself, which the argument parser names.
pub fn source(text: &str) -> Result<Source, String> {
    let numbers = |separator| -> Option<[u32; 3]> {
        let all: Option<Vec<u32>> =
            text.split(separator).map(|n| crate::parse::id(n).ok()).collect();
        all?.try_into().ok()
    };
    let range = match text {
        "auto" => return Ok(Source::Auto),
        "subids" => return Ok(Source::Subids),
        "all" => return Ok(Source::All),
        _ => match (numbers(':'), numbers(',')) {
            (Some([inside, outside, count]), _) | (_, Some([outside, inside, count])) => {
                Range { inside, outside, count }
            }
            _ => return Err("not auto, subids, all, I:O:N or O,I,N".to_owned()),
        },
    };
    // The last id of all means "none" to the kernel.
    let fits = |first: u32| first.checked_add(range.count).is_some();
    if range.count == 0 || !fits(range.inside) || !fits(range.outside) {
        return Err("not a range of ids up to 4294967294".to_owned());
    }
    Ok(Source::Given(range))
}

/// The first line of /etc/subuid or /etc/subgid for a user, by name or number, subuid(5):
/// the first id and the count.
pub fn subordinate(text: &str, name: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    let number = uid.to_string();
    let mut lines = text.lines().map(|line| line.split(':'));
    let mut fields = lines.find_map(|mut fields| {
        let owner = fields.next();
        (owner == Some(&number) || (owner.is_some() && owner == name)).then_some(fields)
    })?;
    let (first, count) = (fields.next()?.trim(), fields.next()?.trim());
    Some((first.parse().ok()?, count.parse().ok()?))
}

/// The ids from `start` on, before `end`, without `hole`.
fn around(start: u32, end: u32, hole: Option<u32>) -> Vec<(u32, u32)> {
    let parts = match hole.filter(|hole| (start..end).contains(hole)) {
        Some(hole) => vec![(start, hole), (hole.saturating_add(1), end)],
        None => vec![(start, end)],
    };
    parts.into_iter().filter(|(start, end)| start < end).collect()
}

impl Block {
    /// Its ranges where `own` is taken already: as many ids as both sides have left, in
    /// order. A block that was given inside ends where it was said to end, so it loses
    /// its last id when only one side has the hole.
    fn ranges(self, own: Option<Range>) -> Vec<Range> {
        let start = self.inside.unwrap_or(0);
        let end = self.inside.map_or(u32::MAX, |i| i.saturating_add(self.count));
        let mut inside = around(start, end, own.map(|o| o.inside));
        let mut outside = around(
            self.outside,
            self.outside.saturating_add(self.count),
            own.map(|o| o.outside),
        );
        let mut ranges = Vec::new();
        while let (Some(i), Some(o)) = (inside.first_mut(), outside.first_mut()) {
            let count = (i.1.saturating_sub(i.0)).min(o.1.saturating_sub(o.0));
            ranges.push(Range { inside: i.0, outside: o.0, count });
            i.0 = i.0.saturating_add(count);
            o.0 = o.0.saturating_add(count);
            inside.retain(|(start, end)| start < end);
            outside.retain(|(start, end)| start < end);
        }
        ranges
    }
}

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

    /// The caller's own id first, then the blocks with a hole where it is.
    pub fn compose(own: Option<Range>, blocks: &[Block]) -> Self {
        let ranges = blocks.iter().flat_map(|block| block.ranges(own));
        Self(own.into_iter().chain(ranges).collect())
    }

    /// Whether an id of outside is known inside.
    pub fn has_outside(&self, id: u32) -> bool {
        let flip = |r: &Range| Range { inside: r.outside, ..*r };
        self.0.iter().any(|range| flip(range).has_inside(id))
    }

    /// Whether the kernel, which sorts long maps, says the same.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let sorted = |map: &Self| {
            let mut ranges = map.0.clone();
            ranges.sort_by_key(|range| range.inside);
            ranges
        };
        sorted(self) == sorted(other)
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
    fn ranges_are_written_in_two_orders() {
        let range = Range { inside: 0, outside: 100_000, count: 10 };

        assert_eq!(source("0:100000:10"), Ok(Source::Given(range)));
        assert_eq!(source("100000,0,10"), Ok(Source::Given(range)));
        for bad in ["", "1:2", "1:2:3:4", "1:2,3", "0:0:0", "1:1:4294967295", "-1:0:1"] {
            assert!(source(bad).is_err(), "{bad}");
        }
        assert!(source("0:0:4294967294").is_ok());
    }

    #[test]
    fn the_first_line_of_a_user_counts_by_name_or_number() {
        let text = "# note\nother:1:2\n1000:300000:5\nme:200000:65536\n";

        assert_eq!(subordinate(text, Some("me"), 7), Some((200_000, 65536)));
        assert_eq!(subordinate(text, Some("me"), 1000), Some((300_000, 5)));
        assert_eq!(subordinate(text, None, 7), None);
        assert_eq!(subordinate("me:x:5\n", Some("me"), 7), None);
    }

    fn composed(own: Option<(u32, u32)>, blocks: &[(Option<u32>, u32, u32)]) -> String {
        let own = own.map(|(inside, outside)| Range { inside, outside, count: 1 });
        let block = |&(inside, outside, count)| Block { inside, outside, count };
        let blocks: Vec<_> = blocks.iter().map(block).collect();
        IdMap::compose(own, &blocks).to_string()
    }

    #[test]
    fn the_own_id_makes_a_hole_in_the_ranges() {
        // What util-linux 2.43 makes of the same.
        for (own, block, expected) in [
            (None, (None, 100_000, 65536), "0 100000 65536\n"),
            (Some((0, 0)), (None, 100_000, 65536), "0 0 1\n1 100000 65536\n"),
            (Some((0, 0)), (Some(0), 100_000, 10), "0 0 1\n1 100000 9\n"),
            (Some((0, 0)), (Some(100_000), 100_000, 5), "0 0 1\n100000 100000 5\n"),
            (Some((500, 0)), (Some(0), 0, 1000), "500 0 1\n0 1 500\n501 501 499\n"),
            (
                Some((1000, 1000)),
                (None, 200_000, 65536),
                "1000 1000 1\n0 200000 1000\n1001 201000 64536\n",
            ),
            (Some((0, 0)), (Some(0), 0, u32::MAX), "0 0 1\n1 1 4294967294\n"),
            (Some((7, 9)), (Some(7), 9, 1), "7 9 1\n"),
        ] {
            assert_eq!(composed(own, &[block]), expected);
        }
    }

    #[test]
    fn an_id_beside_a_range_takes_nothing_from_it() {
        // util-linux 2.43 counts the id behind a range as one of it, and maps one behind a
        // range that was not given inside.
        for (own, block, expected) in [
            ((10, 0), (Some(0), 100_000, 10), "10 0 1\n0 100000 10\n"),
            ((50, 100_010), (Some(0), 100_000, 10), "50 100010 1\n0 100000 10\n"),
            ((0, 100_003), (None, 100_000, 5), "0 100003 1\n1 100000 3\n4 100004 1\n"),
        ] {
            assert_eq!(composed(Some(own), &[block]), expected);
        }
    }

    #[test]
    fn a_composed_map_has_no_id_twice_and_no_more_than_asked_for() {
        arbtest::arbtest(|u| {
            let own = Range { inside: u.arbitrary()?, outside: u.arbitrary()?, count: 1 };
            let block = Block {
                inside: u.arbitrary()?,
                outside: u.int_in_range(0..=1 << 20)?,
                count: u.int_in_range(1..=1 << 20)?,
            };
            let IdMap(ranges) = IdMap::compose(Some(own), &[block]);
            let total: u64 = ranges.iter().map(|r| u64::from(r.count)).sum();
            assert!(total <= u64::from(block.count) + 1);
            for (n, a) in ranges.iter().enumerate() {
                for b in &ranges[..n] {
                    let apart = |x: u32, y: u32| {
                        u64::from(x) + u64::from(a.count) <= u64::from(y)
                            || u64::from(y) + u64::from(b.count) <= u64::from(x)
                    };
                    assert!(apart(a.inside, b.inside) && apart(a.outside, b.outside));
                }
            }
            Ok(())
        });
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
