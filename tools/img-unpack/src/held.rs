//! A directory of ours that other runs keep out of, or share.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::fail::Hint;
use common::{Context, Fail, entry};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open, renameat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use crate::files::create;
use crate::lower::{list, open_dir};
use crate::remove;

/// A directory, made where it was missing, and locked: flock(2).
pub(crate) struct Held {
    path: PathBuf,
    dir: Flock<OwnedFd>,
    /// It was not there before.
    made: bool,
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Held {
    /// Makes and locks it, and removes what killed runs left if nobody else has it.
    ///
    /// A new one is its owner's alone: it will hold set-user-ID files (CVE-2021-41103).
    pub(crate) fn open(path: &Path, how: FlockArg) -> Result<Self, Fail> {
        let mut made = false;
        loop {
            match nix::unistd::mkdir(path, Mode::S_IRWXU) {
                Ok(()) => made = true,
                Err(Errno::EEXIST) => {}
                Err(e) => return Err(e).cannot("make directory", path),
            }
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let dir = match open(path, flags, Mode::empty()) {
                Err(Errno::ENOENT) => continue,
                other => other.cannot("open directory", path)?,
            };
            let dir = Flock::lock(dir, how).map_err(|(_, e)| e).cannot("lock", path)?;
            // The run that was waited for may have failed and taken it away.
            if fstat(&*dir).cannot("look at", path)?.st_nlink > 0 {
                return Ok(Self { path: path.to_owned(), dir, made });
            }
            made = false;
        }
    }

    /// Its name as the caller has it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the lock; false where others are in the way and it was not to wait.
    pub(crate) fn relock(&self, how: FlockArg) -> Result<bool, Fail> {
        match self.dir.relock(how) {
            Ok(()) => Ok(true),
            Err(Errno::EWOULDBLOCK) => Ok(false),
            Err(e) => Err(e).cannot("lock", &self.path),
        }
    }

    /// A directory in it, made where it is missing.
    pub(crate) fn inner(&self, name: &str) -> Result<OwnedFd, Fail> {
        match mkdirat(&*self.dir, name, Mode::from_bits_truncate(0o755)) {
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

    /// Takes it away again where it was made for nothing.
    pub(crate) fn abandon(self) {
        if self.made {
            // The failure that led here is the one to tell.
            let _ = unlinkat(&*self.dir, "layers", UnlinkatFlags::RemoveDir);
            let _ = unlinkat(&*self.dir, "images", UnlinkatFlags::RemoveDir);
            let _ = std::fs::remove_dir(&self.path);
        }
    }

    /// A file that is there as a whole or not at all.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), Fail> {
        write(self.as_fd(), name, content).cannot("write", self.path.join(name))
    }

    /// Waits until its names are on the disk.
    pub(crate) fn sync(&self) -> Result<(), Fail> {
        fsync(self.as_fd()).cannot("sync", &self.path)
    }
}

/// As [`Held::write`], in a directory of it.
pub(crate) fn write(at: BorrowedFd<'_>, name: &str, content: &[u8]) -> nix::Result<()> {
    let temporary = remove::name();
    let written = || {
        let fd = create(at, temporary.as_bytes(), 0o644)?;
        entry::write_all(fd.as_raw_fd(), content)?;
        renameat(at, temporary.as_str(), at, name)
    };
    written().inspect_err(|_| {
        let _ = unlinkat(at, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
    })
}
