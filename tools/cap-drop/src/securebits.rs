//! The securebits flags of capabilities(7): a bit mask with names, and no system call.

use std::fmt;

use common::fail::quote;

/// How the kernel treats uid 0, and from Linux 6.14 on what interpreters may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Securebits(pub u32);

/// The names that setpriv(1) made customary, each flag before its lock.
pub const NAMES: [&str; 12] = [
    "noroot",
    "noroot_locked",
    "no_setuid_fixup",
    "no_setuid_fixup_locked",
    "keep_caps",
    "keep_caps_locked",
    "no_cap_ambient_raise",
    "no_cap_ambient_raise_locked",
    "exec_restrict_file",
    "exec_restrict_file_locked",
    "exec_deny_interactive",
    "exec_deny_interactive_locked",
];

impl Securebits {
    /// uid 0 gets no capability by an exec.
    pub const NOROOT: Self = Self(1 << 0);
    /// A change of the uid changes no capability.
    pub const NO_SETUID_FIXUP: Self = Self(1 << 2);
    /// The next change of the uid leaves the permitted set; an exec clears it.
    pub const KEEP_CAPS: Self = Self(1 << 4);
    /// KEEP_CAPS stays as it is.
    pub const KEEP_CAPS_LOCKED: Self = Self(1 << 5);
    /// Nothing more becomes ambient.
    pub const NO_CAP_AMBIENT_RAISE: Self = Self(1 << 6);
    /// Every lock there is.
    const LOCKS: Self = Self(0xaaa);

    /// Whether one of these is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What the kernel never lets change from here: a lock, and the flag below it.
    #[must_use]
    pub const fn locked(self) -> Self {
        let locks = self.0 & Self::LOCKS.0;
        Self(locks | locks >> 1)
    }
}

impl fmt::Display for Securebits {
    /// `noroot,noroot_locked`; `none` where nothing is set, a number where one of them has
    /// no name here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >> NAMES.len() != 0 {
            return write!(f, "{:#x}", self.0);
        }
        let is_set = |(bit, _): &(usize, &&str)| self.0 >> bit & 1 == 1;
        let names: Vec<_> =
            NAMES.iter().enumerate().filter(is_set).map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

/// What was asked of the securebits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// Flags to set.
    pub set: Securebits,
    /// Flags to clear; all others where the list had no sign.
    pub clear: Securebits,
}

impl Change {
    /// The flags after the change.
    #[must_use]
    pub const fn of(self, now: Securebits) -> Securebits {
        now.without(self.clear).or(self.set)
    }
}

/// `noroot,noroot_locked` for exactly these, `+noroot,-no_setuid_fixup` for a change,
/// a number such as `0x2f`, or `none`.
///
/// # Errors
/// With the name that is none.
pub fn parse(text: &str) -> Result<Change, String> {
    let everything = Securebits(u32::MAX).without(Securebits::KEEP_CAPS);
    if text == "none" {
        return Ok(Change { set: Securebits::default(), clear: everything });
    }
    if let Some(number) = number(text) {
        let set = checked(number?)?;
        return Ok(Change { set, clear: everything });
    }
    let mut change = Change::default();
    let is_signed = |word: &str| word.starts_with(['+', '-']);
    for word in text.split(',') {
        if is_signed(word) != is_signed(text) {
            return Err("either every flag has a sign or none has".to_owned());
        }
        let flag = flag(word.trim_start_matches(['+', '-']), word)?;
        if change.set.or(change.clear).has(flag) {
            return Err(format!("{} is there twice", quote(word)));
        }
        let into =
            if word.starts_with('-') { &mut change.clear } else { &mut change.set };
        *into = into.or(flag);
    }
    if !is_signed(text) {
        change.clear = everything;
    }
    Ok(change)
}

/// A number in any base of C, if it is one.
fn number(text: &str) -> Option<Result<u32, String>> {
    let (digits, base) = match text.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let bad = || format!("{} is no number of 32 bits", quote(text));
    is_number.then(|| {
        let plain = !digits.starts_with('+');
        plain.then(|| u32::from_str_radix(digits, base).ok()).flatten().ok_or_else(bad)
    })
}

fn flag(name: &str, word: &str) -> Result<Securebits, String> {
    let at = NAMES.iter().position(|known| *known == name);
    let bit = at.and_then(|at| 1_u32.checked_shl(u32::try_from(at).ok()?));
    let has_one_sign = word.len() <= name.len().saturating_add(1);
    match bit.filter(|_| has_one_sign) {
        Some(bit) => checked(bit),
        None => Err(format!("{} is no securebit, see capabilities(7)", quote(word))),
    }
}

fn checked(bits: u32) -> Result<Securebits, String> {
    let bits = Securebits(bits);
    if bits.has(Securebits::KEEP_CAPS) {
        return Err("keep_caps does not live over an exec".to_owned());
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Securebits = Securebits(0x5);

    fn after(text: &str) -> Result<u32, String> {
        parse(text).map(|change| change.of(NOW).0)
    }

    #[test]
    fn a_list_is_exact_and_signs_make_it_a_change() {
        for (text, bits) in [
            ("noroot", 0x1),
            ("noroot,noroot_locked", 0x3),
            ("+noroot_locked", 0x7),
            ("-noroot,+keep_caps_locked", 0x24),
            ("none", 0),
            ("0x2f", 0x2f),
            ("47", 0x2f),
            ("0", 0),
            ("exec_deny_interactive_locked", 0x800),
        ] {
            assert_eq!(after(text), Ok(bits), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_list_is_refused() {
        for text in [
            "",
            "+",
            "-",
            "noroot,",
            "NOROOT",
            "no",
            "+noroot,noroot_locked",
            "++noroot",
            "noroot,noroot",
            "+noroot,-noroot",
            "keep_caps",
            "+keep_caps",
            "0x10",
            "0x1ffffffff",
            "0x",
            "1x",
            "all",
            "none,noroot",
            "+none",
            "0x+1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reading_what_was_printed_is_the_identity() {
        arbtest::arbtest(|u| {
            let some = u32::arbitrary(u)?;
            let some = if u.arbitrary()? { some } else { some & 0xfff };
            let bits = Securebits(some).without(Securebits::KEEP_CAPS);
            assert_eq!(parse(&bits.to_string()).map(|c| c.of(NOW)), Ok(bits));
            Ok(())
        });
        assert_eq!(Securebits(1 << 20 | 1).to_string(), "0x100001");
    }

    #[test]
    fn a_lock_holds_the_flag_below_it() {
        assert_eq!(Securebits(0x2).locked(), Securebits(0x3));
        assert_eq!(Securebits(0x5).locked(), Securebits(0));
        assert_eq!(Securebits(0x2f).locked(), Securebits(0x3f));
    }

    use arbtest::arbitrary::Arbitrary;
}
