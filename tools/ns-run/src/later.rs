//! A mount namespace that can be kept in the one that it was made from.
//!
//! The kernel binds a mount namespace's file only in one with a smaller number, so that none
//! ever holds itself. Numbers rise with time, but since Linux 6.18 each CPU deals them out
//! of a stock of its own: made on another CPU, a later one may have the smaller number.

use std::fs::File;
use std::os::fd::AsFd;

use common::sys;
use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The number of this process's own; none where the kernel does not tell, before 6.10.
pub(crate) fn number() -> Option<u64> {
    let file = File::open("/proc/self/ns/mnt").ok()?;
    sys::mount_namespace_number(file.as_fd()).ok()
}

/// Makes another, on one CPU after the other, until one has a larger number than this.
///
/// Where that fails nothing is lost: to keep it will be refused, with its hint.
pub(crate) fn than(outside: u64) -> nix::Result<()> {
    let is_later = || number().is_none_or(|number| number > outside);
    if is_later() {
        return Ok(());
    }
    let own = sched_getaffinity(Pid::from_raw(0))?;
    for cpu in (0..CpuSet::count()).filter(|cpu| own.is_set(*cpu) == Ok(true)) {
        let mut one = CpuSet::new();
        one.set(cpu)?;
        let moved = sched_setaffinity(Pid::from_raw(0), &one);
        if moved.and_then(|()| sys::unshare(libc::CLONE_NEWNS)).is_ok() && is_later() {
            break;
        }
    }
    sched_setaffinity(Pid::from_raw(0), &own)
}
