//! Resource limits by name, getrlimit(2).

use std::fmt;

use common::fail::quote;
use common::parse;
use nix::libc::{self, rlim_t};

/// A limit to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Its name, as prlimit(1) and ulimit(1) have it.
    pub name: &'static str,
    /// `RLIMIT_*`.
    pub resource: u32,
    /// The soft limit.
    pub soft: rlim_t,
    /// The hard limit; what it is already where only one was given and fits below.
    pub hard: rlim_t,
}

/// Every resource with its name, in the order of their names.
///
/// musl has the numbers as `int`, glibc as `unsigned`.
#[allow(
    clippy::as_conversions,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "0 to 15"
)]
const RESOURCES: [(&str, u32); 16] = [
    ("as", libc::RLIMIT_AS as u32),
    ("core", libc::RLIMIT_CORE as u32),
    ("cpu", libc::RLIMIT_CPU as u32),
    ("data", libc::RLIMIT_DATA as u32),
    ("fsize", libc::RLIMIT_FSIZE as u32),
    ("locks", libc::RLIMIT_LOCKS as u32),
    ("memlock", libc::RLIMIT_MEMLOCK as u32),
    ("msgqueue", libc::RLIMIT_MSGQUEUE as u32),
    ("nice", libc::RLIMIT_NICE as u32),
    ("nofile", libc::RLIMIT_NOFILE as u32),
    ("nproc", libc::RLIMIT_NPROC as u32),
    ("rss", libc::RLIMIT_RSS as u32),
    ("rtprio", libc::RLIMIT_RTPRIO as u32),
    ("rttime", libc::RLIMIT_RTTIME as u32),
    ("sigpending", libc::RLIMIT_SIGPENDING as u32),
    ("stack", libc::RLIMIT_STACK as u32),
];

/// `nofile=1024`, `nofile=64:1024`, `core=unlimited`, `as=1G`.
///
/// One number is both limits, as in ulimit(1) and `docker run --ulimit`.
///
/// # Errors
/// With the part that is not understood.
pub fn parse(text: &str) -> Result<Limit, String> {
    let (name, values) =
        text.split_once('=').ok_or("not of the form NAME=SOFT[:HARD]")?;
    let found = RESOURCES.iter().find(|(known, _)| *known == name);
    let (name, resource) = found.ok_or_else(|| {
        let known: Vec<_> = RESOURCES.iter().map(|(name, _)| *name).collect();
        format!("{} is none of {}", quote(name), known.join(", "))
    })?;
    let (soft, hard) = match values.split_once(':') {
        Some((soft, hard)) => (amount(soft)?, amount(hard)?),
        None => (amount(values)?, amount(values)?),
    };
    if soft > hard {
        return Err("the soft limit is above the hard one".to_owned());
    }
    Ok(Limit { name, resource: *resource, soft, hard })
}

fn amount(text: &str) -> Result<rlim_t, String> {
    match text {
        "unlimited" | "infinity" => Ok(libc::RLIM_INFINITY),
        size => parse::bytes(size).map(|bytes| bytes.0),
    }
}

impl fmt::Display for Limit {
    /// `{soft, hard}` as setrlimit(2) is given it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: rlim_t| match value {
            libc::RLIM_INFINITY => "RLIM_INFINITY".to_owned(),
            value => value.to_string(),
        };
        write!(f, "{{{}, {}}}", shown(self.soft), shown(self.hard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_every_resource_once() {
        assert!(RESOURCES.is_sorted());
        let mut numbers: Vec<_> = RESOURCES.iter().map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..16).collect::<Vec<_>>());
    }

    #[test]
    fn a_limit_is_one_number_or_two() {
        let pair = |text: &str| parse(text).map(|limit| (limit.soft, limit.hard));

        assert_eq!(pair("nofile=64"), Ok((64, 64)));
        assert_eq!(pair("nofile=64:128"), Ok((64, 128)));
        assert_eq!(pair("as=1G:unlimited"), Ok((1 << 30, libc::RLIM_INFINITY)));
        for text in
            ["", "nofile", "nofile=", "file=1", "nofile=2:1", "nofile=1:", "nofile=-1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
