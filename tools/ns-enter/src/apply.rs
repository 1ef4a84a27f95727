//! Enters, and becomes COMMAND there.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;

use common::called::Called;
use common::chain::Chain;
use common::fail::Hint;
use common::inroot::Root;
use common::mount::{Attr, Depth, Mount, Propagation, set_propagation};
use common::nstype::Ns;
use common::spawn::{Bond, Spawn, end_like, keep_bond};
use common::{Context, Fail, entry, shell, sys};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{chdir, chroot, fchdir};

use crate::enter::enter;
use crate::open::Opened;
use crate::plan::{Plan, Step};

const UNMAPPED: &str = "the id is not mapped there: --preserve-credentials, or -S and -G";

const GROUPS: &str =
    "no ids are mapped there, or it takes CAP_SETGID: --preserve-credentials";

/// Carries the plan out.
pub(crate) fn apply(
    called: Called,
    plan: &Plan,
    opened: &Opened,
    mut chain: Chain,
    command: &[OsString],
) -> Result<Infallible, Fail> {
    for step in &plan.steps {
        carry_out(step, opened, &mut chain, command)?;
    }
    let Some(memory) = plan.fork else {
        return last(plan, opened, chain, command);
    };
    let tool = called.name;
    let spawn = Spawn { tool, flags: 0, cgroup: None, bond: Bond::DieWithParent };
    let given = chain.descriptors();
    let child = spawn
        .start(memory, &given, move |start| {
            chain.begin(start);
            last(plan, opened, chain, command).map_err(|fail| called.status(fail))
        })
        .failed_to("fork into the pid namespace")
        .hint_on(Errno::ENOMEM, "its init process has ended")?;
    Err(end_like(child.wait()?))
}

fn last(
    plan: &Plan,
    opened: &Opened,
    mut chain: Chain,
    command: &[OsString],
) -> Result<Infallible, Fail> {
    let parent = chain.parent.take();
    let mut carry =
        || plan.last.iter().try_for_each(|s| carry_out(s, opened, &mut chain, command));
    if plan.last.iter().any(|step| matches!(step, Step::Gid(_) | Step::Uid(_))) {
        // Changed ids make the kernel forget the bond.
        keep_bond(parent.as_ref().map(AsFd::as_fd), carry)?;
    } else {
        carry()?;
    }
    chain.parent = parent;
    let environ = opened.environ();
    match command {
        [] => chain.exec_shell_with(&shell::program(&environ), &environ),
        command => chain.exec_with(command, &environ),
    }
}

fn carry_out(
    step: &Step,
    opened: &Opened,
    chain: &mut Chain,
    command: &[OsString],
) -> Result<(), Fail> {
    match step {
        Step::KeepTools => chain.keep_tools(command),
        // A process inside could otherwise open what this one has open, and its binary,
        // through /proc: CVE-2016-9962, CVE-2019-5736. The exec makes it as it was.
        Step::Hide => sys::prctl(libc::PR_SET_DUMPABLE, 0, 0)
            .failed_to("hide from the inside")
            .map(drop),
        Step::Context => take_context(opened),
        Step::Enter { process, files } => {
            if !process.contains(&Ns::User) && !files.contains(&Ns::User) {
                return enter(opened, process);
            }
            // The kernel forgets the bond with the parent.
            let parent = chain.parent.as_ref().map(AsFd::as_fd);
            keep_bond(parent, || enter(opened, process))
        }
        Step::Root => change_root(opened),
        Step::WorkingDirectory => match &opened.wd {
            Some(wd) => fchdir(wd).failed_to("change to the working directory"),
            None => Ok(()),
        },
        Step::DirectoryInside(dir) => chdir(dir.as_path()).cannot("change to", dir),
        Step::JoinCgroup(dir) => join(opened, dir),
        Step::MountProc(dir) => mount_proc(dir),
        Step::LeaveGroups
        | Step::TryLeaveGroups
        | Step::Gid(_)
        | Step::Uid(_)
        | Step::HoldCaps
        | Step::KeepCaps => become_one(step),
        Step::Environment => Ok(()),
    }
}

