//! Small files that are given to the new root: `--file`, `--resolv`, `--hosts`.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use common::{cli, parse};

use crate::inside::{Inside, inside, parts};

/// A file and where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Where it is shown.
    pub at: Inside,
    /// What it says.
    pub content: Content,
    /// Its permission bits.
    pub mode: u32,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// This.
    Text(OsString),
    /// What can be read from a descriptor of the caller's.
    Fd(RawFd),
    /// The name servers of the caller, or those of a file.
    Resolv(Origin),
    /// Names of hosts.
    Hosts(Origin, Vec<Host>),
    /// The host name of this UTS namespace.
    Hostname,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: what every machine has.
    New,
    /// The caller's own.
    Host,
    /// Another file of the caller's.
    File(PathBuf),
}

/// A line of hosts(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its address, as it was written.
    pub address: String,
}

impl Given {
    /// A file of mode 644 at a path that is known.
    pub(crate) fn new(at: &str, content: Content) -> Self {
        Self { at: Inside(at.into()), content, mode: 0o644 }
    }
}

/// Reads `DST[:MODE]=TEXT` or `DST[:MODE]=fd:N`.
///
/// # Errors
/// When it is something else.
pub fn given(text: &OsStr) -> Result<Given, String> {
    let form = || "not DST=TEXT, DST:MODE=TEXT or DST=fd:N".to_owned();
    let bytes = text.as_bytes();
    let at = bytes.iter().position(|b| *b == b'=').ok_or_else(form)?;
    let (place, content) = bytes.split_at_checked(at).ok_or_else(form)?;
    let content = OsStr::from_bytes(content.get(1..).unwrap_or_default());
    let parts = parts(OsStr::from_bytes(place), 2);
    let mode = match parts.get(1) {
        Some(mode) => parse::mode(mode.to_str().ok_or_else(form)?)?,
        None => 0o644,
    };
    let at = inside(parts.first().ok_or_else(form)?)?;
    if at.is_in_proc() {
        return Err("only proc may be mounted there".to_owned());
    }
    let content = match content.to_str().and_then(|text| text.strip_prefix("fd:")) {
        Some(number) => Content::Fd(cli::fd(number)?),
        None => Content::Text(content.to_owned()),
    };
    Ok(Given { at, content, mode })
}

/// Reads `host` or a path.
pub fn resolv(text: &OsStr) -> Origin {
    if text == "host" { Origin::Host } else { Origin::File(text.into()) }
}

/// Reads `new`, `host` or a path.
pub fn hosts(text: &OsStr) -> Origin {
    if text == "new" { Origin::New } else { resolv(text) }
}

/// Reads `NAME:ADDRESS`, or `NAME=ADDRESS`.
///
/// # Errors
/// When it is something else.
pub fn host(text: &str) -> Result<Host, String> {
    let form = || "not NAME:ADDRESS".to_owned();
    let at = text.find([':', '=']).ok_or_else(form)?;
    let (name, address) = text.split_at_checked(at).ok_or_else(form)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err("not the name of a host".to_owned());
    }
    let address = address.get(1..).unwrap_or_default();
    let plain = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    let address = plain.unwrap_or(address);
    address.parse::<IpAddr>().map_err(|_| form())?;
    Ok(Host { name: name.to_owned(), address: address.to_owned() })
}

/// What docker writes to /etc/hosts, and the own name, which resolves on every machine.
pub(crate) fn new_hosts(own: &str) -> String {
    let mut text = "127.0.0.1\tlocalhost\n\
        ::1\tlocalhost ip6-localhost ip6-loopback\n\
        fe00::\tip6-localnet\n\
        ff00::\tip6-mcastprefix\n\
        ff02::1\tip6-allnodes\n\
        ff02::2\tip6-allrouters\n"
        .to_owned();
    if !matches!(own, "" | "localhost" | "(none)") {
        text.push_str("127.0.1.1\t");
        text.push_str(own);
        text.push('\n');
    }
    text
}

/// Whether all name servers of resolv.conf(5) are the caller's own: those of another network
/// namespace they are not.
pub(crate) fn are_all_local(resolv: &[u8]) -> bool {
    let text = String::from_utf8_lossy(resolv);
    let mut servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    servers.all(|server| server.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_place_a_mode_and_a_text() {
        let file =
            |content, mode| Ok(Given { at: Inside("etc/x".into()), content, mode });
        let text = |text: &str| Content::Text(text.into());

        assert_eq!(given("/etc/x=a=b\n".as_ref()), file(text("a=b\n"), 0o644));
        assert_eq!(given("/etc/x=".as_ref()), file(text(""), 0o644));
        assert_eq!(given("/etc/x:600=fd:3".as_ref()), file(Content::Fd(3), 0o600));
        for bad in
            ["", "/etc/x", "=x", "/=x", "/x:9=y", "/x=fd:y", "/proc/x=y", "/../x=y"]
        {
            assert!(given(bad.as_ref()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_has_one_name_and_one_address() {
        let host =
            |text| host(text).map(|host| format!("{} {}", host.address, host.name));

        assert_eq!(host("db:10.1.1.3"), Ok("10.1.1.3 db".into()));
        assert_eq!(host("db=::1"), Ok("::1 db".into()));
        assert_eq!(host("a.b:[fe80::1]"), Ok("fe80::1 a.b".into()));
        for bad in ["", "db", "db:", ":1.1.1.1", "a b:1.1.1.1", "a\n:1.1.1.1", "db:x"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_word_is_no_file_of_that_name() {
        assert_eq!(hosts("new".as_ref()), Origin::New);
        assert_eq!(hosts("host".as_ref()), Origin::Host);
        assert_eq!(resolv("./host".as_ref()), Origin::File("./host".into()));
    }

    #[test]
    fn only_servers_of_loopback_are_local() {
        assert!(are_all_local(b"# x\nnameserver 127.0.0.53\noptions edns0\n"));
        assert!(are_all_local(b"search x\n"));
        assert!(!are_all_local(b"nameserver 127.0.0.53\nnameserver 9.9.9.9\n"));
        assert!(!are_all_local(b"nameserver fe80::1%eth0\n"));
    }

    #[test]
    fn the_own_name_is_in_hosts_where_there_is_one() {
        assert!(new_hosts("box").ends_with("127.0.1.1\tbox\n"));
        assert!(!new_hosts("localhost").contains("127.0.1.1"));
    }
}
