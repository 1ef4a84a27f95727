//! The directory of a volume: made where it is missing, filled where it is empty.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::fail::Hint;
use common::inroot::child_dir;
use common::mount::{Depth, Mount};
use common::{Context, Fail, remove, sys};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::libc::{LOCK_EX, LOCK_UN};
use nix::sys::stat::{Mode, mkdirat};

use crate::copy;

/// A volume by the directory that it lies in: its own may be replaced when it is filled.
pub(crate) struct Store {
    above: OwnedFd,
    name: OsString,
}

const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

impl Store {
    /// Opens the directory that it lies in, which is made where only it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, Fail> {
        let name = path.file_name().unwrap_or(OsStr::new("")).to_owned();
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new("."));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let open = || openat(AT_FDCWD, above, flags, Mode::empty());
        let opened = match open() {
            Err(Errno::ENOENT) => {
                match mkdirat(AT_FDCWD, above, Mode::from_bits_truncate(0o755)) {
                    // Another may have made it meanwhile.
                    Ok(()) | Err(Errno::EEXIST) => open(),
                    Err(e) => Err(e),
                }
            }
            other => other,
        };
        let above = opened.cannot("open directory", above)?;
        Ok(Self { above, name })
    }

    /// Its mount; what the new root has at its place is copied first where it is empty.
    ///
    /// The copy gets its name when it is complete: one that was cut off is made again.
    pub(crate) fn mount(
        &self,
        path: &Path,
        from: Option<BorrowedFd<'_>>,
    ) -> Result<Mount, Fail> {
        // Who comes second finds it filled.
        sys::flock(self.above.as_fd(), LOCK_EX).cannot("lock the directory of", path)?;
        self.make(path, from)?;
        let dir = child_dir(self.above.as_fd(), &self.name).cannot("open", path)?;
        sys::flock(self.above.as_fd(), LOCK_UN)
            .cannot("unlock the directory of", path)?;
        Mount::clone_fd(dir.as_fd(), Depth::Tree).cannot("bind", path)
    }

    fn make(&self, path: &Path, from: Option<BorrowedFd<'_>>) -> Result<(), Fail> {
        let Some(from) = from else {
            return match mkdirat(
                &self.above,
                &*self.name,
                Mode::from_bits_truncate(0o755),
            ) {
                Ok(()) | Err(Errno::EEXIST) => Ok(()),
                Err(e) => Err(e).cannot("make", path),
            };
        };
        if !self.is_empty().cannot("read", path)? {
            return Ok(());
        }
        let unfinished = self.unfinished();
        remove::tree(self.above.as_fd(), unfinished.as_encoded_bytes())
            .cannot("remove", &unfinished)?;
        let copied = self.copy(&unfinished, from);
        if copied.is_err() {
            // The failure is told; more cannot be done than to try.
            let _ = remove::tree(self.above.as_fd(), unfinished.as_encoded_bytes());
        }
        copied
            .cannot("fill", path)
            .hint_on(Errno::EINVAL, "an owner is not mapped here: ns-run --map-auto")
    }

    fn copy(&self, unfinished: &OsStr, from: BorrowedFd<'_>) -> Result<(), Errno> {
        mkdirat(&self.above, unfinished, Mode::S_IRWXU)?;
        let from = openat(from, ".", READ, Mode::empty())?;
        let to = openat(&self.above, unfinished, READ, Mode::empty())?;
        copy::tree(&from, &to)?;
        // Onto nothing, or onto an empty directory: rename(2) replaces no other.
        renameat(&self.above, unfinished, &self.above, &*self.name)
    }

    fn is_empty(&self) -> Result<bool, Errno> {
        let dir = match openat(&self.above, &*self.name, READ, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(true),
            other => other?,
        };
        for entry in Dir::from_fd(dir)?.iter() {
            if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn unfinished(&self) -> OsString {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(".unfinished");
        name
    }
}
