//! The values of limits, as people write them and as numbers.

use std::fmt;

use common::parse;
use serde_json::Value;

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
    /// For `--status-fd`: a number, or the word `max`.
    pub fn json(self) -> Value {
        match self {
            Self::Of(n) => n.into(),
            Self::Max => "max".into(),
        }
    }
}

/// An amount of memory, or a share of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// In bytes.
    Amount(Amount),
    /// In millionths of the memory that this process may have.
    Share(u64),
}

/// CPU time in millionths of one CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpus(pub u64);

/// CPU time as the kernel takes it: so many microseconds in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Microseconds of CPU time.
    pub quota: u64,
    /// Microseconds of time.
    pub period: u64,
}

impl Quota {
    /// Whether it gives more CPU time.
    pub(crate) fn is_more_than(self, other: Self) -> bool {
        let weigh =
            |a: Self, b: Self| u128::from(a.quota).saturating_mul(b.period.into());
        weigh(self, other) > weigh(other, self)
    }
}

impl Cpus {
    /// Within the bounds of the kernel: a quota of at least 1 ms, a period of at most 1 s.
    pub fn quota(self) -> Quota {
        match self.0 / 10 {
            quota if quota >= 1000 => Quota { quota, period: 100_000 },
            _ => Quota { quota: self.0, period: 1_000_000 },
        }
    }
}

/// The largest number of tasks the kernel takes for a limit, `PID_MAX_LIMIT`.
const MOST_TASKS: u64 = 4_194_304;

/// `64M`, `75%` or `max`.
pub fn memory(text: &str) -> Result<Memory, String> {
    match text.strip_suffix('%') {
        None => amount(text).map(Memory::Amount),
        Some(number) => match parse::decimal(number, 10_000)? {
            share @ 1..=1_000_000 => Ok(Memory::Share(share)),
            _ => Err("not a share from 0.0001% to 100%".into()),
        },
    }
}

/// `64M` or `max`.
pub fn amount(text: &str) -> Result<Amount, String> {
    if text == "max" {
        return Ok(Amount::Max);
    }
    parse::bytes(text).map(|bytes| Amount::Of(bytes.0))
}

/// `1.5` or `150%`.
pub fn cpus(text: &str) -> Result<Cpus, String> {
    let millionths = match text.strip_suffix('%') {
        None => parse::decimal(text, 1_000_000)?,
        Some(number) => parse::decimal(number, 10_000)?,
    };
    match millionths {
        1000..=1_000_000_000_000 => Ok(Cpus(millionths)),
        _ => Err("not a number of CPUs from 0.001 to 1000000".into()),
    }
}

/// `64` or `max`.
pub fn pids(text: &str) -> Result<Amount, String> {
    if text == "max" {
        return Ok(Amount::Max);
    }
    text.parse()
        .ok()
        .filter(|n| (1..=MOST_TASKS).contains(n) && !text.starts_with('+'))
        .map(Amount::Of)
        .ok_or_else(|| format!("not a number of tasks from 1 to {MOST_TASKS}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_size_a_share_or_max() {
        assert_eq!(memory("64M"), Ok(Memory::Amount(Amount::Of(67_108_864))));
        assert_eq!(memory("max"), Ok(Memory::Amount(Amount::Max)));
        assert_eq!(memory("75%"), Ok(Memory::Share(750_000)));
        assert_eq!(memory("0.5%"), Ok(Memory::Share(5000)));
        for text in ["", "%", "101%", "0%", "-1", "infinity", "1.5.0%", "5 M"] {
            assert!(memory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_quota_stays_within_the_kernels_bounds() {
        for (text, quota, period) in [
            ("1.5", 150_000, 100_000),
            ("150%", 150_000, 100_000),
            ("50%", 50_000, 100_000),
            ("0.01", 1000, 100_000),
            ("0.005", 5000, 1_000_000),
            ("0.001", 1000, 1_000_000),
            ("64", 6_400_000, 100_000),
        ] {
            assert_eq!(
                cpus(text).map(Cpus::quota),
                Ok(Quota { quota, period }),
                "{text}"
            );
        }
        for text in ["0", "0.0009", "-1", "", "%", "max", "1e3", "1000001"] {
            assert!(cpus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_group_that_could_not_hold_one_task_is_refused() {
        assert_eq!(pids("1"), Ok(Amount::Of(1)));
        assert_eq!(pids("4194304"), Ok(Amount::Of(4_194_304)));
        assert_eq!(pids("max"), Ok(Amount::Max));
        for text in ["0", "-1", "+5", "4194305", "1.5", "1k", ""] {
            assert!(pids(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_printed_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (33_554_432, "32 MiB"),
            (1_610_612_736, "1.5 GiB"),
            (33_500_000, "31.9 MiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }
}
