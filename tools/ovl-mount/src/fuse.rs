//! fuse-overlayfs, where the kernel mounts no overlay: a process that serves the tree until
//! it is unmounted.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use common::chain::Chain;
use common::fail::quote;
use common::mount::Mount;
use common::spawn::{Bond, Ended, Held, Spawn};
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{FUSE_SUPER_MAGIC, fstatfs};
use nix::unistd::{dup2_stderr, pipe2, read};

use crate::stack::{Layer, Place, Stack};

const PROGRAM: &str = "fuse-overlayfs";

/// Starts it and comes back when the tree is there.
pub(crate) fn mount(stack: &Stack<'_>, place: &Place<'_>) -> Result<Mount, Fail> {
    let verb = "mount with fuse-overlayfs on";
    let command = [
        OsString::from(PROGRAM),
        "-o".into(),
        options(stack).into(),
        name(&place.fd).into(),
    ];
    let mut given: Vec<RawFd> =
        stack.lowers.iter().map(|layer| layer.fd.as_raw_fd()).collect();
    given.push(place.fd.as_raw_fd());
    given.extend(
        stack.upper.iter().flat_map(|u| [&u.upper, &u.work]).map(|l| l.fd.as_raw_fd()),
    );
    let (said, say) =
        pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).cannot(verb, place.path)?;
    match run(&command, &given, &say)? {
        Ended::Exited(0) => {}
        Ended::Exited(127) => {
            return Err(Fail::cannot(verb, place.path, "there is no fuse-overlayfs")
                .hint("install the package of that name"));
        }
        Ended::Exited(_) | Ended::Killed(_) => {
            return Err(Fail::cannot(verb, place.path, last_line(&said)));
        }
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mounted =
        openat(AT_FDCWD, place.path, flags, Mode::empty()).cannot("open", place.path)?;
    let kind = fstatfs(&mounted).cannot("read", place.path)?.filesystem_type();
    if kind != FUSE_SUPER_MAGIC {
        return Err(Fail::cannot(verb, place.path, "it is not there"));
    }
    Ok(Mount::from(mounted))
}

/// Starts a program with these descriptors and waits for its end; `say` gets its errors.
fn run(command: &[OsString], given: &[RawFd], say: &OwnedFd) -> Result<Ended, Fail> {
    let held = Held::hold().failed_to("hold signals")?;
    let spawn = Spawn { tool: "ovl-mount", flags: 0, cgroup: None, bond: Bond::Free };
    let ended = spawn
        .fork_held(&held, |_| {
            dup2_stderr(say).failed_to("redirect standard error")?;
            keep_only(given)?;
            Chain::default().exec(command)
        })
        .failed_to("fork")
        .and_then(|child| child.reap());
    held.release().failed_to("restore signals")?;
    ended
}

/// Takes it away again; an ordinary user may do that through fusermount only.
pub(crate) fn take_away(mount: &Mount) {
    if mount.take_away() == Err(Errno::EPERM)
        && let Ok((_said, say)) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
    {
        // We are there already. The failure is told; more cannot be done than to try.
        let command = ["fusermount3", "-u", "-q", "-z", "."].map(OsString::from);
        let _ = run(&command, &[], &say);
    }
}

fn name(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn options(stack: &Stack<'_>) -> String {
    let names: Vec<_> =
        stack.lowers.iter().map(|layer: &Layer| name(&layer.fd)).collect();
    let lowers = format!("lowerdir={}", names.join(":"));
    match stack.upper {
        Some(upper) => {
            let (changes, work) = (name(&upper.upper.fd), name(&upper.work.fd));
            format!("{lowers},upperdir={changes},workdir={work}")
        }
        None => lowers,
    }
}

/// What serves the tree lives on: it must not hold what the caller waits to see closed.
fn keep_only(given: &[RawFd]) -> Result<(), Fail> {
    sys::close_all_on_exec()
        .and_then(|()| given.iter().try_for_each(|fd| sys::set_cloexec(*fd, false)))
        .failed_to("hand descriptors on")
}

/// What it said last.
fn last_line(said: &OwnedFd) -> String {
    let mut all = Vec::new();
    let mut part = [0; 1024];
    while let Ok(len @ 1..) = read(said, &mut part) {
        all.extend_from_slice(part.get(..len).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&all);
    let last =
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed");
    format!("it says {}", quote(last.trim()))
}
