//! `--print` and `--current`: what this process has.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

use common::{Fail, passwd, sys};
use nix::libc;
use nix::unistd::{geteuid, getgid, getgroups, getuid};

use super::ids::etc;
use super::mode::Mode;
use super::{Session, own_sets, perror, print, shown};
use crate::libcap::{kernel, name};
use crate::sets::CapSet;

pub(super) fn current(_: &mut Session, _: &[u8]) -> Result<(), Fail> {
    let (sets, count) = (own_sets()?, kernel::count());
    let iab = kernel::iab(&sets, count).text(count);
    print(&format!("Current: {}\nCurrent IAB: {iab}\n", sets.text(count)))
}

pub(super) fn print_all(_: &mut Session, _: &[u8]) -> Result<(), Fail> {
    let (sets, count) = (own_sets()?, kernel::count());
    let iab = kernel::iab(&sets, count);
    let bounding = kernel::bounding();
    let securebits = kernel::securebits();
    let mut text = format!(
        "Current: {}\nBounding set ={}\nAmbient set ={}\nCurrent IAB: {}\n",
        sets.text(count),
        names(bounding),
        names(iab.ambient),
        iab.text(count)
    );
    text += &bits(securebits);
    text += &ids()?;
    let mode = Mode::of(securebits, &sets, iab.ambient, bounding);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Guessed mode: {mode} ({})", mode.number());
    print(&text)
}

fn names(set: CapSet) -> String {
    set.each().map(|(number, _)| name(number)).collect::<Vec<_>>().join(",")
}

/// The four that capsh has lines for, and all in octal, hexadecimal and binary.
fn bits(bits: libc::c_long) -> String {
    let no_new_privs = sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0).unwrap_or(-1);
    let binary = format!("{bits:b}");
    let digits = binary.len();
    let mut text = format!(
        "Securebits: 0{bits:o}/0x{bits:x}/{digits}'b{binary} (no-new-privs={no_new_privs})\n"
    );
    let lines =
        [("noroot", 0), ("no-suid-fixup", 2), ("keep-caps", 4), ("no-ambient-raise", 6)];
    for (what, bit) in lines {
        let is_set = |bit: u32| bits & 1_i64.checked_shl(bit).unwrap_or(0) != 0;
        let is = if is_set(bit) { "yes" } else { "no" };
        let locked = if is_set(bit.saturating_add(1)) { "locked" } else { "unlocked" };
        // As above.
        let _ = writeln!(text, " secure-{what}: {is} ({locked})");
    }
    text
}

fn ids() -> Result<String, Fail> {
    let (users, groups) = (etc("passwd")?, etc("group")?);
    let user = |uid: u32| {
        let found = passwd::users(&users).find(|user| user.uid == uid);
        found.map_or("???".to_owned(), |user| shown(user.name.as_bytes()))
    };
    let group = |gid: u32| {
        let found = passwd::groups(&groups).find(|group| group.gid == gid);
        format!("{gid}({})", found.map_or("???".to_owned(), |g| shown(g.name.as_bytes())))
    };
    let (uid, euid) = (getuid().as_raw(), geteuid().as_raw());
    let all = getgroups().map_err(perror("cannot read the supplementary groups"))?;
    let all: Vec<_> = all.into_iter().map(|gid| group(gid.as_raw())).collect();
    Ok(format!(
        "uid={uid}({}) euid={euid}({})\ngid={}\ngroups={}\n",
        user(uid),
        user(euid),
        group(getgid().as_raw()),
        all.join(",")
    ))
}

pub(super) fn license(session: &mut Session, _: &[u8]) -> Result<(), Fail> {
    let name = shown(session.name.as_bytes());
    let text = format!("{name} is part of Bordmittel, under MIT or Apache-2.0.\n");
    Err(Fail::output(text))
}
