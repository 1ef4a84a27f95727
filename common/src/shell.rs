//! The user's shell, for links that are run without COMMAND.

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::inroot::Root;
use crate::passwd;

/// What `SHELL` says in the environment that it gets, else this user's line of the root's
/// /etc/passwd, else /bin/sh.
pub fn program(environ: &[&CStr]) -> OsString {
    let set = environ.iter().copied().find_map(named);
    // The root may be an image's by now. What cannot be read names no shell.
    let root = || Root::open(Path::new("/")).ok();
    let passwd = || root().and_then(|root| passwd::read(&root, "passwd").ok());
    set.or_else(|| listed(&passwd()?, nix::unistd::getuid().as_raw()))
        .unwrap_or_else(|| "/bin/sh".into())
}

/// COMMAND, or the shell as one.
pub fn or_shell<'c>(command: &'c [OsString], environ: &[&CStr]) -> Cow<'c, [OsString]> {
    match command {
        [] => Cow::Owned(vec![program(environ)]),
        command => Cow::Borrowed(command),
    }
}

fn named(entry: &CStr) -> Option<OsString> {
    let value = entry.to_bytes().strip_prefix(b"SHELL=")?;
    (!value.is_empty()).then(|| OsStr::from_bytes(value).to_owned())
}

fn listed(passwd: &[u8], uid: u32) -> Option<OsString> {
    let user = passwd::users(passwd).find(|user| user.uid == uid)?;
    (!user.shell.is_empty()).then(|| user.shell.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_shell_counts_as_none() {
        let passwd = b"a:x:1:1::/:/bin/zsh\nb:x:2:2::/:\n";

        assert_eq!(named(c"SHELL=/bin/zsh"), Some("/bin/zsh".into()));
        assert_eq!(named(c"SHELL="), None);
        assert_eq!(named(c"SHELLS=/x"), None);
        assert_eq!(listed(passwd, 1), Some("/bin/zsh".into()));
        assert_eq!(listed(passwd, 2), None);
        assert_eq!(listed(passwd, 3), None);
    }
}
