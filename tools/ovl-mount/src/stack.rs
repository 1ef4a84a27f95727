//! The overlay itself, in the three ways that kernels have taken layers in.
//!
//! By descriptor since Linux 6.13 (`O_PATH` ones 6.15), by one `lowerdir+` each since 6.7,
//! else in one string of mount(2), which the kernel cuts off at 4095 bytes and says
//! nothing. Names are /proc/self/fd/N, so a directory is opened once, by us, and no byte
//! of its path needs escaping. Which way the kernel knows is tried, not looked up.

use std::ffi::CString;
use std::fmt::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::fail::Hint;
use common::mount::{Attr, Fs, Mount};
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::MsFlags;
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::diagnose;
use crate::plan::Xattrs;

pub(crate) const NEEDS_RIGHT: &str =
    "mounting takes CAP_SYS_ADMIN: ns-run --user --map-root-user --mount";

/// mount(2) takes a page, of which the last byte ends the string.
const MOST_DATA: usize = 4095;

/// What slides and df(1) call the mount.
const SOURCE: &std::ffi::CStr = c"root";

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
struct Refusal {
    errno: Errno,
    said: String,
    is_way: bool,
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
}

/// Makes the overlay, by the first way the kernel knows.
pub(crate) fn mount(
    fs: &Fs,
    lowers: &[Layer],
    upper: Option<&Writable>,
    xattrs: Xattrs,
    place: &Place<'_>,
) -> Result<Overlay, Fail> {
    let stack = Stack { lowers, upper, xattrs };
    let made = match stack.by_fd(fs) {
        Err(refusal) if !refusal.is_way => stack.by_name(place)?,
        other => other.map(Overlay::Detached),
    };
    let mount = made.map_err(|refusal| stack.explain(&refusal, place.path))?;
    let fd = match &mount {
        Overlay::Detached(mount) | Overlay::Attached(mount) => mount.as_fd(),
    };
    if let Some(upper) = upper.filter(|_| is_read_only(fd)) {
        if let Overlay::Attached(mount) = &mount {
            let _ = mount.take_away();
        }
        let text = "the kernel made it read-only";
        return Err(Fail::cannot("mount overlay on", place.path, text).hint(
            format_args!(
                "it cannot write to {} with the ids that are mapped here",
                common::fail::quote(&upper.work.path)
            ),
        ));
    }
    Ok(mount)
}

struct Stack<'l> {
    lowers: &'l [Layer],
    upper: Option<&'l Writable>,
    xattrs: Xattrs,
}

