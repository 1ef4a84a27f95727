//! Extended headers of pax(1): records that are told apart by their length alone.
//!
//! A value may hold newlines and `=`: whoever splits at newlines loses the record of the
//! size behind it and reads a file's content as headers (CVE-2025-62518 and its kin).

/// The records of one header, in their order: sparse maps repeat a key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    /// Takes the body of an `x` or `g` entry apart.
    ///
    /// # Errors
    /// A record whose length is not that of the record.
    pub fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let mut all = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let (record, tail) = split(rest).ok_or("a malformed extended header")?;
            all.push(record);
            rest = tail;
        }
        Ok(Self(all))
    }

    /// The value of a key; the last one counts, and an empty one is none.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().rfind(|(k, _)| k == key.as_bytes())?;
        (!value.is_empty()).then_some(value.as_slice())
    }

    /// All records in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(k, v)| (k.as_slice(), v.as_slice()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

type Record = (Vec<u8>, Vec<u8>);

/// `LEN KEY=VALUE\n`, where LEN counts all of it.
fn split(rest: &[u8]) -> Option<(Record, &[u8])> {
    let blank = rest.iter().take(8).position(|b| *b == b' ')?;
    let digits = rest.get(..blank)?;
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    if digits.starts_with(b"+") {
        return None;
    }
    let (record, tail) = rest.split_at_checked(length)?;
    let record = record.get(blank..)?.strip_prefix(b" ")?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=').filter(|at| *at > 0)?;
    let (key, value) = record.split_at_checked(equals)?;
    let value = value.strip_prefix(b"=")?;
    // The kernel ends names at a NUL; only an attribute's value may hold one.
    let raw = key.starts_with(b"SCHILY.xattr.") && !key.contains(&0);
    (raw || !value.contains(&0)).then(|| ((key.to_vec(), value.to_vec()), tail))
}

/// Seconds with a fraction, which may lie before 1970.
pub fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (negative, digits) = match whole.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, whole),
    };
    if digits.is_empty() || !format!("{digits}{fraction}").bytes().all(is_digit) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let seconds: i64 = whole.parse().ok()?;
    if negative && nanos > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000_u32.checked_sub(nanos)?));
    }
    Some((seconds, nanos))
}

/// A number in decimal digits and nothing else.
pub fn number(value: &[u8]) -> Option<u64> {
    let all_digits = !value.is_empty() && value.iter().all(|b| is_digit(*b));
    all_digits.then(|| std::str::from_utf8(value).ok()?.parse().ok())?
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_in_a_value_hides_no_record_behind_it() {
        let records = Records::parse(b"25 SCHILY.xattr.user.a=\n\n11 size=42\n").unwrap();

        assert_eq!(records.get("SCHILY.xattr.user.a"), Some(&b"\n"[..]));
        assert_eq!(records.get("size"), Some(&b"42"[..]));
    }

    #[test]
    fn the_last_record_of_a_key_counts_and_an_empty_one_deletes() {
        let records = Records::parse(b"10 path=a\n10 path=b\n8 uid=1\n7 uid=\n").unwrap();

        assert_eq!(records.get("path"), Some(&b"b"[..]));
        assert_eq!(records.get("uid"), None);
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        for bad in [
            &b"8 path=a\n"[..],
            b"11 path=a\n",
            b"99999999 path=a\n",
            b"+10 path=a\n",
            b"0 \n",
            b"3 \n",
            b"5 =a\n",
            b"6 abc\n",
            b"path=a\n",
            b"10 path=a ",
            b"11 path=a\0\n",
            b"10 path=a\n\0",
        ] {
            assert!(Records::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn times_have_fractions_and_may_be_negative() {
        assert_eq!(time(b"1.5"), Some((1, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"-0.25"), Some((-1, 750_000_000)));
        assert_eq!(time(b"7"), Some((7, 0)));
        assert_eq!(time(b"1.1234567891"), Some((1, 123_456_789)));
        for bad in [&b""[..], b"-", b"1e3", b"+1", b"1.-5", b"99999999999999999999"] {
            assert_eq!(time(bad), None, "{}", bad.escape_ascii());
        }
    }
}
