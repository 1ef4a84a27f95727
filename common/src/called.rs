//! The name that a tool was called by: its own, or that of the peer whose place it takes.

use std::ffi::{OsStr, OsString};

use crate::{Fail, cli, entry};

/// Who complains, and with which status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called {
    /// What stands before a complaint.
    pub name: &'static str,
    is_peer: bool,
}

impl Called {
    /// From argv\[0\].
    pub fn new(args: &[OsString], own: &'static str, peer: &'static str) -> Self {
        let name = args.first().map(|name| cli::basename(name));
        let is_peer = name == Some(OsStr::new(peer));
        Self { name: if is_peer { peer } else { own }, is_peer }
    }

    /// A failure with the status that the peer has for it: 1 where ours is 125.
    #[must_use]
    pub fn status(self, fail: Fail) -> Fail {
        let is_ours = self.is_peer && fail.status == 125;
        if is_ours { fail.status(1) } else { fail }
    }

    /// Says what a failure has to say under the name; what is left is the status.
    #[must_use]
    pub fn report(self, fail: Fail) -> Fail {
        if !self.is_peer {
            return fail;
        }
        Fail::exit(entry::report(self.name, &self.status(fail)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_part_of_the_name_counts() {
        let called = |name: &str| Called::new(&[name.into()], "ns-run", "unshare").name;

        assert_eq!(called("/usr/local/bin/unshare"), "unshare");
        assert_eq!(called("unshare"), "unshare");
        assert_eq!(called("/unshare/ns-run"), "ns-run");
        assert_eq!(Called::new(&[], "ns-run", "unshare").name, "ns-run");
    }

    #[test]
    fn a_failure_is_status_1_under_the_peers_name() {
        let status = |name: &str, status: u8| {
            let called = Called::new(&[name.into()], "ns-run", "unshare");
            called.status(Fail::new("x").status(status)).status
        };

        assert_eq!(status("unshare", 125), 1);
        assert_eq!(status("unshare", 127), 127);
        assert_eq!(status("ns-run", 125), 125);
    }
}