impl Stack<'_> {
    fn by_fd(&self, fs: &Fs) -> Result<Mount, Refusal> {
        for (n, layer) in self.lowers.iter().enumerate() {
            if let Err(e) = fs.set_fd(c"lowerdir+", layer.fd.as_fd()) {
                // EBADF: descriptors, but no O_PATH ones. EINVAL: no descriptors.
                let is_way = n > 0 || !matches!(e, Errno::EBADF | Errno::EINVAL);
                return Err(Refusal { errno: e, said: fs.log(), is_way });
            }
        }
        self.finish(fs, |upper| {
            fs.set_fd(c"upperdir", upper.upper.fd.as_fd())?;
            fs.set_fd(c"workdir", upper.work.fd.as_fd())
        })
    }

    /// Before 6.15 a layer must be mounted somewhere: the tmpfs is, for the moment.
    fn by_name(&self, place: &Place<'_>) -> Result<Result<Overlay, Refusal>, Fail> {
        let tmpfs = self.upper.and_then(|upper| upper.tmpfs.as_ref());
        if let Some(tmpfs) = tmpfs {
            tmpfs.attach(place.fd.as_fd()).cannot("mount a tmpfs on", place.path)?;
        }
        let mut made = self.by_string().map(Overlay::Detached);
        if made.as_ref().is_err_and(|refusal| refusal.errno == Errno::EINVAL) {
            made = self.by_data(place)?.map(Overlay::Attached);
        }
        // Where mount(2) made the overlay it lies on the tmpfs, which has to stay.
        if let (Some(tmpfs), false) = (tmpfs, matches!(made, Ok(Overlay::Attached(_)))) {
            let here =
                openat(AT_FDCWD, ".", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
            tmpfs.take_away().cannot("unmount the tmpfs from", place.path)?;
            here.and_then(nix::unistd::fchdir).failed_to("return to the directory")?;
        }
        Ok(made)
    }

    fn by_string(&self) -> Result<Mount, Refusal> {
        let fail = |errno| Refusal { errno, said: String::new(), is_way: true };
        let fs = Fs::open(c"overlay").map_err(fail)?;
        for layer in self.lowers {
            fs.set(c"lowerdir+", &c_name(layer)).map_err(|errno| Refusal {
                errno,
                said: fs.log(),
                is_way: true,
            })?;
        }
        self.finish(&fs, |upper| {
            fs.set(c"upperdir", &c_name(&upper.upper))?;
            fs.set(c"workdir", &c_name(&upper.work))
        })
    }

    fn finish(
        &self,
        fs: &Fs,
        set_upper: impl Fn(&Writable) -> Result<(), Errno>,
    ) -> Result<Mount, Refusal> {
        let finish = || {
            if let Some(upper) = self.upper {
                set_upper(upper)?;
            }
            if self.xattrs == Xattrs::User {
                fs.set_flag(c"userxattr")?;
            }
            fs.set(c"source", SOURCE)?;
            // A device of an image's must not lead to the host's: mkdev makes others.
            fs.mount(Attr::NODEV)
        };
        finish().map_err(|errno| Refusal { errno, said: fs.log(), is_way: true })
    }

    /// mount(2), with the length checked that the kernel does not check.
    fn by_data(&self, place: &Place<'_>) -> Result<Result<Mount, Refusal>, Fail> {
        let mut data = String::from("lowerdir=");
        for (n, layer) in self.lowers.iter().enumerate() {
            let colon = if n == 0 { "" } else { ":" };
            let _ = write!(data, "{colon}{}", name(layer));
        }
        if let Some(Writable { upper, work, .. }) = self.upper {
            let _ = write!(data, ",upperdir={},workdir={}", name(upper), name(work));
        }
        if self.xattrs == Xattrs::User {
            data.push_str(",userxattr");
        }
        if data.len() >= MOST_DATA {
            let count = self.lowers.len();
            let text = format!("cannot mount an overlay of {count} layers");
            return Err(
                Fail::new(text).hint("more than this kernel takes, Linux 6.7 does")
            );
        }
        let place_name = format!("/proc/self/fd/{}", place.fd.as_raw_fd());
        let (source, fstype) = (Some(SOURCE), Some(c"overlay"));
        let flags = MsFlags::MS_NODEV;
        let done = nix::mount::mount(
            source,
            place_name.as_str(),
            fstype,
            flags,
            Some(data.as_str()),
        );
        if let Err(errno) = done {
            return Ok(Err(Refusal { errno, said: String::new(), is_way: true }));
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mounted = openat(AT_FDCWD, place.path, flags, Mode::empty())
            .cannot("open", place.path)?;
        Ok(Ok(Mount::from(mounted)))
    }

    fn explain(&self, refusal: &Refusal, target: &Path) -> Fail {
        let fail = Fail::cannot("mount overlay on", target, refusal.errno.desc());
        if let Some(cause) = diagnose::cause(refusal.errno, self.lowers, self.upper) {
            return fail.hint(cause);
        }
        if refusal.said.is_empty() {
            return fail;
        }
        fail.hint(format_args!("the kernel says {}", common::fail::quote(&refusal.said)))
    }
}

fn name(layer: &Layer) -> String {
    format!("/proc/self/fd/{}", layer.fd.as_raw_fd())
}

fn c_name(layer: &Layer) -> CString {
    CString::new(name(layer)).unwrap_or_default()
}
