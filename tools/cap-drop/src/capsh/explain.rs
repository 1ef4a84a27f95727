//! `--explain`, `--suggest` and `--decode`: capabilities in words.

use common::Fail;

use super::{Session, fail, print, shown};
use crate::describe::{Described, KNOWN};
use crate::libcap::{capability, kernel, name};
use crate::sets::CapSet;

/// The first line of an explanation, without what is said of the kernel.
fn heading(what: &str, number: u8) -> String {
    let mask = CapSet::one(number).0;
    format!("{what} ({number}) [/proc/self/status:CapXXX: 0x{mask:016x}]\n")
}

fn described(known: &Described, number: u8) -> String {
    let is_reserved = kernel::is_bounding(number).is_err();
    let reserved = if is_reserved { "<reserved for> " } else { "" };
    let lines = known.permits.lines().map(|line| format!("    {line}\n"));
    let heading = heading(&format!("{reserved}{}", known.name), number);
    format!("{heading}\n{}", lines.collect::<String>())
}

pub(super) fn explain(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let number = capability(text)
        .ok_or_else(|| fail(format_args!("unrecognised value '{}'", shown(text))))?;
    print(&match KNOWN.get(usize::from(number)) {
        Some(known) => described(known, number),
        None if kernel::is_bounding(number).is_ok() => {
            heading("<unnamed in libcap>", number)
        }
        None => heading("<unsupported>", number),
    })
}

pub(super) fn suggest(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let wanted = String::from_utf8_lossy(text).to_lowercase();
    let has = |line: &str| line.to_lowercase().contains(&wanted);
    let is_about = |known: &Described| has(known.name) || known.permits.lines().any(has);
    let about = (0_u8..).zip(KNOWN).filter(|(_, known)| is_about(known));
    let texts: Vec<_> = about.map(|(number, known)| described(&known, number)).collect();
    print(&texts.join("\n"))
}

/// strtoull(3) with base 16, which takes what it can: nothing is 0.
fn mask(text: &[u8]) -> u64 {
    let text = text.trim_ascii_start();
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let text = match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => {
            text.get(2..).unwrap_or_default()
        }
        _ => text,
    };
    let digits = text.iter().map_while(|b| char::from(*b).to_digit(16));
    let value = digits
        .map(u64::from)
        .try_fold(0_u64, |value, digit| value.checked_mul(16)?.checked_add(digit));
    match value {
        Some(value) if negative => value.wrapping_neg(),
        Some(value) => value,
        None => u64::MAX,
    }
}

pub(super) fn decode(_: &mut Session, text: &[u8]) -> Result<(), Fail> {
    let mask = mask(text);
    let names: Vec<_> = CapSet(mask).each().map(|(number, _)| name(number)).collect();
    print(&format!("0x{mask:016x}={}\n", names.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_read_as_far_as_it_is_one() {
        for (text, expected) in [
            ("00000000a80425fb", 0xa804_25fb),
            ("0xFF", 0xff),
            (" +0x1g", 1),
            ("0x", 0),
            ("zz", 0),
            ("", 0),
            ("-1", u64::MAX),
            ("10000000000000000", u64::MAX),
        ] {
            assert_eq!(mask(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn the_first_to_be_about_the_network_is_the_peers() {
        let has = |known: &&Described| {
            known.permits.contains("network") || known.name.contains("network")
        };

        assert_eq!(KNOWN.iter().find(has).unwrap().name, "cap_net_broadcast");
    }
}
