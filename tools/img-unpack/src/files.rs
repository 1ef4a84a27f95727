//! Entries become files: made anew by descriptor, and given their attributes in the one
//! order that keeps them all.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use common::{Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{
    FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, futimens, makedev,
    mknodat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

use crate::entry::{Kind, Meta, Time};
use crate::policy::Policy;

/// What a layer has that was left out, for the record.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) devices: u64,
    pub(crate) xattrs: u64,
}

/// Sets attributes as the policy has it.
pub(crate) struct Attributes<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) skipped: Skipped,
}

/// Why an attribute could not be set.
pub(crate) enum Refused {
    Os(&'static str, Errno),
    Owner(u32),
    Xattr(CString, Errno),
}

type Result<T> = std::result::Result<T, Refused>;

fn os<T>(verb: &'static str, result: nix::Result<T>) -> Result<T> {
    result.map_err(|e| Refused::Os(verb, e))
}

impl Refused {
    /// The failure, with the file's name.
    pub(crate) fn fail(self, path: &[u8]) -> Fail {
        let path = OsStr::from_bytes(path);
        match self {
            Self::Os(verb, e) => {
                common::Context::<()>::cannot(Err::<(), _>(e), verb, path)
                    .err()
                    .unwrap_or_else(Fail::done)
            }
            Self::Owner(id) => {
                let reason = format!("id {id} is not mapped here");
                Fail::cannot("set owner of", path, reason).hint(
                    "ns-run --user --map-auto --map-root-user -- img-unpack …, or --squash-ids",
                )
            }
            Self::Xattr(name, e) => {
                let name = common::fail::quote(OsStr::from_bytes(name.as_bytes()));
                Fail::cannot(&format!("set {name} of"), path, e.desc())
            }
        }
    }
}

/// Makes a file that nothing has opened before: never one that was there.
pub(crate) fn create(
    dir: BorrowedFd<'_>,
    name: &[u8],
    mode: u32,
) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_CREAT
        | OFlag::O_EXCL
        | OFlag::O_WRONLY
        | OFlag::O_NOFOLLOW
        | OFlag::O_CLOEXEC;
    // Set-user-ID comes after the owner, by fchmod.
    openat(dir, name, flags, Mode::from_bits_truncate(mode & 0o777))
}

/// Makes what has no content: a symbolic link, a fifo, a device.
pub(crate) fn make(
    dir: BorrowedFd<'_>,
    name: &[u8],
    kind: Kind,
    link: &[u8],
) -> nix::Result<()> {
    let node = |kind, major, minor| {
        mknodat(dir, name, kind, Mode::empty(), makedev(major, minor))
    };
    match kind {
        Kind::Symlink => symlinkat(link, dir, name),
        Kind::Fifo => node(SFlag::S_IFIFO, 0, 0),
        Kind::Char(major, minor) => node(SFlag::S_IFCHR, major, minor),
        Kind::Block(major, minor) => node(SFlag::S_IFBLK, major, minor),
        Kind::File | Kind::Directory | Kind::HardLink => Err(Errno::EINVAL),
    }
}

fn spec(time: Time) -> TimeSpec {
    TimeSpec::new(time.seconds, time.nanos.into())
}

fn times(meta: &Meta) -> (TimeSpec, TimeSpec) {
    (spec(meta.atime.unwrap_or(meta.mtime)), spec(meta.mtime))
}

