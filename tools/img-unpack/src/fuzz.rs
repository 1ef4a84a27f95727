//! What the fuzz targets of `tests/fuzz` see of the inside. No other code is meant to.

use std::io::{self, BufRead, Cursor, Read};

use crate::entry::Kind;
use crate::layer::{Op, clean, decide};
use crate::pax::Records;
use crate::tar::{Input, Reader};
use crate::{acl, decode, sparse, xattr};

/// What an entry of a layer would do.
#[derive(Debug)]
pub struct Effect {
    /// Where, below the layer's root.
    pub path: Vec<u8>,
    /// What a hard link links to, below the root.
    pub target: Option<Vec<u8>>,
    /// The bytes that are written.
    pub content: u64,
    /// The size that the file gets.
    pub size: u64,
    /// Pieces that are written, and their ends.
    pub extents: Vec<(u64, u64)>,
}

struct Bytes<'a>(Cursor<&'a [u8]>);

impl Read for Bytes<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl BufRead for Bytes<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.0.consume(n);
    }
}

impl Input for Bytes<'_> {
    fn skip(&mut self, n: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.0).take(n), &mut io::sink())?;
        if skipped < n { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// What the bytes of a layer's tar would do, as far as it is read.
pub fn layer(tar: &[u8], strip: usize) -> Vec<Effect> {
    let mut reader = Reader::new(Bytes(Cursor::new(tar)));
    let mut effects = Vec::new();
    while let Ok(Some(entry)) = reader.next() {
        let mut content = 0_u64;
        if entry.kind == Kind::File && entry.size % 3 != 1 {
            while content < entry.size
                && let Ok(piece @ [_, ..]) = reader.body()
            {
                let n = piece.len();
                reader.consume(n);
                content = content.saturating_add(u64::try_from(n).unwrap_or(0));
            }
        }
        let Ok((op, path)) = decide(&entry, strip) else { return effects };
        if op == Op::Nothing {
            continue;
        }
        let target = (entry.kind == Kind::HardLink).then(|| clean(&entry.link, strip));
        let Ok(target) = target.transpose() else { return effects };
        let target = target.flatten();
        let (size, extents) = match entry.sparse {
            Some(map) => (map.size, map.extents),
            None => (entry.size, vec![(0, entry.size)]),
        };
        effects.push(Effect { path, target, content, size, extents });
    }
    effects
}

/// Reads all of a compressed stream, up to a limit; how much came of it.
pub fn decode(data: &[u8], limit: u64) -> u64 {
    let Ok(coding) = decode::sniff(data) else { return 0 };
    let mut decoder = decode::decoder(coding, data, 100);
    let mut all = decoder.by_ref().take(limit);
    let (mut buffer, mut size) = (vec![0; 1 << 16], 0_u64);
    while let Ok(n @ 1..) = all.read(&mut buffer) {
        size = size.saturating_add(u64::try_from(n).unwrap_or(0));
    }
    size
}

/// Everything that is read out of the records of an extended header.
pub fn pax(body: &[u8]) {
    let Ok(records) = Records::parse(body) else { return };
    let _ = sparse::pax(&records);
    let _ = xattr::all(&records);
    for (_, value) in records.iter() {
        let _ = acl::value(value);
    }
}
