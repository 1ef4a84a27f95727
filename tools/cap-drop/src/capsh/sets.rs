//! Arguments that change the capability sets, the securebits and no_new_privs.

use caps::Capability;
use common::{Fail, sys};
use nix::errno::Errno;
use nix::libc;

use super::arguments::{number, words};
use super::{Session, fail, own_sets, perror, shown};
use crate::libcap::{Iab, Sets, capability, kernel, name};
use crate::sets::CapSet;

/// The same with one capability effective, whether it is permitted or not.
pub(super) fn raised(sets: &Sets, capability: Capability) -> Sets {
    Sets { effective: sets.effective.or(capability.into()), ..*sets }
}

impl Session {
    /// The sets with `CAP_SETPCAP` effective, where it is not and may be made so.
    fn with_setpcap(&self, now: &Sets) -> Option<Sets> {
        let raised = raised(now, Capability::CAP_SETPCAP);
        (!self.strict && raised != *now).then_some(raised)
    }
}

/// The capability of each word.
fn capabilities(list: &[u8]) -> impl Iterator<Item = Result<(&[u8], u8), Fail>> {
    words(list).map(|word| match capability(word) {
        Some(number) => Ok((word, number)),
        None => {
            Err(fail(format_args!("capability [{}] is unknown to libcap", shown(word))))
        }
    })
}

pub(super) fn drop_bounding(session: &mut Session, list: &[u8]) -> Result<(), Fail> {
    let dropped = |number: u8| sys::prctl(libc::PR_CAPBSET_DROP, number.into(), 0);
    let now = own_sets()?;
    let raised = session.with_setpcap(&now).filter(|_| words(list).next().is_some());
    if let Some(raised) = &raised {
        let what = "unable to raise CAP_SETPCAP for BSET changes";
        kernel::set(raised).map_err(perror(what))?;
    }
    if list == b"all" {
        for number in (0..64).take_while(|number| kernel::is_bounding(*number).is_ok()) {
            dropped(number).map_err(|_| {
                let name = name(number);
                fail(format_args!("Unable to drop bounding capability [{name}]"))
            })?;
        }
    } else {
        for found in capabilities(list) {
            let (word, number) = found?;
            dropped(number).map_err(|_| {
                let word = shown(word);
                fail(format_args!("failed to drop [{word}={number}]"))
            })?;
        }
    }
    if raised.is_some() {
        let what = "unable to lower CAP_SETPCAP post BSET change";
        kernel::set(&now).map_err(perror(what))?;
    }
    Ok(())
}

/// `verb` stands in the complaint.
fn change_ambient(list: &[u8], what: libc::c_int, verb: &str) -> Result<(), Fail> {
    let change = |number: u8| kernel::ambient(what, number.into());
    if list == b"all" {
        for number in (0..64).take_while(|number| kernel::is_bounding(*number).is_ok()) {
            change(number).map_err(|_| {
                let name = name(number);
                fail(format_args!("Unable to {verb} ambient capability [{name}]"))
            })?;
        }
        return Ok(());
    }
    for found in capabilities(list) {
        let (word, number) = found?;
        change(number).map_err(|_| {
            let word = shown(word);
            fail(format_args!("failed to {verb} ambient [{word}={number}]"))
        })?;
    }
    Ok(())
}

pub(super) fn add_ambient(_: &mut Session, list: &[u8]) -> Result<(), Fail> {
    change_ambient(list, libc::PR_CAP_AMBIENT_RAISE, "raise")
}

pub(super) fn del_ambient(_: &mut Session, list: &[u8]) -> Result<(), Fail> {
    change_ambient(list, libc::PR_CAP_AMBIENT_LOWER, "clear")
}

pub(super) fn no_ambient(_: &mut Session, _: &[u8]) -> Result<(), Fail> {
    kernel::clear_ambient().map_err(perror("failed to reset ambient set"))
}

pub(super) fn inheritable(session: &mut Session, list: &[u8]) -> Result<(), Fail> {
    let now = own_sets()?;
    let without = Sets { inheritable: CapSet::NONE, ..now };
    // The list may go on in the words of cap_from_text(3), as it does with the peer.
    let to = if matches!(list, b"" | b"none") {
        Some(without)
    } else {
        let count = kernel::count();
        Sets::parse(&[without.text(count).as_bytes(), b" ", list, b"+i"].concat(), count)
    };
    let to = to
        .ok_or_else(|| perror("Fatal error internalizing capabilities")(Errno::EINVAL))?;
    if let Some(raised) = session.with_setpcap(&now) {
        // It takes that to add what is not permitted; where it fails it may not be needed.
        let _ = kernel::set(&raised);
    }
    kernel::set(&to).map_err(perror("Unable to set inheritable capabilities"))
}

pub(super) fn caps(session: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let raised = session.with_setpcap(&own_sets()?);
    let to = Sets::parse(text, kernel::count()).ok_or_else(|| {
        fail(format_args!("unable to interpret [--caps={}]", shown(text)))
    })?;
    if let Some(raised) = raised {
        // As above.
        let _ = kernel::set(&raised);
    }
    kernel::set(&to).map_err(|_| {
        fail(format_args!("Unable to set capabilities [--caps={}]", shown(text)))
    })
}

pub(super) fn iab(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let iab = Iab::parse(text)
        .ok_or_else(|| fail(format_args!("iab: '{}' malformed", shown(text))))?;
    set_iab(&iab).map_err(perror("unable to set IAB tuple"))
}

fn set_iab(iab: &Iab) -> Result<(), Errno> {
    let [effective, permitted, old] = sys::capget()?.map(CapSet);
    let to = Sets { effective, permitted, inheritable: iab.inheritable };
    let is_there = |number: &u8| kernel::is_bounding(*number) == Ok(true);
    let blocked: Vec<u8> =
        iab.blocked.each().map(|(number, _)| number).filter(is_there).collect();
    let adds = !iab.inheritable.without(old.or(permitted)).is_empty();
    let during = if adds || !blocked.is_empty() {
        raised(&to, Capability::CAP_SETPCAP)
    } else {
        to
    };
    kernel::set(&during)?;
    kernel::clear_ambient()?;
    let raise = |number: u8| kernel::ambient(libc::PR_CAP_AMBIENT_RAISE, number.into());
    let count = kernel::count();
    for (number, _) in iab.ambient.each().filter(|(number, _)| *number < count) {
        raise(number)?;
    }
    for number in blocked {
        sys::prctl(libc::PR_CAPBSET_DROP, number.into(), 0)?;
    }
    kernel::set(&to)
}

pub(super) fn secbits(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let bits = number(text, "secbits")?;
    sys::prctl(libc::PR_SET_SECUREBITS, bits.into(), 0).map(drop).map_err(|_| {
        fail(format_args!("failed to set securebits to 0{bits:o}/0x{bits:x}"))
    })
}

pub(super) fn keep(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let value = number(text, "keep")?;
    let done = sys::prctl(libc::PR_SET_KEEPCAPS, value.into(), 0);
    done.map(drop)
        .map_err(|e| perror(&format!("prctl(PR_SET_KEEPCAPS, {value}) failed"))(e))
}

pub(super) fn no_new_privs(_: &mut Session, _: &[u8]) -> Result<(), Fail> {
    let done = sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0);
    done.map(drop).map_err(perror("unable to set no-new-privs"))
}

#[allow(clippy::unnecessary_wraps, reason = "a row of the table of arguments")]
pub(super) fn strict(session: &mut Session, _: &[u8]) -> Result<(), Fail> {
    session.strict = !session.strict;
    Ok(())
}
