//! The environment that --reset-env gives: the user's own, and nothing of the caller's.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;

use common::{passwd, sys};

use crate::plan::Host;

/// What describes the terminal and not the caller.
const KEPT: [&str; 3] = ["TERM", "COLORTERM", "NO_COLOR"];

/// What login(1) has for root and for others.
const PATHS: [&str; 2] = [
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "/usr/local/bin:/usr/bin:/bin",
];

/// The variables of this process that stay.
pub(crate) fn terminal() -> Vec<CString> {
    let is_kept = |entry: &&CStr| {
        let name = entry.to_bytes().split(|b| *b == b'=').next().unwrap_or_default();
        KEPT.iter().any(|kept| kept.as_bytes() == name)
    };
    sys::environ().into_iter().filter(is_kept).map(CStr::to_owned).collect()
}

/// The environment of a user; one without a line in passwd(5) has no name.
pub(crate) fn of(uid: u32, host: &Host) -> Vec<CString> {
    let user = passwd::users(&host.passwd).find(|user| user.uid == uid);
    let given = |value: Option<&'_ OsStr>, other: &'static str| {
        let value = value.filter(|value| !value.is_empty());
        value.unwrap_or(OsStr::new(other)).to_owned()
    };
    let [of_root, of_others] = PATHS;
    let mut all = host.terminal.clone();
    let mut set = |name: &str, value: &OsStr| {
        let entry = [name.as_bytes(), b"=", value.as_bytes()].concat();
        // A line of passwd(5) has no NUL that the kernel would not have ended it at.
        all.extend(CString::new(entry));
    };
    set("HOME", &given(user.map(|user| user.home), "/"));
    set("SHELL", &given(user.map(|user| user.shell), "/bin/sh"));
    if let Some(user) = user {
        set("USER", user.name);
        set("LOGNAME", user.name);
    }
    set("PATH", OsStr::new(if uid == 0 { of_root } else { of_others }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_line_has_a_place_and_no_name() {
        let host = Host {
            passwd: b"root:x:0:0::/root:/bin/ash\nwww:x:33:33::/w:\n".to_vec(),
            terminal: vec![c"TERM=vt100".to_owned()],
            ..Host::default()
        };
        let entries = |uid| {
            let all = of(uid, &host).into_iter();
            all.map(|e| e.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };

        assert_eq!(
            entries(0),
            "TERM=vt100 HOME=/root SHELL=/bin/ash USER=root LOGNAME=root \
             PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        );
        assert_eq!(
            entries(33),
            "TERM=vt100 HOME=/w SHELL=/bin/sh USER=www LOGNAME=www PATH=/usr/local/bin:/usr/bin:/bin"
        );
        assert_eq!(
            entries(7),
            "TERM=vt100 HOME=/ SHELL=/bin/sh PATH=/usr/local/bin:/usr/bin:/bin"
        );
    }
}
