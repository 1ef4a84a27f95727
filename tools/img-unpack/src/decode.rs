//! Compression, told by content: names and media types are only what somebody claims.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::tar::bad;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    Gzip,
    Zstd,
}

/// Looks at the first bytes.
///
/// # Errors
/// The name of a compression that is known but not read.
pub(crate) fn sniff(first: &[u8]) -> Result<Coding, &'static str> {
    let is = |magic: &[u8]| first.starts_with(magic);
    // A skippable frame may come first: zstd:chunked, pzstd.
    let skippable = first.get(1..4) == Some(b"\x2a\x4d\x18")
        && first.first().is_some_and(|b| b & 0xf0 == 0x50);
    if is(b"\x1f\x8b") {
        Ok(Coding::Gzip)
    } else if is(b"\x28\xb5\x2f\xfd") || skippable {
        Ok(Coding::Zstd)
    } else if is(b"BZh") {
        Err("bzip2")
    } else if is(b"\xfd7zXZ\0") {
        Err("xz")
    } else if is(b"\x04\x22\x4d\x18") {
        Err("lz4")
    } else {
        Ok(Coding::Plain)
    }
}

/// The content of a compressed stream, all its members and frames, to the very end.
pub(crate) fn decoder<'a>(
    coding: Coding,
    source: impl BufRead + Send + 'a,
) -> Box<dyn Read + Send + 'a> {
    match coding {
        Coding::Plain => Box::new(source),
        Coding::Gzip => Box::new(MultiGzDecoder::new(source)),
        Coding::Zstd => {
            Box::new(Zstd { source, frame: FrameDecoder::new(), open: false })
        }
    }
}

/// Frames of zstd one behind the other, skippable ones left out: RFC 8878.
struct Zstd<R> {
    source: R,
    frame: FrameDecoder,
    open: bool,
}

impl<R: BufRead> Zstd<R> {
    /// Goes to the next frame; false at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            let mut magic = [0; 4];
            self.source.read_exact(&mut magic)?;
            if magic.get(1..) != Some(b"\x2a\x4d\x18") {
                let mut whole = Read::chain(&magic[..], &mut self.source);
                self.frame.reset(&mut whole).map_err(broken)?;
                return Ok(true);
            }
            let mut length = [0; 4];
            self.source.read_exact(&mut length)?;
            let length = u64::from(u32::from_le_bytes(length));
            let skipped =
                io::copy(&mut (&mut self.source).take(length), &mut io::sink())?;
            if skipped != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.open && self.frame.can_collect() > 0 {
                return self.frame.read(buf);
            }
            if self.open && !self.frame.is_finished() {
                let enough = BlockDecodingStrategy::UptoBytes(buf.len().max(1));
                self.frame.decode_blocks(&mut self.source, enough).map_err(broken)?;
                continue;
            }
            self.open = self.next_frame()?;
            if !self.open {
                return Ok(0);
            }
        }
    }
}

fn broken(error: impl std::fmt::Display) -> io::Error {
    let _ = error;
    bad("the zstd stream is broken")
}

/// Where decoding failed, in words that do not depend on the decoder.
pub(crate) fn explain(coding: Coding, error: io::Error) -> io::Error {
    match (coding, error.raw_os_error(), error.kind()) {
        (_, Some(_), _) | (Coding::Plain, ..) => error,
        (Coding::Gzip, _, io::ErrorKind::UnexpectedEof) => {
            bad("the gzip stream is cut off")
        }
        (Coding::Zstd, _, io::ErrorKind::UnexpectedEof) => {
            bad("the zstd stream is cut off")
        }
        (Coding::Gzip, ..) => bad("the gzip stream is broken"),
        (Coding::Zstd, ..) => bad("the zstd stream is broken"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_told_by_the_first_bytes() {
        assert_eq!(sniff(b"\x1f\x8b\x08"), Ok(Coding::Gzip));
        assert_eq!(sniff(b"\x28\xb5\x2f\xfd"), Ok(Coding::Zstd));
        assert_eq!(sniff(b"\x5e\x2a\x4d\x18"), Ok(Coding::Zstd));
        assert_eq!(sniff(b"BZh9"), Err("bzip2"));
        assert_eq!(sniff(b"\xfd7zXZ\0"), Err("xz"));
        assert_eq!(sniff(b"blobs/"), Ok(Coding::Plain));
        assert_eq!(sniff(b""), Ok(Coding::Plain));
    }

    #[test]
    fn zstd_frames_follow_each_other_and_some_are_skipped() {
        // `printf a | zstd`, a skippable frame, `printf b | zstd`.
        let a = b"\x28\xb5\x2f\xfd\x04\x58\x09\x00\x00a\x36\x42\x9e\x9f";
        let frame = |c: u8| [b"\x28\xb5\x2f\xfd\x00\x58\x09\x00\x00", &[c][..]].concat();
        let _ = a;
        let all =
            [&frame(b'a')[..], b"\x50\x2a\x4d\x18\x02\0\0\0xx", &frame(b'b')].concat();

        let text = io::read_to_string(decoder(Coding::Zstd, &all[..])).unwrap();
        let cut = io::read_to_string(decoder(Coding::Zstd, &all[..all.len() - 1]));

        assert_eq!(text, "ab");
        assert!(cut.is_err());
    }
}
