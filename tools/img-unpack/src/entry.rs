//! What one tar entry says, its header and extended headers taken together.

use std::ffi::CString;
use std::io;

use tar::Header;

use crate::pax::{self, Records};
use crate::sparse;
use crate::tar::{Block, bad};
use crate::xattr;

/// Seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

/// An extended attribute.
pub(crate) type Xattr = (CString, Vec<u8>);

/// What kind of file an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Char(u64, u64),
    Block(u64, u64),
    Fifo,
}

/// An entry with everything that its headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// The target of a symbolic or hard link.
    pub(crate) link: Vec<u8>,
    /// Bytes of content in the archive.
    pub(crate) size: u64,
    pub(crate) sparse: Option<sparse::Map>,
    pub(crate) meta: Meta,
}

/// What is set on a file once it is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Meta {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    pub(crate) atime: Option<Time>,
    pub(crate) xattrs: Vec<Xattr>,
}

/// What came before the entry's own header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) pax: Records,
    /// GNU `L`.
    pub(crate) name: Option<Vec<u8>>,
    /// GNU `K`.
    pub(crate) link: Option<Vec<u8>>,
}

/// Puts an entry together.
pub(crate) fn build(block: &Block, ext: &Extensions) -> io::Result<Entry> {
    let header = Header::from_byte_slice(block);
    let old = header.as_old();
    let prefix = prefix(block);
    let mut name = text(&old.name).to_vec();
    if !prefix.is_empty() {
        name = [prefix, b"/", &name].concat();
    }
    let path = choose(ext.pax.get("path"), ext.name.as_deref(), name)?;
    let path = ext.pax.get("GNU.sparse.name").map_or(path, <[u8]>::to_vec);
    let link = text(&old.linkname).to_vec();
    let link = choose(ext.pax.get("linkpath"), ext.link.as_deref(), link)?;
    let size = match ext.pax.get("size") {
        Some(value) => pax::number(value).ok_or_else(|| bad("a malformed size"))?,
        None => header_size(block)?,
    };
    let kind = kind(old.linkflag, header, path.ends_with(b"/"), size)?;
    Ok(Entry { path, kind, link, size, sparse: None, meta: meta(header, &ext.pax)? })
}

fn meta(header: &Header, pax: &Records) -> io::Result<Meta> {
    let old = header.as_old();
    let mode = number(&old.mode)?;
    let time = |key: &str| match pax.get(key) {
        Some(value) => pax::time(value)
            .map(|(seconds, nanos)| Some(Time { seconds, nanos }))
            .ok_or_else(|| bad("a malformed time")),
        None => Ok(None),
    };
    let mtime = match time("mtime")? {
        Some(time) => time,
        None => Time { seconds: number(&old.mtime)?, nanos: 0 },
    };
    Ok(Meta {
        mode: u32::try_from(mode & 0o7777).map_err(|_| bad("a malformed mode"))?,
        uid: id(pax.get("uid"), &old.uid)?,
        gid: id(pax.get("gid"), &old.gid)?,
        mtime,
        atime: time("atime")?,
        xattrs: xattr::all(pax)?,
    })
}

/// A uid or gid; 4294967295 would be "leave it" to chown(2), and more would wrap.
fn id(pax: Option<&[u8]>, field: &[u8]) -> io::Result<u32> {
    let id = match pax {
        Some(value) => pax::number(value),
        None => u64::try_from(number(field)?).ok(),
    };
    id.and_then(|id| u32::try_from(id).ok())
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| bad("an owner that is no id from 0 to 4294967294"))
}

/// pax and GNU say the same, or readers would disagree about the name.
fn choose(
    pax: Option<&[u8]>,
    gnu: Option<&[u8]>,
    header: Vec<u8>,
) -> io::Result<Vec<u8>> {
    match (pax, gnu) {
        (Some(pax), Some(gnu)) if pax != gnu => {
            Err(bad("two long names that differ for one entry"))
        }
        (Some(name), _) | (None, Some(name)) => Ok(name.to_vec()),
        (None, None) => Ok(header),
    }
}

