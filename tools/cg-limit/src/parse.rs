//! Reads what options are given: the texts of people, docker and systemd.

use common::parse;

use crate::list::List;
use crate::value::{Amount, Value};

/// The largest number of tasks the kernel takes for a limit, `PID_MAX_LIMIT`.
const MOST_TASKS: u64 = 4_194_304;

type Read = Result<Value, String>;

/// No limit: in the kernel's word, systemd's and docker's.
fn unlimited(text: &str) -> bool {
    matches!(text, "max" | "infinity" | "-1")
}

/// `64M` or `max`.
pub(crate) fn bytes(text: &str) -> Result<Amount, String> {
    if unlimited(text) {
        return Ok(Amount::Max);
    }
    parse::bytes(text).map(|bytes| Amount::Of(bytes.0))
}

fn share(number: &str) -> Read {
    match parse::decimal(number, 10_000)? {
        share @ 1..=1_000_000 => Ok(Value::Share(share)),
        _ => Err("not a share from 0.0001% to 100%".into()),
    }
}

/// `64M`, `75%` or `max`.
pub(crate) fn memory(text: &str) -> Read {
    match text.strip_suffix('%') {
        None => bytes(text).map(Value::Amount),
        Some(number) => share(number),
    }
}

/// `64M` or `max`, of a total.
pub(crate) fn size(text: &str) -> Read {
    bytes(text).map(Value::Amount)
}

/// `1.5` or `150%`.
pub(crate) fn cpus(text: &str) -> Read {
    if unlimited(text) {
        return Ok(Value::Amount(Amount::Max));
    }
    let millionths = match text.strip_suffix('%') {
        None => parse::decimal(text, 1_000_000)?,
        Some(number) => parse::decimal(number, 10_000)?,
    };
    match millionths {
        1000..=1_000_000_000_000 => Ok(Value::Cpus(millionths)),
        _ => Err("not a number of CPUs from 0.001 to 1000000".into()),
    }
}

/// `64`, `10%` or `max`.
pub(crate) fn tasks(text: &str) -> Read {
    if unlimited(text) {
        return Ok(Value::Amount(Amount::Max));
    }
    match text.strip_suffix('%') {
        Some(number) => share(number),
        None => number(text, 1..=MOST_TASKS)
            .map(|n| Value::Amount(Amount::Of(n)))
            .ok_or_else(|| format!("not a number of tasks from 1 to {MOST_TASKS}")),
    }
}

pub(crate) fn number(text: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    text.parse().ok().filter(|n| range.contains(n) && !text.starts_with('+'))
}

fn within(text: &str, range: std::ops::RangeInclusive<u64>) -> Read {
    number(text, range.clone())
        .map(|n| Value::Amount(Amount::Of(n)))
        .ok_or_else(|| format!("not a number from {} to {}", range.start(), range.end()))
}

/// A count, or `max`.
pub(crate) fn count(text: &str) -> Read {
    if unlimited(text) {
        return Ok(Value::Amount(Amount::Max));
    }
    within(text, 0..=i32::MAX.unsigned_abs().into())
}

/// 1 to 10000, or `idle`.
pub(crate) fn weight_or_idle(text: &str) -> Read {
    if text == "idle" { Ok(Value::Idle) } else { weight(text) }
}

/// 1 to 10000.
pub(crate) fn weight(text: &str) -> Read {
    within(text, 1..=10_000)
}

/// 10 to 1000, of docker's.
pub(crate) fn blkio_weight(text: &str) -> Read {
    within(text, 10..=1000)
}

/// 2 to 262144, of v1 and docker.
pub(crate) fn shares(text: &str) -> Read {
    within(text, 2..=262_144)
}

/// 0 to 200, more than 100 since Linux 5.8.
pub(crate) fn swappiness(text: &str) -> Read {
    within(text, 0..=200)
}

/// Microseconds of a quota, or `max`.
pub(crate) fn quota(text: &str) -> Read {
    if unlimited(text) {
        return Ok(Value::Amount(Amount::Max));
    }
    within(text, 1000..=1_000_000_000_000)
}

/// Microseconds of a period.
pub(crate) fn period(text: &str) -> Read {
    within(text, 1000..=1_000_000)
}

/// Microseconds.
pub(crate) fn micros(text: &str) -> Read {
    within(text, 0..=1_000_000_000_000)
}

/// A time that is the period of a quota.
pub(crate) fn period_time(text: &str) -> Read {
    period(&time(text)?.as_micros().to_string())
}

/// `0` to `100`, decimals allowed, as `cpu.uclamp.min` prints it.
pub(crate) fn percent(text: &str) -> Read {
    let hundredths = match text {
        "max" => 10_000,
        _ => parse::decimal(text.strip_suffix('%').unwrap_or(text), 100)?,
    };
    if hundredths > 10_000 {
        return Err("not a share from 0 to 100".into());
    }
    Ok(Value::Word(format!("{}.{:02}", hundredths / 100, hundredths % 100)))
}

/// `0-3,7`.
pub(crate) fn list(text: &str) -> Read {
    List::parse(text).map(Value::List)
}

/// `AllowedCPUs=0 2 4-5`: systemd takes blanks as well.
pub(crate) fn list_of_words(text: &str) -> Read {
    let words: Vec<_> = text.split([' ', ',']).filter(|w| !w.is_empty()).collect();
    list(&words.join(","))
}

/// `member`, `root` or `isolated`.
pub(crate) fn partition(text: &str) -> Read {
    match text {
        "member" | "root" | "isolated" => Ok(Value::Word(text.to_owned())),
        _ => Err("not member, root or isolated".into()),
    }
}

