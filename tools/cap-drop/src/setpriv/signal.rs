//! The names of signals, as util-linux has them.

use nix::libc::{self, c_int};
use nix::sys::signal::Signal;

/// Other names of the same.
const ALIASES: [(&str, c_int); 3] =
    [("IOT", libc::SIGABRT), ("CLD", libc::SIGCHLD), ("POLL", libc::SIGIO)];

/// What the C library leaves of the real-time signals.
const REAL_TIME: [c_int; 2] = [34, 64];

/// `KILL`; none for a real-time signal.
pub(super) fn name(number: c_int) -> Option<&'static str> {
    Signal::try_from(number).ok()?.as_str().strip_prefix("SIG")
}

/// `KILL`, `sigkill`, `RTMIN+3`, `RTMAX-1`, but no number.
pub(super) fn parse(text: &str) -> Option<c_int> {
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(real_time) = bare.strip_prefix("RT") {
        return parse_real_time(real_time);
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == bare);
    let alias = alias.map(|(_, number)| *number);
    alias.or_else(|| (1..32).find(|number| name(*number) == Some(bare)))
}

fn parse_real_time(text: &str) -> Option<c_int> {
    let [min, max] = REAL_TIME;
    let (from_max, digits) = match text.strip_prefix("MAX-") {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix("MIN+").unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let offset: c_int = digits.parse().ok()?;
    let number = if from_max { max.checked_sub(offset) } else { min.checked_add(offset) };
    number.filter(|number| (min..=max).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_with_and_without_their_prefix() {
        for (text, expected) in [
            ("KILL", Some(9)),
            ("SIGKILL", Some(9)),
            ("sigkill", Some(9)),
            ("IOT", Some(6)),
            ("cld", Some(17)),
            ("POLL", Some(29)),
            ("SYS", Some(31)),
            ("RTMIN+0", Some(34)),
            ("SIGRTMAX-0", Some(64)),
            ("RT3", Some(37)),
            ("RTMAX-31", None),
            ("RTMIN", None),
            ("9", None),
            ("", None),
            ("SIG", None),
            ("EMT", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
        assert_eq!((name(9), name(29), name(34)), (Some("KILL"), Some("IO"), None));
    }
}
