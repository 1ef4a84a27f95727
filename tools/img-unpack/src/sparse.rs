//! Files with holes: the map of the old GNU format and of PAX 0.0, 0.1 and 1.0.

use std::io;

use crate::entry::{header_size, number};
use crate::pax::{self, Records};
use crate::tar::{Block, bad};

/// Go's archive/tar has a limit of the size (CVE-2025-58183); 16 bytes an extent.
const MAX_EXTENTS: usize = 1 << 16;

/// Where the content belongs in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Map {
    /// The size of the file with its holes.
    pub(crate) size: u64,
    /// Offset and length, ascending.
    pub(crate) extents: Vec<(u64, u64)>,
}

/// How an extended header tells of holes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Map(Map),
    /// Format 1.0: the map is in front of the content.
    InContent {
        size: u64,
    },
}

impl Map {
    /// Extents in order, inside the file, and as long as the content.
    pub(crate) fn check(&self, content: u64) -> io::Result<()> {
        let mut at = 0_u64;
        let mut sum = 0_u64;
        for (offset, length) in &self.extents {
            let end = offset.checked_add(*length).filter(|end| *end <= self.size);
            let end = end.filter(|_| *offset >= at);
            at = end.ok_or_else(|| bad("a sparse map that leaves the file"))?;
            sum = sum.saturating_add(*length);
        }
        if sum != content || i64::try_from(self.size).is_err() {
            return Err(bad("a sparse map that does not match the content"));
        }
        Ok(())
    }

    fn push(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if self.extents.len() >= MAX_EXTENTS {
            return Err(bad("a sparse map above 65536 extents"));
        }
        self.extents.push((offset, length));
        Ok(())
    }
}

/// Reads extents of 24 bytes up to the first empty one.
fn fields(map: &mut Map, area: &[u8]) -> io::Result<()> {
    for field in area.chunks_exact(24) {
        let (offset, length) = field.split_at_checked(12).unwrap_or_default();
        if field.first() == Some(&0) {
            break;
        }
        let positive = |n: i64| u64::try_from(n).map_err(|_| bad("a negative size"));
        map.push(positive(number(offset)?)?, positive(number(length)?)?)?;
    }
    Ok(())
}

/// Type `S`: four extents in the header, 21 in each block that follows.
pub(crate) fn old_gnu(
    block: &Block,
    mut next: impl FnMut() -> io::Result<Block>,
) -> io::Result<Map> {
    let get = |at: std::ops::Range<usize>| block.get(at).unwrap_or_default();
    if tar::Header::from_byte_slice(block).as_gnu().is_none() {
        return Err(bad("a sparse file in a header that is not GNU's"));
    }
    let size = number(get(483..495))?;
    let size = u64::try_from(size).map_err(|_| bad("a negative size"))?;
    let mut map = Map { size, extents: Vec::new() };
    fields(&mut map, get(386..482))?;
    let mut more = block.get(482).is_some_and(|b| *b != 0);
    while more {
        let block = next()?;
        let before = map.extents.len();
        fields(&mut map, block.get(..504).unwrap_or_default())?;
        more = block.get(504).is_some_and(|b| *b != 0);
        if more && map.extents.len() == before {
            return Err(bad("a sparse map that does not end"));
        }
    }
    header_size(block)?;
    Ok(map)
}

/// The formats of extended headers, told apart as GNU tar does.
pub(crate) fn pax(records: &Records) -> io::Result<Option<Found>> {
    let malformed = || bad("a malformed sparse map");
    let get = |key| match records.get(key) {
        Some(value) => pax::number(value).map(Some).ok_or_else(malformed),
        None => Ok(None),
    };
    let any = records.iter().any(|(key, _)| key.starts_with(b"GNU.sparse."));
    if !any {
        return Ok(None);
    }
    let size = get("GNU.sparse.realsize")?.or(get("GNU.sparse.size")?);
    let size = size.ok_or_else(malformed)?;
    if let Some(major) = get("GNU.sparse.major")? {
        return match (major, get("GNU.sparse.minor")?) {
            (1, Some(0)) => Ok(Some(Found::InContent { size })),
            _ => Err(bad("a sparse format that is not known")),
        };
    }
    let mut map = Map { size, extents: Vec::new() };
    let numbers = match records.get("GNU.sparse.map") {
        Some(list) => list.split(|b| *b == b',').map(pax::number).collect(),
        None => pairs(records),
    };
    let numbers: Vec<u64> =
        numbers.into_iter().collect::<Option<_>>().ok_or_else(malformed)?;
    if !numbers.len().is_multiple_of(2) {
        return Err(malformed());
    }
    for pair in numbers.chunks_exact(2) {
        let [offset, length] = pair else { return Err(malformed()) };
        map.push(*offset, *length)?;
    }
    Ok(Some(Found::Map(map)))
}