/// `PATH:N` or `PATH N`.
fn disk(text: &str, amount: impl Fn(&str) -> Result<Amount, String>) -> Read {
    let (path, number) =
        text.rsplit_once([':', ' ']).ok_or("not a device or path, ':' and a number")?;
    if path.is_empty() {
        return Err("no device before the ':'".into());
    }
    Ok(Value::Disk(path.trim_end().into(), amount(number)?))
}

/// Bytes a second for a disk.
pub(crate) fn disk_bytes(text: &str) -> Read {
    disk(text, |n| not_zero(bytes(n)?))
}

/// The same in systemd's units, powers of 1000: systemd.resource-control(5).
pub(crate) fn disk_bytes_of_1000(text: &str) -> Read {
    disk(text, |n| {
        let (head, unit) = match n.find(|c: char| c.is_ascii_alphabetic()) {
            Some(at) if !unlimited(n) => n.split_at(at),
            _ => (n, ""),
        };
        let power = match unit {
            "" => return not_zero(bytes(n)?),
            "K" => 1,
            "M" => 2,
            "G" => 3,
            "T" => 4,
            _ => return Err("not a number and one of K, M, G, T".into()),
        };
        parse::decimal(head, 1000_u64.pow(power)).map(Amount::Of).and_then(not_zero)
    })
}

/// Operations a second for a disk.
pub(crate) fn disk_count(text: &str) -> Read {
    disk(text, |n| {
        if unlimited(n) {
            return Ok(Amount::Max);
        }
        let number = number(n, 1..=u32::MAX.into()).map(Amount::Of);
        number.ok_or_else(|| "not a number above 0".to_owned())
    })
}

/// A weight for a disk.
pub(crate) fn disk_weight(text: &str) -> Read {
    disk(text, |n| {
        let weight = number(n, 1..=10_000).map(Amount::Of);
        weight.ok_or_else(|| "not a weight from 1 to 10000".to_owned())
    })
}

/// A latency for a disk.
pub(crate) fn disk_time(text: &str) -> Read {
    disk(text, |n| {
        let micros = u64::try_from(time(n)?.as_micros()).map_err(|_| "too long")?;
        Ok(Amount::Of(micros))
    })
}

/// v1 has 0 for no limit, and v2 refuses it.
fn not_zero(amount: Amount) -> Result<Amount, String> {
    if amount == Amount::Of(0) {
        Err("0 would stop it for ever".into())
    } else {
        Ok(amount)
    }
}

/// `2M:64M`: pages of a size, and how much memory in them.
pub(crate) fn huge(text: &str) -> Read {
    let (page, amount) = text.split_once(':').ok_or("not a page size, ':' and a size")?;
    match parse::bytes(page)?.0 {
        page if page.is_power_of_two() && page >= 1024 => {
            Ok(Value::Huge { page, amount: bytes(amount)? })
        }
        _ => Err("no page has that size".into()),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// `mlx5_0:hca_handle=2,hca_object=2000`.
pub(crate) fn rdma(text: &str) -> Read {
    let (device, limits) = text.split_once(':').ok_or("not a device, ':' and limits")?;
    let is_limit = |limit: &str| {
        let value = limit.split_once('=').filter(|(name, _)| is_name(name));
        value.is_some_and(|(_, n)| {
            n == "max" || number(n, 0..=i32::MAX.unsigned_abs().into()).is_some()
        })
    };
    if !is_name(device) || !limits.split(',').all(is_limit) {
        return Err("not as mlx5_0:hca_handle=2,hca_object=max".into());
    }
    Ok(Value::Keyed(device.to_owned(), limits.replace(',', " ")))
}

/// `sev:4`.
pub(crate) fn misc(text: &str) -> Read {
    let (name, amount) =
        text.split_once(':').ok_or("not a resource, ':' and a number")?;
    let is_amount = amount == "max" || number(amount, 0..=u64::MAX).is_some();
    if !is_name(name) || !is_amount {
        return Err("not as sev:4 or sev:max".into());
    }
    Ok(Value::Keyed(name.to_owned(), amount.to_owned()))
}

/// `yes` of a switch that a property is.
pub(crate) fn switch(text: &str) -> Read {
    match text {
        "" | "1" | "yes" | "true" | "on" => Ok(Value::On),
        _ => Err("not yes".into()),
    }
}

/// `OOMPolicy=kill`.
pub(crate) fn oom_policy(text: &str) -> Read {
    if text == "kill" { Ok(Value::On) } else { Err("not kill".into()) }
}

/// `memory,pids`: what to count.
pub(crate) fn account(text: &str) -> Read {
    let known = |name: &str| match name {
        "memory" => Ok("memory"),
        "cpu" => Ok("cpuacct"),
        "io" => Ok("io"),
        "pids" => Ok("pids"),
        _ => Err("not of memory, cpu, io, pids".to_owned()),
    };
    text.split(',').map(known).collect::<Result<_, _>>().map(Value::Account)
}

/// `5`, `5s`, `1.5min`, `100ms`: seconds unless there is a unit, systemd.time(7).
pub(crate) fn time(text: &str) -> Result<std::time::Duration, String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u64 = match unit {
        "us" => 1,
        "ms" => 1000,
        "" | "s" | "sec" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" | "hr" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err("not a time: a number and one of us, ms, s, m, h, d".into()),
    };
    parse::decimal(number, unit).map(std::time::Duration::from_micros)
}

/// A time that is not 0.
pub(crate) fn timeout(text: &str) -> Result<std::time::Duration, String> {
    match time(text)? {
        time if time.is_zero() => Err("0 would be no time at all".into()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests;
