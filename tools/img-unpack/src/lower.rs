//! The layers below, looked into as overlayfs will: what an upper layer leaves out.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use common::inroot::kind;
use common::sys;
use nix::dir::Dir as Listing;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::entry::{Meta, Time};
use crate::layer::{is_foreign_xattr, split};
use crate::stack::Stack;
use crate::tree::open_beneath;

type Result<T> = std::result::Result<T, Errno>;

/// What overlayfs takes for "nothing below shows through", by either name.
pub(crate) const OPAQUE: [&std::ffi::CStr; 2] =
    [c"trusted.overlay.opaque", c"user.overlay.opaque"];

/// The layers below one that is being unpacked.
///
/// A directory is looked up in those layers only that have the one it lies in, as
/// overlayfs does it: 128 layers cost no more than the few that a path is in.
pub(crate) struct Lowers<'a> {
    stack: &'a Stack,
    /// How many of the stack are below.
    count: usize,
    /// Which of them, the topmost first, show through at a directory.
    known: RefCell<HashMap<Vec<u8>, Vec<usize>>>,
    roots: OnceCell<Vec<Arc<OwnedFd>>>,
}

/// Directories whose places are kept; a layer that leaves more of them out is rare.
const MAX_KNOWN: usize = 1 << 16;

/// What is found below at a path.
#[derive(Debug)]
pub(crate) enum Below {
    Nothing,
    Directory(Meta),
    Symlink(OsString, Meta),
    /// Another kind of file: the directory it is in.
    Other(OwnedFd),
}

