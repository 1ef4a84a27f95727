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
        let ambient = ambient(permitted.and(inheritable));
        Ok(Self {
            bounding: bounding().failed_to("read the bounding set")?,
            permitted,
            effective,
            inheritable,
            ambient: ambient.failed_to("read the ambient set")?,
        })
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

/// The bounding set: each number until the kernel knows no more, also those that have no
/// name here.
pub(crate) fn bounding() -> Result<CapSet, Errno> {
    let mut set = CapSet::NONE;
    for (number, one) in CapSet::ALL.each() {
        match is_bounding(number) {
            Ok(false) => {}
            Ok(true) => set = set.or(one),
            Err(Errno::EINVAL) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(set)
}

/// The ambient set. Only what is permitted and inheritable can be in it: mostly nothing to
/// ask for.
pub(crate) fn ambient(possible: CapSet) -> Result<CapSet, Errno> {
    let mut set = CapSet::NONE;
    for (number, one) in possible.each() {
        if is_ambient(number)? {
            set = set.or(one);
        }
    }
    Ok(set)
}

/// Whether a capability is in the bounding set.
///
/// # Errors
/// `EINVAL` where the kernel has no such capability.
pub(crate) fn is_bounding(number: u8) -> Result<bool, Errno> {
    sys::prctl(libc::PR_CAPBSET_READ, number.into(), 0).map(|is| is != 0)
}

/// Whether a capability is in the ambient set.
///
/// # Errors
/// `EINVAL` where the kernel has no such capability, or no ambient set (before 4.3).
pub(crate) fn is_ambient(number: u8) -> Result<bool, Errno> {
    let is_set = libc::PR_CAP_AMBIENT_IS_SET.unsigned_abs().into();
    sys::prctl(libc::PR_CAP_AMBIENT, is_set, number.into()).map(|is| is != 0)
}
