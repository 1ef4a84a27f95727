//! From what an option was given to what the files of a group take.
//!
//! cgroup-v2.rst "Controllers", cgroup-v1/*.rst, sched-bwc.rst, sched-util-clamp.rst.
#![allow(
    clippy::unnecessary_wraps,
    clippy::wildcard_enum_match_arm,
    reason = "functions of a table have one type; a row's parser gives the kind of value it takes"
)]

use std::path::Path;

use common::Fail;

use crate::asked::Asked;
use crate::file::{File, Reads};
use crate::host::Facts;
use crate::value::{Amount, Quota, Value};

/// What a conversion may look at beside the value.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// All that was asked for: some files take two options' values.
    pub(crate) asked: &'a Asked,
    /// What the machine has.
    pub(crate) facts: &'a Facts,
}

/// What a conversion comes to.
pub type Files = Result<Vec<File>, Fail>;

/// The most that the kernel's page counters hold; more is no limit.
pub(crate) fn most(page: u64) -> u64 {
    let most = i64::MAX.cast_unsigned();
    most.saturating_sub(most.checked_rem(page).unwrap_or(0))
}

/// Rounded down to whole pages, as the kernel would do unasked.
fn pages(amount: Amount, page: u64) -> Amount {
    match amount {
        Amount::Of(n) if n < most(page) => {
            Amount::Of(n.saturating_sub(n.checked_rem(page).unwrap_or(0)))
        }
        Amount::Of(_) | Amount::Max => Amount::Max,
    }
}

/// A value as a number; a share is one of `whole`.
fn amount(value: &Value, whole: u64) -> Amount {
    match value {
        Value::Amount(amount) => *amount,
        Value::Share(share) => {
            let part = u128::from(whole).saturating_mul((*share).into()) / 1_000_000;
            Amount::Of(u64::try_from(part).unwrap_or(u64::MAX))
        }
        _ => Amount::Max,
    }
}

impl Given<'_> {
    fn memory(&self, value: &Value) -> Amount {
        pages(amount(value, self.facts.memory), self.facts.page)
    }

    /// No limit is written as -1 on v1, and read back as the most that a page counter holds.
    fn v1_bytes(&self, name: &str, amount: Amount) -> File {
        match amount {
            Amount::Of(n) => File::new(name, n.to_string()),
            Amount::Max => {
                let most = most(self.facts.page).to_string();
                File::reading(name, "-1", Reads::Just(most))
            }
        }
    }

    fn asked_memory(&self) -> Option<Amount> {
        self.asked.get("memory").map(|value| self.memory(value))
    }
}

/// The value as the kernel prints it.
pub(crate) fn plain(file: &str, value: &Value, given: Given<'_>) -> Files {
    let text = match value {
        Value::Amount(amount) => amount.to_string(),
        Value::Word(word) => word.clone(),
        Value::List(list) => list.to_string(),
        Value::On => "1".to_owned(),
        Value::Keyed(key, words) => return Ok(vec![File::line(file, key, words)]),
        Value::Share(_) => amount(value, given.facts.tasks).to_string(),
        _ => return Err(Fail::cannot("set", file, "it was planned wrongly")),
    };
    Ok(vec![File::new(file, text)])
}

fn not_nothing(amount: Amount) -> Result<Amount, Fail> {
    match amount {
        Amount::Of(0) => Err(Fail::new("cannot limit memory to less than a page")),
        amount => Ok(amount),
    }
}

pub(crate) fn memory_max(value: &Value, given: Given<'_>) -> Files {
    let amount = not_nothing(given.memory(value))?;
    Ok(vec![File::new("memory.max", amount.to_string())])
}

pub(crate) fn memory_limit(value: &Value, given: Given<'_>) -> Files {
    let amount = not_nothing(given.memory(value))?;
    Ok(vec![given.v1_bytes("memory.limit_in_bytes", amount)])
}

/// A file of v2 in bytes.
pub(crate) fn bytes(file: &str, value: &Value, given: Given<'_>) -> Files {
    Ok(vec![File::new(file, given.memory(value).to_string())])
}

