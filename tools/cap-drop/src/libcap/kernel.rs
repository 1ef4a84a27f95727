//! The capabilities of this process, asked of the kernel and told to it.

use common::sys;
use nix::errno::Errno;
use nix::libc;

use super::{Iab, Sets, known};
use crate::describe::KNOWN;
use crate::sets::CapSet;

/// Ambient operations of prctl(2).
const IS_SET: libc::c_int = libc::PR_CAP_AMBIENT_IS_SET;

/// capget(2) of a process; 0 is this one.
pub(crate) fn sets_of(pid: libc::pid_t) -> Result<Sets, Errno> {
    let [effective, permitted, inheritable] = sys::capget_of(pid)?.map(CapSet);
    Ok(Sets { effective, permitted, inheritable })
}

/// capset(2) of this process.
pub(crate) fn set(to: &Sets) -> Result<(), Errno> {
    sys::capset([to.effective.0, to.permitted.0, to.inheritable.0])
}

/// Whether a capability is in the bounding set.
///
/// # Errors
/// `EINVAL` where the kernel has no such capability.
pub(crate) fn is_bounding(number: u8) -> Result<bool, Errno> {
    sys::prctl(libc::PR_CAPBSET_READ, number.into(), 0).map(|is| is == 1)
}

/// Whether a capability is in the ambient set.
///
/// # Errors
/// `EINVAL` where the kernel has no such capability, or no ambient set (before 4.3).
pub(crate) fn is_ambient(number: u8) -> Result<bool, Errno> {
    ambient(IS_SET, number.into()).map(|is| is == 1)
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

/// The bounding set, as far as the kernel knows any.
pub(crate) fn bounding() -> CapSet {
    let all = (0..64).map_while(|number| Some((number, is_bounding(number).ok()?)));
    all.filter(|(_, is)| *is)
        .fold(CapSet::NONE, |set, (number, _)| set.or(CapSet::one(number)))
}

/// The ambient set: only what is permitted and inheritable can be in it.
pub(crate) fn ambient_of(sets: &Sets) -> CapSet {
    let possible = sets.permitted.and(sets.inheritable);
    let is_set = |(number, _): &(u8, CapSet)| is_ambient(*number) == Ok(true);
    possible.each().filter(is_set).fold(CapSet::NONE, |set, (_, one)| set.or(one))
}

/// What an exec would hand on.
pub(crate) fn iab(sets: &Sets, count: u8) -> Iab {
    Iab {
        inheritable: sets.inheritable,
        ambient: ambient_of(sets),
        blocked: known(count).without(bounding()),
    }
}
