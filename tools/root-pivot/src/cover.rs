//! What hides or protects a place of the new root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::inroot::kind;
use common::mount::{Attr, Depth, Mount};
use common::{Context, Fail};
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, makedev};

use crate::fill::Filler;
use crate::inside::Inside;

/// What hides things, once it was needed.
#[derive(Default)]
pub(crate) struct Covers {
    /// The caller's /dev/null, proved to be it.
    null: Option<OwnedFd>,
    /// The empty directory that hides directories, once it is attached somewhere.
    empty: Option<Mount>,
}

impl Covers {
    /// One file system for all: clones of it, which Linux before 6.15 makes of attached
    /// mounts only.
    fn empty(&mut self) -> Result<Mount, Fail> {
        let why = "make an empty directory";
        let mount = if let Some(first) = &self.empty {
            Mount::clone_fd(first.as_fd(), Depth::One)
        } else {
            let limits = [
                ("source", "tmpfs"),
                ("nr_blocks", "1"),
                ("nr_inodes", "2"),
                ("mode", "755"),
            ];
            let attr = Attr::RDONLY.and(Attr::NOSUID).and(Attr::NODEV).and(Attr::NOEXEC);
            Mount::new("tmpfs", limits, attr)
        }
        .failed_to(why)?;
        if self.empty.is_none() {
            self.empty = Some(mount.as_fd().try_clone_to_owned().failed_to(why)?.into());
        }
        Ok(mount)
    }

    /// Never the image's own /dev/null (CVE-2025-31133).
    fn null(&mut self) -> Result<Mount, Fail> {
        let path = "/dev/null";
        let null = match self.null.take() {
            Some(null) => null,
            None => open_null(path)?,
        };
        let clone = Mount::clone_fd(null.as_fd(), Depth::One).cannot("bind", path);
        self.null = Some(null);
        clone
    }
}

impl Filler {
    /// A directory is hidden by an empty one, anything else by the null device.
    pub(crate) fn mask(
        &mut self,
        place: BorrowedFd<'_>,
        at: &Inside,
    ) -> Result<(), Fail> {
        let stat = fstat(place).cannot("read", at.absolute())?;
        let cover = if kind(&stat) == SFlag::S_IFDIR {
            self.covers.empty()?
        } else {
            self.covers.null()?
        };
        self.attach(cover, place, at)
    }

    pub(crate) fn protect(
        &mut self,
        place: BorrowedFd<'_>,
        at: &Inside,
    ) -> Result<(), Fail> {
        let verb = "make read-only";
        let clone = Mount::clone_fd(place, Depth::Tree).cannot(verb, at.absolute())?;
        clone.add(Attr::RDONLY, Depth::Tree).cannot(verb, at.absolute())?;
        self.attach(clone, place, at)
    }
}

fn open_null(path: &str) -> Result<OwnedFd, Fail> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let null = openat(AT_FDCWD, path, flags, Mode::empty()).cannot("open", path)?;
    let stat = fstat(&null).cannot("read", path)?;
    if kind(&stat) != SFlag::S_IFCHR || stat.st_rdev != makedev(1, 3) {
        return Err(Fail::cannot("use", path, "not the character device 1:3"));
    }
    Ok(null)
}
