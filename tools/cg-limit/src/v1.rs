//! The files of v1 hierarchies: cgroup-v1/memory.rst, cgroup-v1/pids.rst, sched-bwc.rst.

use common::Fail;

use crate::limit::Amount;
use crate::plan::{File, Limits};

/// What to write for a controller, in this order.
pub(crate) fn files(
    controller: &str,
    limits: &Limits,
    page: u64,
) -> Result<Vec<File>, Fail> {
    match controller {
        "memory" => memory(limits, page),
        "cpu" => Ok(cpu(limits)),
        _ => Ok(limits
            .pids
            .map(|n| File::new("pids.max", n.to_string()))
            .into_iter()
            .collect()),
    }
}

/// In a new group the limit comes first: memsw may not be below it.
fn memory(limits: &Limits, page: u64) -> Result<Vec<File>, Fail> {
    let memory = limits.memory.map(|n| bytes("memory.limit_in_bytes", n, page));
    let total = match (limits.memory, limits.swap) {
        (_, None) => None,
        (_, Some(Amount::Max)) => Some(Amount::Max),
        (Some(Amount::Of(memory)), Some(Amount::Of(swap))) => {
            Some(memory.checked_add(swap).map_or(Amount::Max, Amount::Of))
        }
        (None | Some(Amount::Max), Some(Amount::Of(_))) => {
            return Err(Fail::new("cannot limit swap alone on cgroup v1")
                .hint("v1 counts memory and swap together, give --memory too"));
        }
    };
    let total = total.map(|n| bytes("memory.memsw.limit_in_bytes", n, page));
    Ok(memory.into_iter().chain(total).collect())
}

/// No limit is written as -1 and read back as the most that a page counter holds.
fn bytes(name: &'static str, amount: Amount, page: u64) -> File {
    match amount {
        Amount::Of(n) => File::new(name, n.to_string()),
        Amount::Max => {
            let reads = crate::plan::most(page).to_string();
            File { name, value: "-1".into(), reads }
        }
    }
}

fn cpu(limits: &Limits) -> Vec<File> {
    let Some(cpus) = limits.cpus else { return Vec::new() };
    vec![
        File::new("cpu.cfs_period_us", cpus.period.to_string()),
        File::new("cpu.cfs_quota_us", cpus.quota.to_string()),
    ]
}
