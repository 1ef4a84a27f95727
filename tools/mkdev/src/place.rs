//! Where the devices are made, and what was made there, to be taken away again.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::fail::Hint;
use common::inroot::{Root, child_dir};
use common::mount::{Attr, Depth, Mount};
use common::{Context, Fail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Something that was not there before.
enum Made {
    File(OwnedFd, OsString),
    Dir(OwnedFd, OsString),
    Mount(Mount),
}

/// The /dev, and what was made there and for it.
pub(crate) struct Place {
    dev: OwnedFd,
    /// The tmpfs that covers the directory; without one the directory itself is used.
    tmpfs: Option<Mount>,
    made: Vec<Made>,
}

impl Place {
    /// A tmpfs over the directory.
    pub(crate) fn tmpfs(target: &Path) -> Result<Self, Fail> {
        let options = [("source", "dev"), ("mode", "755"), ("size", "64M")];
        let attr = Attr::NOSUID.and(Attr::STRICTATIME);
        let tmpfs = Mount::new("tmpfs", options, attr)
            .cannot("mount tmpfs on", target)
            .hint_on(Errno::EPERM, "mounting takes CAP_SYS_ADMIN: ns-run -U -r --mount")
            .hint_on(Errno::ENOSYS, "fsopen(2) is missing or hidden by a filter")?;
        let below = Self::directory(target)?;
        let dev = tmpfs.as_fd().try_clone_to_owned().cannot("open", target);
        let done = dev.and_then(|dev| {
            tmpfs.attach(below.dev.as_fd()).cannot("mount tmpfs on", target).map(|()| dev)
        });
        let dev = done.inspect_err(|fail| below.undo_after(fail))?;
        Ok(Self { dev, tmpfs: Some(tmpfs), made: below.made })
    }

    /// The directory, never through a link in its last part; made where it is missing.
    pub(crate) fn directory(target: &Path) -> Result<Self, Fail> {
        let (dev, made) = open(target).cannot("open directory", target)?;
        Ok(Self { dev, tmpfs: None, made: made.into_iter().collect() })
    }

    /// Whether somebody else may have made and may change what is there.
    pub(crate) fn is_prepared(&self) -> bool {
        self.tmpfs.is_none()
    }

    /// The directory, to work in.
    pub(crate) fn dev(&self) -> Result<OwnedFd, Fail> {
        self.dev.try_clone().failed_to("open the new /dev")
    }

    /// Remembers a file; in a tmpfs it goes away with that.
    pub(crate) fn made_file(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
    ) -> Result<(), Fail> {
        self.remember(dir, name, Made::File)
    }

    /// Remembers a directory, likewise.
    pub(crate) fn made_dir(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
    ) -> Result<(), Fail> {
        self.remember(dir, name, Made::Dir)
    }

    fn remember(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        as_what: fn(OwnedFd, OsString) -> Made,
    ) -> Result<(), Fail> {
        if self.is_prepared() {
            let dir = dir.try_clone_to_owned().cannot("open", name)?;
            self.made.push(as_what(dir, name.to_owned()));
        }
        Ok(())
    }

    /// Puts a mount there.
    pub(crate) fn attach(
        &mut self,
        mount: Mount,
        at: BorrowedFd<'_>,
    ) -> Result<(), Errno> {
        mount.attach(at)?;
        if self.is_prepared() {
            self.made.push(Made::Mount(mount));
        }
        Ok(())
    }

    /// From here on a node that somebody makes in the tmpfs leads nowhere.
    pub(crate) fn forbid_devices(&self) -> Result<(), Fail> {
        let tmpfs = self.tmpfs.as_ref();
        tmpfs
            .map_or(Ok(()), |tmpfs| tmpfs.add(Attr::NODEV, Depth::One))
            .failed_to("forbid other devices")
    }

    /// Takes everything away again, unless nothing failed.
    pub(crate) fn undo_after(&self, fail: &Fail) {
        if fail.status == 0 {
            return;
        }
        // The failure is told already; more cannot be done than to try.
        if let Some(tmpfs) = &self.tmpfs {
            let _ = tmpfs.take_away();
        }
        for made in self.made.iter().rev() {
            let _ = match made {
                Made::File(dir, name) => {
                    unlinkat(dir, name.as_os_str(), UnlinkatFlags::NoRemoveDir)
                }
                Made::Dir(dir, name) => {
                    unlinkat(dir, name.as_os_str(), UnlinkatFlags::RemoveDir)
                }
                Made::Mount(mount) => {
                    let path = format!("/proc/self/fd/{}", mount.as_fd().as_raw_fd());
                    umount2(path.as_str(), MntFlags::MNT_DETACH)
                }
            };
        }
    }
}

/// The directory, and where it was made, that.
fn open(target: &Path) -> Result<(OwnedFd, Option<Made>), Errno> {
    let here = Path::new(".");
    let above = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(here);
    let Some(name) = target.file_name() else {
        return Root::open(target)?.dir(here).map(|dir| (dir, None));
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let above = openat(AT_FDCWD, above, flags, Mode::empty())?;
    let made = match mkdirat(&above, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) => true,
        Err(Errno::EEXIST | Errno::EROFS) => false,
        Err(e) => return Err(e),
    };
    let dir = child_dir(above.as_fd(), name)?;
    Ok((dir, made.then(|| Made::Dir(above, name.to_owned()))))
}
