//! Compression, told by content: names and media types are only what somebody claims.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use crate::tar::bad;
use crate::zstd;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// A compression that is known and not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The program that writes the content to standard output.
    pub(crate) program: &'static str,
}

/// What is in front of each: no tar begins so, since its first bytes are a name.
const UNREAD: [(&[u8], &str, &str); 7] = [
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
    (b"\x02\x21\x4c\x18", "lz4", "lz4 -dc"),
    (b"LZIP\x01", "lzip", "lzip -dc"),
    (b"\x1f\x9d", "compress", "gzip -dc"),
    (b"\x89LZO\0\r\n\x1a", "lzop", "lzop -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x -so"),
];

/// Looks at the first eight bytes.
///
/// # Errors
/// A compression that is not read.
pub(crate) fn sniff(first: &[u8]) -> Result<Coding, Unread> {
    let is = |magic: &[u8]| first.starts_with(magic);
    // A skippable frame may come first: zstd:chunked, pzstd.
    let skippable = first.get(1..4) == Some(b"\x2a\x4d\x18")
        && first.first().is_some_and(|b| b & 0xf0 == 0x50);
    // A file may be called "BZh…": the mark of the first block, or of the end, follows.
    let bzip2 = is(b"BZh")
        && matches!(first.get(4..8), Some(b"\x31\x41\x59\x26" | b"\x17\x72\x45\x38"));
    if is(b"\x1f\x8b") {
        Ok(Coding::Gzip)
    } else if is(b"\x28\xb5\x2f\xfd") || skippable {
        Ok(Coding::Zstd)
    } else if bzip2 {
        Ok(Coding::Bzip2)
    } else if is(b"\xfd7zXZ\0") {
        Ok(Coding::Xz)
    } else if let Some((_, name, program)) = UNREAD.iter().find(|(m, ..)| is(m)) {
        Err(Unread { name, program })
    } else if is(b"\x5d\0\0") && first.get(3..5).is_some_and(|size| size != [0, 0]) {
        // No magic, but a dictionary's size where a tar of one file `]` has zeros.
        Err(Unread { name: "lzma", program: "xz -dc" })
    } else {
        Ok(Coding::Plain)
    }
}

/// The dictionary of `xz -9`; a header may ask for 4 GiB.
const MAX_DICTIONARY: u32 = 64 << 20;
/// What the decoder has beside its dictionary, generously.
const XZ_STATE: u32 = 1 << 20;

/// The content of a compressed stream, all its members and frames, to the very end.
///
/// Errors are in our words, whatever the decoder.
pub(crate) fn decoder<'a>(
    coding: Coding,
    source: impl BufRead + Send + 'a,
    max_ratio: u64,
) -> Box<dyn Read + Send + 'a> {
    // Boxed, so that each decoder is compiled once and not for each kind of source.
    let read = Arc::new(AtomicU64::new(0));
    let source = Counted { inner: Box::new(source), read: Arc::clone(&read) };
    let inner: Box<dyn Read + Send + 'a> = match coding {
        Coding::Plain => return Box::new(source.inner),
        Coding::Gzip => Box::new(MultiGzDecoder::new(source)),
        Coding::Zstd => zstd::decoder(source),
        Coding::Bzip2 => Box::new(MultiBzDecoder::new(source)),
        Coding::Xz => {
            let limit = MAX_DICTIONARY.saturating_add(XZ_STATE) >> 10;
            Box::new(XzReader::new_mem_limit(source, true, limit))
        }
    };
    Box::new(Decoder { inner, coding, read, written: 0, free: FREE, max_ratio })
}

/// Bytes that may come of next to nothing: an image may hold a swap file of zeros.
const FREE: u64 = 4 << 30;

/// Bytes of a source that were taken.
struct Counted<'a> {
    inner: Box<dyn BufRead + Send + 'a>,
    read: Arc<AtomicU64>,
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.read.fetch_add(u64::try_from(n).unwrap_or(0), Ordering::Relaxed);
        self.inner.consume(n);
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

/// A decoder whose errors are in our words, and which stops where little becomes too much.
struct Decoder<'a> {
    inner: Box<dyn Read + Send + 'a>,
    coding: Coding,
    read: Arc<AtomicU64>,
    written: u64,
    free: u64,
    max_ratio: u64,
}

impl Read for Decoder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf).map_err(|e| explain(self.coding, e))?;
        self.written = self.written.saturating_add(u64::try_from(n).unwrap_or(0));
        let most = self.read.load(Ordering::Relaxed).saturating_mul(self.max_ratio);
        if self.written > most.max(self.free) {
            return Err(bad("it unpacks to more times its size than --max-ratio"));
        }
        Ok(n)
    }
}

/// Where decoding failed, in words that do not depend on the decoder.
fn explain(coding: Coding, error: io::Error) -> io::Error {
    let name = match coding {
        Coding::Plain => return error,
        Coding::Gzip => "gzip",
        Coding::Zstd => "zstd",
        Coding::Bzip2 => "bzip2",
        Coding::Xz => "xz",
    };
    match (error.raw_os_error(), error.kind(), coding) {
        (Some(_), ..) => error,
        (_, io::ErrorKind::UnexpectedEof, _) => {
            bad(&format!("the {name} stream is cut off"))
        }
        (_, io::ErrorKind::OutOfMemory, Coding::Xz) => {
            bad("the xz stream needs a dictionary above 64 MiB, more than 'xz -9'")
        }
        (_, io::ErrorKind::OutOfMemory, _) => {
            bad("the zstd stream needs a window above 128 MiB")
        }
        _ => bad(&format!("the {name} stream is broken")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_told_by_the_first_bytes() {
        for (first, coding) in [
            (&b"\x1f\x8b\x08\0\0\0\0\0"[..], Coding::Gzip),
            (b"\x28\xb5\x2f\xfd", Coding::Zstd),
            (b"\x5e\x2a\x4d\x18", Coding::Zstd),
            (b"BZh91AY&", Coding::Bzip2),
            (b"BZh9\x17\x72\x45\x38", Coding::Bzip2),
            (b"\xfd7zXZ\0\0\x04", Coding::Xz),
            (b"blobs/sh", Coding::Plain),
            (b"BZhello\0", Coding::Plain),
            (b"]\0\0\0\0\0\0\0", Coding::Plain),
            (b"", Coding::Plain),
        ] {
            assert_eq!(sniff(first), Ok(coding), "{}", first.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_read_is_known_by_name() {
        for (first, name) in [
            (&b"\x04\x22\x4d\x18\x64\x40"[..], "lz4"),
            (b"LZIP\x01\x0c", "lzip"),
            (b"\x1f\x9d\x90", "compress"),
            (b"PK\x03\x04", "zip"),
            (b"]\0\0\x80\0\xff\xff\xff", "lzma"),
        ] {
            assert_eq!(sniff(first).unwrap_err().name, name);
        }
    }

    #[test]
    fn a_little_that_becomes_too_much_is_an_error_while_it_does() {
        let decoder = |max_ratio, free| Decoder {
            inner: Box::new(io::repeat(0)),
            coding: Coding::Zstd,
            read: Arc::new(AtomicU64::new(10)),
            written: 0,
            free,
            max_ratio,
        };
        let mut buf = [0; 100];

        assert!(decoder(10, 0).read(&mut buf).is_ok());
        assert!(decoder(9, 100).read(&mut buf).is_ok());
        assert_eq!(
            decoder(9, 99).read(&mut buf).unwrap_err().to_string(),
            "it unpacks to more times its size than --max-ratio"
        );
    }
}
