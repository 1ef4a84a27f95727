//! Copies what an image has in a directory, by descriptor and without following a link.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use common::inroot::kind;
use common::{entry, sys};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{
    FileStat, Mode, SFlag, fchmod, fstat, fstatat, futimens, mkdirat, mknodat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

/// Deeper than any image, and less than what descriptors and the stack allow.
const MOST_LEVELS: usize = 200;
const BLOCK: usize = 1 << 16;

const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const READ_DIR: OFlag = READ.union(OFlag::O_DIRECTORY);

/// Copies all that is in a directory, and what the directory itself is like. Devices and
/// sockets are left out: there is nothing in them to keep.
///
/// # Errors
/// Those of the system calls; `ENAMETOOLONG` where it is nested too deeply.
pub(crate) fn tree(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    level(from, to, MOST_LEVELS)
}

fn level(from: &OwnedFd, to: &OwnedFd, levels: usize) -> Result<(), Errno> {
    let levels = levels.checked_sub(1).ok_or(Errno::ENAMETOOLONG)?;
    let list = from.try_clone().map_err(|_| Errno::EMFILE)?;
    for entry in Dir::from_fd(list)?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        match kind(&stat) {
            SFlag::S_IFDIR => {
                mkdirat(to, name, Mode::S_IRWXU)?;
                let below = openat(from, name, READ_DIR, Mode::empty())?;
                let made = openat(to, name, READ_DIR, Mode::empty())?;
                level(&below, &made, levels)?;
            }
            SFlag::S_IFREG => file(from, to, name)?,
            SFlag::S_IFLNK => {
                symlinkat(&*readlinkat(from, name)?, to, name)?;
                own(to, name, &stat)?;
            }
            SFlag::S_IFIFO => {
                let mode = Mode::from_bits_truncate(stat.st_mode & 0o7777);
                mknodat(to, name, SFlag::S_IFIFO, mode, 0)?;
                own(to, name, &stat)?;
            }
            _ => {}
        }
    }
    // Last: what is made in a directory changes its times.
    like(from, to)
}

fn file(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    let source = openat(from, name, READ | OFlag::O_NONBLOCK, Mode::empty())?;
    if kind(&fstat(&source)?) != SFlag::S_IFREG {
        return Err(Errno::EAGAIN);
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let made = openat(to, name, flags | OFlag::O_NOFOLLOW, Mode::S_IRUSR)?;
    let mut block = vec![0; BLOCK];
    loop {
        match nix::unistd::read(&source, &mut block) {
            Ok(0) => break,
            Ok(len) => {
                entry::write_all(made.as_raw_fd(), block.get(..len).unwrap_or_default())?;
            }
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
    like(&source, &made)
}

/// Owner before mode and attributes: a change of owner takes set-user-ID bits and
/// capabilities away.
fn like(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let stat = fstat(from)?;
    fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fchmod(to, Mode::from_bits_truncate(stat.st_mode & 0o7777))?;
    attributes(from, to)?;
    let time = |seconds, nanos| TimeSpec::new(seconds, nanos);
    futimens(
        to,
        &time(stat.st_atime, stat.st_atime_nsec),
        &time(stat.st_mtime, stat.st_mtime_nsec),
    )
}

fn own(dir: &OwnedFd, name: &CStr, stat: &FileStat) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fchownat(dir, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// Those that belong to the file, not to this system's overlays and labels.
fn attributes(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let mut names = vec![0; 65536];
    let len = match sys::flistxattr(from.as_fd(), &mut names) {
        Err(Errno::EOPNOTSUPP) => return Ok(()),
        other => other?,
    };
    for name in names.get(..len).unwrap_or_default().split(|b| *b == 0) {
        let is_own = (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
            || name.starts_with(b"system.posix_acl_")
            || name == b"security.capability";
        let Some(name) = CString::new(name).ok().filter(|_| is_own) else { continue };
        let mut value = vec![0; 65536];
        let len = sys::fgetxattr(from.as_fd(), &name, &mut value)?;
        sys::fsetxattr(to.as_fd(), &name, value.get(..len).unwrap_or_default())?;
    }
    Ok(())
}