pub(crate) fn soft_limit(value: &Value, given: Given<'_>) -> Files {
    Ok(vec![given.v1_bytes("memory.soft_limit_in_bytes", given.memory(value))])
}

/// A share of swap is of what is plugged in, not of RAM.
fn swap(value: &Value, given: Given<'_>) -> Amount {
    pages(amount(value, given.facts.swap), given.facts.page)
}

pub(crate) fn swap_max(value: &Value, given: Given<'_>) -> Files {
    Ok(vec![File::new("memory.swap.max", swap(value, given).to_string())])
}

/// v1 counts both together. In a new group the limit comes first: memsw may not be below it.
pub(crate) fn memsw_of_swap(value: &Value, given: Given<'_>) -> Files {
    let total = match (given.asked_memory(), swap(value, given)) {
        (_, Amount::Max) => Amount::Max,
        (Some(Amount::Of(memory)), Amount::Of(swap)) => {
            memory.checked_add(swap).map_or(Amount::Max, Amount::Of)
        }
        (None | Some(Amount::Max), Amount::Of(_)) => {
            return Err(Fail::new("cannot limit swap alone on cgroup v1")
                .hint("v1 counts memory and swap together, give --memory too"));
        }
    };
    Ok(vec![given.v1_bytes("memory.memsw.limit_in_bytes", total)])
}

/// docker's total of memory and swap, and the memory in it.
fn total(value: &Value, given: Given<'_>) -> Result<(Amount, Amount), Fail> {
    let total = given.memory(value);
    let refuse =
        |reason: &str| Err(Fail::new(format_args!("cannot use --memory-swap: {reason}")));
    if given.asked.get("swap").is_some() {
        return refuse("--swap says the same in another way");
    }
    match (given.asked_memory(), total) {
        (None, Amount::Of(_)) => {
            refuse("it is the total of memory and swap, give --memory too")
        }
        (Some(Amount::Of(memory)), Amount::Of(total)) if total < memory => {
            refuse("the total of memory and swap is less than --memory")
        }
        (memory, total) => Ok((memory.unwrap_or(Amount::Max), total)),
    }
}

pub(crate) fn swap_max_of_total(value: &Value, given: Given<'_>) -> Files {
    let swap = match total(value, given)? {
        (Amount::Of(memory), Amount::Of(total)) => {
            Amount::Of(total.saturating_sub(memory))
        }
        (Amount::Max, total @ Amount::Of(_)) => total,
        (_, Amount::Max) => Amount::Max,
    };
    Ok(vec![File::new("memory.swap.max", swap.to_string())])
}

pub(crate) fn memsw_of_total(value: &Value, given: Given<'_>) -> Files {
    let (_, total) = total(value, given)?;
    Ok(vec![given.v1_bytes("memory.memsw.limit_in_bytes", total)])
}

pub(crate) fn oom_control(_: &Value, _: Given<'_>) -> Files {
    let reads = Reads::Line("oom_kill_disable".to_owned(), "1".to_owned());
    Ok(vec![File::reading("memory.oom_control", "1", reads)])
}

/// What --cpus, --cpu-quota and --cpu-period say together.
fn quota(given: Given<'_>) -> Result<Quota, Fail> {
    let number = |name: &str| match given.asked.get(name) {
        Some(Value::Amount(amount)) => Some(*amount),
        _ => None,
    };
    let period = number("cpu-period").and_then(|amount| match amount {
        Amount::Of(n) => Some(n),
        Amount::Max => None,
    });
    let quota = match (given.asked.get("cpus"), number("cpu-quota")) {
        (Some(_), Some(_)) => {
            return Err(Fail::new(
                "cannot use --cpus and --cpu-quota: they say the same",
            ));
        }
        (Some(Value::Cpus(cpus)), None) => Quota::of(*cpus, period),
        (_, quota) => Quota {
            quota: quota.unwrap_or(Amount::Max),
            period: period.unwrap_or(100_000),
        },
    };
    match quota.quota {
        Amount::Of(us) if us < 1000 => {
            Err(Fail::new("cannot limit CPU time to less than 1 ms a period")
                .hint("a longer --cpu-period allows a smaller share"))
        }
        _ => Ok(quota),
    }
}

