//! Makes the /dev: everything by descriptor, of a tmpfs that nobody else has touched or of
//! a directory that an attacker has prepared.
//!
//! DIR lies in an image's root, where dev may be a link to a directory of the host's
//! (CVE-2026-41579): it is opened without following a link, and no path is looked up twice.
//! What was opened is looked at before it is used, so a name may become something else
//! meanwhile (CVE-2026-88264, CVE-2021-30465).

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use common::fail::Hint;
use common::inroot::{child_dir, kind};
use common::mount::{Attr, Depth, Mount};
use common::{Context, Fail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlink, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, makedev, mkdirat, mknodat, umask};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{Gid, Uid, fchownat, symlinkat};

use crate::device::{Device, Name, Node};
use crate::host;
use crate::place::Place;
use crate::plan::Step;

const DIR_MODE: Mode = Mode::from_bits_truncate(0o755);

/// A file itself, whatever it is.
const ITSELF: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Carries the steps out; takes away what was made when one fails.
pub(crate) fn apply(steps: &[Step]) -> Result<Place, Fail> {
    let (mut place, rest) = match steps.split_first() {
        Some((Step::Tmpfs { target }, rest)) => (Place::tmpfs(target)?, rest),
        Some((Step::InPlace { target }, rest)) => (Place::directory(target)?, rest),
        _ => return Err(Fail::new("cannot carry out a plan without a place")),
    };
    // Modes are those of the plan; COMMAND has its umask back.
    let callers = umask(Mode::empty());
    let done = rest.iter().try_for_each(|step| carry_out(step, &mut place));
    umask(callers);
    done.inspect_err(|fail| place.undo_after(fail)).map(|()| place)
}

fn carry_out(step: &Step, place: &mut Place) -> Result<(), Fail> {
    match step {
        Step::Tmpfs { target } | Step::InPlace { target } => {
            Err(Fail::cannot("populate", target, "planned wrongly"))
        }
        Step::Mknod(node) => mknod(place, node),
        Step::Bind(node) => bind(place, node),
        Step::Link { name, to } => link(place, name, to),
        Step::Console(fd) => console(place, *fd),
        Step::NoDevices => place.forbid_devices(),
        Step::Mount { name, fstype, attr, options } => {
            let (dev, name) = (place.dev()?, OsStr::new(name));
            match mkdirat(&dev, name, DIR_MODE) {
                Ok(()) => place.made_dir(dev.as_fd(), name)?,
                Err(Errno::EEXIST) if place.is_prepared() => {}
                Err(e) => return Err(e).cannot("make directory", name),
            }
            let at = child_dir(dev.as_fd(), name).cannot("open", name)?;
            let verb = format!("mount {fstype} on");
            let mount =
                Mount::new(fstype, options.iter().map(|(k, v)| (*k, v.as_str())), *attr)
                    .cannot(&verb, name);
            let mount = if *fstype == "mqueue" {
                mount.hint_on(
                    Errno::EPERM,
                    "it takes an IPC namespace of its own: ns-run --ipc",
                )
            } else {
                mount
            }?;
            place.attach(mount, at.as_fd()).cannot(&verb, name)
        }
    }
}

/// The directory that a node lies in, and its name there.
fn parent<'n>(place: &mut Place, name: &'n Name) -> Result<(OwnedFd, &'n OsStr), Fail> {
    let mut dir = place.dev()?;
    let above = name.0.parent().unwrap_or(Path::new(""));
    for part in above.components() {
        let part = part.as_os_str();
        match mkdirat(&dir, part, DIR_MODE) {
            Ok(()) => place.made_dir(dir.as_fd(), part)?,
            Err(Errno::EEXIST) => {}
            Err(e) => return Err(e).cannot("make directory", part),
        }
        dir = child_dir(dir.as_fd(), part).cannot("open directory", part)?;
    }
    Ok((dir, name.0.file_name().unwrap_or_default()))
}

fn mknod(place: &mut Place, node: &Node) -> Result<(), Fail> {
    let verb = "make device";
    let (dir, name) = parent(place, &node.name)?;
    let Device { kind: of, major, minor } = node.device;
    let mode = Mode::from_bits_truncate(node.mode);
    match mknodat(&dir, name, of.flag(), mode, makedev(major, minor)) {
        Ok(()) => place.made_file(dir.as_fd(), name)?,
        Err(Errno::EEXIST) if place.is_prepared() => {
            return take(dir.as_fd(), name, node);
        }
        Err(e) => {
            return Err(e).cannot(verb, &node.name.0).hint_on(
                Errno::EPERM,
                "making nodes takes CAP_MKNOD in the first user namespace, use --bind",
            );
        }
    }
    let made = openat(&dir, name, ITSELF, Mode::empty()).cannot("open", &node.name.0)?;
    if place.is_prepared() {
        prove(made.as_fd(), &node.name.0, node.device)?;
    }
    let (user, group) = node.owner;
    if node.owner != (0, 0) {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        fchownat(&made, "", Some(user), Some(group), AtFlags::AT_EMPTY_PATH)
            .cannot("set owner of", &node.name.0)?;
    }
    if place.is_prepared() {
        return refuse_nodev(made.as_fd(), &node.name.0);
    }
    // A mount of its own, to which what becomes of the others does not apply.
    show(place, made.as_fd(), made.as_fd(), Attr::NONE).cannot("bind", &node.name.0)
}

