//! Texts that several tools take from the command line: sizes, modes, counts.

use std::fmt;

use nix::libc::c_int;
use nix::sys::signal::Signal;

/// An amount of memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A size as people write it: `64M`, `1.5G`, `512KiB`, `4096`.
///
/// All suffixes are powers of 1024, as in docker(1) and systemd.resource-control(5);
/// `MB` means the same as `M` there and here.
///
/// # Errors
/// The reason, without the text itself, which the argument parser names.
pub fn bytes(text: &str) -> Result<Bytes, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let shift =
        match suffix.to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
            "" if suffix.len() < 2 => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            "p" => 50,
            _ => return Err("not a size: a number and one of K, M, G, T, P".to_owned()),
        };
    decimal(number, 1 << shift).map(Bytes)
}

/// The size of a tmpfs, as [`bytes`]; 0 would mean "no limit" to the kernel.
///
/// # Errors
/// The reason, without the text itself, which the argument parser names.
pub fn tmpfs_size(text: &str) -> Result<Bytes, String> {
    match bytes(text)? {
        Bytes(0) => Err("0 would be no limit".to_owned()),
        size => Ok(size),
    }
}

/// `number * unit` where the number may have decimals, rounded down; exact.
///
/// # Errors
/// When it is no number or does not fit into 64 bits.
pub fn decimal(number: &str, unit: u64) -> Result<u64, String> {
    let bad = || "not a number".to_owned();
    let large = || "too large".to_owned();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return Err(bad());
    }
    let whole: u128 = whole.parse().map_err(|_| large())?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| bad())?);
    let fraction: u128 = fraction.parse().map_err(|_| bad())?;
    whole
        .checked_mul(scale)
        .and_then(|w| w.checked_add(fraction))
        .and_then(|n| n.checked_mul(u128::from(unit)))
        .and_then(|n| n.checked_div(scale))
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(large)
}

/// Permission bits in octal: `755`, `01777`.
///
/// # Errors
/// When it is not an octal number up to 7777.
pub fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|m| *m <= 0o7777 && !text.starts_with('+'))
        .ok_or_else(|| "not an octal mode such as 755".to_owned())
}

/// A uid or gid: 0 to 4294967294, digits only.
///
/// 4294967295 is -1, which the kernel takes for "leave it"; util-linux's setpriv lets
/// it through and stays root.
///
/// # Errors
/// When it is anything else.
pub fn id(text: &str) -> Result<u32, String> {
    text.parse::<u32>()
        .ok()
        .filter(|n| *n != u32::MAX && !text.starts_with('+'))
        .ok_or_else(|| "not an id from 0 to 4294967294".to_owned())
}

/// A signal: `KILL`, `SIGKILL` or 9.
///
/// # Errors
/// When none is called so.
pub fn signal(text: &str) -> Result<c_int, String> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let is_called = |n: &c_int| {
        let signal = Signal::try_from(*n);
        signal.is_ok_and(|signal| signal.as_str().strip_prefix("SIG") == Some(name))
    };
    let numbered = text.parse().ok().filter(|n| (1..=64).contains(n));
    numbered
        .or_else(|| (1..32).find(is_called))
        .ok_or_else(|| "no signal is called so".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024_in_every_spelling() {
        for (text, value) in [
            ("0", 0),
            ("4096", 4096),
            ("4096b", 4096),
            ("64k", 65536),
            ("64KiB", 65536),
            ("64kb", 65536),
            ("256M", 268_435_456),
            ("1.5G", 1_610_612_736),
            ("0.5k", 512),
            ("2T", 2_199_023_255_552),
            ("1p", 1_125_899_906_842_624),
        ] {
            assert_eq!(bytes(text), Ok(Bytes(value)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "", "M", "-1", "1.", ".5", "1..2", "5 M", "1e3", "64Q", "16384P", "ib",
            "1ib", "1kk",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tmpfs_of_no_size_is_refused() {
        assert_eq!(tmpfs_size("4k"), Ok(Bytes(4096)));
        assert_eq!(tmpfs_size("0"), Err("0 would be no limit".to_owned()));
    }

    #[test]
    fn printing_and_parsing_bytes_is_the_identity() {
        arbtest::arbtest(|u| {
            let n = Bytes(u.arbitrary()?);
            assert_eq!(bytes(&n.to_string()), Ok(n));
            Ok(())
        });
    }

    #[test]
    fn the_id_that_means_unchanged_is_refused() {
        assert_eq!(id("0"), Ok(0));
        assert_eq!(id("4294967294"), Ok(u32::MAX - 1));
        for text in ["4294967295", "4294967296", "-1", "+1", "1x", ""] {
            assert!(id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal_up_to_7777() {
        assert_eq!(mode("0755"), Ok(0o755));
        assert_eq!(mode("1777"), Ok(0o1777));
        for text in ["8", "17777", "", "+7", "-7"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["KILL", "SIGKILL", "kill", "9"] {
            assert_eq!(signal(text), Ok(9), "{text}");
        }
        for text in ["", "SIG", "0", "65", "-9", "NOPE"] {
            assert!(signal(text).is_err(), "{text}");
        }
    }
}
