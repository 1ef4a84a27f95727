//! The work directory: ours alone, and cleared where that is asked for.

use std::os::fd::AsFd;

use common::fail::{Hint, quote};
use common::{Context, Fail, remove, sys};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::libc::{LOCK_EX, LOCK_NB};
use nix::sys::stat::{Mode, fstatat};

use crate::stack::{Stack, Writable};

/// What overlayfs makes in a work directory.
const MADE: [&str; 2] = ["work", "index"];

/// Sees to it that no other overlay has the directories, nor is about to take them.
///
/// Without an index the kernel lets two overlays share them, which ruins both. The lock
/// is for two of us at the same time; it ends with this program, when the kernel's own
/// mark on the directories has long been there to be found.
pub(crate) fn claim(stack: &Stack<'_>, upper: &Writable) -> Result<(), Fail> {
    let verb = "use";
    let Writable { upper: changes, work, .. } = upper;
    sys::flock(work.fd.as_fd(), LOCK_EX | LOCK_NB)
        .cannot(verb, &work.path)
        .hint_on(Errno::EWOULDBLOCK, "another ovl-mount is about to mount it")?;
    // What was made just now nobody can have, nor a work directory without its mark.
    let is_fresh = |name| fstatat(&work.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_err();
    let is_work_fresh = upper.is_new || is_fresh("work");
    let is_taken = |dir, is_fresh: bool| !is_fresh && stack.is_in_use(dir);
    for (dir, is_fresh) in [(work, is_work_fresh), (changes, upper.is_new)] {
        if is_taken(dir, is_fresh) {
            return Err(Fail::cannot(verb, &dir.path, Errno::EBUSY.desc())
                .hint("another overlay is mounted with it"));
        }
    }
    Ok(())
}

/// Removes what overlays made there, and nothing that anybody else did.
pub(crate) fn reset(upper: &Writable) -> Result<(), Fail> {
    let work = &upper.work;
    let verb = "clear work directory";
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let list = openat(&work.fd, ".", flags, Mode::empty())
        .and_then(Dir::from_fd)
        .cannot(verb, &work.path)?;
    for entry in list {
        let entry = entry.cannot(verb, &work.path)?;
        let name = entry.file_name().to_string_lossy();
        if ![".", ".."].contains(&&*name) && !MADE.contains(&&*name) {
            return Err(Fail::cannot(
                verb,
                &work.path,
                format_args!("it has {}", quote(&*name)),
            )
            .hint("that is no work of an overlay's: is it the right directory?"));
        }
    }
    for name in MADE {
        remove::tree(work.fd.as_fd(), name.as_bytes())
            .cannot(verb, &work.path)
            .hint_on(Errno::EACCES, "what is in it is another user's")
            .hint_on(Errno::EPERM, "what is in it is another user's")?;
    }
    Ok(())
}
