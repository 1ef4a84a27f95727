//! A directory of ours that other runs keep out of, or share.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::fail::Hint;
use common::{Context, Fail, entry, remove, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, renameat};
use nix::libc;
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use crate::files::create;
use crate::locks;
use crate::lower::{list, open_dir};

/// A directory, made where it was missing, and locked: flock(2).
pub(crate) struct Held {
    path: PathBuf,
    /// Closing it unlocks; unlocking may fail (NFS), and nothing can be done then.
    dir: OwnedFd,
    /// It was not there before.
    made: bool,
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Held {
    /// Makes it where it is missing, and locks it.
    ///
    /// A new one is its owner's alone: it will hold set-user-ID files (CVE-2021-41103).
    pub(crate) fn open(path: &Path, how: Lock) -> Result<Self, Fail> {
        let mut made = false;
        match lock(path, how, &mut made) {
            Ok(dir) => Ok(Self { path: path.to_owned(), dir, made }),
            Err(fail) => {
                if made {
                    let _ = std::fs::remove_dir(path);
                }
                Err(fail)
            }
        }
    }

    /// Its name as the caller has it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Has it alone for a moment, unless another has it too.
    pub(crate) fn is_alone(&self) -> Result<bool, Fail> {
        match sys::flock(self.as_fd(), libc::LOCK_EX | libc::LOCK_NB) {
            Ok(()) => Ok(true),
            // The lock is gone then: flock(2), "Converting a lock".
            Err(Errno::EWOULDBLOCK) => Ok(false),
            Err(e) => Err(e).cannot("lock", &self.path),
        }
    }

    /// Shares it again.
    pub(crate) fn share(&self) -> Result<(), Fail> {
        sys::flock(self.as_fd(), libc::LOCK_SH).cannot("lock", &self.path)
    }

    /// A directory in it, made where it is missing.
    pub(crate) fn inner(&self, name: &str) -> Result<OwnedFd, Fail> {
        match mkdirat(&self.dir, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e).cannot("make directory", self.path.join(name)),
        }
        open_dir(self.as_fd(), name.as_bytes())
            .cannot("open directory", self.path.join(name))
    }

    /// Removes what is unfinished in a directory of it.
    pub(crate) fn sweep(&self, at: BorrowedFd<'_>) -> Result<(), Fail> {
        let clean = || -> nix::Result<()> {
            for name in list(at)? {
                if name.starts_with(remove::PREFIX.as_bytes()) {
                    remove::tree(at, &name)?;
                }
            }
            Ok(())
        };
        clean().cannot("remove what an earlier run left in", &self.path).hint_on(
            Errno::EPERM,
            "its files belong to others: remove it as the one who made it",
        )
    }

    /// Takes it away again where it was made for nothing: no layer is in it.
    pub(crate) fn abandon(self) {
        let at = &self.dir;
        let is_free = || {
            let gone = |name| unlinkat(at, name, UnlinkatFlags::RemoveDir);
            let layers = matches!(gone("layers"), Ok(()) | Err(Errno::ENOENT));
            layers && matches!(gone("images"), Ok(()) | Err(Errno::ENOENT))
        };
        // The failure that led here is the one to tell.
        if self.made && self.is_alone().unwrap_or(false) && is_free() {
            let _ = unlinkat(at, locks::FILE, UnlinkatFlags::NoRemoveDir);
            let _ = std::fs::remove_dir(&self.path);
        }
    }

    /// Puts two files in the place of others, or those back: the second one tells of the
    /// first, and must not outlive it should we be killed in between.
    pub(crate) fn replace(&self, files: [(&str, &[u8]); 2]) -> Result<(), Fail> {
        let [(first, one), (second, other)] = files;
        let at = self.as_fd();
        let (mut aside, mut placed) = (Vec::new(), false);
        let mut exchange = || {
            let (one, other) = (prepare(at, one)?, prepare(at, other)?);
            for name in [second, first] {
                let old = remove::name();
                match renameat(at, name, at, old.as_str()) {
                    Ok(()) => aside.push((name, old)),
                    Err(Errno::ENOENT) => {}
                    Err(e) => return Err(e),
                }
            }
            renameat(at, one.as_str(), at, first)?;
            placed = true;
            renameat(at, other.as_str(), at, second)
        };
        let done = exchange();
        if placed && done.is_err() {
            let _ = unlinkat(at, first, UnlinkatFlags::NoRemoveDir);
        }
        for (name, old) in aside {
            let _ = if done.is_ok() {
                unlinkat(at, old.as_str(), UnlinkatFlags::NoRemoveDir)
            } else {
                renameat(at, old.as_str(), at, name)
            };
        }
        if done.is_err() {
            let _ = self.sweep(at);
        }
        done.cannot(&format!("write {first} and {second} in"), &self.path)
    }

    /// Waits until its names are on the disk.
    pub(crate) fn sync(&self) -> Result<(), Fail> {
        fsync(self.as_fd()).cannot("sync", &self.path)
    }
}

/// How a directory is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// With others who share it.
    Shared,
    /// By nobody else.
    Alone,
}

fn lock(path: &Path, how: Lock, made: &mut bool) -> Result<OwnedFd, Fail> {
    let operation = match how {
        Lock::Shared => libc::LOCK_SH,
        Lock::Alone => libc::LOCK_EX,
    };
    loop {
        match nix::unistd::mkdir(path, Mode::S_IRWXU) {
            Ok(()) => *made = true,
            Err(Errno::EEXIST) => {}
            Err(e) => return Err(e).cannot("make directory", path),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = match open(path, flags, Mode::empty()) {
            Err(Errno::ENOENT) => continue,
            other => other.cannot("open directory", path)?,
        };
        sys::flock(dir.as_fd(), operation).cannot("lock", path)?;
        // The run that was waited for may have failed and taken it away.
        if fstat(&dir).cannot("look at", path)?.st_nlink > 0 {
            return Ok(dir);
        }
        *made = false;
    }
}

/// A file under a temporary name.
fn prepare(at: BorrowedFd<'_>, content: &[u8]) -> nix::Result<String> {
    let temporary = remove::name();
    let fd = create(at, temporary.as_bytes(), 0o644)?;
    entry::write_all(fd.as_raw_fd(), content).inspect_err(|_| {
        let _ = unlinkat(at, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
    })?;
    Ok(temporary)
}

/// A file that is there as a whole or not at all.
pub(crate) fn write(at: BorrowedFd<'_>, name: &str, content: &[u8]) -> nix::Result<()> {
    let temporary = prepare(at, content)?;
    renameat(at, temporary.as_str(), at, name).inspect_err(|_| {
        let _ = unlinkat(at, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
    })
}
