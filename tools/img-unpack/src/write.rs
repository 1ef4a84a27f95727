//! Contents of files: from the archive, or from a lower layer.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use common::inroot::kind;
use common::{Context, Fail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::{Whence, ftruncate, lseek, write};

use crate::apply::{Work, os};
use crate::entry::{Entry, Kind};
use crate::lower::{look, meta};
use crate::tar::{Input, Reader};
use crate::tree::cannot;

/// Writes an entry's content; holes stay holes.
pub(crate) fn content<I: Input>(
    fd: BorrowedFd<'_>,
    at: &[u8],
    entry: &Entry,
    max: u64,
    reader: &mut Reader<I>,
) -> Result<(), Fail> {
    let size = entry.sparse.as_ref().map_or(entry.size, |map| map.size);
    if size > max {
        let reason = format!("it has {size} bytes, more than --max-size");
        return Err(Fail::cannot("write", os(at), reason));
    }
    let Some(map) = &entry.sparse else {
        return extent(fd, at, entry.size, reader);
    };
    for (offset, length) in &map.extents {
        let offset = i64::try_from(*offset).unwrap_or(i64::MAX);
        cannot(lseek(fd, offset, Whence::SeekSet), "write", at)?;
        extent(fd, at, *length, reader)?;
    }
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    cannot(ftruncate(fd, size), "write", at)
}

fn extent<I: Input>(
    fd: BorrowedFd<'_>,
    at: &[u8],
    length: u64,
    reader: &mut Reader<I>,
) -> Result<(), Fail> {
    let mut left = length;
    while left > 0 {
        let piece = reader.body().cannot("read", os(at))?;
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let piece = piece.get(..most).unwrap_or(piece);
        let n = match write(fd, piece) {
            Err(Errno::EINTR) => 0,
            other => cannot(other, "write", at)?,
        };
        reader.consume(n);
        left = left.saturating_sub(u64::try_from(n).unwrap_or(left));
    }
    Ok(())
}

/// Copies a file of a lower layer, which has the attributes that the image gave it.
pub(crate) fn copy(
    work: &mut Work<'_>,
    dir: BorrowedFd<'_>,
    name: &[u8],
    at: &[u8],
) -> Result<(), Fail> {
    let Some(stat) = cannot(look(dir, name), "look below at", at)? else {
        return cannot(Err(Errno::ENOENT), "look below at", at);
    };
    if kind(&stat) != SFlag::S_IFREG {
        let (major, minor) =
            (nix::sys::stat::major(stat.st_rdev), nix::sys::stat::minor(stat.st_rdev));
        let kind = match kind(&stat) {
            SFlag::S_IFCHR => Kind::Char(major, minor),
            SFlag::S_IFBLK => Kind::Block(major, minor),
            _ => Kind::Fifo,
        };
        return work.node(at, kind, b"", &crate::lower::stat_meta(&stat));
    }
    let flags =
        OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let from = cannot(openat(dir, name, flags, Mode::empty()), "open below", at)?;
    let meta = cannot(meta(from.as_fd()), "look below at", at)?;
    let to = work.fresh_file(at, meta.mode)?;
    let mut to = File::from(to);
    io::copy(&mut File::from(from), &mut to).cannot("write", os(at))?;
    work.attributes.file(to.as_fd(), &meta).map_err(|refused| refused.fail(at))
}
