//! Names and numbers as libcap's programs take them.

use std::borrow::Cow;

use crate::describe;

/// More than any kernel has: the sets are of 64 bits.
const MAX: u64 = 64;

/// strtoul(3) with base 0, of digits alone: `13`, `0x0d`, `015`, and what follows them.
fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let (base, tail) = match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => {
            (16, text.get(2..)?)
        }
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let is_digit = |b: &u8| char::from(*b).is_digit(base);
    let length = tail.iter().position(|b| !is_digit(b)).unwrap_or(tail.len());
    let (number, rest) = tail.split_at_checked(length)?;
    let number = std::str::from_utf8(number).ok()?;
    Some((u64::from_str_radix(number, base).ok()?, rest))
}

/// A number as a whole: strtoul(3) with base 0, and no more than fits a `u32`.
///
/// What is larger is cut off by the peer: 4294967296 becomes uid 0.
pub fn number(text: &[u8]) -> Option<u32> {
    let text = text.trim_ascii_start();
    match digits(text.strip_prefix(b"+").unwrap_or(text))? {
        (number, []) => u32::try_from(number).ok(),
        _ => None,
    }
}

/// A capability's name or number at the start of `text`, and what follows it.
pub(super) fn first(text: &[u8]) -> Option<(u8, &[u8])> {
    if text.first()?.is_ascii_digit() {
        let (number, rest) = digits(text)?;
        let number = u8::try_from(number).ok().filter(|n| u64::from(*n) < MAX)?;
        return Some((number, rest));
    }
    let is_letter = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    let length = text.iter().position(|b| !is_letter(b)).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(length)?;
    Some((describe::number(word)?, rest))
}

/// A capability's name or number as a whole.
///
/// The peer leaves what follows the name unread: `cap_chown+ep`, `cap_kill cap_chown`.
pub fn capability(text: &[u8]) -> Option<u8> {
    match first(text)? {
        (number, []) => Some(number),
        _ => None,
    }
}

/// The name, or the number where it has none.
pub fn name(number: u8) -> Cow<'static, str> {
    describe::name(number).map_or_else(|| number.to_string().into(), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_the_three_bases_of_c() {
        for (text, expected) in [
            ("13", Some(13)),
            ("0x0d", Some(13)),
            ("0XD", Some(13)),
            ("015", Some(13)),
            ("0", Some(0)),
            (" +13", Some(13)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("18446744073709551616", None),
            ("0x", None),
            ("08", None),
            ("-1", None),
            (" -1", None),
            ("+", None),
            ("", None),
            ("1 ", None),
            ("1x", None),
        ] {
            assert_eq!(number(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_capability_is_a_name_or_a_number_and_nothing_behind_it() {
        for (text, expected) in [
            ("cap_kill", Some(5)),
            ("CAP_Kill", Some(5)),
            ("5", Some(5)),
            ("0x5", Some(5)),
            ("63", Some(63)),
            ("64", None),
            ("kill", None),
            ("cap_kill+ep", None),
            ("cap_kill,cap_chown", None),
            ("cap_kill5", None),
            ("5x", None),
            ("", None),
            ("all", None),
        ] {
            assert_eq!(capability(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(name(5), "cap_kill");
        assert_eq!(name(41), "41");
    }
}