pub(crate) fn cpu_max(_: &Value, given: Given<'_>) -> Files {
    Ok(vec![File::new("cpu.max", quota(given)?.to_string())])
}

pub(crate) fn cfs(_: &Value, given: Given<'_>) -> Files {
    let Quota { quota, period } = quota(given)?;
    let quota = match quota {
        Amount::Of(n) => n.to_string(),
        Amount::Max => "-1".to_owned(),
    };
    Ok(vec![
        File::new("cpu.cfs_period_us", period.to_string()),
        File::new("cpu.cfs_quota_us", quota),
    ])
}

fn idle() -> File {
    File::new("cpu.idle", "1")
}

fn number(value: &Value) -> u64 {
    match value {
        Value::Amount(Amount::Of(n)) => *n,
        _ => 0,
    }
}

pub(crate) fn cpu_weight(value: &Value, given: Given<'_>) -> Files {
    match value {
        Value::Idle => Ok(vec![idle()]),
        _ => plain("cpu.weight", value, given),
    }
}

/// systemd's inverse, exact at the default: 100 is 1024.
pub(crate) fn shares_of_weight(value: &Value, _: Given<'_>) -> Files {
    if *value == Value::Idle {
        return Ok(vec![idle()]);
    }
    let shares = number(value).saturating_mul(1024) / 100;
    Ok(vec![File::new("cpu.shares", shares.clamp(2, 262_144).to_string())])
}

/// Shares on a curve through 2, 1024 and 262144 to weights of 1, 100 and 10000: what runc
/// (since 1.3.2), crun (1.23) and Kubernetes do.
pub(crate) fn weight_of_shares(value: &Value, _: Given<'_>) -> Files {
    let shares = u32::try_from(number(value)).unwrap_or(u32::MAX);
    let log = f64::from(shares).log2();
    let exact = 10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0);
    let weight = (1..=9999_u32).find(|n| f64::from(*n) >= exact).unwrap_or(10_000);
    let weight = if shares <= 2 { 1 } else { weight };
    Ok(vec![File::new("cpu.weight", weight.to_string())])
}

/// A weight is kept by BFQ where that is there, with weights up to 1000, else by io.cost.
pub(crate) fn io_weight(value: &Value, _: Given<'_>) -> Files {
    let weight = number(value);
    let line = |name, n: u64| File::line(name, "default", &n.to_string());
    Ok(vec![line("io.bfq.weight", bfq(weight)).or(line("io.weight", weight))])
}

pub(crate) fn blkio_of_weight(value: &Value, _: Given<'_>) -> Files {
    let weight = bfq(number(value)).to_string();
    Ok(vec![
        File::new("blkio.bfq.weight", weight.clone())
            .or(File::new("blkio.weight", weight)),
    ])
}

/// systemd's: 1 to 100 as they are, 100 to 10000 stretched over 100 to 1000.
fn bfq(weight: u64) -> u64 {
    match weight.checked_sub(100) {
        None | Some(0) => weight,
        Some(above) => (above.saturating_mul(900) / 9900).saturating_add(100),
    }
}

pub(crate) fn blkio_weight(value: &Value, given: Given<'_>) -> Files {
    let plain = |file| plain(file, value, given);
    let (first, second) = (plain("blkio.bfq.weight")?, plain("blkio.weight")?);
    Ok(first.into_iter().zip(second).map(|(first, second)| first.or(second)).collect())
}

/// runc's and crun's: 10 to 1000 stretched over 1 to 10000, BFQ takes it as it is.
pub(crate) fn weight_of_blkio(value: &Value, _: Given<'_>) -> Files {
    let weight = number(value);
    let stretched = weight.saturating_sub(10).saturating_mul(9999) / 990;
    let line = |name, n: u64| File::line(name, "default", &n.to_string());
    let io = line("io.weight", stretched.saturating_add(1));
    Ok(vec![line("io.bfq.weight", weight).or(io)])
}

