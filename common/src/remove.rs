//! Removing a tree that an attacker made: any depth, two descriptors, no link followed.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::inroot::kind;

/// What unfinished things are called, until a rename gives them their name.
pub const PREFIX: &str = ".tmp-";

/// A name that nothing else has.
pub fn name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}-{count}", std::process::id())
}

/// Removes whatever is called so.
///
/// A directory inside is moved up beside the tree, to be removed in its turn: so a tree
/// of a million levels takes no more memory than a flat one.
pub fn tree(at: BorrowedFd<'_>, name: &[u8]) -> nix::Result<()> {
    match unlinkat(at, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(e) => return Err(e),
    }
    let mut todo = vec![name.to_vec()];
    while let Some(name) = todo.pop() {
        loop {
            empty(at, &name, &mut todo)?;
            match unlinkat(at, name.as_slice(), UnlinkatFlags::RemoveDir) {
                // A file system may leave names out while others are removed.
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
                other => break other?,
            }
        }
    }
    Ok(())
}

/// Removes the files of a directory and moves its directories up.
fn empty(at: BorrowedFd<'_>, dir: &[u8], todo: &mut Vec<Vec<u8>>) -> nix::Result<()> {
    let flags =
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = match openat(at, dir, flags, Mode::empty()) {
        Err(Errno::EACCES) => {
            fchmodat(at, dir, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)?;
            openat(at, dir, flags, Mode::empty())?
        }
        other => other?,
    };
    let here = opened.try_clone().map_err(|_| Errno::EMFILE)?;
    let here = here.as_fd();
    let mut list = Dir::from_fd(opened)?;
    for entry in list.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let is_dir = if let Some(kind) = entry.file_type() {
            kind == Type::Directory
        } else {
            let stat = fstatat(here, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            kind(&stat) == SFlag::S_IFDIR
        };
        let remove = || {
            if !is_dir {
                return unlinkat(here, name, UnlinkatFlags::NoRemoveDir).map(|()| None);
            }
            let up = self::name();
            renameat(here, name, at, up.as_str()).map(|()| Some(up))
        };
        let moved = match remove() {
            // A directory without w or x, and no CAP_DAC_OVERRIDE; a directory is
            // written to when its parent changes.
            Err(Errno::EACCES) => {
                fchmodat(at, dir, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)?;
                if is_dir {
                    fchmodat(here, name, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)?;
                }
                remove()?
            }
            other => other?,
        };
        todo.extend(moved.map(String::into_bytes));
    }
    Ok(())
}