fn become_one(step: &Step) -> Result<(), Fail> {
    let (done, what, right) = match step {
        Step::Gid(gid) => (sys::setresgid(*gid), format!("gid {gid}"), "CAP_SETGID"),
        Step::Uid(uid) => (sys::setresuid(*uid), format!("uid {uid}"), "CAP_SETUID"),
        Step::HoldCaps => {
            let done = sys::prctl(libc::PR_SET_KEEPCAPS, 1, 0);
            return done.failed_to("keep the capabilities").map(drop);
        }
        Step::KeepCaps => return keep_caps(),
        Step::TryLeaveGroups => return sys::setgroups(&[]).or(Ok(())),
        Step::LeaveGroups => {
            return sys::setgroups(&[])
                .failed_to("leave the supplementary groups")
                .hint_on(Errno::EPERM, GROUPS);
        }
        Step::KeepTools
        | Step::Hide
        | Step::Context
        | Step::Enter { .. }
        | Step::Root
        | Step::WorkingDirectory
        | Step::DirectoryInside(_)
        | Step::JoinCgroup(_)
        | Step::MountProc(_)
        | Step::Environment => return Ok(()),
    };
    done.failed_to(format_args!("become {what}"))
        .hint_on(Errno::EINVAL, UNMAPPED)
        .hint_on(Errno::EPERM, format_args!("it takes {right}"))
}

/// Ambient are only those that are permitted and inheritable, capabilities(7).
fn keep_caps() -> Result<(), Fail> {
    let [_, permitted, _] = sys::capget().failed_to("read capabilities")?;
    sys::capset([permitted; 3]).failed_to("keep the capabilities")?;
    for capability in (0..u64::BITS).filter(|number| permitted & 1 << number != 0) {
        sys::raise_ambient(capability)
            .failed_to(format_args!("keep capability {capability}"))
            .hint_on(Errno::EPERM, "securebits(7) forbid ambient ones")?;
    }
    Ok(())
}

/// The kernel takes it for the next exec of this thread alone, and of a child's.
fn take_context(opened: &Opened) -> Result<(), Fail> {
    let Some(context) = &opened.context else { return Ok(()) };
    let path = "/proc/thread-self/attr/exec";
    std::fs::write(path, context).cannot("write", path)
}

fn join(opened: &Opened, dir: &Path) -> Result<(), Fail> {
    let Some((_, procs)) = opened.cgroups.iter().find(|(path, _)| path == dir) else {
        return Ok(());
    };
    // 0 is who writes.
    entry::write_all(std::os::fd::AsRawFd::as_raw_fd(procs), b"0")
        .cannot("join cgroup", dir)
        .hint_on(Errno::EOPNOTSUPP, "it is threaded, or has controllers for groups below")
        .hint_on(Errno::EBUSY, "it has controllers for groups below")
        .hint_on(Errno::EAGAIN, "its limit of processes is reached")
        .hint_on(Errno::EACCES, "it takes root, or a delegated cgroup")
}

/// Into the directory first: a relative path from outside must not lead out again.
fn change_root(opened: &Opened) -> Result<(), Fail> {
    let Some(root) = &opened.root else { return Ok(()) };
    fchdir(root)
        .and_then(|()| chroot("."))
        .failed_to("change to the root directory")
        .hint_on(Errno::EPERM, "it takes CAP_SYS_CHROOT: be root, or add --user")
}

/// In a mount namespace of its own: the process must not see it.
fn mount_proc(dir: &Path) -> Result<(), Fail> {
    sys::unshare(libc::CLONE_NEWNS)
        .failed_to("make a mount namespace for proc")
        .hint_on(Errno::EPERM, "it takes CAP_SYS_ADMIN: be root, or add --user")
        .hint_on(Errno::ENOSPC, "see user.max_mnt_namespaces of sysctl(8)")?;
    set_propagation(Path::new("/"), Propagation::Private, Depth::Tree)
        .cannot("make private", "/")
        .hint_on(Errno::EINVAL, "/ is no mount there")?;
    // The root may be an image's: its links stay inside.
    let at = Root::open(Path::new("/")).and_then(|root| root.dir(dir));
    let at = at.cannot("open", dir)?;
    let attr = Attr::NOSUID.and(Attr::NODEV).and(Attr::NOEXEC);
    Mount::new("proc", [], attr)
        .and_then(|proc| proc.attach(at.as_fd()))
        .cannot("mount proc on", dir)
        .hint_on(
            Errno::EPERM,
            "it takes --pid of a process whose own /proc hides nothing",
        )
}