impl Attributes<'_> {
    /// Owner to be set; none where the file has it already.
    fn owner(&self, meta: &Meta) -> Result<Option<(Uid, Gid)>> {
        let Some((uids, gids)) = &self.policy.owners else { return Ok(None) };
        if !uids.has_inside(meta.uid) {
            return Err(Refused::Owner(meta.uid));
        }
        if !gids.has_inside(meta.gid) {
            return Err(Refused::Owner(meta.gid));
        }
        let is_new = (meta.uid, meta.gid) != (self.policy.uid, self.policy.gid);
        Ok(is_new.then(|| (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid))))
    }

    /// A regular file that [`create`] made with its mode.
    pub(crate) fn file(&mut self, fd: BorrowedFd<'_>, meta: &Meta) -> Result<()> {
        let owner = self.owner(meta)?;
        if let Some((uid, gid)) = owner {
            os("set owner of", fchown(fd, Some(uid), Some(gid)))?;
        }
        if meta.mode & 0o7000 != 0 {
            os("set mode of", fchmod(fd, Mode::from_bits_truncate(meta.mode)))?;
        }
        self.rest(fd, meta)
    }

    /// A directory; all below it is done.
    pub(crate) fn directory(&mut self, fd: BorrowedFd<'_>, meta: &Meta) -> Result<()> {
        if let Some((uid, gid)) = self.owner(meta)? {
            os("set owner of", fchown(fd, Some(uid), Some(gid)))?;
        }
        os("set mode of", fchmod(fd, Mode::from_bits_truncate(meta.mode)))?;
        self.rest(fd, meta)
    }

    /// Attributes after owner and mode, which take capabilities away; times last.
    fn rest(&mut self, fd: BorrowedFd<'_>, meta: &Meta) -> Result<()> {
        for (name, value) in &meta.xattrs {
            // An ACL grants access to ids of the image's; squashed, they are the host's.
            let is_acl = name.as_bytes().starts_with(b"system.posix_acl_");
            if is_acl && self.policy.owners.is_none() {
                self.skipped.xattrs = self.skipped.xattrs.saturating_add(1);
                continue;
            }
            let done = sys::fsetxattr(fd, name, value);
            self.xattr(name, done)?;
        }
        let (atime, mtime) = times(meta);
        os("set times of", futimens(fd, &atime, &mtime))
    }

    /// What [`make`] made: by name, since opening a device does things.
    pub(crate) fn node(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        kind: Kind,
        meta: &Meta,
    ) -> Result<()> {
        if let Some((uid, gid)) = self.owner(meta)? {
            let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
            os("set owner of", fchownat(dir, name, Some(uid), Some(gid), flags))?;
        }
        if kind != Kind::Symlink {
            // Another process may have put a link there; fchmodat2(2), Linux 6.6, or by /proc.
            let mode = Mode::from_bits_truncate(meta.mode);
            let done = fchmodat(dir, name, mode, FchmodatFlags::NoFollowSymlink);
            os("set mode of", done)?;
        }
        for (xattr, value) in &meta.xattrs {
            let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
            path.extend_from_slice(name);
            let done = CString::new(path)
                .map_err(|_| Errno::EINVAL)
                .and_then(|path| sys::lsetxattr(&path, xattr, value));
            // xattr(7): user.* is for files and directories only.
            if done == Err(Errno::EPERM) && xattr.as_bytes().starts_with(b"user.") {
                self.skipped.xattrs = self.skipped.xattrs.saturating_add(1);
                continue;
            }
            self.xattr(xattr, done)?;
        }
        let (atime, mtime) = times(meta);
        let flag = UtimensatFlags::NoFollowSymlink;
        os("set times of", utimensat(dir, name, &atime, &mtime, flag))
    }

    /// Some attributes take more than there is; those that were allowed to are left out.
    fn xattr(&mut self, name: &CString, done: nix::Result<()>) -> Result<()> {
        let is = |prefix: &[u8]| name.as_bytes().starts_with(prefix);
        match done {
            Err(Errno::EPERM)
                if (is(b"trusted.") && !self.policy.trusted)
                    || (!is(b"user.") && self.policy.lenient) =>
            {
                self.skipped.xattrs = self.skipped.xattrs.saturating_add(1);
                Ok(())
            }
            Err(e) => Err(Refused::Xattr(name.clone(), e)),
            Ok(()) => Ok(()),
        }
    }
}
