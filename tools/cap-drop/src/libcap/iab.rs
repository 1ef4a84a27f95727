//! Inheritable, ambient and blocked in a line: `!cap_kill,^cap_chown`, cap_iab(3).

use super::lookup::{first, name};
use super::text::known;
use crate::sets::CapSet;

/// What an exec hands on, as libcap groups it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Iab {
    /// The inheritable set.
    pub inheritable: CapSet,
    /// The ambient set.
    pub ambient: CapSet,
    /// What the bounding set lacks.
    pub blocked: CapSet,
}

impl Iab {
    /// cap_iab_to_text(3), where the kernel knows the first `count` capabilities.
    pub fn text(self, count: u8) -> String {
        let Self { inheritable, ambient, blocked } = self;
        let some = inheritable.or(ambient).or(blocked).and(known(count));
        let words = some.each().map(|(number, one)| {
            let is_in = |set: CapSet| !set.and(one).is_empty();
            let mark = match (is_in(blocked), is_in(ambient), is_in(inheritable)) {
                (true, true, _) => "!^",
                (true, false, true) => "!%",
                (true, false, false) => "!",
                (false, true, _) => "^",
                (false, false, _) => "",
            };
            format!("{mark}{}", name(number))
        });
        words.collect::<Vec<_>>().join(",")
    }

    /// cap_iab_from_text(3); none where the text is not of the form.
    ///
    /// The peer takes marks without a name at the end, and does nothing.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut iab = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let is_mark = |b: &u8| matches!(b, b'!' | b'^' | b'%');
            let length = rest.iter().position(|b| !is_mark(b))?;
            let (marks, word) = rest.split_at_checked(length)?;
            let (number, tail) = first(word)?;
            let one = CapSet::one(number);
            let has = |mark: u8| marks.contains(&mark);
            if marks.is_empty() || has(b'%') || has(b'^') {
                iab.inheritable = iab.inheritable.or(one);
            }
            if has(b'^') {
                iab.ambient = iab.ambient.or(one);
            }
            if has(b'!') {
                iab.blocked = iab.blocked.or(one);
            }
            rest = match tail {
                [] => tail,
                [b',', tail @ ..] => tail,
                _ => return None,
            };
        }
        Some(iab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<[u64; 3]> {
        let Iab { inheritable, ambient, blocked } = Iab::parse(text.as_bytes())?;
        Some([inheritable.0, ambient.0, blocked.0])
    }

    #[test]
    fn marks_say_which_sets_a_name_is_for() {
        assert_eq!(parse(""), Some([0, 0, 0]));
        assert_eq!(parse("cap_chown,%1,^2,!3"), Some([7, 4, 8]));
        assert_eq!(parse("!%cap_chown,^!1,!^%2,"), Some([7, 6, 7]));
        assert_eq!(parse("%!^63"), Some([1 << 63; 3]));
    }

    #[test]
    fn what_is_of_no_such_form_is_refused() {
        for text in
            ["all", "cap_chown cap_kill", ",", "cap_chown,,1", "!", "1,!", "64", "=1"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn reading_what_was_printed_is_the_identity() {
        arbtest::arbtest(|u| {
            let (inheritable, ambient) = (CapSet(u.arbitrary()?), CapSet(u.arbitrary()?));
            let ambient = ambient.and(inheritable);
            let iab = Iab { inheritable, ambient, blocked: CapSet(u.arbitrary()?) };
            let text = iab.text(64);
            assert_eq!(Iab::parse(text.as_bytes()), Some(iab), "{text}");
            let _ = Iab::parse(u.arbitrary()?);
            Ok(())
        });
    }
}
