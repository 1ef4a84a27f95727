//! Values of the command line, as types.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use common::fail::quote;
use common::{parse, passwd};
use nix::libc::c_int;

use crate::sets::{self, CapSet};

/// A set of capabilities that others made customary, or that a file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// What docker leaves a container.
    Docker,
    /// What podman leaves a container.
    Podman,
    /// No capability.
    None,
    /// What a file says.
    File(PathBuf),
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" => return Err("no profile is named".to_owned()),
            "docker" => Self::Docker,
            "podman" => Self::Podman,
            "none" => Self::None,
            path => Self::File(path.into()),
        })
    }
}

/// How a state is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// A plain answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// It is to be so
    Yes,
    /// It is not
    No,
}

/// What is to happen to COMMAND when its parent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathSignal {
    /// Nothing.
    Clear,
    /// It is sent this.
    Send(c_int),
}

/// A user or a group by name or number.
pub(super) fn named(text: &str) -> Result<OsString, String> {
    if text.is_empty() {
        return Err("nobody is named".to_owned());
    }
    passwd::group_name(text)
}

/// `KILL`, `SIGKILL`, 9 or `clear`.
pub(super) fn death_signal(text: &str) -> Result<DeathSignal, String> {
    if text == "clear" {
        return Ok(DeathSignal::Clear);
    }
    parse::signal(text).map(DeathSignal::Send)
}

/// The bits that chmod(1) knows without those above 777, which umask(2) ignores.
pub(super) fn umask(text: &str) -> Result<u32, String> {
    let bad = "not an octal mode up to 777";
    parse::mode(text).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| bad.to_owned())
}

/// proc_pid_oom_score_adj(5).
pub(super) fn oom_score_adj(text: &str) -> Result<i16, String> {
    let number = text.parse().ok().filter(|n| (-1000..=1000).contains(n));
    number.ok_or_else(|| "not a number from -1000 to 1000".to_owned())
}

/// setpriority(2).
pub(super) fn nice(text: &str) -> Result<c_int, String> {
    let number = text.parse().ok().filter(|n| (-20..=19).contains(n));
    number.ok_or_else(|| "not a number from -20 to 19".to_owned())
}

/// What is written to a file of /proc as it is: a line.
pub(super) fn label(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("not a label".to_owned());
    }
    Ok(text.to_owned())
}

/// A process id.
pub(super) fn pid(text: &str) -> Result<c_int, String> {
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|n| is_digits && *n > 0);
    number.ok_or_else(|| "not a process id".to_owned())
}

/// `0x3`, `00000000a80425fb`.
pub(super) fn mask(text: &str) -> Result<CapSet, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let mask = is_hex.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    mask.map(CapSet)
        .ok_or_else(|| "not a mask of up to 64 bits in hexadecimal".to_owned())
}

/// One of the five sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// `b`
    Bounding,
    /// `p`
    Permitted,
    /// `e`
    Effective,
    /// `i`
    Inheritable,
    /// `a`
    Ambient,
}

/// The sets by their letters and names, in the order of [`crate::state::Caps::named`].
const SETS: [(Set, &str, &str); 5] = [
    (Set::Bounding, "b", "bounding"),
    (Set::Permitted, "p", "permitted"),
    (Set::Effective, "e", "effective"),
    (Set::Inheritable, "i", "inheritable"),
    (Set::Ambient, "a", "ambient"),
];

/// What is asked for: `p:net_admin,kill,i:net_raw`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Has(pub Vec<(Set, CapSet)>);

impl Has {
    /// Reads it: a name belongs to the set that was named last.
    ///
    /// # Errors
    /// With the word that is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        let mut current = None;
        for word in text.split(',') {
            let name = match word.split_once(':') {
                Some((set, name)) => {
                    current = Some(set_named(set)?);
                    name
                }
                None => word,
            };
            let set = current.ok_or("say in which set: p:, e:, i:, b: or a:")?;
            all.push((set, sets::parse(name)?));
        }
        Ok(Self(all))
    }
}

fn set_named(name: &str) -> Result<Set, String> {
    let found = SETS.iter().find(|(_, letter, long)| name == *letter || name == *long);
    found
        .map(|(set, ..)| *set)
        .ok_or_else(|| format!("{} is no set: p, e, i, b or a", quote(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_one_set_after_the_other() {
        let kill = CapSet::one(5);

        assert_eq!(Has::parse("p:kill"), Ok(Has(vec![(Set::Permitted, kill)])));
        assert_eq!(
            Has::parse("p:kill,0,bounding:5").unwrap().0,
            [
                (Set::Permitted, kill),
                (Set::Permitted, CapSet::one(0)),
                (Set::Bounding, kill)
            ]
        );
        for text in ["", "kill", "x:kill", "p:", "p:kill,", ":kill", "p:kill:0", "p:net"]
        {
            assert!(Has::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_mask_is_strict() {
        for text in ["0x3", "3", "0000000000000003"] {
            assert_eq!(mask(text), Ok(CapSet(3)), "{text}");
        }
        for text in ["", "0x", "zz", "3x", "-1", "+1", "0x10000000000000000"] {
            assert!(mask(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(oom_score_adj("-1000"), Ok(-1000));
        assert_eq!(nice("-20"), Ok(-20));
        assert_eq!(umask("077"), Ok(0o77));
        assert_eq!(pid("1"), Ok(1));
        assert!(oom_score_adj("1001").is_err() && nice("20").is_err());
        assert!(umask("1000").is_err() && umask("8").is_err());
        assert!(pid("0").is_err() && pid("-1").is_err() && pid("+1").is_err());
    }
}
