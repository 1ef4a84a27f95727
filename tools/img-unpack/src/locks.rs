//! Locks on layers that several runs may want at a time: a byte of one file each, so
//! that a thousand of them take one descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::libc;
use nix::sys::stat::Mode;

use crate::digest::Digest;

/// The file that they are in; it stays empty.
pub(crate) const FILE: &str = "lock";

/// Held until dropped: open file description locks, fcntl(2).
pub(crate) struct Locks(OwnedFd);

impl Locks {
    pub(crate) fn open(at: BorrowedFd<'_>) -> nix::Result<Self> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(at, FILE, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(Self)
    }

    /// Takes all of them, in the one order that lets no two runs wait for each other.
    pub(crate) fn take(&self, ids: &[Digest]) -> nix::Result<()> {
        let mut bytes: Vec<i64> = ids.iter().map(Digest::offset).collect();
        bytes.sort_unstable();
        for start in bytes {
            let lock = byte(start)?;
            loop {
                match fcntl(self.0.as_fd(), FcntlArg::F_OFD_SETLKW(&lock)) {
                    Ok(_) => break,
                    Err(Errno::EINTR) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }
}

/// One byte, to be written to by nobody else.
fn byte(start: i64) -> nix::Result<libc::flock> {
    let short = |n: i32| i16::try_from(n).map_err(|_| Errno::EINVAL);
    Ok(libc::flock {
        l_type: short(libc::F_WRLCK)?,
        l_whence: short(libc::SEEK_SET)?,
        l_start: start,
        l_len: 1,
        l_pid: 0,
    })
}