/// The number of the disk that a path is or lies on, and the amount.
fn disk<'v>(value: &'v Value, given: Given<'_>) -> Result<(String, &'v Amount), Fail> {
    let Value::Disk(path, amount) = value else {
        return Err(Fail::new("cannot limit a disk: it was planned wrongly"));
    };
    let known = given.facts.disks.iter().find(|(known, _)| known == path);
    match known {
        Some((_, Ok((major, minor)))) => Ok((format!("{major}:{minor}"), amount)),
        Some((_, Err(reason))) => Err(no_disk(path, reason)),
        None => Err(no_disk(path, "it was not looked up")),
    }
}

fn no_disk(path: &Path, reason: &str) -> Fail {
    Fail::cannot("limit the disk of", path, reason)
}

/// A word of a disk's line of io.max.
pub(crate) fn io_max(word: &str, value: &Value, given: Given<'_>) -> Files {
    let (disk, amount) = disk(value, given)?;
    Ok(vec![File::line("io.max", &disk, &format!("{word}={amount}"))])
}

pub(crate) fn throttle(file: &str, value: &Value, given: Given<'_>) -> Files {
    let (disk, amount) = disk(value, given)?;
    Ok(vec![match amount {
        Amount::Of(n) => File::line(file, &disk, &n.to_string()),
        Amount::Max => File::unread(file, format!("{disk} 0")),
    }])
}

pub(crate) fn io_latency(value: &Value, given: Given<'_>) -> Files {
    let (disk, amount) = disk(value, given)?;
    Ok(vec![File::line("io.latency", &disk, &format!("target={amount}"))])
}

pub(crate) fn io_weight_device(value: &Value, given: Given<'_>) -> Files {
    let (disk, amount) = disk(value, given)?;
    let weight = bfq(amount_of(*amount)).to_string();
    let bfq = File::line("io.bfq.weight", &disk, &weight);
    Ok(vec![bfq.or(File::line("io.weight", &disk, &amount.to_string()))])
}

pub(crate) fn blkio_weight_device(value: &Value, given: Given<'_>) -> Files {
    let (disk, amount) = disk(value, given)?;
    let weight = bfq(amount_of(*amount)).to_string();
    let bfq = File::line("blkio.bfq.weight_device", &disk, &weight);
    Ok(vec![bfq.or(File::line("blkio.weight_device", &disk, &weight))])
}

fn amount_of(amount: Amount) -> u64 {
    match amount {
        Amount::Of(n) => n,
        Amount::Max => u64::MAX,
    }
}

/// The kernel's name of a page size: `2MB`, `64KB`.
fn page_name(page: u64) -> String {
    match page {
        page if page >= 1 << 30 => format!("{}GB", page >> 30),
        page if page >= 1 << 20 => format!("{}MB", page >> 20),
        page => format!("{}KB", page >> 10),
    }
}

pub(crate) fn hugetlb(suffix: &str, value: &Value) -> Files {
    let Value::Huge { page, amount } = value else {
        return Err(Fail::new("cannot limit huge pages: it was planned wrongly"));
    };
    let name = format!("hugetlb.{}.{suffix}", page_name(*page));
    Ok(vec![match (pages(*amount, *page), suffix) {
        (Amount::Of(n), _) => File::new(name, n.to_string()),
        (Amount::Max, "max") => File::new(name, "max"),
        (Amount::Max, _) => File::unread(name, "-1"),
    }])
}

pub(crate) fn raw(value: &Value, _: Given<'_>) -> Files {
    let Value::Raw(name, value) = value else {
        return Err(Fail::new("cannot set a file: it was planned wrongly"));
    };
    Ok(vec![File::reading(name.clone(), value.clone(), Reads::Alike)])
}

pub(crate) fn nothing(_: &Value, _: Given<'_>) -> Files {
    Ok(Vec::new())
}

#[cfg(test)]
mod tests;