/// A node that is there already will do if it is the one.
fn take(dir: BorrowedFd<'_>, name: &OsStr, node: &Node) -> Result<(), Fail> {
    let path = &node.name.0;
    let there = openat(dir, name, ITSELF, Mode::empty()).cannot("open", path)?;
    let stat = fstat(&there).cannot("read", path)?;
    if host::device(&stat) != Some(node.device) {
        return Err(in_the_way("make device", path, kind(&stat)));
    }
    if (stat.st_mode & 0o777, stat.st_uid, stat.st_gid)
        != (node.mode, node.owner.0, node.owner.1)
    {
        let reason = "it is there with another mode or owner";
        return Err(Fail::cannot("make device", path, reason).hint("remove it"));
    }
    refuse_nodev(there.as_fd(), path)
}

fn in_the_way(verb: &str, path: &Path, kind: SFlag) -> Fail {
    let what = match kind {
        SFlag::S_IFLNK => "a symbolic link",
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFREG => "a file",
        SFlag::S_IFCHR | SFlag::S_IFBLK => "another device",
        _ => "something else",
    };
    Fail::cannot(verb, path, format_args!("{what} is in its place"))
        .hint("remove it, or leave out --in-place")
}

/// On such a mount a node cannot be opened, and mknod(2) does not say so.
fn refuse_nodev(node: BorrowedFd<'_>, path: &Path) -> Result<(), Fail> {
    let flags = fstatvfs(node).cannot("read", path)?.flags();
    if flags.contains(FsFlags::ST_NODEV) {
        return Err(Fail::cannot(
            "make device",
            path,
            "it lies on a mount that is nodev",
        )
        .hint("leave out --in-place"));
    }
    Ok(())
}

fn link(place: &mut Place, name: &str, to: &str) -> Result<(), Fail> {
    let dev = place.dev()?;
    match symlinkat(to, &dev, name) {
        Ok(()) => place.made_file(dev.as_fd(), name.as_ref()),
        Err(Errno::EEXIST) if place.is_prepared() => match readlinkat(&dev, name) {
            Ok(there) if there == to => Ok(()),
            _ => Err(Fail::cannot("make link", name, "something else is in its place")
                .hint("remove it, or leave out --in-place")),
        },
        Err(e) => Err(e).cannot("make link", name),
    }
}

/// Shows a node at a place.
fn show(
    place: &mut Place,
    node: BorrowedFd<'_>,
    at: BorrowedFd<'_>,
    attr: Attr,
) -> Result<(), Errno> {
    let mount = Mount::clone_fd(node, Depth::One)?;
    mount.add(attr.and(Attr::NOSUID).and(Attr::NOEXEC), Depth::One)?;
    place.attach(mount, at)
}

fn prove(fd: BorrowedFd<'_>, path: &Path, device: Device) -> Result<(), Fail> {
    let stat = fstat(fd).cannot("read", path)?;
    if host::device(&stat) == Some(device) {
        return Ok(());
    }
    Err(Fail::cannot("use device", path, host::mismatch(device)))
}

/// Binds the host's node, once it is proved to be the device it should be.
fn bind(place: &mut Place, node: &Node) -> Result<(), Fail> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let found =
        openat(AT_FDCWD, &node.host, flags, Mode::empty()).cannot("open", &node.host)?;
    prove(found.as_fd(), &node.host, node.device)?;
    let (dir, name) = parent(place, &node.name)?;
    let at = spot(place, dir.as_fd(), name, &node.name.0)?;
    // A device can be written to on a read-only mount; its mode cannot be changed there.
    show(place, found.as_fd(), at.as_fd(), Attr::RDONLY).cannot("bind", &node.host)
}

/// An empty file to mount on; of a prepared directory also one that is there.
fn spot(
    place: &mut Place,
    dir: BorrowedFd<'_>,
    name: &OsStr,
    path: &Path,
) -> Result<OwnedFd, Fail> {
    let create = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(dir, name, create, Mode::from_bits_truncate(0o666)) {
        Ok(made) => {
            place.made_file(dir, name)?;
            Ok(made)
        }
        Err(Errno::EEXIST) if place.is_prepared() => {
            let there = openat(dir, name, ITSELF, Mode::empty()).cannot("open", path)?;
            let stat = fstat(&there).cannot("read", path)?;
            let is_empty = kind(&stat) == SFlag::S_IFREG && stat.st_size == 0;
            if is_empty || host::device(&stat).is_some() {
                return Ok(there);
            }
            Err(in_the_way("bind a device on", path, kind(&stat)))
        }
        Err(e) => Err(e).cannot("make", path),
    }
}

/// The terminal that a descriptor of the caller's is of.
///
/// The descriptor may come from another mount namespace, where nothing can be copied from:
/// then its name is looked up here, and must be the very same file (CVE-2025-52565 is what
/// comes of a name alone).
fn console(place: &mut Place, fd: RawFd) -> Result<(), Fail> {
    let verb = "bind the terminal on";
    let name = OsStr::new("console");
    let link = format!("/proc/self/fd/{fd}");
    let path = PathBuf::from(readlink(link.as_str()).cannot("read", &link)?);
    let given =
        openat(AT_FDCWD, link.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .cannot("open", &link)?;
    let dev = place.dev()?;
    let at = spot(place, dev.as_fd(), name, Path::new(name))?;
    match show(place, given.as_fd(), at.as_fd(), Attr::RDONLY) {
        Err(Errno::EINVAL | Errno::EPERM) => {}
        other => return other.cannot(verb, name),
    }
    let here = openat(AT_FDCWD, &path, ITSELF, Mode::empty()).cannot("open", &path)?;
    let (a, b) =
        (fstat(&given).cannot("read", &link)?, fstat(&here).cannot("read", &path)?);
    if (a.st_dev, a.st_ino, a.st_rdev) != (b.st_dev, b.st_ino, b.st_rdev) {
        let reason = "another file has its name here";
        return Err(
            Fail::cannot(verb, name, reason).hint("the terminal is of another /dev/pts")
        );
    }
    show(place, here.as_fd(), at.as_fd(), Attr::RDONLY).cannot(verb, name)
}
