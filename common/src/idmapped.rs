//! Idmapped mounts, mount_setattr(2): whose ids the files of a mount show.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{close, pipe2};

use crate::idmap::{self, IdMap, Source};
use crate::{Context, Fail, sys};

/// A user namespace whose map the mount gets: ids inside are those on the disk, ids outside
/// are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdMapped {
    /// One that is there: its file.
    Namespace(PathBuf),
    /// One made for it, of users and groups alike.
    Map(IdMap),
}

/// Reads a path, or ranges `DISK:SHOWN:COUNT` with `+` between them.
///
/// # Errors
/// The reason, without the text itself, which the argument parser names.
pub fn parse(text: &OsStr) -> Result<IdMapped, String> {
    if text.as_bytes().contains(&b'/') {
        return Ok(IdMapped::Namespace(text.into()));
    }
    let bad = || "not a user namespace's file, nor DISK:SHOWN:COUNT".to_owned();
    let range = |part: &str| match idmap::source(part) {
        Ok(Source::Given(range)) if part.contains(':') => Ok(range),
        _ => Err(bad()),
    };
    let ranges = text.to_str().ok_or_else(bad)?.split('+').map(range);
    ranges.collect::<Result<_, _>>().map(|ranges| IdMapped::Map(IdMap(ranges)))
}

impl IdMapped {
    /// Opens the namespace.
    pub fn userns(&self) -> Result<OwnedFd, Fail> {
        match self {
            Self::Namespace(path) => {
                let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
                open(path, flags, Mode::empty()).cannot("open", path)
            }
            Self::Map(map) => made(map),
        }
    }
}

/// A namespace is its map's only holder: a process makes it, and is gone before this returns.
fn made(map: &IdMap) -> Result<OwnedFd, Fail> {
    let why = "make a user namespace for an idmapped mount";
    let (wait, tell) = pipe2(OFlag::O_CLOEXEC).failed_to(why)?;
    let new = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    let Some((pid, child)) = sys::fork(new, None).failed_to(why)? else {
        // The end of the pipe, also where the other side was killed.
        if close(tell.as_raw_fd()).is_ok() {
            let _ = sys::read_byte(wait.as_raw_fd());
        }
        sys::exit_now(0)
    };
    let userns = map_and_open(pid, map);
    drop(tell);
    // Whatever becomes of the pipe.
    let _ = sys::pidfd_send_signal(child.as_fd(), libc::SIGKILL);
    while matches!(sys::wait_child(child.as_fd()), Ok(seen) if seen.code == 0) {
        let mut fds =
            [nix::poll::PollFd::new(child.as_fd(), nix::poll::PollFlags::POLLIN)];
        let _ = nix::poll::poll(&mut fds, nix::poll::PollTimeout::NONE);
    }
    userns
}

fn map_and_open(pid: libc::pid_t, map: &IdMap) -> Result<OwnedFd, Fail> {
    for file in ["uid_map", "gid_map"] {
        let path = format!("/proc/{pid}/{file}");
        fs::write(&path, map.to_string()).cannot("write to", path)?;
    }
    let path = format!("/proc/{pid}/ns/user");
    fs::File::open(&path).cannot("open", path).map(OwnedFd::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idmap::Range;

    #[test]
    fn a_map_is_a_file_or_ranges() {
        let range = |inside, outside, count| Range { inside, outside, count };
        let map = |ranges: &[Range]| Ok(IdMapped::Map(IdMap(ranges.to_vec())));
        let path = |path: &str| Ok(IdMapped::Namespace(path.into()));

        assert_eq!(parse("/proc/1/ns/user".as_ref()), path("/proc/1/ns/user"));
        assert_eq!(parse("0:100000:65536".as_ref()), map(&[range(0, 100_000, 65536)]));
        assert_eq!(
            parse("0:1000:1+1:100000:9".as_ref()),
            map(&[range(0, 1000, 1), range(1, 100_000, 9)])
        );
        for text in ["", "auto", "0:1", "0,1,2", "0:1:0", "0:0:1+", "+"] {
            assert!(parse(text.as_ref()).is_err(), "{text}");
        }
    }
}
