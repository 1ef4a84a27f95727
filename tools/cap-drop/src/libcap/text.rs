//! Three sets in a line: `=ep cap_sys_resource-ep`, cap_from_text(3).

use super::lookup::{first, name};
use crate::sets::CapSet;

/// The sets that capget(2) gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sets {
    /// What the kernel looks at.
    pub effective: CapSet,
    /// What can be made effective.
    pub permitted: CapSet,
    /// What exec hands on to files that take it.
    pub inheritable: CapSet,
}

/// Some of the three sets, as bits: a capability is in these.
type Flags = u8;
const EFFECTIVE: Flags = 1;
const PERMITTED: Flags = 2;
const INHERITABLE: Flags = 4;

/// In the order that they are printed in.
const LETTERS: [(Flags, char); 3] =
    [(EFFECTIVE, 'e'), (INHERITABLE, 'i'), (PERMITTED, 'p')];

fn letters(flags: Flags) -> impl Iterator<Item = char> {
    LETTERS.into_iter().filter(move |(flag, _)| flags & flag != 0).map(|(_, c)| c)
}

/// The capabilities that a kernel knows: the first `count`.
pub fn known(count: u8) -> CapSet {
    CapSet(1_u64.checked_shl(count.into()).map_or(u64::MAX, |bit| bit.wrapping_sub(1)))
}

impl Sets {
    /// cap_to_text(3), where the kernel knows the first `count` capabilities.
    pub fn text(self, count: u8) -> String {
        let known = known(count);
        let members = |flags: Flags| self.exactly_in(flags);
        let size = |flags: Flags| members(flags).and(known).0.count_ones();
        // What most are in is said once for all; of two, the lesser.
        let base = (0..8)
            .rev()
            .fold(7, |most, flags| if size(flags) >= size(most) { flags } else { most });
        let mut out = String::from("=");
        out.extend(letters(base));
        for flags in (0..8).rev().filter(|flags| *flags != base) {
            let group = members(flags).and(known);
            if group.is_empty() {
                continue;
            }
            // `= cap_kill+e` is `cap_kill=e`.
            let is_bare = out == "=";
            out = if is_bare { String::new() } else { out + " " };
            list(&mut out, group);
            if flags & !base != 0 {
                out.push(if is_bare { '=' } else { '+' });
                out.extend(letters(flags & !base));
            }
            if base & !flags != 0 {
                out.push('-');
                out.extend(letters(base & !flags));
            }
        }
        for flags in (1..8).rev() {
            let group = members(flags).without(known);
            if !group.is_empty() {
                out.push(' ');
                list(&mut out, group);
                out.push('+');
                out.extend(letters(flags));
            }
        }
        out
    }

    /// Those that are in these sets and in none of the others.
    fn exactly_in(self, flags: Flags) -> CapSet {
        let side = |flag: Flags, set: CapSet| {
            if flags & flag == 0 { CapSet::ALL.without(set) } else { set }
        };
        side(EFFECTIVE, self.effective)
            .and(side(PERMITTED, self.permitted))
            .and(side(INHERITABLE, self.inheritable))
    }

    /// cap_from_text(3); none where the text is not of the form.
    pub fn parse(text: &[u8], count: u8) -> Option<Self> {
        let mut sets = Self::default();
        let clauses = text.split(|b| is_space(*b)).filter(|clause| !clause.is_empty());
        for clause in clauses {
            sets.clause(clause, known(count))?;
        }
        Some(sets)
    }

    /// `LIST OP FLAGS [OP FLAGS]…`, where all that are known need no list before `=`.
    fn clause(&mut self, text: &[u8], known: CapSet) -> Option<()> {
        let is_listed = text.first().is_some_and(|b| is_word(*b));
        let (who, mut rest) =
            if is_listed { capabilities(text, known)? } else { (known, text) };
        let (mut operator, tail) = operator(rest, is_listed)?;
        rest = tail;
        loop {
            let length = rest.iter().position(|b| matches!(b, b'+' | b'-'));
            let (word, tail) = rest.split_at_checked(length.unwrap_or(rest.len()))?;
            let flags = flags(word)?;
            // Only `=` can stand alone.
            if flags == 0 && operator != Operator::Set {
                return None;
            }
            self.apply(operator, who, flags);
            let Some((next, tail)) = tail.split_first() else { return Some(()) };
            // More can be said only of a list, and a letter has to follow.
            if !is_listed || tail.is_empty() {
                return None;
            }
            operator = if *next == b'+' { Operator::Raise } else { Operator::Lower };
            rest = tail;
        }
    }

    fn apply(&mut self, operator: Operator, who: CapSet, flags: Flags) {
        let clears = matches!(operator, Operator::Set | Operator::SetLower);
        let all = [
            (EFFECTIVE, &mut self.effective),
            (PERMITTED, &mut self.permitted),
            (INHERITABLE, &mut self.inheritable),
        ];
        for (flag, set) in all {
            let is_meant = flags & flag != 0;
            let raises = matches!(operator, Operator::Set | Operator::Raise) && is_meant;
            let lowers = operator == Operator::Lower && is_meant;
            if raises {
                *set = set.or(who);
            } else if clears || lowers {
                *set = set.without(who);
            }
        }
    }
}

/// What happens to the capabilities of a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `=` or `=+`: in these sets and no others.
    Set,
    /// `=-`: in none.
    SetLower,
    /// `+`: in these as well.
    Raise,
    /// `-`: no longer in these.
    Lower,
}

