//! libcap's modes: securebits and sets that belong together, cap_get_mode(3).

use std::fmt;

use caps::Capability;
use common::{Fail, sys};
use nix::errno::Errno;
use nix::libc;

use super::sets::raised;
use super::{Session, own_sets, print, shown};
use crate::libcap::{Sets, kernel};
use crate::sets::CapSet;

/// `NOROOT`, `NO_SETUID_FIXUP`, both locked, and `KEEP_CAPS_LOCKED`.
const BASIC: libc::c_long = 0x2f;
/// The same and `NO_CAP_AMBIENT_RAISE`, locked.
const FULL: libc::c_long = 0xef;

/// A mode, by its number in libcap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Of none of the others.
    Uncertain,
    /// No privilege can be had.
    NoPriv,
    /// Capabilities without uid 0, and none inheritable yet.
    Pure1eInit,
    /// Capabilities without uid 0.
    Pure1e,
    /// uid 0 and capabilities, as the kernel starts.
    Hybrid,
}

/// Those that can be set, in the order of their numbers.
const SETTABLE: [Mode; 4] = [Mode::NoPriv, Mode::Pure1eInit, Mode::Pure1e, Mode::Hybrid];

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uncertain => "UNCERTAIN",
            Self::NoPriv => "NOPRIV",
            Self::Pure1eInit => "PURE1E_INIT",
            Self::Pure1e => "PURE1E",
            Self::Hybrid => "HYBRID",
        })
    }
}

impl Mode {
    /// As libcap numbers it.
    pub(super) fn number(self) -> usize {
        let at = SETTABLE.iter().position(|mode| *mode == self);
        at.map_or(0, |at| at.saturating_add(1))
    }

    /// What the securebits and the sets come to.
    pub(super) fn of(
        securebits: libc::c_long,
        sets: &Sets,
        ambient: CapSet,
        bounding: CapSet,
    ) -> Self {
        if securebits == 0 {
            return Self::Hybrid;
        }
        if securebits & BASIC != BASIC || securebits != FULL || !ambient.is_empty() {
            return Self::Uncertain;
        }
        if !sets.inheritable.is_empty() {
            return Self::Pure1e;
        }
        if sets.permitted.or(sets.effective).or(bounding).is_empty() {
            Self::NoPriv
        } else {
            Self::Pure1eInit
        }
    }
}

/// The mode that this process is in.
pub(super) fn current() -> Result<Mode, Fail> {
    let sets = own_sets()?;
    let (ambient, bounding) = (kernel::ambient_of(&sets), kernel::bounding());
    Ok(Mode::of(kernel::securebits(), &sets, ambient, bounding))
}

pub(super) fn list(_: &mut Session, _: &[u8]) -> Result<(), Fail> {
    let names = SETTABLE.map(|mode| mode.to_string()).join(" ");
    print(&format!("Supported modes: {names}\n"))
}

pub(super) fn show(_: &mut Session, _: &[u8]) -> Result<(), Fail> {
    print(&format!("Mode: {}\n", current()?))
}

pub(super) fn is_in(_: &mut Session, want: &[u8]) -> Result<(), Fail> {
    let got = current()?.to_string();
    if got.as_bytes() == want {
        return Ok(());
    }
    let text = format!("mismatched mode got={got} want={}\n", shown(want));
    Err(Fail::output(text).status(1))
}

pub(super) fn set(_: &mut Session, name: &[u8]) -> Result<(), Fail> {
    let mode = SETTABLE.into_iter().find(|mode| mode.to_string().as_bytes() == name);
    let name = shown(name);
    let mode = mode
        .ok_or_else(|| Fail::output(format!("unsupported mode: {name}\n")).status(1))?;
    let now = own_sets()?;
    let during = raised(&now, Capability::CAP_SETPCAP);
    let after = match mode {
        Mode::NoPriv => Sets::default(),
        Mode::Pure1eInit => Sets { permitted: now.permitted, ..Sets::default() },
        Mode::Pure1e | Mode::Hybrid | Mode::Uncertain => {
            Sets { effective: CapSet::NONE, ..now }
        }
    };
    let done = kernel::set(&during).and_then(|()| change(mode));
    // The effective set is empty after it, whether it was done or not.
    done.and(kernel::set(&after)).map_err(|e| {
        let text = format!("failed to set mode [{name}]: {}\n", e.desc());
        Fail::output(text).status(1)
    })
}

/// What is more than the three sets.
fn change(mode: Mode) -> Result<(), Errno> {
    let secure = |bits: libc::c_long| {
        sys::prctl(libc::PR_SET_SECUREBITS, bits.cast_unsigned(), 0).map(drop)
    };
    if mode == Mode::Hybrid {
        return secure(0);
    }
    kernel::clear_ambient()?;
    secure(FULL)?;
    if mode == Mode::NoPriv {
        for (number, _) in kernel::bounding().each() {
            sys::prctl(libc::PR_CAPBSET_DROP, number.into(), 0)?;
        }
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_told_by_its_securebits_and_by_what_can_still_be_had() {
        let some = CapSet::one(5);
        let none = CapSet::NONE;
        let of = |bits, permitted, inheritable, ambient, bounding| {
            let sets = Sets { effective: none, permitted, inheritable };
            Mode::of(bits, &sets, ambient, bounding)
        };

        assert_eq!(of(0, some, some, some, some), Mode::Hybrid);
        assert_eq!(of(0x2f, none, none, none, none), Mode::Uncertain);
        assert_eq!(of(0xff, none, none, none, none), Mode::Uncertain);
        assert_eq!(of(FULL, some, some, some, some), Mode::Uncertain);
        assert_eq!(of(FULL, some, some, none, some), Mode::Pure1e);
        assert_eq!(of(FULL, some, none, none, none), Mode::Pure1eInit);
        assert_eq!(of(FULL, none, none, none, some), Mode::Pure1eInit);
        assert_eq!(of(FULL, none, none, none, none), Mode::NoPriv);
    }

    #[test]
    fn modes_are_numbered_as_libcap_numbers_them() {
        let all =
            [Mode::Uncertain, Mode::NoPriv, Mode::Pure1eInit, Mode::Pure1e, Mode::Hybrid];

        assert_eq!(all.map(Mode::number), [0, 1, 2, 3, 4]);
    }
}
