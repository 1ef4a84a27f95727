//! Tar archives entry by entry: the framing, which decides what is content and what a
//! header, is ours; the crate knows where a header's fields are.

use std::io::{self, BufRead};

use tar::Header;

use crate::entry::{Entry, Extensions, Kind, build};
use crate::pax::Records;
use crate::sparse;

/// Bytes of a header, and what content is padded to.
pub(crate) const BLOCK: usize = 512;

/// A header as it stands in the archive.
pub(crate) type Block = [u8; BLOCK];

/// No real name or extended header comes near; Go's archive/tar has the same limit.
const MAX_META: u64 = 1 << 20;

/// What a tar is read from.
pub(crate) trait Input: BufRead {
    /// Goes on behind the next `n` bytes.
    fn skip(&mut self, n: u64) -> io::Result<()>;
}

impl<I: Input> Input for &mut I {
    fn skip(&mut self, n: u64) -> io::Result<()> {
        (**self).skip(n)
    }
}

/// An archive that is not what it should be.
pub(crate) fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads an archive.
pub(crate) struct Reader<I> {
    input: I,
    /// Bytes taken from the input so far.
    position: u64,
    /// Content of the current entry that was not read yet.
    left: u64,
    /// Padding behind it.
    padding: u64,
    done: bool,
}

impl<I: Input> Reader<I> {
    pub(crate) fn new(input: I) -> Self {
        Self { input, position: 0, left: 0, padding: 0, done: false }
    }

    /// Where the content of the current entry begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next entry; its content is skipped where [`Reader::body`] did not read it.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        let rest = self.left.checked_add(self.padding).ok_or_else(too_large)?;
        self.input.skip(rest)?;
        self.position = self.position.checked_add(rest).ok_or_else(too_large)?;
        (self.left, self.padding) = (0, 0);
        let mut extensions = Extensions::default();
        while let Some(block) = self.header()? {
            let header = Header::from_byte_slice(&block);
            check(&block)?;
            let flag = header.as_bytes().get(156).copied().unwrap_or(0);
            match flag {
                b'x' => {
                    let records = Records::parse(&self.meta(&block)?).map_err(bad)?;
                    if !extensions.pax.is_empty() {
                        return Err(bad("two extended headers for one entry"));
                    }
                    extensions.pax = records;
                }
                b'g' => global(&Records::parse(&self.meta(&block)?).map_err(bad)?)?,
                b'L' => extensions.name = Some(until_nul(self.meta(&block)?)),
                b'K' => extensions.link = Some(until_nul(self.meta(&block)?)),
                // A volume's label, GNU tar --label.
                b'V' => {
                    self.meta(&block)?;
                }
                _ => return self.entry(&block, &extensions).map(Some),
            }
        }
        if extensions == Extensions::default() {
            return Ok(None);
        }
        Err(bad("an extended header without its entry"))
    }

    fn entry(&mut self, block: &Block, extensions: &Extensions) -> io::Result<Entry> {
        let mut entry = build(block, extensions)?;
        self.left = entry.size;
        self.padding = padding(entry.size);
        if block.get(156) == Some(&b'S') {
            entry.sparse = Some(sparse::old_gnu(block, || self.exact())?);
        } else if let Some(found) = sparse::pax(&extensions.pax)? {
            entry.sparse = Some(match found {
                sparse::Found::Map(map) => map,
                sparse::Found::InContent { size } => self.sparse_map(size)?,
            });
        }
        entry.size = self.left;
        if let Some(map) = &entry.sparse {
            if entry.kind != Kind::File {
                return Err(bad("a sparse entry that is no file"));
            }
            map.check(self.left)?;
        }
        Ok(entry)
    }

    /// The map of format 1.0: decimal lines at the start of the content.
    fn sparse_map(&mut self, size: u64) -> io::Result<sparse::Map> {
        let mut lines = sparse::Lines::default();
        while !lines.is_complete()? {
            let block_size = u64::try_from(BLOCK).map_err(|_| too_large())?;
            self.left = self
                .left
                .checked_sub(block_size)
                .ok_or_else(|| bad("a sparse map that does not end"))?;
            let block = self.exact()?;
            lines.push(&block)?;
        }
        lines.into_map(size)
    }

    /// The next part of the content; empty at its end.
    pub(crate) fn body(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let buffer = self.input.fill_buf()?;
        if buffer.is_empty() {
            return Err(bad("it ends inside a file"));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        Ok(buffer.get(..most).unwrap_or(buffer))
    }

    /// Marks bytes of the content as read.
    pub(crate) fn consume(&mut self, n: usize) {
        self.input.consume(n);
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(n);
        self.position = self.position.saturating_add(n);
    }

    /// The next header, nothing at the end of the archive.
    fn header(&mut self) -> io::Result<Option<Block>> {
        if self.done || self.input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let block = self.exact()?;
        if block != [0; BLOCK] {
            return Ok(Some(block));
        }
        self.done = true;
        // Readers disagree about what follows a lone block of zeros.
        if !self.input.fill_buf()?.is_empty() && self.exact()? != [0; BLOCK] {
            return Err(bad("a lone block of zeros"));
        }
        Ok(None)
    }

    fn exact(&mut self) -> io::Result<Block> {
        let mut block = [0; BLOCK];
        self.input.read_exact(&mut block).map_err(short)?;
        let size = u64::try_from(BLOCK).map_err(|_| too_large())?;
        self.position = self.position.checked_add(size).ok_or_else(too_large)?;
        Ok(block)
    }

    /// The content of an entry that describes the next one; its size is its own.
    fn meta(&mut self, block: &Block) -> io::Result<Vec<u8>> {
        let size = crate::entry::header_size(block)?;
        if size > MAX_META {
            return Err(bad("an extended header above 1 MiB"));
        }
        let padded = size.checked_add(padding(size)).ok_or_else(too_large)?;
        let mut data = vec![0; usize::try_from(padded).map_err(|_| too_large())?];
        self.input.read_exact(&mut data).map_err(short)?;
        self.position = self.position.checked_add(padded).ok_or_else(too_large)?;
        data.truncate(usize::try_from(size).map_err(|_| too_large())?);
        Ok(data)
    }
}

