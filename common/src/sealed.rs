//! The directory that this program was started from, where nothing can be changed.

use std::ffi::OsStr;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::mount::{Attr, Depth, Mount};
use crate::{Fail, sys};

/// This program's file, links resolved.
///
/// # Errors
/// Where neither /proc nor what it was executed by tells.
pub fn own_file() -> Result<PathBuf, Fail> {
    let exe = nix::fcntl::readlink("/proc/self/exe").ok().map(PathBuf::from);
    let exe = exe.filter(|path| path.is_absolute() && path.exists()).or_else(|| {
        let path = sys::execfn()?.to_bytes();
        (!path.starts_with(b"/dev/fd/"))
            .then(|| Path::new(OsStr::from_bytes(path)).to_owned())
    });
    exe.ok_or_else(|| {
        Fail::new("cannot tell where the tools are")
            .hint("mount /proc, or name COMMAND by its path")
    })
}

/// The directory that this program was started from, links resolved.
///
/// # Errors
/// As [`own_file`].
pub fn own_directory() -> Result<PathBuf, Fail> {
    let file = own_file()?;
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    Ok(dir.unwrap_or(Path::new(".")).to_owned())
}

/// A detached clone of a directory through which nothing can be changed.
///
/// An ordinary user may not clone a mount of the host's, but the copy that a user and
/// mount namespace of their own makes of it, which a helper is forked for.
///
/// # Errors
/// Where user namespaces are not allowed either.
pub fn seal(directory: &Path) -> Result<OwnedFd, Errno> {
    match seal_here(directory) {
        Err(Errno::EPERM) => seal_apart(directory),
        other => other,
    }
}

fn seal_here(directory: &Path) -> Result<OwnedFd, Errno> {
    let clone = Mount::clone_path(directory, Depth::One)?;
    clone.add(Attr::RDONLY.and(Attr::NOSUID).and(Attr::NODEV), Depth::One)?;
    Ok(clone.into())
}

fn seal_apart(directory: &Path) -> Result<OwnedFd, Errno> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let shared = u64::from(libc::CLONE_FILES.cast_unsigned());
    let Some((_, helper)) = sys::fork(shared, None)? else {
        // It shares our descriptors: what it opens is ours, and nothing is dropped here.
        let own = libc::CLONE_NEWUSER | libc::CLONE_NEWNS;
        if let Ok(clone) = sys::unshare(own).and_then(|()| seal_here(directory)) {
            let _ = nix::unistd::write(&writer, &clone.into_raw_fd().to_ne_bytes());
        }
        sys::exit_now(0)
    };
    let mut fds = [PollFd::new(helper.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
    // Where SIGCHLD is ignored, the kernel has reaped it.
    let _ = sys::wait_child(helper.as_fd());
    let mut number = [0; size_of::<RawFd>()];
    match nix::unistd::read(&reader, &mut number) {
        Ok(len) if len == number.len() => sys::adopt(RawFd::from_ne_bytes(number)),
        _ => Err(Errno::EPERM),
    }
}

/// Whether a directory is such a clone.
pub fn is_sealed(dir: impl AsFd) -> bool {
    let sealed = FsFlags::ST_RDONLY | FsFlags::ST_NOSUID;
    fstatvfs(dir).is_ok_and(|fs| fs.flags().contains(sealed))
}
