//! The values of limits, as people write them and as numbers.

use std::fmt;
use std::path::PathBuf;

use crate::device::{Policy, Rule};
use crate::list::List;

/// An amount that may be unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// At most this much.
    Of(u64),
    /// No limit, `max` in the kernel's words.
    Max,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(n) => n.fmt(f),
            Self::Max => f.write_str("max"),
        }
    }
}

impl Amount {
    /// As the kernel writes it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text.trim_end() {
            "max" => Some(Self::Max),
            number => number.parse().ok().map(Self::Of),
        }
    }

    /// The lower one.
    #[must_use]
    pub(crate) fn within(self, outer: Self) -> Self {
        match (self, outer) {
            (Self::Of(a), Self::Of(b)) => Self::Of(a.min(b)),
            (Self::Max, other) | (other, Self::Max) => other,
        }
    }
}

/// What an option was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Bytes, tasks, microseconds.
    Amount(Amount),
    /// Millionths of all there is.
    Share(u64),
    /// Millionths of a CPU.
    Cpus(u64),
    /// Runs only where nothing else wants to.
    Idle,
    /// A switch.
    On,
    /// As the kernel takes it.
    Word(String),
    /// CPUs or memory nodes.
    List(List),
    /// For the disk that a path is, or is on.
    Disk(PathBuf, Amount),
    /// For pages of a size.
    Huge {
        /// In bytes.
        page: u64,
        /// Of memory in such pages.
        amount: Amount,
    },
    /// A line of a file that is keyed by a name.
    Keyed(String, String),
    /// Which devices may be used unless a rule says otherwise.
    Policy(Policy),
    /// Which devices may be used.
    Rule(Rule),
    /// A file by its name.
    Raw(String, String),
    /// To be counted, not limited.
    Account(Vec<&'static str>),
}

/// CPU time as the kernel takes it: so many microseconds in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Microseconds of CPU time.
    pub quota: Amount,
    /// Microseconds of time.
    pub period: u64,
}

impl Quota {
    /// As `cpu.max` has it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (quota, period) = text.trim_end().split_once(' ')?;
        Some(Self { quota: Amount::read(quota)?, period: period.parse().ok()? })
    }

    /// Of millionths of a CPU, within the bounds of the kernel: a quota of at least 1 ms, a
    /// period of at most 1 s.
    pub(crate) fn of(cpus: u64, period: Option<u64>) -> Self {
        let at = |period: u64| {
            let quota = u128::from(cpus).saturating_mul(period.into()) / 1_000_000;
            u64::try_from(quota).unwrap_or(u64::MAX)
        };
        let period =
            period.unwrap_or(if at(100_000) >= 1000 { 100_000 } else { 1_000_000 });
        Self { quota: Amount::Of(at(period)), period }
    }

    /// The one that gives less CPU time.
    #[must_use]
    pub(crate) fn within(self, outer: Self) -> Self {
        let (Amount::Of(a), Amount::Of(b)) = (self.quota, outer.quota) else {
            return if self.quota == Amount::Max { outer } else { self };
        };
        let weigh =
            |quota: u64, period: u64| u128::from(quota).saturating_mul(period.into());
        if weigh(a, outer.period) > weigh(b, self.period) { outer } else { self }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.quota, self.period)
    }
}

/// An amount of memory for people: `32 MiB`, `1.5 GiB`, one decimal where it is needed.
pub fn human(bytes: u64) -> String {
    const UNITS: [(&str, u32); 5] =
        [("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let fits =
        |(_, shift): &&(&str, u32)| bytes.checked_shr(*shift).is_some_and(|n| n > 0);
    let Some((unit, shift)) = UNITS.iter().find(fits) else {
        return format!("{bytes} bytes");
    };
    let tenths = u128::from(bytes).saturating_mul(10).checked_shr(*shift).unwrap_or(0);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {unit}"),
        (whole, tenth) => format!("{whole}.{tenth} {unit}"),
    }
}
