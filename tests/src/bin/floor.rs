//! `floor OPTIONS PID COMMAND [ARG]…`: what ns-run or ns-enter call for some options, and
//! nothing else: no command line, no plan, no chain, no signals, no messages.
//!
//! It is what `bench` measures the tools by: where the kernel's own part of the work is as
//! long as a peer takes, nobody can be faster.
#![no_main]

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use common::{Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::libc::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
    CLONE_NEWUSER, CLONE_NEWUTS,
};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid, write};

common::entry!("floor", run);

const NONE: Option<&str> = None;

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let mut words = args.into_iter().skip(1);
    let (Some(options), Some(pid)) = (words.next(), words.next()) else {
        return Err(Fail::exit(2));
    };
    let command = words.filter_map(|word| CString::new(word.into_vec()).ok()).collect();
    let status = Floor { options, pid, command }.run();
    Err(Fail::exit(status.unwrap_or(1)))
}

struct Floor {
    options: OsString,
    pid: OsString,
    command: Vec<CString>,
}

impl Floor {
    fn run(&self) -> Result<u8, Errno> {
        match self.options.to_str() {
            Some("-r") => {
                mapped(0)?;
                self.exec()
            }
            Some("-fp --mount-proc") => {
                sys::unshare(CLONE_NEWPID | CLONE_NEWNS)?;
                self.wait(|| private().and_then(|()| proc()))
            }
            Some("-Urmnpuif") => {
                let some = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET;
                mapped(some | CLONE_NEWUTS | CLONE_NEWIPC)?;
                self.wait(|| private().and_then(|()| sys::loopback_up()))
            }
            Some("-n") => {
                self.enter(CLONE_NEWNET)?;
                self.exec()
            }
            Some("-p") => {
                self.enter(CLONE_NEWPID)?;
                self.wait(|| Ok(()))
            }
            Some("-a") => {
                let some = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET;
                self.enter(some | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP)?;
                self.wait(|| Ok(()))
            }
            Some(_) | None => Err(Errno::EINVAL),
        }
    }

    fn exec(&self) -> Result<u8, Errno> {
        let program = self.command.first().ok_or(Errno::ENOENT)?;
        Err(sys::execveat(AT_FDCWD, program, &self.command, &sys::environ()))
    }

    fn wait(&self, inside: impl FnOnce() -> Result<(), Errno>) -> Result<u8, Errno> {
        let child = || inside().and_then(|()| self.exec()).unwrap_or(1);
        let (pid, _) = sys::vfork(child, &[])?;
        let status = waitpid(Pid::from_raw(pid), None)?;
        Ok(u8::from(!matches!(status, WaitStatus::Exited(_, 0))))
    }

    fn enter(&self, flags: i32) -> Result<(), Errno> {
        let pid = self.pid.to_str().and_then(|pid| pid.parse().ok());
        sys::setns(sys::pidfd_open(pid.ok_or(Errno::EINVAL)?)?.as_fd(), flags)
    }
}

/// New namespaces, a user namespace with them, where the caller is root.
fn mapped(flags: i32) -> Result<(), Errno> {
    let (uid, gid) = (geteuid(), getegid());
    sys::unshare(flags | CLONE_NEWUSER)?;
    let put = |path: &str, text: &str| {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let file = openat(AT_FDCWD, path, flags, Mode::empty())?;
        write(file, text.as_bytes()).map(drop)
    };
    put("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    put("/proc/self/setgroups", "deny")?;
    put("/proc/self/gid_map", &format!("0 {gid} 1"))
}

fn private() -> Result<(), Errno> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
}

fn proc() -> Result<(), Errno> {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), quiet, NONE)
}
