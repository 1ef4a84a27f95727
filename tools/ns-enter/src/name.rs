//! What the command line calls things: processes, namespaces, users.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A process, or what has a namespace without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `PID`, `PID:INODE` with the inode of its pidfd, by which no other is taken for it.
    Pid(i32, Option<u64>),
    /// `fd:N`: a pidfd that the caller opened.
    Pidfd(RawFd),
    /// `file:PATH`: a pid file, or what `ns-run --status-fd` wrote.
    File(PathBuf),
    /// `cgroup:PATH`: the first process there or below.
    Cgroup(PathBuf),
    /// `netns:NAME`: what `ip netns add NAME` made; no process.
    Netns(OsString),
}

/// A namespace that is named apart from the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of nsfs: /proc/PID/ns/KIND or a bind mount of it.
    File(PathBuf),
    /// `:ID`, of the ioctl `NS_GET_ID`.
    Id(u64),
}

/// A user or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Its id.
    Id(u32),
    /// Its name.
    Name(OsString),
    /// `follow`: that of the process.
    Follow,
}

/// Reads a target.
///
/// # Errors
/// The reason, without the text itself, which the argument parser names.
pub fn target(text: &OsStr) -> Result<Target, String> {
    let rest = |prefix: &str| {
        let rest = text.as_bytes().strip_prefix(prefix.as_bytes());
        rest.filter(|rest| !rest.is_empty()).map(OsStr::from_bytes)
    };
    if let Some(fd) = rest("fd:") {
        let fd = fd.to_str().ok_or("not a file descriptor number")?;
        return common::cli::fd(fd).map(Target::Pidfd);
    }
    if let Some(name) = rest("netns:") {
        let is_name = name != "." && name != ".." && !name.as_bytes().contains(&b'/');
        let named = is_name.then(|| Target::Netns(name.to_owned()));
        return named.ok_or_else(|| "not a name in /run/netns".to_owned());
    }
    let path = rest("file:").map(|path| Target::File(path.into()));
    let path = path.or_else(|| rest("cgroup:").map(|path| Target::Cgroup(path.into())));
    path.or_else(|| process(text.to_str()?)).ok_or_else(|| {
        "not PID, PID:INODE, fd:N, file:PATH, cgroup:PATH or netns:NAME".to_owned()
    })
}

/// `PID` or `PID:INODE`.
fn process(text: &str) -> Option<Target> {
    let (pid, inode) = match text.split_once(':') {
        Some((pid, inode)) => (pid, Some(digits(inode)?)),
        None => (text, None),
    };
    let pid = i32::try_from(digits(pid)?).ok().filter(|pid| *pid > 0)?;
    Some(Target::Pid(pid, inode))
}

fn digits(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

/// Reads `FILE` or `:ID`.
///
/// # Errors
/// When there is no number behind the colon.
pub fn place(text: &OsStr) -> Result<Place, String> {
    match text.as_bytes().strip_prefix(b":") {
        Some(id) => std::str::from_utf8(id)
            .ok()
            .and_then(digits)
            .map(Place::Id)
            .ok_or_else(|| "not an id of a namespace".to_owned()),
        None if text.is_empty() => Err("no file is named".to_owned()),
        None => Ok(Place::File(text.into())),
    }
}

/// Reads `UID`, a name or `follow`.
///
/// # Errors
/// When it is a number that is no id, or empty.
pub fn who(text: &OsStr) -> Result<Who, String> {
    let is_number = text.as_bytes().iter().all(u8::is_ascii_digit);
    match text.to_str() {
        Some("") => Err("nobody is named".to_owned()),
        Some("follow") => Ok(Who::Follow),
        Some(number) if is_number => common::parse::id(number).map(Who::Id),
        Some(text) if text.starts_with(['-', '+']) => Err("not a name".to_owned()),
        _ => Ok(Who::Name(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_named_in_five_ways_and_a_net_namespace_in_one() {
        let read = |text: &str| target(OsStr::new(text));

        assert_eq!(read("7"), Ok(Target::Pid(7, None)));
        assert_eq!(read("7:4026"), Ok(Target::Pid(7, Some(4026))));
        assert_eq!(read("fd:5"), Ok(Target::Pidfd(5)));
        assert_eq!(read("file:x.pid"), Ok(Target::File("x.pid".into())));
        assert_eq!(read("cgroup:/a:b"), Ok(Target::Cgroup("/a:b".into())));
        assert_eq!(read("netns:blue"), Ok(Target::Netns("blue".into())));
        for text in [
            "",
            "0",
            "-1",
            "+7",
            "7:",
            "7:x",
            "2147483648",
            "x",
            "fd:",
            "fd:-1",
            "file:",
            "netns:..",
            "netns:a/b",
            "7:-1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn namespaces_and_users_are_named() {
        let place = |text: &str| place(OsStr::new(text));
        let who = |text: &str| who(OsStr::new(text));

        assert_eq!(place("x"), Ok(Place::File("x".into())));
        assert_eq!(place(":40"), Ok(Place::Id(40)));
        assert!(place(":x").is_err() && place("").is_err() && place(":").is_err());
        assert_eq!(who("follow"), Ok(Who::Follow));
        assert_eq!(who("010"), Ok(Who::Id(10)));
        assert_eq!(who("www-data"), Ok(Who::Name("www-data".into())));
        for text in ["", "-1", "4294967295", "+1"] {
            assert!(who(text).is_err(), "{text}");
        }
    }
}
