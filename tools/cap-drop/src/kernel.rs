//! What the kernel makes of capabilities, as pure functions: capabilities(7).
//!
//! The plan is made by these, so that it knows what is left after each of its steps; a
//! test holds each of them against the kernel itself.

use crate::securebits::Securebits;
use crate::sets::CapSet;
use crate::state::{Caps, State};

/// capset(2): what is ambient follows the permitted and the inheritable set.
#[must_use]
pub fn capset(now: &State, to: &Caps) -> State {
    let ambient = now.caps.ambient.and(to.permitted).and(to.inheritable);
    State { caps: Caps { bounding: now.caps.bounding, ambient, ..*to }, ..*now }
}

/// setresuid(2) with one uid three times: "Effect of user ID changes on capabilities".
///
/// `from` is the real, effective and saved uid before.
#[must_use]
pub fn setresuid(now: &State, from: [u32; 3], to: u32) -> State {
    let mut caps = now.caps;
    if now.securebits.has(Securebits::NO_SETUID_FIXUP) {
        return *now;
    }
    let [_, effective, _] = from;
    if from.contains(&0) && to != 0 {
        if !now.securebits.has(Securebits::KEEP_CAPS) {
            caps.permitted = CapSet::NONE;
            caps.effective = CapSet::NONE;
        }
        // Whatever keep_caps says: prctl(2), PR_CAP_AMBIENT.
        caps.ambient = CapSet::NONE;
    }
    if effective == 0 && to != 0 {
        caps.effective = CapSet::NONE;
    }
    if effective != 0 && to == 0 {
        caps.effective = caps.permitted;
    }
    State { caps, ..*now }
}

/// execve(2) of a file that is not setuid and has no capabilities, by a process whose
/// uids are all the same: "Transformation of capabilities during execve()".
#[must_use]
pub fn execve(now: &State, uid: u32) -> State {
    let Caps { bounding, permitted, inheritable, ambient, .. } = now.caps;
    let is_root = uid == 0 && !now.securebits.has(Securebits::NOROOT);
    let granted = if is_root { inheritable.or(bounding) } else { CapSet::NONE };
    // no_new_privs: no more than there was.
    let gains = !granted.without(permitted).is_empty();
    let granted =
        if gains && now.no_new_privs { granted.and(permitted) } else { granted };
    let permitted = granted.or(ambient);
    let effective = if is_root { permitted } else { ambient };
    State {
        caps: Caps { permitted, effective, ..now.caps },
        securebits: now.securebits.without(Securebits::KEEP_CAPS),
        ..*now
    }
}
