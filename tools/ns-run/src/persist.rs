//! Namespaces that outlive their processes: their files in /proc, bind-mounted outside.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use common::fail::Hint;
use common::nstype::Ns;
use common::{Context, Fail};
use nix::errno::Errno;
use nix::libc::pid_t;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::plan::Kept;

const NONE: Option<&str> = None;

/// What was done so far, to be undone from its end.
pub(crate) enum Done {
    Directory(PathBuf),
    File(PathBuf),
    Mount(PathBuf),
}

/// Keeps the namespaces of a process; all of them, or none and nothing is left.
///
/// Where it was moved into them, not made in them, the ones for its children are meant.
pub(crate) fn keep(
    kept: &[Kept],
    directory: Option<&Path>,
    pid: pid_t,
    is_made_there: bool,
) -> Result<Vec<Done>, Fail> {
    let mut done = Vec::new();
    let all =
        directory.map_or(Ok(()), |dir| make_directory(dir, &mut done)).and_then(|()| {
            kept.iter().try_for_each(|k| one(k, pid, is_made_there, &mut done))
        });
    match all {
        Ok(()) => Ok(done),
        Err(fail) => {
            undo(done);
            Err(fail)
        }
    }
}

fn make_directory(dir: &Path, done: &mut Vec<Done>) -> Result<(), Fail> {
    match fs::create_dir(dir) {
        Ok(()) => done.push(Done::Directory(dir.to_owned())),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e).cannot("make directory", dir),
    }
    Ok(())
}

fn one(
    kept: &Kept,
    pid: pid_t,
    is_made_there: bool,
    done: &mut Vec<Done>,
) -> Result<(), Fail> {
    let file = match (kept.ns, is_made_there) {
        (Ns::Pid, false) => "pid_for_children",
        (Ns::Time, false) => "time_for_children",
        _ => kept.ns.kind().file,
    };
    let (source, at) = (PathBuf::from(format!("/proc/{pid}/ns/{file}")), &kept.file);
    let new = OpenOptions::new().write(true).create_new(true).mode(0o444).open(at);
    match new {
        Ok(_) => done.push(Done::File(at.clone())),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e).cannot("make", at),
    }
    let bind = |from: &Path| mount(Some(from), at, NONE, MsFlags::MS_BIND, NONE);
    let mut bound = bind(&source);
    if bound == Err(Errno::EINVAL) && kept.ns == Ns::Mount {
        // Where mounts are shared, one of a mount namespace would have to be copied, and
        // may not be: on a private mount of the file's own it need not.
        bind(at).cannot("mount", at)?;
        done.push(Done::Mount(at.clone()));
        mount(NONE, at, NONE, MsFlags::MS_PRIVATE, NONE).cannot("make private", at)?;
        bound = bind(&source);
    }
    bound
        .cannot(&format!("keep the {} namespace by", kept.ns.kind().file), at)
        .hint_on(Errno::EPERM, "it takes CAP_SYS_ADMIN outside, see mount_namespaces(7)")
        .hint_on(
            Errno::EINVAL,
            "a mount namespace keeps only later ones, and no CPU that is allowed here makes one",
        )?;
    done.push(Done::Mount(at.clone()));
    Ok(())
}

/// Takes away what was done.
pub(crate) fn undo(done: Vec<Done>) {
    // The failure that led here is what is told.
    for step in done.into_iter().rev() {
        let _ = match step {
            Done::Mount(at) => umount2(&at, MntFlags::MNT_DETACH).map_err(Into::into),
            Done::File(at) => fs::remove_file(at),
            Done::Directory(at) => fs::remove_dir(at),
        };
    }
}
