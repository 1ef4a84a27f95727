//! Which namespace was refused, and by which rule.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use common::nstype::{Ns, flags};
use common::{Fail, sys};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;

use crate::cli::option;
use crate::find::Process;

const CAP_SYS_CHROOT: u32 = 18;
const CAP_SYS_ADMIN: u32 = 21;

/// The failure to enter several namespaces of a process at once.
pub(crate) fn process(process: &Process, kinds: &[Ns], errno: Errno) -> Fail {
    let has_user = kinds.contains(&Ns::User);
    let tried =
        kinds.iter().find_map(|ns| Some((*ns, try_alone(process, *ns, has_user)?)));
    let pid = process.pid;
    let Some((ns, errno)) = tried else {
        let what = format!("cannot enter the namespaces of process {pid}");
        let fail = Fail::os(what, errno);
        return if errno == Errno::ESRCH { fail.hint("it has ended") } else { fail };
    };
    let file = process.namespace(ns).ok();
    let fail = Fail::os(what(ns, Some(pid)), errno);
    explained(fail, ns, file.as_ref().map(File::as_fd), has_user)
}

/// What cannot be done.
pub(crate) fn what(ns: Ns, pid: Option<i32>) -> String {
    let of = pid.map(|pid| format!(" of process {pid}")).unwrap_or_default();
    format!("cannot enter the {} namespace{of}", ns.kind().file)
}

/// Adds the rule to a failure.
pub(crate) fn explained(
    fail: Fail,
    ns: Ns,
    file: Option<BorrowedFd<'_>>,
    has_user: bool,
) -> Fail {
    let rule = match (fail.errno, ns) {
        (Some(Errno::EPERM), Ns::User) => Some(made_by(file)),
        (Some(Errno::EPERM), _) => Some(owned_by(ns, file, has_user)),
        (Some(Errno::EINVAL), Ns::User) => {
            Some("it is ours already: leave --user away".to_owned())
        }
        (Some(Errno::EINVAL), Ns::Pid) => {
            Some("it does not lie below our own pid namespace".to_owned())
        }
        (Some(Errno::ESRCH), _) => Some("it has ended".to_owned()),
        _ => None,
    };
    match rule {
        Some(rule) => fail.hint(rule),
        None => fail,
    }
}

/// A user namespace is entered by who has `CAP_SYS_ADMIN` in it: in its parent, or by
/// having made it. user_namespaces(7)
fn made_by(file: Option<BorrowedFd<'_>>) -> String {
    match file.map(sys::owner_of) {
        Some(Ok(uid)) => format!("it takes root, or uid {uid} who made it"),
        _ => "it takes root, or the user who made it".to_owned(),
    }
}

/// Any other takes `CAP_SYS_ADMIN` in the user namespace that owns it and in one's own.
fn owned_by(ns: Ns, file: Option<BorrowedFd<'_>>, has_user: bool) -> String {
    let lacks = |capability: u32| {
        sys::capget().is_ok_and(|[effective, ..]| effective & 1 << capability == 0)
    };
    let owner = file.map(sys::userns_of);
    let inode = |fd: BorrowedFd<'_>| fstat(fd).ok().map(|file| file.st_ino);
    let ours = fs::metadata("/proc/self/ns/user").ok().map(|file| file.ino());
    match owner {
        Some(Err(Errno::EPERM)) => {
            "the user namespace that owns it lies outside of ours".to_owned()
        }
        Some(Ok(owner)) if inode(owner.as_fd()) == ours => {
            let missing =
                if ns == Ns::Mount && !lacks(CAP_SYS_ADMIN) && lacks(CAP_SYS_CHROOT) {
                    "CAP_SYS_CHROOT"
                } else {
                    "CAP_SYS_ADMIN"
                };
            format!("our own user namespace owns it, which takes {missing}: be root")
        }
        Some(Ok(_)) if !has_user => {
            "another user namespace owns it: add --user".to_owned()
        }
        None if !has_user && lacks(CAP_SYS_ADMIN) => {
            "it takes CAP_SYS_ADMIN: be root, or add --user".to_owned()
        }
        // Its file cannot be opened: ptrace(2), "Ptrace access mode checking".
        None if !lacks(CAP_SYS_ADMIN) => {
            "it takes CAP_SYS_PTRACE over it, and every capability that it has".to_owned()
        }
        _ => format!("it takes CAP_SYS_ADMIN over it: leave {} away", option(ns)),
    }
}

/// Why it is refused on its own, or with the user namespace; tried where nothing is lost.
fn try_alone(process: &Process, ns: Ns, has_user: bool) -> Option<Errno> {
    let kinds = if has_user && ns != Ns::User { vec![Ns::User, ns] } else { vec![ns] };
    let pidfd = process.pidfd.as_fd();
    let Some((_, helper)) = sys::fork(0, None).ok()? else {
        let errno = sys::setns(pidfd, flags(&kinds)).err();
        let number = errno.and_then(|e| std::io::Error::from(e).raw_os_error());
        sys::exit_now(number.and_then(|n| u8::try_from(n).ok()).unwrap_or(0))
    };
    let mut fds = [PollFd::new(helper.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
    let ended = sys::wait_child(helper.as_fd()).ok()?;
    (ended.status != 0).then(|| Errno::from_raw(ended.status))
}
