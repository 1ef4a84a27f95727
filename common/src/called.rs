//! The name that a tool was called by: its own, or that of the peer whose place it takes.

use std::ffi::{OsStr, OsString};

use crate::{Fail, cli, entry};

/// Who complains, and with which status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called {
    /// What stands before a complaint.
    pub name: &'static str,
    own: &'static str,
    is_peer: bool,
}

/// What scripts take the peers for that look at their version first.
pub const LIKE: &str = "util-linux 2.43";

impl Called {
    /// From argv\[0\].
    pub fn new(args: &[OsString], own: &'static str, peer: &'static str) -> Self {
        let name = args.first().map(|name| cli::basename(name));
        let is_peer = name == Some(OsStr::new(peer));
        Self { name: if is_peer { peer } else { own }, own, is_peer }
    }

    /// The status of a failure: the peer's is 1.
    #[must_use]
    pub fn failure(self) -> u8 {
        if self.is_peer { 1 } else { 125 }
    }

    /// A failure with the status that the peer has for it: 1 where ours is 125. The status
    /// of a COMMAND that was waited for is its own, and comes without a text.
    #[must_use]
    pub fn status(self, fail: Fail) -> Fail {
        let is_ours = fail.status == 125 && !fail.text.is_empty();
        if is_ours { fail.status(self.failure()) } else { fail }
    }

    /// Says what a failure has to say under the name; what is left is the status.
    #[must_use]
    pub fn report(self, fail: Fail) -> Fail {
        if !self.is_peer {
            return fail;
        }
        let mut fail = self.status(fail);
        if fail.output && fail.text.starts_with(self.own) {
            fail.text = format!("{} like {LIKE}\n{}", self.name, fail.text);
        }
        let status = entry::report(self.name, &fail);
        // Standard output was full: that was ours too.
        Fail::exit(if fail.output && status != 0 { self.failure() } else { status })
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

    #[test]
    fn the_status_of_command_is_nobody_elses() {
        let called = Called::new(&["unshare".into()], "ns-run", "unshare");

        assert_eq!(called.status(Fail::exit(125)).status, 125);
    }
}
