//! Makes the /dev: everything by descriptor of a tmpfs that nobody else has touched.
//!
//! DIR lies in an image's root, where dev may be a link to a directory of the host's
//! (CVE-2026-41579): it is opened without following a link, the tmpfs is mounted on that
//! descriptor, and no path is looked up twice.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::fail::Hint;
use common::inroot::{Root, child_dir, kind};
use common::mount::{Attr, Depth, Mount};
use common::{Context, Fail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{
    FchmodatFlags, Mode, SFlag, fchmodat, fstat, makedev, mkdirat, mknodat,
};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use crate::plan::{Device, Step};

const NODE_MODE: Mode = Mode::from_bits_truncate(0o666);

/// The new /dev, and the directory it lies on where that was made for it.
pub(crate) struct Made {
    tmpfs: Mount,
    place: Option<(OwnedFd, OsString)>,
}

impl Made {
    /// Takes everything away again, unless nothing failed.
    pub(crate) fn undo_after(&self, fail: &Fail) {
        if fail.status == 0 {
            return;
        }
        // The failure is told already; more cannot be done than to try.
        let _ = self.tmpfs.take_away();
        self.remove_place();
    }

    fn remove_place(&self) {
        if let Some((above, name)) = &self.place {
            let _ = unlinkat(above, name.as_os_str(), UnlinkatFlags::RemoveDir);
        }
    }
}

/// Carries the steps out; takes the mount away again when one fails.
pub(crate) fn apply(steps: &[Step]) -> Result<Made, Fail> {
    let Some((Step::Tmpfs { target }, rest)) = steps.split_first() else {
        return Err(Fail::new("cannot carry out a plan without a place"));
    };
    let made = mount_tmpfs(target)?;
    rest.iter()
        .try_for_each(|step| carry_out(step, &made.tmpfs))
        .inspect_err(|fail| made.undo_after(fail))
        .map(|()| made)
}

fn carry_out(step: &Step, tmpfs: &Mount) -> Result<(), Fail> {
    let dev = tmpfs.as_fd();
    match step {
        Step::Tmpfs { target } => {
            Err(Fail::cannot("mount twice on", target, "planned wrongly"))
        }
        Step::Mknod(device) => mknod(dev, *device),
        Step::Bind(device) => bind(dev, *device),
        Step::Link { name, to } => symlinkat(*to, dev, *name).cannot("make link", name),
        Step::NoDevices => {
            tmpfs.add(Attr::NODEV, Depth::One).failed_to("forbid other devices")
        }
        Step::Mount { name, fstype, attr, options } => {
            mkdirat(dev, *name, Mode::from_bits_truncate(0o755))
                .cannot("make directory", name)?;
            let place = child_dir(dev, OsStr::new(name)).cannot("open", name)?;
            Mount::new(fstype, options.iter().map(|(k, v)| (*k, v.as_str())), *attr)
                .and_then(|mount| mount.attach(place.as_fd()))
                .cannot(&format!("mount {fstype} on"), name)
        }
    }
}

/// The directory, never through a link in its last part; made where it is missing.
fn mount_tmpfs(target: &Path) -> Result<Made, Fail> {
    let options = [("source", "dev"), ("mode", "755"), ("size", "64M")];
    let attr = Attr::NOSUID.and(Attr::STRICTATIME);
    let tmpfs = Mount::new("tmpfs", options, attr)
        .cannot("mount tmpfs on", target)
        .hint_on(Errno::EPERM, "mounting takes CAP_SYS_ADMIN: ns-run -U -r --mount")?;
    let (place, made) = open_place(target).cannot("open directory", target)?;
    let made = Made { tmpfs, place: made };
    let attached = made.tmpfs.attach(place.as_fd()).cannot("mount tmpfs on", target);
    attached.inspect_err(|_| made.remove_place())?;
    Ok(made)
}

/// The directory, and where it was made, the one above it and its name.
type Place = (OwnedFd, Option<(OwnedFd, OsString)>);

fn open_place(target: &Path) -> Result<Place, Errno> {
    let here = Path::new(".");
    let above = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(here);
    let Some(name) = target.file_name() else {
        return Root::open(target)?.dir(here).map(|dir| (dir, None));
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let above = openat(AT_FDCWD, above, flags, Mode::empty())?;
    match mkdirat(&above, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) => {
            let dir = child_dir(above.as_fd(), name)?;
            Ok((dir, Some((above, name.to_owned()))))
        }
        Err(Errno::EEXIST | Errno::EROFS) => {
            child_dir(above.as_fd(), name).map(|dir| (dir, None))
        }
        Err(e) => Err(e),
    }
}

fn mknod(dev: BorrowedFd<'_>, device: Device) -> Result<(), Fail> {
    let Device { name, major, minor } = device;
    mknodat(dev, name, SFlag::S_IFCHR, NODE_MODE, makedev(major, minor))
        .cannot("make device", name)
        .hint_on(
            Errno::EPERM,
            "making nodes takes CAP_MKNOD in the first user namespace, use --bind",
        )?;
    // The umask had its say.
    fchmodat(dev, name, NODE_MODE, FchmodatFlags::FollowSymlink)
        .cannot("set mode of", name)?;
    // A mount of its own, to which what becomes of the others does not apply.
    let node = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let place = openat(dev, name, node, Mode::empty()).cannot("open", name)?;
    put(place.as_fd(), place.as_fd(), Attr::NONE).cannot("bind", name)
}

/// Shows a node at a place.
fn put(node: BorrowedFd<'_>, place: BorrowedFd<'_>, attr: Attr) -> Result<(), Errno> {
    let mount = Mount::clone_fd(node, Depth::One)?;
    mount.add(attr.and(Attr::NOSUID).and(Attr::NOEXEC), Depth::One)?;
    mount.attach(place)
}

/// Binds the host's node, once it is proved to be the device it is called after.
fn bind(dev: BorrowedFd<'_>, device: Device) -> Result<(), Fail> {
    let source = Path::new("/dev").join(device.name);
    let found = openat(
        AT_FDCWD,
        &source,
        OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .cannot("open", &source)?;
    let stat = fstat(&found).cannot("read", &source)?;
    if kind(&stat) != SFlag::S_IFCHR
        || stat.st_rdev != makedev(device.major, device.minor)
    {
        let wanted =
            format!("not the character device {}:{}", device.major, device.minor);
        return Err(Fail::cannot("bind", source, wanted));
    }
    let create = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let place =
        openat(dev, device.name, create, NODE_MODE).cannot("make", device.name)?;
    // A device can be written to on a read-only mount; its mode cannot be changed there.
    put(found.as_fd(), place.as_fd(), Attr::RDONLY).cannot("bind", source)
}