/// Format 0.0: records `offset` and `numbytes` by turns.
fn pairs(records: &Records) -> Vec<Option<u64>> {
    let mut want: &[u8] = b"GNU.sparse.offset";
    let mut all = Vec::new();
    for (key, value) in records.iter() {
        if !matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes") {
            continue;
        }
        all.push(if key == want { pax::number(value) } else { None });
        want = if key == b"GNU.sparse.offset" {
            b"GNU.sparse.numbytes"
        } else {
            b"GNU.sparse.offset"
        };
    }
    all
}

/// The numbers of format 1.0: how many extents, then each one's offset and length.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    pub(crate) fn push(&mut self, block: &Block) -> io::Result<()> {
        if self.0.len() > 1 << 20 {
            return Err(bad("a sparse map above 1 MiB"));
        }
        self.0.extend_from_slice(block);
        Ok(())
    }

    fn wanted(&self) -> io::Result<Option<u64>> {
        let Some(end) = self.0.iter().position(|b| *b == b'\n') else { return Ok(None) };
        let count = self.0.get(..end).and_then(pax::number);
        count
            .filter(|n| usize::try_from(*n).is_ok_and(|n| n <= MAX_EXTENTS))
            .and_then(|n| n.checked_mul(2)?.checked_add(1))
            .map(Some)
            .ok_or_else(|| bad("a malformed sparse map"))
    }

    pub(crate) fn is_complete(&self) -> io::Result<bool> {
        let Some(wanted) = self.wanted()? else { return Ok(false) };
        let lines = self.0.split(|b| *b == b'\n').count().saturating_sub(1);
        Ok(u64::try_from(lines).is_ok_and(|lines| lines >= wanted))
    }

    pub(crate) fn into_map(self, size: u64) -> io::Result<Map> {
        let wanted = self.wanted()?.unwrap_or(1);
        let mut map = Map { size, extents: Vec::new() };
        let mut lines = self.0.split(|b| *b == b'\n').skip(1);
        for _ in 0..wanted / 2 {
            let mut next = || lines.next().and_then(pax::number);
            let (Some(offset), Some(length)) = (next(), next()) else {
                return Err(bad("a malformed sparse map"));
            };
            map.push(offset, length)?;
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(size: u64, extents: &[(u64, u64)]) -> Map {
        Map { size, extents: extents.to_vec() }
    }

    #[test]
    fn all_formats_of_extended_headers_say_the_same() {
        let wanted = map(100, &[(0, 1), (50, 2)]);
        let text = |records: &[&str]| -> Vec<u8> {
            let record = |r: &&str| format!("{} {r}\n", r.len().saturating_add(4));
            records.iter().map(record).collect::<String>().into_bytes()
        };
        let old = text(&[
            "GNU.sparse.size=100",
            "GNU.sparse.offset=0",
            "GNU.sparse.numbytes=1",
            "GNU.sparse.offset=50",
            "GNU.sparse.numbytes=2",
        ]);
        let newer = text(&["GNU.sparse.size=100", "GNU.sparse.map=0,1,50,2"]);
        let mut lines = Lines::default();
        let mut block = [0; 512];
        block[..11].copy_from_slice(b"2\n0\n1\n50\n2\n");
        lines.push(&block).unwrap();

        for text in [&old, &newer] {
            let found = pax(&Records::parse(text).unwrap()).unwrap();
            assert_eq!(found, Some(Found::Map(wanted.clone())));
        }
        assert!(lines.is_complete().unwrap());
        assert_eq!(lines.into_map(100).unwrap(), wanted);
    }

    #[test]
    fn a_map_that_is_no_map_is_refused() {
        for (map, content) in [
            (map(10, &[(5, 6)]), 6),
            (map(10, &[(5, 2), (6, 2)]), 4),
            (map(10, &[(0, 2)]), 3),
            (map(u64::MAX, &[]), 0),
            (map(10, &[(u64::MAX, 2)]), 2),
        ] {
            assert!(map.check(content).is_err(), "{map:?}");
        }
        assert!(map(10, &[(0, 2), (2, 0), (8, 2)]).check(4).is_ok());
    }
}
