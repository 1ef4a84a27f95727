//! The privileges of this process as the kernel has them, read without /proc.

use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::libc;

use crate::securebits::Securebits;
use crate::sets::CapSet;

/// The five capability sets of capabilities(7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
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
}

/// What the kernel decides by, beside the ids, whether a thing is allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct State {
    /// The capability sets.
    pub caps: Caps,
    /// How uid 0 is treated.
    pub securebits: Securebits,
    /// Whether exec grants nothing at all: `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
}

impl Caps {
    /// Reads those of this process.
    pub fn read() -> Result<Self, Fail> {
        let sets = sys::capget().failed_to("read capabilities")?;
        let [effective, permitted, inheritable] = sets.map(CapSet);
        let ambient = ambient(permitted.and(inheritable))?;
        Ok(Self { bounding: bounding()?, permitted, effective, inheritable, ambient })
    }

    /// Each with its name.
    pub fn named(&self) -> [(&'static str, CapSet); 5] {
        [
            ("bounding", self.bounding),
            ("permitted", self.permitted),
            ("effective", self.effective),
            ("inheritable", self.inheritable),
            ("ambient", self.ambient),
        ]
    }

    /// The first difference from what was meant to be, in words.
    fn difference(&self, meant: &Self) -> Option<String> {
        let mut both = self.named().into_iter().zip(meant.named());
        let ((set, is), (_, should)) = both.find(|(is, should)| is != should)?;
        let (extra, lost) = (is.without(should), should.without(is));
        Some(if extra.is_empty() {
            format!("{lost} went from the {set} set")
        } else {
            format!("{extra} stayed in the {set} set")
        })
    }
}

impl State {
    /// Reads that of this process.
    pub fn read() -> Result<Self, Fail> {
        let ask = |option, what: &str| {
            sys::prctl(option, 0, 0).failed_to(format_args!("read {what}"))
        };
        let securebits = ask(libc::PR_GET_SECUREBITS, "the securebits")?;
        Ok(Self {
            caps: Caps::read()?,
            securebits: Securebits(u32::try_from(securebits).unwrap_or(u32::MAX)),
            no_new_privs: ask(libc::PR_GET_NO_NEW_PRIVS, "no_new_privs")? == 1,
        })
    }

    /// The first difference from what was meant to be, in words.
    pub fn difference(&self, meant: &Self) -> Option<String> {
        let securebits = || {
            let (is, should) = (self.securebits, meant.securebits);
            (is != should).then(|| format!("the securebits are {is}, not {should}"))
        };
        let no_new_privs = || {
            let is = if self.no_new_privs { "is set" } else { "is not set" };
            let differs = self.no_new_privs != meant.no_new_privs;
            differs.then(|| format!("no_new_privs {is}"))
        };
        self.caps.difference(&meant.caps).or_else(securebits).or_else(no_new_privs)
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