fn short(error: io::Error) -> io::Error {
    let ends = error.kind() == io::ErrorKind::UnexpectedEof;
    if ends { bad("it ends inside a header") } else { error }
}

fn too_large() -> io::Error {
    bad("a size that is too large")
}

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    name.truncate(end);
    name
}

/// What fills the last block of content.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % 512
}

/// The sum of the header's bytes, its own field taken as blanks; some old tars added
/// signed bytes.
fn check(block: &Block) -> io::Result<()> {
    let told = crate::entry::number(block.get(148..156).unwrap_or_default())?;
    let rest = [block.get(..148), block.get(156..)];
    let bytes = || rest.iter().flatten().copied().flatten();
    let blanks: i64 = 8 * 32;
    let unsigned = blanks.saturating_add(bytes().map(|b| i64::from(*b)).sum());
    let signed = blanks.saturating_add(bytes().map(|b| i64::from(b.cast_signed())).sum());
    if told == unsigned || told == signed {
        return Ok(());
    }
    Err(bad("a header with a wrong checksum"))
}

/// Global headers (git-archive(1) writes a comment) are read over, as all unpackers of
/// images do; one that would change the framing or the names is refused.
fn global(records: &Records) -> io::Result<()> {
    let matters = |key: &[u8]| {
        matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.")
    };
    if records.iter().any(|(key, _)| matters(key)) {
        return Err(bad("a global header that sets names or sizes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    impl Input for Cursor<Vec<u8>> {
        fn skip(&mut self, n: u64) -> io::Result<()> {
            self.set_position(self.position().saturating_add(n));
            Ok(())
        }
    }

    fn header(name: &str, flag: u8, size: u64) -> Vec<u8> {
        let mut header = Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(tar::EntryType::new(flag));
        header.set_mode(0o644);
        header.set_size(size);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    fn padded(content: &[u8]) -> Vec<u8> {
        let mut all = content.to_vec();
        all.resize(content.len().next_multiple_of(BLOCK), 0);
        all
    }

    fn names(parts: &[Vec<u8>]) -> Result<Vec<String>, String> {
        let mut reader = Reader::new(Cursor::new(parts.concat()));
        let mut all = Vec::new();
        while let Some(entry) = reader.next().map_err(|e| e.to_string())? {
            let name = String::from_utf8_lossy(&entry.path).into_owned();
            all.push(format!("{name} {}", entry.size));
        }
        Ok(all)
    }

    const END: usize = 2 * BLOCK;

    #[test]
    fn the_size_of_an_extended_header_is_that_of_the_file_not_of_the_name_between() {
        let pax = b"13 size=1024\n";
        let parts = [
            header("x", b'x', 13),
            padded(pax),
            header("././@LongLink", b'L', 5),
            padded(b"name\0"),
            header("short", b'0', 0),
            header("smuggled", b'0', 0),
            vec![0; BLOCK],
            header("after", b'0', 0),
            vec![0; END],
        ];

        assert_eq!(names(&parts).unwrap(), ["name 1024", "after 0"]);
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        let pax = |text: &[u8]| {
            [header("x", b'x', u64::try_from(text.len()).unwrap()), padded(text)].concat()
        };
        for (parts, why) in [
            (
                vec![pax(b"10 path=a\n"), pax(b"10 path=b\n"), header("c", b'0', 0)],
                "two extended headers for one entry",
            ),
            (
                vec![pax(b"10 path=a\n"), vec![0; END]],
                "an extended header without its entry",
            ),
            (vec![vec![0; BLOCK], header("after", b'0', 0)], "a lone block of zeros"),
            (vec![header("h", b'1', 512), vec![0; BLOCK]], "a link with content"),
            (vec![header("d/", b'5', 512), vec![0; BLOCK]], "a directory with content"),
            (vec![header("a", b'0', 1)[..100].to_vec()], "it ends inside a header"),
            (
                vec![
                    [header("g", b'g', 10), padded(b"10 size=9\n")].concat(),
                    header("a", b'0', 0),
                ],
                "a global header that sets names or sizes",
            ),
            (vec![header("a", b'Z', 0)], "an entry of a type that is not known"),
        ] {
            assert_eq!(names(&parts), Err(why.to_owned()));
        }
    }

    #[test]
    fn an_archive_may_end_without_its_end_blocks() {
        assert_eq!(names(&[header("a", b'0', 0)]).unwrap(), ["a 0"]);
        assert_eq!(names(&[header("a", b'0', 0), vec![0; BLOCK]]).unwrap(), ["a 0"]);
        assert_eq!(names(&[]).unwrap(), [""; 0]);
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let mut block = header("a", b'0', 0);
        block[0] = b'b';

        assert_eq!(names(&[block]).unwrap_err(), "a header with a wrong checksum");
    }
}
