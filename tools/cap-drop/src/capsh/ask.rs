//! Arguments that ask, and end the program where the answer is no.
//!
//! Of a list all must be so. The peer looks at the first name alone, and takes what the
//! kernel does not know for something that is there.

use common::{Fail, sys};
use nix::libc;
use nix::unistd::{getgid, getuid};

use super::arguments::words;
use super::{Session, fail, own_sets, perror, shown};
use crate::libcap::{capability, kernel, number};
use crate::sets::CapSet;

/// Each of the list must be so; `not` is the complaint.
fn all(list: &[u8], is_so: impl Fn(u8) -> bool, not: &str) -> Result<(), Fail> {
    // One that is empty names none, and nothing is no answer.
    let mut words = words(list).chain(list.is_empty().then_some(list));
    words.try_for_each(|word| {
        let shown = shown(word);
        let number = capability(word).ok_or_else(|| {
            fail(format_args!("cap[{shown}] not recognized by library"))
        })?;
        if is_so(number) { Ok(()) } else { Err(fail(format_args!("cap[{shown}] {not}"))) }
    })
}

fn is_in(set: CapSet) -> impl Fn(u8) -> bool {
    move |number| !set.and(CapSet::one(number)).is_empty()
}

pub(super) fn has_permitted(_: &mut Session, list: &[u8]) -> Result<(), Fail> {
    all(list, is_in(own_sets()?.permitted), "not permitted")
}

pub(super) fn has_inheritable(_: &mut Session, list: &[u8]) -> Result<(), Fail> {
    all(list, is_in(own_sets()?.inheritable), "not inheritable")
}

pub(super) fn has_ambient(_: &mut Session, list: &[u8]) -> Result<(), Fail> {
    let is_so = |number| kernel::is_ambient(number) == Ok(true);
    all(list, is_so, "not in ambient vector")
}

pub(super) fn has_bounding(_: &mut Session, list: &[u8]) -> Result<(), Fail> {
    let is_so = |number| kernel::is_bounding(number) == Ok(true);
    all(list, is_so, "not in bounding vector")
}

pub(super) fn dropped(_: &mut Session, list: &[u8]) -> Result<(), Fail> {
    let is_so = |number| kernel::is_bounding(number) != Ok(true);
    all(list, is_so, "raised in bounding vector")
}

pub(super) fn supports(_: &mut Session, list: &[u8]) -> Result<(), Fail> {
    all(list, |_| true, "")?;
    let mut numbers = words(list).filter_map(|word| Some((word, capability(word)?)));
    match numbers.find(|(_, number)| kernel::is_bounding(*number).is_err()) {
        None => Ok(()),
        Some((word, number)) => {
            let word = shown(word);
            Err(fail(format_args!("cap[{word}={number}] not supported by kernel")))
        }
    }
}

pub(super) fn ambient_is_known(_: &mut Session, _: &[u8]) -> Result<(), Fail> {
    let asked = kernel::is_ambient(0);
    asked.map(drop).map_err(perror("ambient set not supported"))
}

pub(super) fn has_no_new_privs(_: &mut Session, _: &[u8]) -> Result<(), Fail> {
    match sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0) {
        Ok(1) => Ok(()),
        _ => Err(fail("no-new-privs not set")),
    }
}

/// What does not fit an id is none: to the peer, 4294967296 is 0.
fn is_id(what: &str, got: u32, text: &[u8]) -> Result<(), Fail> {
    let want = number(text);
    if want == Some(got) {
        return Ok(());
    }
    super::arguments::number(text, &format!("is-{what}"))?;
    // As the peer has it, signed.
    let [got, want] = [got, want.unwrap_or_default()].map(u32::cast_signed);
    Err(fail(format_args!("{what}: got={got}, want={want}")))
}

pub(super) fn is_uid(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    is_id("uid", getuid().as_raw(), text)
}

pub(super) fn is_gid(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    is_id("gid", getgid().as_raw(), text)
}
