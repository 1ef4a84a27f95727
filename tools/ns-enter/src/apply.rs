//! Enters, and becomes COMMAND there.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};

use common::chain::Chain;
use common::fail::Hint;
use common::nstype::{Ns, flags};
use common::spawn::{Bond, Spawn, end_like, keep_bond};
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{chroot, fchdir};

use crate::host::Target;
use crate::plan::{Plan, Step};

const UNMAPPED: &str = "the id is not mapped there: --preserve-credentials, or -S and -G";

const GROUPS: &str =
    "no ids are mapped there, or it takes CAP_SETGID: --preserve-credentials";

/// What is run at the end.
pub(crate) enum Command<'a> {
    /// COMMAND and its arguments.
    Given(&'a [OsString]),
    /// The user's shell.
    Shell(&'a OsStr),
}

/// Carries the plan out.
pub(crate) fn apply(
    plan: &Plan,
    target: &Target,
    mut chain: Chain,
    command: &Command<'_>,
) -> Result<Infallible, Fail> {
    for step in &plan.steps {
        carry_out(step, plan.pid, target, &mut chain, command)?;
    }
    if !plan.fork {
        return last(plan, chain, command);
    }
    let spawn =
        Spawn { tool: "ns-enter", flags: 0, cgroup: None, bond: Bond::DieWithParent };
    let child = spawn
        .fork(|parent| {
            let mut chain = chain;
            chain.parent = Some(parent);
            last(plan, chain, command)
        })
        .failed_to("fork into the pid namespace")
        .hint_on(Errno::ENOMEM, "its init process has ended")?;
    Err(end_like(child.wait()?))
}

fn last(plan: &Plan, chain: Chain, command: &Command<'_>) -> Result<Infallible, Fail> {
    if !plan.last.is_empty() {
        // Changed ids make the kernel forget the bond.
        let parent = chain.parent.as_ref().map(AsFd::as_fd);
        keep_bond(parent, || plan.last.iter().try_for_each(become_one))?;
    }
    match command {
        Command::Given(command) => chain.exec(command),
        Command::Shell(shell) => chain.exec_shell(shell),
    }
}

fn carry_out(
    step: &Step,
    pid: i32,
    target: &Target,
    chain: &mut Chain,
    command: &Command<'_>,
) -> Result<(), Fail> {
    match step {
        Step::KeepTools => match command {
            Command::Given(command) => chain.keep_tools(command),
            Command::Shell(_) => Ok(()),
        },
        // A process inside could otherwise open what this one has open, and its binary,
        // through /proc: CVE-2016-9962, CVE-2019-5736. The exec makes it as it was.
        Step::Hide => sys::prctl(libc::PR_SET_DUMPABLE, 0, 0)
            .failed_to("hide from the inside")
            .map(drop),
        // A change of the user namespace makes the kernel forget the bond.
        Step::Enter(kinds) => keep_bond(chain.parent.as_ref().map(AsFd::as_fd), || {
            enter(pid, target.pidfd.as_fd(), kinds)
        }),
        Step::Root => change_root(target),
        Step::WorkingDirectory => match &target.wd {
            Some(wd) => fchdir(wd).failed_to("change to the working directory"),
            None => Ok(()),
        },
        Step::LeaveGroups | Step::Gid(_) | Step::Uid(_) => become_one(step),
    }
}

fn become_one(step: &Step) -> Result<(), Fail> {
    let (done, what, right) = match step {
        Step::LeaveGroups => {
            return sys::setgroups(&[])
                .failed_to("leave the supplementary groups")
                .hint_on(Errno::EPERM, GROUPS);
        }
        Step::Gid(gid) => (sys::setresgid(*gid), format!("gid {gid}"), "CAP_SETGID"),
        Step::Uid(uid) => (sys::setresuid(*uid), format!("uid {uid}"), "CAP_SETUID"),
        Step::KeepTools
        | Step::Hide
        | Step::Enter(_)
        | Step::Root
        | Step::WorkingDirectory => return Err(Fail::new("cannot become a namespace")),
    };
    done.failed_to(format_args!("become {what}"))
        .hint_on(Errno::EINVAL, UNMAPPED)
        .hint_on(Errno::EPERM, format_args!("it takes {right}"))
}

fn enter(pid: i32, pidfd: BorrowedFd<'_>, kinds: &[Ns]) -> Result<(), Fail> {
    let has_user = kinds.contains(&Ns::User);
    let (on_eperm, on_einval) = if has_user {
        (
            "it takes root, or the user who made the user namespace",
            "its user namespace is ours already: leave --user away",
        )
    } else {
        ("it takes CAP_SYS_ADMIN: be root, or add --user", "it takes Linux 5.8")
    };
    sys::setns(pidfd, flags(kinds))
        .cannot("enter the namespaces of process", pid.to_string())
        .hint_on(Errno::ESRCH, "it has ended")
        .hint_on(Errno::EPERM, on_eperm)
        .hint_on(Errno::EINVAL, on_einval)
}

/// Into the directory first: a relative path from outside must not lead out again.
fn change_root(target: &Target) -> Result<(), Fail> {
    let Some(root) = &target.root else { return Ok(()) };
    fchdir(root)
        .and_then(|()| chroot("."))
        .failed_to("change to the root directory")
        .hint_on(Errno::EPERM, "it takes CAP_SYS_CHROOT: be root, or add --user")
}
