//! Removes the groups of cg-limits that were killed before they could do so.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::{LOCK_EX, LOCK_NB};
use nix::sys::signal::kill;
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::clean::{Deadline, processes, remove_tree};
use crate::discover::Version;
use crate::host::{Tree, maker, trees};

/// Looks wherever a group would be made.
pub(crate) fn collect() -> Result<(), Fail> {
    for parent in trees(&[])?.iter().flat_map(parents) {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if let Some(pid) = maker(&name)
                && is_left(&path, pid)
            {
                remove_tree(&path, &Deadline::after(Duration::ZERO))?;
            }
        }
    }
    Ok(())
}

/// Wherever a group may have been made, as seen from here.
pub(crate) fn parents(tree: &Tree) -> Vec<PathBuf> {
    let Some(place) = &tree.place else { return Vec::new() };
    let beside = place.own.parent().filter(|dir| dir.starts_with(&place.mount));
    let beside = beside.filter(|_| tree.version == Version::V2);
    std::iter::once(place.own.as_path()).chain(beside).map(Path::to_owned).collect()
}

/// Whether nobody is in a group and its maker is dead.
///
/// The maker holds a lock on the directory as long as it lives, which tells the truth
/// in every pid namespace; its pid tells between the making and the locking.
fn is_left(group: &Path, pid: i32) -> bool {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let Ok(dir) = open(group, flags, Mode::empty()) else { return false };
    let is_free = sys::flock(dir.as_fd(), LOCK_EX | LOCK_NB).is_ok();
    is_free && !is_cg_limit(pid) && processes(group).is_empty()
}

fn is_cg_limit(pid: i32) -> bool {
    // A later process may have the number.
    kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
        && fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|n| n == "cg-limit\n")
}