/// A directory by its plain name, to be read.
pub(crate) fn open_dir(at: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let flags =
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

/// Looks at a name without following it; none where there is no such name.
pub(crate) fn look(at: BorrowedFd<'_>, name: &[u8]) -> Result<Option<FileStat>> {
    match fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::ENOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A character device 0/0 is how overlayfs hides a name.
pub(crate) fn is_whiteout(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFCHR && stat.st_rdev == 0
}

/// The names in a directory, all of them before any changes.
pub(crate) fn list(dir: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Listing::from_fd(open_dir(dir, b".")?)?.iter() {
        let name = entry?.file_name().to_bytes().to_vec();
        if !matches!(name.as_slice(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

impl<'a> Lowers<'a> {
    /// `count` layers of the stack are below.
    pub(crate) fn new(stack: &'a Stack, count: usize) -> Self {
        Self { stack, count, known: RefCell::default(), roots: OnceCell::new() }
    }

    /// Whether this is the bottom.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The roots, the topmost first; waits until they are complete.
    pub(crate) fn roots(&self) -> Result<&[Arc<OwnedFd>]> {
        if let Some(roots) = self.roots.get() {
            return Ok(roots);
        }
        let roots = self.stack.first(self.count)?;
        Ok(self.roots.get_or_init(|| roots))
    }

    /// What shows through at a path of plain names.
    pub(crate) fn find(&self, path: &[u8]) -> Result<Below> {
        if self.is_empty() {
            return Ok(Below::Nothing);
        }
        let roots = self.roots()?;
        if path.is_empty() {
            let top = roots.first().ok_or(Errno::ENOENT)?;
            let root = open_dir(top.as_fd(), b".")?;
            return meta(root.as_fd()).map(Below::Directory);
        }
        let (dir, name) = split(path);
        for layer in self.holders(roots, dir)? {
            let root = roots.get(layer).ok_or(Errno::ENOENT)?;
            let here = open_in(root.as_fd(), dir)?;
            if let Some(found) = find_in(here, name)? {
                return Ok(found);
            }
        }
        Ok(Below::Nothing)
    }

    /// The layers that have a directory at a path, as far as none above hides them.
    fn holders(&self, roots: &[Arc<OwnedFd>], path: &[u8]) -> Result<Vec<usize>> {
        if path.is_empty() {
            return Ok((0..roots.len()).collect());
        }
        if let Some(known) = self.known.borrow().get(path) {
            return Ok(known.clone());
        }
        // From the root down: a path may have more parts than the stack has room for.
        let mut end = 0_usize;
        let mut holders: Vec<usize> = (0..roots.len()).collect();
        for part in path.split(|b| *b == b'/') {
            let above = path.get(..end.saturating_sub(1)).unwrap_or_default();
            end = end.saturating_add(part.len()).saturating_add(1);
            let here = path.get(..end.saturating_sub(1)).unwrap_or(path);
            if let Some(known) = self.known.borrow().get(here) {
                holders.clone_from(known);
                continue;
            }
            holders = narrow(roots, &holders, (above, part))?;
            let mut known = self.known.borrow_mut();
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(here.to_vec(), holders.clone());
        }
        Ok(holders)
    }
}

/// Those of some layers that have a directory of this name, until one hides the rest.
fn narrow(
    roots: &[Arc<OwnedFd>],
    layers: &[usize],
    (dir, name): (&[u8], &[u8]),
) -> Result<Vec<usize>> {
    let mut holders = Vec::new();
    for layer in layers {
        let root = roots.get(*layer).ok_or(Errno::ENOENT)?;
        let here = open_in(root.as_fd(), dir)?;
        match look(here.as_fd(), name)? {
            None => continue,
            Some(stat) if kind(&stat) == SFlag::S_IFDIR => holders.push(*layer),
            // A file in the way, or a whiteout.
            Some(_) => break,
        }
        if is_opaque(open_dir(here.as_fd(), name)?.as_fd()) {
            break;
        }
    }
    Ok(holders)
}

/// A directory of a layer, by a path in which no part is a link.
pub(crate) fn open_in(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    if path.is_empty() { open_dir(root, b".") } else { open_beneath(root, path) }
}

/// What one layer says of a name: nothing at all, or a last word.
fn find_in(dir: OwnedFd, name: &[u8]) -> Result<Option<Below>> {
    let Some(stat) = look(dir.as_fd(), name)? else { return Ok(None) };
    Ok(Some(match kind(&stat) {
        _ if is_whiteout(&stat) => Below::Nothing,
        SFlag::S_IFDIR => Below::Directory(meta(open_dir(dir.as_fd(), name)?.as_fd())?),
        SFlag::S_IFLNK => Below::Symlink(readlinkat(&dir, name)?, stat_meta(&stat)),
        _ => Below::Other(dir),
    }))
}

fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    let mut value = [0; 2];
    OPAQUE
        .iter()
        .any(|name| sys::fgetxattr(dir, name, &mut value) == Ok(1) && value[0] == b'y')
}

/// The attributes of a file that is open for reading.
pub(crate) fn meta(fd: BorrowedFd<'_>) -> Result<Meta> {
    Ok(Meta { xattrs: own_xattrs(fd)?, ..stat_meta(&fstat(fd)?) })
}

/// Those that stat(2) tells.
pub(crate) fn stat_meta(stat: &FileStat) -> Meta {
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Meta {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Time { seconds: stat.st_mtime, nanos },
        atime: None,
        xattrs: Vec::new(),
    }
}

/// The attributes that are the image's own.
pub(crate) fn own_xattrs(fd: BorrowedFd<'_>) -> Result<Vec<(CString, Vec<u8>)>> {
    let mut all = Vec::new();
    // Nearly all have none: no buffer for those.
    if matches!(sys::flistxattr(fd, &mut []), Ok(0) | Err(Errno::EOPNOTSUPP)) {
        return Ok(all);
    }
    let mut names = vec![0; 1 << 16];
    let size = sys::flistxattr(fd, &mut names)?;
    for name in names.get(..size).unwrap_or_default().split(|b| *b == 0) {
        let Ok(name) = CString::new(name) else { continue };
        if name.is_empty() || is_foreign_xattr(name.as_bytes()) {
            continue;
        }
        let mut value = vec![0; 1 << 16];
        let size = sys::fgetxattr(fd, &name, &mut value)?;
        value.truncate(size);
        all.push((name, value));
    }
    Ok(all)
}
