//! The overlay itself, in the three ways that kernels have taken layers in.
//!
//! By descriptor since Linux 6.13 (`O_PATH` ones 6.15), by one `lowerdir+` each since 6.7,
//! else in one string of mount(2), see [`crate::data`]. Names are /proc/self/fd/N, so a
//! directory is opened once, by us, and no byte of its path needs escaping. Which way the
//! kernel knows is tried, not looked up.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::fail::{Hint, quote};
use common::mount::{Attr, Fs, Mount};
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::option::Setting;
use crate::plan::Xattrs;
use crate::{data, diagnose};

pub(crate) const NEEDS_RIGHT: &str =
    "mounting takes CAP_SYS_ADMIN: ns-run --user --map-root-user --mount";

/// What slides and df(1) call the mount.
pub(crate) const SOURCE: &CStr = c"root";

/// A directory, opened once.
pub(crate) struct Layer {
    pub(crate) path: PathBuf,
    pub(crate) fd: OwnedFd,
}

/// Where changes go.
pub(crate) struct Writable {
    pub(crate) upper: Layer,
    pub(crate) work: Layer,
    /// The tmpfs that both are on, mounted nowhere.
    pub(crate) tmpfs: Option<Mount>,
    /// Both were made just now.
    pub(crate) is_new: bool,
}

/// Where the mount goes.
pub(crate) struct Place<'p> {
    pub(crate) fd: OwnedFd,
    pub(crate) path: &'p Path,
}

/// An overlay, in its place already where mount(2) made it.
pub(crate) enum Overlay {
    Detached(Mount),
    Attached(Mount),
}

/// Why a way did not work: the kernel's words, and whether it knows the way at all.
pub(crate) struct Refusal {
    errno: Errno,
    said: String,
    is_way: bool,
}

impl From<Errno> for Refusal {
    /// Without a word.
    fn from(errno: Errno) -> Self {
        Self { errno, said: String::new(), is_way: true }
    }
}

impl Refusal {
    fn of(errno: Errno, fs: &Fs) -> Self {
        Self { errno, said: fs.log(), is_way: true }
    }

    /// Whether another implementation may do what this kernel does not.
    pub(crate) fn is_for_fuse(&self) -> bool {
        matches!(
            self.errno,
            Errno::EPERM
                | Errno::EINVAL
                | Errno::ENODEV
                | Errno::EOPNOTSUPP
                | Errno::ENOSYS
        )
    }
}

/// How a file system context is given a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// `FSCONFIG_SET_FD`.
    Fd,
    /// `FSCONFIG_SET_STRING`.
    Name,
}

impl Naming {
    fn set(self, fs: &Fs, key: &CStr, layer: &Layer) -> Result<(), Errno> {
        match self {
            Self::Fd => fs.set_fd(key, layer.fd.as_fd()),
            Self::Name => {
                let name = format!("/proc/self/fd/{}", layer.fd.as_raw_fd());
                fs.set(key, &CString::new(name).unwrap_or_default())
            }
        }
    }
}

/// Whether changes are impossible, whatever was asked for.
pub(crate) fn is_read_only(mount: BorrowedFd<'_>) -> bool {
    fstatvfs(mount).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY))
}

/// Sets an attribute and removes it: without them the kernel mounts an overlay that
/// fails later, with an I/O error when a directory is replaced.
pub(crate) fn probe_xattrs(upper: &Writable, xattrs: Xattrs) -> Result<(), Fail> {
    let (name, class) = match xattrs {
        Xattrs::Trusted => (c"trusted.overlay.probe", "trusted"),
        Xattrs::User => (c"user.overlay.probe", "user"),
    };
    let work = upper.work.fd.as_fd();
    sys::fsetxattr(work, name, b"y")
        .and_then(|()| sys::fremovexattr(work, name))
        .cannot(&format!("keep {class}.* attributes in"), &upper.work.path)
        .hint_on(
            Errno::EOPNOTSUPP,
            "changes must be kept on a file system that has them (tmpfs: Linux 6.6)",
        )
        .hint_on(Errno::EROFS, "--tmpfs keeps changes in memory")
}

/// What is stacked, opened.
pub(crate) struct Stack<'l> {
    pub(crate) lowers: &'l [Layer],
    pub(crate) data: &'l [Layer],
    pub(crate) upper: Option<&'l Writable>,
    pub(crate) xattrs: Xattrs,
    pub(crate) settings: &'l [Setting],
}