fn operator(text: &[u8], is_listed: bool) -> Option<(Operator, &[u8])> {
    match text {
        // The letters must be there, which `=` alone does not take.
        [b'=', b'+', tail @ ..] if is_listed && !tail.is_empty() => {
            Some((Operator::Set, tail))
        }
        [b'=', b'-', tail @ ..] if is_listed => Some((Operator::SetLower, tail)),
        [b'=', b'+' | b'-', ..] => None,
        [b'=', tail @ ..] => Some((Operator::Set, tail)),
        [b'+', tail @ ..] if is_listed => Some((Operator::Raise, tail)),
        [b'-', tail @ ..] if is_listed => Some((Operator::Lower, tail)),
        _ => None,
    }
}

fn flags(word: &[u8]) -> Option<Flags> {
    word.iter().try_fold(0, |flags, letter| {
        let meant = LETTERS.iter().find(|(_, c)| char::from(*letter) == *c)?;
        Some(flags | meant.0)
    })
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// `cap_chown,13,all`, and what follows it.
fn capabilities(text: &[u8], known: CapSet) -> Option<(CapSet, &[u8])> {
    let mut set = CapSet::NONE;
    let mut rest = text;
    loop {
        let (head, tail) = rest.split_at_checked(3).unwrap_or((rest, &[]));
        let is_all = head.eq_ignore_ascii_case(b"all");
        if is_all && !tail.first().is_some_and(|b| is_word(*b)) {
            (set, rest) = (set.or(known), tail);
        } else {
            let (number, tail) = first(rest)?;
            (set, rest) = (set.or(CapSet::one(number)), tail);
        }
        match rest {
            [b',', tail @ ..] if tail.first().is_some_and(|b| is_word(*b)) => rest = tail,
            [b',', ..] => return None,
            _ => return Some((set, rest)),
        }
    }
}

fn list(out: &mut String, set: CapSet) {
    for (at, (number, _)) in set.each().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        out.push_str(&name(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<[u64; 3]> {
        let Sets { effective, permitted, inheritable } =
            Sets::parse(text.as_bytes(), 41)?;
        Some([effective.0, permitted.0, inheritable.0])
    }

    const ALL: u64 = (1 << 41) - 1;

    #[test]
    fn clauses_are_applied_from_left_to_right() {
        for (text, expected) in [
            ("", [0, 0, 0]),
            ("=", [0, 0, 0]),
            ("=ep", [ALL, ALL, 0]),
            ("all=ep", [ALL, ALL, 0]),
            ("ALL+eip", [ALL, ALL, ALL]),
            ("=ep cap_chown-ep", [ALL - 1, ALL - 1, 0]),
            ("cap_chown,cap_kill+p-p+e", [0x21, 0, 0]),
            ("cap_chown=pe-p+i", [1, 0, 1]),
            ("cap_chown+e cap_chown=+i", [0, 0, 1]),
            ("cap_chown+e cap_chown=-e", [0, 0, 0]),
            ("5,0x6,011+p\tCAP_CHOWN=e", [1, 0x260, 0]),
            ("63+p =e", [ALL, 1 << 63, 0]),
        ] {
            assert_eq!(parse(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_of_no_such_form_is_refused() {
        for text in [
            "+ep",
            "-e",
            "cap_chown",
            "cap_chown+",
            "cap_chown-",
            "cap_chown+x",
            "cap_chown,+e",
            "cap_chown,,cap_kill+e",
            ",cap_chown+e",
            "cap_chown +e",
            "=e+p",
            "=+e",
            "=-e",
            "cap_chown=+",
            "cap_chown+e+",
            "cap_chown=e-",
            "64+e",
            "allx=e",
            "all_=e",
            "chown=e",
            "cap_chown+E",
            "cap_chown==e",
            "[cap_net_raw+ep]",
            "08+e",
            "=ep,cap_chown-e",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_most_are_in_comes_first_and_nothing_before_anything() {
        let text = |e: u64, p: u64, i: u64| {
            let [effective, permitted, inheritable] = [e, p, i].map(CapSet);
            Sets { effective, permitted, inheritable }.text(41)
        };

        assert_eq!(text(0, 0, 0), "=");
        assert_eq!(text(ALL, ALL, 0), "=ep");
        assert_eq!(text(ALL - (1 << 24), ALL - (1 << 24), 0), "=ep cap_sys_resource-ep");
        assert_eq!(text(0, 1, 0), "cap_chown=p");
        assert_eq!(text(1, 1, 0x20), "cap_kill=i cap_chown+ep");
        assert_eq!(text(ALL - 1, ALL, ALL), "=eip cap_chown-e");
        assert_eq!(text(1, ALL - 1, 0), "=p cap_chown+e-p");
        assert_eq!(text(1 << 63, 3 << 62, 0), "= 63+ep 62+p");
    }

    #[test]
    fn reading_what_was_printed_is_the_identity() {
        arbtest::arbtest(|u| {
            let count = u.int_in_range(1..=64)?;
            let mut sets = || -> arbtest::arbitrary::Result<CapSet> {
                let mask: u64 = u.arbitrary()?;
                // Mostly all or none, as in life.
                Ok(CapSet(if u.ratio(1, 3)? {
                    mask
                } else {
                    u.int_in_range(0..=1)? * mask
                }))
            };
            let sets =
                Sets { effective: sets()?, permitted: sets()?, inheritable: sets()? };
            let text = sets.text(count);
            assert_eq!(Sets::parse(text.as_bytes(), count), Some(sets), "{text} {count}");
            Ok(())
        });
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        arbtest::arbtest(|u| {
            let count = u.int_in_range(0..=64)?;
            let _ = Sets::parse(u.arbitrary()?, count);
            Ok(())
        });
    }
}
