//! Lists of capabilities with signs: `-all,+net_raw`, `+cap_13`.

use common::Fail;

use super::usage;
use crate::describe;
use crate::sets::CapSet;

/// What is said of some capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// They are in it.
    Add(CapSet),
    /// They are not.
    Drop(CapSet),
}

/// Reads a list, where the kernel knows these.
///
/// # Errors
/// When a word has no sign, or names no capability of the kernel.
pub(super) fn parse(list: &str, known: CapSet) -> Result<Vec<Change>, Fail> {
    list.split(',').map(|word| change(word, known)).collect()
}

fn change(word: &str, known: CapSet) -> Result<Change, Fail> {
    let (change, name): (fn(CapSet) -> Change, _) = match word.split_at_checked(1) {
        Some(("+", name)) => (Change::Add, name),
        Some(("-", name)) => (Change::Drop, name),
        _ => return Err(usage("bad capability string")),
    };
    if name == "all" {
        return Ok(change(known));
    }
    let number = describe::number(format!("cap_{name}").as_bytes());
    let number = number.or_else(|| numbered(name)).map(CapSet::one);
    // The names of the peer have no prefix.
    let number = number.filter(|one| !known.and(*one).is_empty());
    let unknown = || usage(format_args!("unknown capability \"{name}\""));
    number.map(change).ok_or_else(unknown)
}

/// `cap_13`.
fn numbered(name: &str) -> Option<u8> {
    let digits = name.strip_prefix("cap_")?;
    let is_number = digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// A set after the changes, from left to right.
pub(super) fn apply(set: CapSet, changes: &[Change]) -> CapSet {
    changes.iter().fold(set, |set, change| match change {
        Change::Add(some) => set.or(*some),
        Change::Drop(some) => set.without(*some),
    })
}

/// The name that the peer prints.
pub(super) fn name(number: u8) -> String {
    let name = describe::name(number).and_then(|name| name.strip_prefix("cap_"));
    name.map_or_else(|| format!("cap_{number}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libcap::known;

    #[test]
    fn changes_are_made_from_left_to_right() {
        let of = |list: &str| {
            let changes = parse(list, known(41)).map_err(|f| f.text)?;
            Ok(apply(CapSet(0x3), &changes).0)
        };
        let refused = |text: &str| Err(text.to_owned());

        assert_eq!(of("-all,+net_raw,+NET_ADMIN"), Ok(1 << 13 | 1 << 12));
        assert_eq!(of("+all,-chown,-cap_1"), Ok(known(41).0 & !3));
        assert_eq!(of("+cap_13"), Ok(1 << 13 | 3));
        assert_eq!(of(""), refused("bad capability string"));
        assert_eq!(of("net_raw"), refused("bad capability string"));
        assert_eq!(of("+net_raw,"), refused("bad capability string"));
        assert_eq!(of("+cap_net_raw"), refused("unknown capability \"cap_net_raw\""));
        assert_eq!(of("+cap_41"), refused("unknown capability \"cap_41\""));
        assert_eq!(of("+13"), refused("unknown capability \"13\""));
        assert_eq!(of("+cap_"), refused("unknown capability \"cap_\""));
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        arbtest::arbtest(|u| {
            let list: &str = u.arbitrary()?;
            let _ = parse(list, known(41));
            let _ = super::super::securebits::change(0, list);
            let _ = super::super::signal::parse(list);
            Ok(())
        });
    }
}
