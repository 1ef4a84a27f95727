//! The layers below, looked into as overlayfs will: what an upper layer leaves out.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::inroot::kind;
use common::sys;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::entry::{Meta, Time};
use crate::layer::is_foreign_xattr;

type Result<T> = std::result::Result<T, Errno>;

/// What overlayfs takes for "nothing below shows through", by either name.
pub(crate) const OPAQUE: [&std::ffi::CStr; 2] =
    [c"trusted.overlay.opaque", c"user.overlay.opaque"];

/// The roots of the layers below, the topmost first.
#[derive(Debug, Default)]
pub(crate) struct Lowers(pub(crate) Vec<OwnedFd>);

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

impl Lowers {
    /// What shows through at a path of plain names.
    pub(crate) fn find(&self, path: &[u8]) -> Result<Below> {
        for root in &self.0 {
            if let Some(found) = Self::find_in(root.as_fd(), path)? {
                return Ok(found);
            }
        }
        Ok(Below::Nothing)
    }

    /// What one layer says: nothing at all, or a last word.
    fn find_in(root: BorrowedFd<'_>, path: &[u8]) -> Result<Option<Below>> {
        let mut here = root.try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
        if path.is_empty() {
            let dir = open_dir(root, b".")?;
            return meta(dir.as_fd()).map(|meta| Some(Below::Directory(meta)));
        }
        let mut hides = false;
        let mut parts = path.split(|b| *b == b'/').peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let Some(stat) = look(here.as_fd(), part)? else {
                return Ok(hides.then_some(Below::Nothing));
            };
            if is_whiteout(&stat) {
                return Ok(Some(Below::Nothing));
            }
            match kind(&stat) {
                SFlag::S_IFDIR => {
                    let dir = open_dir(here.as_fd(), part)?;
                    if is_last {
                        return meta(dir.as_fd())
                            .map(|meta| Some(Below::Directory(meta)));
                    }
                    hides |= is_opaque(dir.as_fd());
                    here = dir;
                }
                // A file in the way hides everything below it.
                _ if !is_last => return Ok(Some(Below::Nothing)),
                SFlag::S_IFLNK => {
                    let to = readlinkat(&here, part)?;
                    return Ok(Some(Below::Symlink(to, stat_meta(&stat))));
                }
                _ => return Ok(Some(Below::Other(here))),
            }
        }
        Ok(None)
    }
}

fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    let mut value = [0; 2];
    OPAQUE
        .iter()
        .any(|name| sys::fgetxattr(dir, name, &mut value) == Ok(1) && value[0] == b'y')
}

/// The attributes of a file that is open for reading.
pub(crate) fn meta(fd: BorrowedFd<'_>) -> Result<Meta> {
    Ok(Meta { xattrs: xattrs(fd)?, ..stat_meta(&fstat(fd)?) })
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
fn xattrs(fd: BorrowedFd<'_>) -> Result<Vec<(CString, Vec<u8>)>> {
    let mut names = vec![0; 1 << 16];
    let size = match sys::flistxattr(fd, &mut names) {
        Err(Errno::EOPNOTSUPP) => 0,
        other => other?,
    };
    let mut all = Vec::new();
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
