//! `floor-group v1|v2 DIR FILE VALUE PROGRAM`: the least that running a program in a new cgroup
//! takes: a group with one limit, the program born in it, the group removed. No options,
//! no checks: what `bench groups` measures cg-limit by.
#![no_main]

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::{Context, Fail, sys};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

common::entry!("floor-group", run);

#[allow(clippy::needless_pass_by_value, reason = "what entry! calls")]
fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let [_, version, dir, file, value, program] = args.as_slice() else {
        return Err(Fail::new("usage: floor-group v1|v2 DIR FILE VALUE PROGRAM"));
    };
    let group = Path::new(dir).join(format!("floor.{}", std::process::id()));
    fs::create_dir(&group).cannot("make", &group)?;
    fs::write(group.join(file), value.as_bytes()).cannot("write", file)?;
    let is_v2 = version == OsStr::new("v2");
    let opened: OwnedFd = fs::File::open(&group).cannot("open", &group)?.into();
    let into = is_v2.then(|| opened.as_fd());
    let status = match sys::fork(0, into).failed_to("fork")? {
        Some((pid, _)) => waitpid(Pid::from_raw(pid), None).failed_to("wait")?,
        None => become_program(&group, is_v2, program),
    };
    fs::remove_dir(&group).cannot("remove", &group)?;
    if !matches!(status, WaitStatus::Exited(_, 0)) {
        return Err(Fail::new("the program failed"));
    }
    Err(Fail::done())
}

fn become_program(group: &Path, is_v2: bool, program: &OsStr) -> ! {
    if !is_v2 && fs::write(group.join("tasks"), "0").is_err() {
        sys::exit_now(1);
    }
    let Ok(path) = CString::new(program.as_bytes()) else { sys::exit_now(1) };
    sys::execveat(
        nix::fcntl::AT_FDCWD,
        &path,
        std::slice::from_ref(&path),
        &sys::environ(),
    );
    sys::exit_now(127)
}
