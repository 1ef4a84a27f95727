//! Sets of capabilities: a bit mask with names, and no system call.

use std::fmt;

use caps::Capability;
use common::fail::quote;

use crate::describe;

/// Capabilities by number; those that have no name here yet are kept as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapSet(pub u64);

impl CapSet {
    /// No capability.
    pub const NONE: Self = Self(0);
    /// Every capability, also those that no kernel has yet.
    pub const ALL: Self = Self(u64::MAX);
    /// One that no kernel has: the highest number is never given.
    pub const UNKNOWN: Self = Self(1 << 63);
    /// What docker leaves a container: moby, oci/caps/defaults.go.
    pub const DOCKER: Self = Self(0xa804_25fb);
    /// What podman leaves: docker's without NET_RAW, MKNOD, AUDIT_WRITE.
    pub const PODMAN: Self = Self(0x8004_05fb);

    /// The set of one of the numbers from 0 to 63.
    pub const fn one(number: u8) -> Self {
        if number < 64 { Self(1 << number) } else { Self::NONE }
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of the other are in this.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The name of the first, where there is one: for a complaint.
    pub fn first(self) -> Option<String> {
        self.each().next().map(|(number, _)| name(number))
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each one as a set of its own, in the order of their numbers.
    pub fn each(self) -> impl Iterator<Item = (u8, Self)> {
        (0..64)
            .map(|n| (n, Self::one(n)))
            .filter(move |(_, one)| !self.and(*one).is_empty())
    }
}

impl From<Capability> for CapSet {
    fn from(capability: Capability) -> Self {
        Self::one(capability.index())
    }
}

impl fmt::Display for CapSet {
    /// `cap_chown,cap_kill,41`; `none` for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.each().map(|(number, _)| name(number)).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

/// `cap_net_raw`; the number alone where it has no name here.
pub fn name(number: u8) -> String {
    describe::name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// A list of names as people write them: `cap_net_raw,NET_ADMIN,13,all`.
///
/// # Errors
/// With the name that is none.
pub fn parse(text: &str) -> Result<CapSet, String> {
    text.split(',').try_fold(CapSet::NONE, |all, word| Ok(all.or(parse_one(word)?)))
}

/// A list as [`parse`] takes it, or `none`.
///
/// # Errors
/// With the name that is none.
pub fn parse_or_none(text: &str) -> Result<CapSet, String> {
    if text.eq_ignore_ascii_case("none") { Ok(CapSet::NONE) } else { parse(text) }
}

fn parse_one(word: &str) -> Result<CapSet, String> {
    let lower = word.to_ascii_lowercase();
    let bare = lower.strip_prefix("cap_").unwrap_or(&lower);
    if lower == "all" {
        return Ok(CapSet::ALL);
    }
    let is_number = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| bare.parse().ok()).flatten();
    let named = || describe::number(format!("cap_{bare}").as_bytes());
    let found = number.filter(|n| *n < 64).or_else(named).map(CapSet::one);
    found.ok_or_else(|| format!("{} is no capability, see capabilities(7)", quote(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_understood_in_every_form() {
        let raw = CapSet::from(Capability::CAP_NET_RAW);

        for text in [
            "cap_net_raw",
            "CAP_NET_RAW",
            "NET_RAW",
            "net_raw",
            "Net_Raw",
            "13",
            "cap_13",
        ] {
            assert_eq!(parse(text), Ok(raw), "{text}");
        }
        assert_eq!(parse("13,kill,net_raw"), Ok(raw.or(CapSet::one(5))));
        assert_eq!(parse("63"), Ok(CapSet(1 << 63)));
        assert_eq!(parse("all"), Ok(CapSet::ALL));
        assert_eq!(parse_or_none("none"), Ok(CapSet::NONE));
    }

    #[test]
    fn a_list_with_anything_else_in_it_is_refused_with_its_name() {
        for (text, bad) in [
            ("net_row", "net_row"),
            ("chown,", ""),
            ("", ""),
            ("chown,,kill", ""),
            ("chown+ep", "chown+ep"),
            ("chown kill", "chown kill"),
            ("64", "64"),
            ("-1", "-1"),
            ("+1", "+1"),
            ("cap_", "cap_"),
            ("cap_cap_kill", "cap_cap_kill"),
            ("none", "none"),
            ("kill,none", "none"),
        ] {
            let expected = format!("'{bad}' is no capability, see capabilities(7)");
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn the_profiles_are_dockers_fourteen_and_podmans_eleven() {
        assert_eq!(
            CapSet::DOCKER.to_string(),
            "cap_chown,cap_dac_override,cap_fowner,cap_fsetid,cap_kill,cap_setgid,\
             cap_setuid,cap_setpcap,cap_net_bind_service,cap_net_raw,cap_sys_chroot,\
             cap_mknod,cap_audit_write,cap_setfcap"
        );
        assert_eq!(
            CapSet::DOCKER.without(CapSet::PODMAN).to_string(),
            "cap_net_raw,cap_mknod,cap_audit_write"
        );
    }

    #[test]
    fn reading_what_was_printed_is_the_identity() {
        arbtest::arbtest(|u| {
            let set = CapSet(u.arbitrary()?);
            assert_eq!(parse_or_none(&set.to_string()), Ok(set));
            Ok(())
        });
    }
}
