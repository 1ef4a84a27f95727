//! What stands behind the options, read into what it means.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;
use common::nstype::{KINDS, Ns};

/// A namespace to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum New {
    /// It goes with its last process.
    Passing,
    /// It is kept by a bind mount of its file in /proc on this one.
    Kept(PathBuf),
}

impl From<OsString> for New {
    fn from(file: OsString) -> Self {
        if file.is_empty() { Self::Passing } else { Self::Kept(file.into()) }
    }
}

/// `--propagation`.
#[derive(ValueEnum, Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Neither way.
    #[default]
    Private,
    /// Only in.
    Slave,
    /// Both ways.
    Shared,
    /// As it was.
    Unchanged,
}

/// `--setgroups`.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setgroups {
    /// As usual.
    Allow,
    /// For good: user_namespaces(7).
    Deny,
}

impl Setgroups {
    /// What the kernel reads.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// `--owner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Who owns the user namespace.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// `--join`: a namespace that is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Its kind.
    pub ns: Ns,
    /// Its file.
    pub file: PathBuf,
}

/// A uid, or the name of a user of this host.
pub(super) fn user(text: &str) -> Result<u32, String> {
    let listed =
        || common::passwd::users(&etc("passwd")).find(|u| u.name == text).map(|u| u.uid);
    number_or(text, listed, "not a uid, nor a user in /etc/passwd")
}

/// A gid, or the name of a group of this host.
pub(super) fn group(text: &str) -> Result<u32, String> {
    let listed =
        || common::passwd::groups(&etc("group")).find(|g| g.name == text).map(|g| g.gid);
    number_or(text, listed, "not a gid, nor a group in /etc/group")
}

fn number_or(
    text: &str,
    listed: impl Fn() -> Option<u32>,
    none: &str,
) -> Result<u32, String> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return common::parse::id(text);
    }
    listed().ok_or_else(|| none.to_owned())
}

fn etc(name: &str) -> Vec<u8> {
    std::fs::read(format!("/etc/{name}")).unwrap_or_default()
}

/// `UID:GID`.
pub(super) fn owner(text: &str) -> Result<Owner, String> {
    let (uid, gid) = text.split_once(':').ok_or("not of the form UID:GID")?;
    Ok(Owner { uid: common::parse::id(uid)?, gid: common::parse::id(gid)? })
}

/// sethostname(2) takes 64 bytes, and setdomainname(2).
pub(super) fn hostname(text: &str) -> Result<OsString, String> {
    if (1..=64).contains(&text.len()) {
        return Ok(text.into());
    }
    Err("a name has 1 to 64 bytes".to_owned())
}

/// Nanoseconds are not asked for: time_namespaces(7) takes whole seconds here.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "not a number of seconds".to_owned())
}

/// `KIND=FILE` or `KIND=PID`.
pub(super) fn join(text: &str) -> Result<Join, String> {
    let (kind, from) =
        text.split_once('=').ok_or("not of the form KIND=FILE or KIND=PID")?;
    let name = if kind == "mount" { "mnt" } else { kind };
    let kind = KINDS.iter().find(|known| known.file == name);
    let kind = kind.ok_or("KIND is user, mnt, pid, ipc, uts, net, cgroup or time")?;
    if from.is_empty() {
        return Err("no file and no process is named".to_owned());
    }
    let is_pid = from.bytes().all(|b| b.is_ascii_digit());
    let file =
        if is_pid { format!("/proc/{from}/ns/{}", kind.file) } else { from.to_owned() };
    Ok(Join { ns: kind.ns, file: file.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers_or_names() {
        assert_eq!(user("0"), Ok(0));
        assert_eq!(user("root"), Ok(0));
        assert!(user("no such user").is_err() && user("4294967295").is_err());
    }

    #[test]
    fn what_is_joined_is_a_process_or_a_file() {
        let joined = |text: &str| join(text).map(|join| (join.ns, join.file));

        assert_eq!(joined("net=/run/netns/a"), Ok((Ns::Net, "/run/netns/a".into())));
        assert_eq!(joined("mount=17"), Ok((Ns::Mount, "/proc/17/ns/mnt".into())));
        for text in ["net", "net=", "nope=1", "=1"] {
            assert!(joined(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_owner_is_two_numbers() {
        assert_eq!(owner("1:2"), Ok(Owner { uid: 1, gid: 2 }));
        for text in ["1", "1:", ":2", "1:2:3", "a:b", "4294967295:0"] {
            assert!(owner(text).is_err(), "{text}");
        }
    }
}
