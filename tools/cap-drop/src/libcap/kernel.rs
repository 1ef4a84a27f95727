//! The capabilities of this process, asked of the kernel and told to it.

use common::sys;
use nix::errno::Errno;
use nix::libc;

use super::{Iab, Sets, known};
use crate::describe::KNOWN;
use crate::sets::CapSet;
use crate::state;
pub(crate) use crate::state::{is_ambient, is_bounding};

/// capget(2) of a process; 0 is this one.
pub(crate) fn sets_of(pid: libc::pid_t) -> Result<Sets, Errno> {
    let [effective, permitted, inheritable] = sys::capget_of(pid)?.map(CapSet);
    Ok(Sets { effective, permitted, inheritable })
}

/// capset(2) of this process.
pub(crate) fn set(to: &Sets) -> Result<(), Errno> {
    sys::capset([to.effective.0, to.permitted.0, to.inheritable.0])
}

/// `PR_CAP_AMBIENT` of prctl(2).
pub(crate) fn ambient(what: libc::c_int, number: u64) -> Result<libc::c_long, Errno> {
    sys::prctl(libc::PR_CAP_AMBIENT, what.unsigned_abs().into(), number)
}

/// Empties the ambient set.
///
/// Only where something is in it: securebits may have locked what needs no change.
pub(crate) fn clear_ambient() -> Result<(), Errno> {
    let mut numbers = 0..64;
    let is_there = numbers.find_map(|number| match is_ambient(number) {
        Ok(false) => None,
        Ok(true) => Some(true),
        Err(_) => Some(false),
    });
    if is_there != Some(true) {
        return Ok(());
    }
    ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0).map(drop)
}

/// The securebits.
pub(crate) fn securebits() -> libc::c_long {
    sys::prctl(libc::PR_GET_SECUREBITS, 0, 0).unwrap_or(0)
}

/// The first number that has no name.
pub(crate) fn named() -> u8 {
    u8::try_from(KNOWN.len()).unwrap_or(u8::MAX)
}

/// How many capabilities the kernel knows.
pub(crate) fn count() -> u8 {
    let is_known = |number: &u8| is_bounding(*number).is_ok();
    let named = named();
    if is_known(&named) {
        return (named..64).find(|number| !is_known(number)).unwrap_or(64);
    }
    let last = (0..named).rev().find(is_known);
    last.map_or(0, |number| number.saturating_add(1))
}

/// The bounding set; libcap takes what it may not read for empty.
pub(crate) fn bounding() -> CapSet {
    state::bounding().unwrap_or(CapSet::NONE)
}

/// The ambient set, likewise.
pub(crate) fn ambient_of(sets: &Sets) -> CapSet {
    state::ambient(sets.permitted.and(sets.inheritable)).unwrap_or(CapSet::NONE)
}

/// What an exec would hand on.
pub(crate) fn iab(sets: &Sets, count: u8) -> Iab {
    Iab {
        inheritable: sets.inheritable,
        ambient: ambient_of(sets),
        blocked: known(count).without(bounding()),
    }
}