fn kind(flag: [u8; 1], header: &Header, slash: bool, size: u64) -> io::Result<Kind> {
    let [flag] = flag;
    let device = || -> io::Result<(u64, u64)> {
        let field = |at: std::ops::Range<usize>| {
            let value = number(header.as_bytes().get(at).unwrap_or_default())?;
            u64::try_from(value).map_err(|_| bad("a malformed device number"))
        };
        Ok((field(329..337)?, field(337..345)?))
    };
    let kind = match flag {
        // Before POSIX a directory was told by its slash.
        0 | b'0' if slash => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => device().map(|(major, minor)| Kind::Char(major, minor))?,
        b'4' => device().map(|(major, minor)| Kind::Block(major, minor))?,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        _ => return Err(bad("an entry of a type that is not known")),
    };
    // Some readers skip such content, some read it as headers (CVE-2016-5418).
    match kind {
        Kind::File => Ok(kind),
        _ if size == 0 => Ok(kind),
        Kind::Directory => Err(bad("a directory with content")),
        Kind::Symlink | Kind::HardLink => Err(bad("a link with content")),
        Kind::Char(..) | Kind::Block(..) | Kind::Fifo => {
            Err(bad("a device with content"))
        }
    }
}

/// The size field of a header.
pub(crate) fn header_size(block: &Block) -> io::Result<u64> {
    let size = number(&Header::from_byte_slice(block).as_old().size)?;
    u64::try_from(size).map_err(|_| bad("a negative size"))
}

/// What ustar puts in front of a name; GNU's own magic has other things there.
fn prefix(block: &Block) -> &[u8] {
    let get = |at: std::ops::Range<usize>| block.get(at).unwrap_or_default();
    // star keeps times behind a shorter one. The version tells nothing: Go wrote a blank.
    match (get(257..263), get(508..512)) {
        (b"ustar\0", b"tar\0") => text(get(345..476)),
        (b"ustar\0", _) => text(get(345..500)),
        _ => &[],
    }
}

/// A field up to its NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// A number in octal, or in base 256 where the first bit is set.
pub(crate) fn number(field: &[u8]) -> io::Result<i64> {
    let malformed = || bad("a malformed number");
    if let Some((first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        // Two's complement of all the bits but the first.
        let sign: i128 = if first & 0x40 == 0 { 0 } else { -1 };
        let start = sign << 7 | i128::from(first & 0x7f);
        let value = rest.iter().fold(start, |n, b| n << 8 | i128::from(*b));
        return i64::try_from(value).map_err(|_| bad("a number that is too large"));
    }
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
    let digits = field.get(start..).unwrap_or_default();
    let end = digits.iter().rposition(|b| !blank(b)).map_or(0, |at| at.saturating_add(1));
    let digits = digits.get(..end).unwrap_or_default();
    if digits.is_empty() {
        return Ok(0);
    }
    let octal = std::str::from_utf8(digits).map_err(|_| malformed())?;
    if !octal.bytes().all(|b| matches!(b, b'0'..=b'7')) {
        return Err(malformed());
    }
    i64::from_str_radix(octal, 8).map_err(|_| bad("a number that is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"   644 \0", 0o644),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"\x80\0\0\0\0\0\x01\0", 256),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
            (b"\x80\0\0\0\x40\0\0\0\0\0\0\0", 1 << 62),
        ] {
            assert_eq!(number(field).unwrap(), value, "{}", field.escape_ascii());
        }
        for field in [&b"0000648\0"[..], b"-1", b"7 7", b"\x80\x01\0\0\0\0\0\0\0\0\0\0"] {
            assert!(number(field).is_err(), "{}", field.escape_ascii());
        }
    }

    #[test]
    fn an_owner_that_chown_would_take_for_another_is_refused() {
        assert_eq!(id(Some(b"4294967294"), b"").unwrap(), u32::MAX - 1);
        for bad in [&b"4294967295"[..], b"4294967296", b"-1", b"x"] {
            assert!(id(Some(bad), b"").is_err());
        }
        assert!(id(None, b"\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
    }
}
