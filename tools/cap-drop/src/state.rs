//! The privileges of this process as the kernel has them, read without /proc.

use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::libc;

use crate::sets::CapSet;

/// The five capability sets of capabilities(7) and no_new_privs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// What an exec can grant at most.
    pub bounding: CapSet,
    /// What can be made effective.
    pub permitted: CapSet,
    /// What the kernel looks at.
    pub effective: CapSet,
    /// What files that say so turn into permitted at exec, whatever the bounding set.
    pub inheritable: CapSet,
    /// What stays over the exec of an ordinary file.
    pub ambient: CapSet,
    /// Whether exec grants nothing at all: `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
}

impl State {
    /// Reads it.
    pub fn read() -> Result<Self, Fail> {
        let sets = sys::capget().failed_to("read capabilities")?;
        let [effective, permitted, inheritable] = sets.map(CapSet);
        let new_privs =
            sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0).failed_to("read no_new_privs")?;
        Ok(Self {
            bounding: bounding()?,
            permitted,
            effective,
            inheritable,
            ambient: ambient(permitted.and(inheritable))?,
            no_new_privs: new_privs == 1,
        })
    }

    /// The first difference from what was meant to be, in words.
    pub fn difference(&self, meant: &Self) -> Option<String> {
        let sets = [
            ("bounding", self.bounding, meant.bounding),
            ("permitted", self.permitted, meant.permitted),
            ("effective", self.effective, meant.effective),
            ("inheritable", self.inheritable, meant.inheritable),
            ("ambient", self.ambient, meant.ambient),
        ];
        let (set, is, should) = *sets.iter().find(|(_, is, should)| is != should)?;
        let (extra, lost) = (is.without(should), should.without(is));
        Some(if extra.is_empty() {
            format!("{lost} went from the {set} set")
        } else {
            format!("{extra} stayed in the {set} set")
        })
    }
}

/// Each number until the kernel knows no more: also those that have no name here.
fn bounding() -> Result<CapSet, Fail> {
    let mut set = CapSet::NONE;
    for (number, one) in CapSet::ALL.each() {
        match sys::prctl(libc::PR_CAPBSET_READ, number.into(), 0) {
            Ok(0) => {}
            Ok(_) => set = set.or(one),
            Err(Errno::EINVAL) => break,
            Err(e) => return Err(e).failed_to("read the bounding set"),
        }
    }
    Ok(set)
}

/// Only what is permitted and inheritable can be ambient: mostly nothing to ask for.
fn ambient(possible: CapSet) -> Result<CapSet, Fail> {
    let is_set = libc::PR_CAP_AMBIENT_IS_SET.unsigned_abs().into();
    let mut set = CapSet::NONE;
    for (number, one) in possible.each() {
        match sys::prctl(libc::PR_CAP_AMBIENT, is_set, number.into()) {
            Ok(0) => {}
            Ok(_) => set = set.or(one),
            Err(e) => return Err(e).failed_to("read the ambient set"),
        }
    }
    Ok(set)
}