impl Stack<'_> {
    /// Makes the overlay, by the first way the kernel knows; without `fs` by mount(2).
    pub(crate) fn mount(
        &self,
        fs: Option<&Fs>,
        place: Option<&Place<'_>>,
    ) -> Result<Result<Overlay, Refusal>, Fail> {
        let made = match fs.map(|fs| self.by_context(fs, Naming::Fd)) {
            Some(Err(refusal)) if !refusal.is_way => self.by_name(true, place)?,
            Some(other) => other.map(Overlay::Detached),
            None => self.by_name(false, place)?,
        };
        let Ok(mount) = made else { return Ok(made) };
        let fd = match &mount {
            Overlay::Detached(mount) | Overlay::Attached(mount) => mount.as_fd(),
        };
        if let Some(upper) = self.upper.filter(|_| is_read_only(fd)) {
            if let Overlay::Attached(mount) = &mount {
                let _ = mount.take_away();
            }
            let text = "the kernel made it read-only";
            return Err(fail_at(place, text).hint(diagnose::downgrade(upper)));
        }
        Ok(Ok(mount))
    }

    /// Whether a mounted overlay has the directory for its changes or its work.
    ///
    /// Only with an index does the kernel refuse that, so it is asked for one, of an
    /// overlay that cannot be: upper and work are the same.
    pub(crate) fn is_in_use(&self, dir: &Layer) -> bool {
        let ask = |naming: Naming| -> Result<(), Errno> {
            let fs = Fs::open(c"overlay")?;
            if let Some(lower) = self.lowers.first() {
                naming.set(&fs, c"lowerdir+", lower)?;
            }
            naming.set(&fs, c"upperdir", dir)?;
            naming.set(&fs, c"workdir", dir)?;
            self.set_xattrs(&fs)?;
            fs.set(c"index", c"on")?;
            fs.mount(Attr::NONE).map(drop)
        };
        [Naming::Fd, Naming::Name].into_iter().any(|way| ask(way) == Err(Errno::EBUSY))
    }

    fn by_context(&self, fs: &Fs, naming: Naming) -> Result<Mount, Refusal> {
        let lowers = self.lowers.iter().map(|layer| (c"lowerdir+", layer));
        let data = self.data.iter().map(|layer| (c"datadir+", layer));
        for (n, (key, layer)) in lowers.chain(data).enumerate() {
            if let Err(errno) = naming.set(fs, key, layer) {
                // EBADF: descriptors, but no O_PATH ones. EINVAL: no descriptors. Before
                // Linux 6.5 fsconfig(2) itself says EOPNOTSUPP.
                let others = [Errno::EBADF, Errno::EINVAL, Errno::EOPNOTSUPP];
                let is_unknown = others.contains(&errno);
                let is_way = n > 0 || naming == Naming::Name || !is_unknown;
                return Err(Refusal { is_way, ..Refusal::of(errno, fs) });
            }
        }
        let finish = || {
            if let Some(Writable { upper, work, .. }) = self.upper {
                naming.set(fs, c"upperdir", upper)?;
                naming.set(fs, c"workdir", work)?;
            }
            self.set_xattrs(fs)?;
            for Setting { key, value } in self.settings {
                let c = |text: &str| CString::new(text).map_err(|_| Errno::EINVAL);
                match value {
                    Some(value) => fs.set(&c(key)?, &c(value)?)?,
                    None => fs.set_flag(&c(key)?)?,
                }
            }
            fs.set(c"source", SOURCE)?;
            // A device of an image's must not lead to the host's: mkdev makes others.
            fs.mount(Attr::NODEV)
        };
        finish().map_err(|errno| Refusal::of(errno, fs))
    }

    fn set_xattrs(&self, fs: &Fs) -> Result<(), Errno> {
        if self.xattrs == Xattrs::User { fs.set_flag(c"userxattr") } else { Ok(()) }
    }

    /// Before 6.15 a layer must be mounted somewhere: the tmpfs is, for the moment.
    fn by_name(
        &self,
        has_contexts: bool,
        place: Option<&Place<'_>>,
    ) -> Result<Result<Overlay, Refusal>, Fail> {
        let tmpfs = self.upper.and_then(|upper| upper.tmpfs.as_ref());
        let Some(place) = place else {
            let refused = Fail::new("cannot make an overlay that is mounted nowhere");
            let made = self.by_string();
            return if tmpfs.is_none() && has_contexts {
                Ok(made.map(Overlay::Detached))
            } else {
                Err(refused.hint("this kernel does not, Linux 6.15 does: name a TARGET"))
            };
        };
        if let Some(tmpfs) = tmpfs {
            tmpfs.attach(place.fd.as_fd()).cannot("mount a tmpfs on", place.path)?;
        }
        let made =
            if has_contexts { self.by_string() } else { Err(Errno::EINVAL.into()) };
        let made =
            match made {
                Err(refusal) if refusal.errno == Errno::EINVAL => {
                    let other = data::mount(self, place)?;
                    // What the context complained of tells more than the string's EINVAL.
                    other
                        .map_err(|errno| {
                            if errno == Errno::EINVAL { refusal } else { errno.into() }
                        })
                        .map(Overlay::Attached)
                }
                other => other.map(Overlay::Detached),
            };
        // Where mount(2) made the overlay it lies on the tmpfs, which has to stay.
        if let (Some(tmpfs), false) = (tmpfs, matches!(made, Ok(Overlay::Attached(_)))) {
            let here = here();
            tmpfs.take_away().cannot("unmount the tmpfs from", place.path)?;
            here.and_then(nix::unistd::fchdir).failed_to("return to the directory")?;
        }
        Ok(made)
    }

    fn by_string(&self) -> Result<Mount, Refusal> {
        let fs = Fs::open(c"overlay")?;
        self.by_context(&fs, Naming::Name)
    }

    /// The refusal with its cause, where that can be found out.
    pub(crate) fn explain(&self, refusal: &Refusal, place: Option<&Place<'_>>) -> Fail {
        let fail = fail_at(place, refusal.errno.desc());
        if let Some(cause) = diagnose::cause(refusal.errno, self) {
            return fail.hint(cause);
        }
        if refusal.said.is_empty() {
            return fail;
        }
        fail.hint(format_args!("the kernel says {}", quote(&refusal.said)))
    }
}

fn fail_at(place: Option<&Place<'_>>, reason: &str) -> Fail {
    match place {
        Some(place) => Fail::cannot("mount overlay on", place.path, reason),
        None => Fail::new(format_args!("cannot make the overlay: {reason}")),
    }
}

/// The working directory, to come back to.
pub(crate) fn here() -> Result<OwnedFd, Errno> {
    openat(AT_FDCWD, ".", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
}
