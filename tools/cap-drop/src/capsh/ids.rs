//! Arguments that change who the process is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use caps::Capability;
use common::inroot::Root;
use common::passwd::{self, Account};
use common::{Fail, sys};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Gid, Uid, getresgid, getresuid, setgid, setuid};

use super::arguments::{number, words};
use super::sets::raised;
use super::{Session, c_string, fail, perror, shown};
use crate::libcap::{Sets, kernel};
use crate::sets::CapSet;

/// A file of /etc in the root that is the root by now.
pub(super) fn etc(name: &str) -> Result<Vec<u8>, Fail> {
    let root = Root::open(Path::new("/")).map_err(perror("cannot open /"))?;
    passwd::read(&root, name).map_err(|f| f.status(1))
}

/// setuid(2), and all three are that: without the right to, it changes one of them only.
fn set_uid(uid: u32) -> Result<(), Errno> {
    let uid = Uid::from_raw(uid);
    setuid(uid)?;
    let now = getresuid()?;
    if [now.real, now.effective, now.saved] == [uid; 3] {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// setgid(2), in the same way.
fn set_gid(gid: u32) -> Result<(), Errno> {
    let gid = Gid::from_raw(gid);
    setgid(gid)?;
    let now = getresgid()?;
    if [now.real, now.effective, now.saved] == [gid; 3] {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

pub(super) fn uid(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let uid = number(text, "uid")?;
    set_uid(uid).map_err(|e| perror(&format!("Failed to set uid={uid}"))(e))
}

pub(super) fn gid(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let gid = number(text, "gid")?;
    set_gid(gid).map_err(|e| perror(&format!("Failed to set gid={gid}"))(e))
}

pub(super) fn cap_uid(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let uid = number(text, "cap-uid")?;
    cap_set_uid(uid).map_err(|e| perror(&format!("Failed to cap_setuid({uid})"))(e))
}

/// cap_setuid(3): the permitted set stays, the effective set is empty after it.
fn cap_set_uid(uid: u32) -> Result<(), Errno> {
    with_effective(Capability::CAP_SETUID, || {
        // Where that is locked the permitted set goes: less, not more.
        let _ = sys::prctl(libc::PR_SET_KEEPCAPS, 1, 0);
        let done = set_uid(uid);
        let _ = sys::prctl(libc::PR_SET_KEEPCAPS, 0, 0);
        done
    })
}

/// cap_setgroups(3): the effective set is empty after it.
fn cap_set_groups(gid: u32, groups: &[u32]) -> Result<(), Errno> {
    with_effective(Capability::CAP_SETGID, || {
        set_gid(gid)?;
        sys::setgroups(groups)
    })
}

/// Does something with one capability effective, and with none after it.
fn with_effective(
    capability: Capability,
    something: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Errno> {
    let [effective, permitted, inheritable] = sys::capget()?.map(CapSet);
    let now = Sets { effective, permitted, inheritable };
    let done = kernel::set(&raised(&now, capability)).and_then(|()| something());
    // What the kernel has taken meanwhile cannot be set again, and is none to lower.
    let [_, permitted, inheritable] = sys::capget()?.map(CapSet);
    kernel::set(&Sets { effective: CapSet::NONE, permitted, inheritable })?;
    done
}

pub(super) fn groups(_: &mut Session, list: &[u8]) -> Result<(), Fail> {
    let file = etc("group")?;
    let gid = |word: &[u8]| {
        let is_number = word.first().is_some_and(u8::is_ascii_digit);
        let named = || passwd::groups(&file).find(|g| g.name.as_bytes() == word);
        // With the peer, 1x is 1 and 4294967296 is 0.
        let found =
            if is_number { crate::libcap::number(word) } else { named().map(|g| g.gid) };
        found.ok_or_else(|| {
            fail(format_args!("Failed to identify gid for group [{}]", shown(word)))
        })
    };
    let gids = words(list).map(gid).collect::<Result<Vec<u32>, Fail>>()?;
    sys::setgroups(&gids)
        .map_err(|e| fail(format_args!("Failed to setgroups. ({})", e.desc())))
}

pub(super) fn user(session: &mut Session, name: &[u8]) -> Result<(), Fail> {
    let (users, groups) = (etc("passwd")?, etc("group")?);
    let user = passwd::users(&users).find(|user| user.name.as_bytes() == name);
    let user =
        user.ok_or_else(|| fail(format_args!("User [{}] not known", shown(name))))?;
    let Account { uid, gid, groups, .. } = Account::of(&user, &groups);
    let what = "Unable to set group list for user";
    cap_set_groups(gid, &groups).map_err(perror(what))?;
    let name = OsStr::from_bytes(name);
    let what = format!("Failed to set uid={uid}(user={})", shown(name.as_bytes()));
    cap_set_uid(uid).map_err(perror(&what))?;
    if !session.keeps_env {
        let entry = |key: &str, value: &OsStr| {
            c_string(&[key.as_bytes(), value.as_bytes()].concat())
        };
        session.set = vec![entry("HOME=", user.home)?, entry("USER=", name)?];
    }
    Ok(())
}
