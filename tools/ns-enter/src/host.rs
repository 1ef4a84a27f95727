//! The process to be entered: everything that is needed of it is opened before a step.

use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use common::fail::Hint;
use common::nstype::{KINDS, Ns};
use common::{Context, Fail, shell, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use crate::cli::Cli;

const CAP_SETGID: u32 = 6;
const PERMISSION: &str = "it takes its user, or CAP_SYS_PTRACE over it";

/// What was opened of the process.
#[derive(Debug)]
pub struct Target {
    /// It, even after its id was given to another.
    pub pidfd: OwnedFd,
    /// Its root directory, where it is wanted.
    pub root: Option<OwnedFd>,
    /// Its working directory, where it is wanted.
    pub wd: Option<OwnedFd>,
}

/// The facts that the plan depends on.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The kinds in which the process lives elsewhere; known with --all only.
    pub foreign: Vec<Ns>,
    /// Its user namespace denies setgroups(2).
    pub setgroups_denied: bool,
    /// Whether we may call setgroups(2) where we are; known if it is denied there.
    pub may_setgroups: bool,
    /// What runs where no COMMAND was given.
    pub shell: Option<OsString>,
}

/// Opens the process and reads what the options make necessary.
pub fn read(cli: &Cli) -> Result<(Target, Host), Fail> {
    let pid = cli.target;
    let pidfd = sys::pidfd_open(pid)
        .cannot("open process", pid.to_string())
        .hint_on(Errno::EINVAL, "it is a thread of a process")
        .hint_on(Errno::ENOENT, "it is a thread of a process")?;
    let directory = |wanted: bool, name: &str| {
        let path = format!("/proc/{pid}/{name}");
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        wanted
            .then(|| {
                openat(AT_FDCWD, path.as_str(), flags, Mode::empty())
                    .cannot("open", &path)
                    .hint_on(Errno::EACCES, PERMISSION)
            })
            .transpose()
    };
    let target = Target {
        root: directory(cli.root, "root")?,
        wd: directory(cli.wd, "cwd")?,
        pidfd,
    };
    let mut host = Host::default();
    if cli.all {
        host.foreign = foreign(pid)?;
    }
    let is_user = cli.user || host.foreign.contains(&Ns::User);
    if is_user && !cli.preserve_credentials {
        host.setgroups_denied = is_denied(&pid.to_string())?;
    }
    if host.setgroups_denied {
        let [effective, ..] = sys::capget().failed_to("read capabilities")?;
        host.may_setgroups = effective & 1 << CAP_SETGID != 0 && !is_denied("self")?;
    }
    if cli.link.command.is_empty() {
        host.shell = Some(shell::program());
    }
    if !is_user && !cli.all && !cli.root && !cli.wd {
        return Ok((target, host));
    }
    // What /proc said was said of this process only if it was there all the time.
    match sys::pidfd_send_signal(target.pidfd.as_fd(), 0) {
        Ok(()) | Err(Errno::EPERM) => Ok((target, host)),
        Err(e) => Err(e).cannot("enter process", pid.to_string()),
    }
}

fn is_denied(process: &str) -> Result<bool, Fail> {
    let path = format!("/proc/{process}/setgroups");
    let file = openat(
        AT_FDCWD,
        path.as_str(),
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .cannot("open", &path)?;
    let mut rule = [0; 4];
    let len = nix::unistd::read(&file, &mut rule).cannot("read", &path)?;
    Ok(rule.get(..len) == Some(b"deny"))
}

fn foreign(pid: i32) -> Result<Vec<Ns>, Fail> {
    let mut foreign = Vec::new();
    for kind in &KINDS {
        // A kind that this kernel does not know cannot differ.
        let Ok(ours) = fs::metadata(format!("/proc/self/ns/{}", kind.file)) else {
            continue;
        };
        let path = format!("/proc/{pid}/ns/{}", kind.file);
        let theirs = fs::metadata(&path)
            .cannot("read", path)
            .hint_on(Errno::EACCES, PERMISSION)
            .hint_on(Errno::ENOENT, "the process has ended")?;
        if (ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino()) {
            foreign.push(kind.ns);
        }
    }
    Ok(foreign)
}
