//! The mount API of Linux 5.2 as owned descriptors: a mount exists before it has a place.

use std::ffi::{CStr, CString};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;

use crate::sys::{self, MountAttr};

type Result<T> = std::result::Result<T, Errno>;

/// `MOUNT_ATTR_*` of mount_setattr(2), combined with `|`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attr(pub u64);

impl Attr {
    /// No attribute.
    pub const NONE: Self = Self(0);
    /// Read-only.
    pub const RDONLY: Self = Self(0x1);
    /// Set-user-ID bits and file capabilities are ignored.
    pub const NOSUID: Self = Self(0x2);
    /// Device nodes cannot be opened.
    pub const NODEV: Self = Self(0x4);
    /// Programs cannot be executed.
    pub const NOEXEC: Self = Self(0x8);
    /// Each access updates the access time.
    pub const STRICTATIME: Self = Self(0x20);
    /// Symbolic links are not followed. Since Linux 5.14.
    pub const NOSYMFOLLOW: Self = Self(0x0020_0000);

    const NAMES: [(Self, &'static str); 6] = [
        (Self::RDONLY, "MOUNT_ATTR_RDONLY"),
        (Self::NOSUID, "MOUNT_ATTR_NOSUID"),
        (Self::NODEV, "MOUNT_ATTR_NODEV"),
        (Self::NOEXEC, "MOUNT_ATTR_NOEXEC"),
        (Self::STRICTATIME, "MOUNT_ATTR_STRICTATIME"),
        (Self::NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"),
    ];

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// As C would write it.
    pub fn names(self) -> String {
        let set = Self::NAMES.iter().filter(|(attr, _)| self.0 & attr.0 != 0);
        let names: Vec<_> = set.map(|(_, name)| *name).collect();
        if names.is_empty() { "0".to_owned() } else { names.join("|") }
    }
}

/// Whether mounts below are meant as well: `AT_RECURSIVE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// This mount only.
    One,
    /// The whole tree of mounts.
    Tree,
}

/// How mounts and unmounts spread to peers, mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// `MS_PRIVATE`: neither way.
    Private,
    /// `MS_SLAVE`: the peer's come in, ours stay.
    Slave,
    /// `MS_SHARED`: both ways.
    Shared,
}

impl Propagation {
    /// The flag of mount_setattr(2).
    pub fn flag(self) -> u64 {
        match self {
            Self::Private => 1 << 18,
            Self::Slave => 1 << 19,
            Self::Shared => 1 << 20,
        }
    }

    /// The flag's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "MS_PRIVATE",
            Self::Slave => "MS_SLAVE",
            Self::Shared => "MS_SHARED",
        }
    }
}

/// A file system that is being configured: fsopen(2).
#[derive(Debug)]
pub struct Fs(OwnedFd);

impl Fs {
    /// Starts a file system of the type.
    ///
    /// # Errors
    /// `ENODEV` where the kernel lacks the type.
    pub fn open(fstype: &CStr) -> Result<Self> {
        sys::fsopen(fstype).map(Self)
    }

    /// Sets `key=value`.
    pub fn set(&self, key: &CStr, value: &CStr) -> Result<()> {
        sys::fsconfig_set(self.0.as_fd(), key, Some(value))
    }

    /// Sets a key that has no value.
    pub fn set_flag(&self, key: &CStr) -> Result<()> {
        sys::fsconfig_set(self.0.as_fd(), key, None)
    }

    /// Sets a key to an open file; overlayfs takes layers so since Linux 6.13.
    pub fn set_fd(&self, key: &CStr, fd: BorrowedFd<'_>) -> Result<()> {
        sys::fsconfig_fd(self.0.as_fd(), key, fd)
    }

    /// Makes the superblock and a detached mount of it.
    pub fn mount(&self, attr: Attr) -> Result<Mount> {
        sys::fsconfig_create(self.0.as_fd())?;
        sys::fsmount(self.0.as_fd(), attr.0).map(Mount)
    }

    /// What the kernel said about it, the last complaint only; empty where it said nothing.
    pub fn log(&self) -> String {
        let mut last = String::new();
        let Ok(fd) = self.0.try_clone() else { return last };
        let mut file = std::fs::File::from(fd);
        let mut line = [0; 1024];
        while let Ok(n @ 1..) = file.read(&mut line) {
            let text = String::from_utf8_lossy(line.get(..n).unwrap_or_default());
            if let Some(error) = text.trim_end().strip_prefix("e ") {
                error.clone_into(&mut last);
            }
        }
        last
    }
}

