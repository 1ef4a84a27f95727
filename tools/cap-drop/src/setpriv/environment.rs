//! `--reset-env`: what a login would start with.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use common::bounded;

use super::files::Login;
use crate::environment::terminal;

/// What login.defs(5) has where it says nothing, for root and for others.
const PATHS: [&str; 2] = [
    "/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin",
    "/usr/local/bin:/bin:/usr/bin",
];

/// The file; nothing where there is none, or none of a sensible size.
fn login_defs() -> String {
    let text = File::open("/etc/login.defs")
        .and_then(|file| bounded::read(file, 1 << 20, 16384))
        .ok()
        .flatten();
    String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
}

/// The last value of a key in a login.defs(5) file.
fn value<'t>(defs: &'t str, key: &str) -> Option<&'t str> {
    let is_space = |c: char| c.is_ascii_whitespace() || c == '=';
    let line = |line: &'t str| {
        let line = line.split('#').next().unwrap_or_default().trim_ascii_start();
        let (name, value) = line.split_once(is_space)?;
        let value = value.trim_start_matches(|c| is_space(c) || c == '"');
        let value = value.trim_end_matches(|c: char| c.is_ascii_whitespace() || c == '"');
        let is_it = name.eq_ignore_ascii_case(key) && !value.is_empty();
        is_it.then_some(value)
    };
    defs.lines().rev().find_map(line)
}

/// `PATH=/usr/bin`, or that without its name.
fn path(defs: &str, uid: u32) -> String {
    let [of_root, of_others] = PATHS;
    let found = if uid == 0 {
        value(defs, "ENV_SUPATH").or_else(|| value(defs, "ENV_ROOTPATH"))
    } else {
        value(defs, "ENV_PATH")
    };
    let bare = found.map(|value| value.strip_prefix("PATH=").unwrap_or(value));
    let default = if uid == 0 { of_root } else { of_others };
    bare.unwrap_or(default).trim_start_matches('"').to_owned()
}

/// The environment of a user.
pub(super) fn of(login: &Login) -> Vec<CString> {
    from(login, &login_defs(), terminal())
}

fn from(login: &Login, defs: &str, terminal: Vec<CString>) -> Vec<CString> {
    let is_given = !login.shell.is_empty();
    let shell = if is_given { &*login.shell } else { OsStr::new("/bin/sh") };
    let path = path(defs, login.uid);
    let own = [
        ("SHELL=", shell),
        ("HOME=", &*login.home),
        ("USER=", &*login.name),
        ("LOGNAME=", &*login.name),
        ("PATH=", OsStr::new(&path)),
    ];
    // A line of a file that has a NUL would not have been the kernel's either.
    let own =
        own.map(|(key, value)| CString::new([key.as_bytes(), value.as_bytes()].concat()));
    terminal.into_iter().chain(own.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_login_defs_says() {
        let defs = "# ENV_PATH PATH=/no\nENV_SUPATH\tPATH=/sbin:/bin # root\n\
            ENV_PATH = \"PATH=/bin\"\nENV_ROOTPATH /x\n";

        assert_eq!(path(defs, 0), "/sbin:/bin");
        assert_eq!(path(defs, 7), "/bin");
        assert_eq!(path("ENV_PATH /a\nenv_path /b\n", 7), "/b");
        assert_eq!(path("ENV_ROOTPATH /x\n", 0), "/x");
        assert_eq!(
            (path("", 0), path("ENV_PATH\n", 7)),
            (PATHS[0].into(), PATHS[1].into())
        );
    }

    #[test]
    fn nothing_but_the_terminal_is_kept() {
        let text = |text: &str| text.into();
        let login = Login {
            name: text("www"),
            uid: 33,
            gid: 33,
            home: text("/w"),
            shell: text(""),
        };

        let all = from(&login, "", vec![c"TERM=vt100".to_owned()]);

        let all: Vec<_> = all.iter().map(|entry| entry.to_str().unwrap()).collect();
        assert_eq!(
            all.join(" "),
            "TERM=vt100 SHELL=/bin/sh HOME=/w USER=www LOGNAME=www PATH=/usr/local/bin:/bin:/usr/bin"
        );
    }
}