/// A mount by descriptor, attached somewhere or not yet.
#[derive(Debug)]
pub struct Mount(OwnedFd);

impl AsFd for Mount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Mount {
    /// The root of a mount, opened after it was attached.
    fn from(root: OwnedFd) -> Self {
        Self(root)
    }
}

impl From<Mount> for OwnedFd {
    fn from(mount: Mount) -> Self {
        mount.0
    }
}

impl Mount {
    /// A new file system with options, mounted nowhere yet.
    pub fn new<'o>(
        fstype: &str,
        options: impl IntoIterator<Item = (&'o str, &'o str)>,
        attr: Attr,
    ) -> Result<Self> {
        let c = |text: &str| CString::new(text).map_err(|_| Errno::EINVAL);
        let fs = Fs::open(&c(fstype)?)?;
        for (key, value) in options {
            fs.set(&c(key)?, &c(value)?)?;
        }
        fs.mount(attr)
    }

    /// A detached copy (a bind mount without a place) of what a path of the host's names.
    pub fn clone_path(path: &Path, depth: Depth) -> Result<Self> {
        let path = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| Errno::EINVAL)?;
        Self::clone(AT_FDCWD, &path, depth)
    }

    /// A detached copy of what a descriptor names; an `O_PATH` one will do.
    pub fn clone_fd(fd: BorrowedFd<'_>, depth: Depth) -> Result<Self> {
        Self::clone(fd, c"", depth)
    }

    fn clone(dir: BorrowedFd<'_>, path: &CStr, depth: Depth) -> Result<Self> {
        // OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC
        let mut flags = 1 | libc::O_CLOEXEC.cast_unsigned();
        if path.is_empty() {
            flags |= libc::AT_EMPTY_PATH.cast_unsigned();
        }
        if depth == Depth::Tree {
            flags |= libc::AT_RECURSIVE.cast_unsigned();
        }
        sys::open_tree(dir, path, flags).map(Self)
    }

    /// Adds attributes; those that are set stay set.
    pub fn add(&self, attr: Attr, depth: Depth) -> Result<()> {
        let attr = MountAttr { set: attr.0, ..MountAttr::default() };
        sys::mount_setattr(self.as_fd(), depth == Depth::Tree, &attr)
    }

    /// Shows the files with the ids of a user namespace's map; before it is attached.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN` over the file system, `EINVAL` where its type has no
    /// such mounts or it is one already.
    pub fn idmap(&self, userns: BorrowedFd<'_>, depth: Depth) -> Result<()> {
        let number = u64::try_from(userns.as_raw_fd()).map_err(|_| Errno::EBADF)?;
        let idmap = 0x0010_0000; // MOUNT_ATTR_IDMAP
        let attr = MountAttr { set: idmap, userns: number, ..MountAttr::default() };
        sys::mount_setattr(self.as_fd(), depth == Depth::Tree, &attr)
    }

    /// Changes how mounts and unmounts spread to it.
    pub fn spread(&self, propagation: Propagation, depth: Depth) -> Result<()> {
        let attr = MountAttr { propagation: propagation.flag(), ..MountAttr::default() };
        sys::mount_setattr(self.as_fd(), depth == Depth::Tree, &attr)
    }

    /// Puts the mount onto a directory or file, over what is there.
    pub fn attach(&self, at: BorrowedFd<'_>) -> Result<()> {
        sys::move_mount(self.as_fd(), at)
    }

    /// Takes an attached mount away again, with all that lies on it.
    ///
    /// umount2(2) takes no descriptor, so this process moves there first: it is for one
    /// that is about to end.
    pub fn take_away(&self) -> Result<()> {
        nix::unistd::fchdir(self)?;
        nix::mount::umount2(".", nix::mount::MntFlags::MNT_DETACH)
    }
}

/// Sets the propagation of the mount that a path of ours lies on, from there down.
pub fn set_propagation(
    path: &Path,
    propagation: Propagation,
    depth: Depth,
) -> Result<()> {
    let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC;
    let at = nix::fcntl::open(path, flags, nix::sys::stat::Mode::empty())?;
    let attr = MountAttr { propagation: propagation.flag(), ..MountAttr::default() };
    sys::mount_setattr(at.as_fd(), depth == Depth::Tree, &attr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_named_as_in_c() {
        let attr = Attr::NOSUID.and(Attr::NODEV).and(Attr::NOEXEC);

        assert_eq!(attr.names(), "MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC");
        assert_eq!(Attr::NONE.names(), "0");
    }
}
