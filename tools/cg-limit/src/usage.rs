//! What the kernel counted in the groups: the facts of `--report`, `--stat` and the verdict.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::apply::Group;
use crate::discover::Version;
use crate::value::Amount;

/// A file of a group, or nothing.
pub(crate) fn read(group: &Path, file: &str) -> Option<String> {
    fs::read_to_string(group.join(file)).ok()
}

/// A file that is one number.
pub(crate) fn number(group: &Path, file: &str) -> Option<u64> {
    read(group, file)?.trim_end().parse().ok()
}

/// A line `KEY N` of a flat keyed file.
pub(crate) fn count(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
}

/// The group that a controller's limits are in.
pub(crate) fn home<'g>(groups: &'g [Group], controller: &str) -> Option<&'g Group> {
    groups.iter().find(|group| group.controllers.contains(&controller))
}

/// All that is counted in them.
pub(crate) fn of(groups: &[Group]) -> Map<String, Value> {
    let mut all = Map::new();
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|v| v.as_object().is_none_or(|o| !o.is_empty()))
        {
            all.insert(key.to_owned(), value);
        }
    };
    add("memory", home(groups, "memory").map(memory));
    let v2 = groups.iter().find(|g| g.version == Version::V2);
    let v1 = |name| home(groups, name).filter(|g| g.version == Version::V1);
    let usage = v1("cpuacct").or(v2).map(|g| g.path.as_path());
    let throttling = v1("cpu").or(v2).map(|g| g.path.as_path());
    add("cpu", Some(cpu(usage, throttling)));
    add("pids", home(groups, "pids").map(|group| pids(&group.path)));
    add("io", home(groups, "io").map(|group| io(&group.path)));
    add("pressure", v2.map(|group| pressure(&group.path)));
    all
}

fn object<const N: usize>(fields: [(&str, Option<u64>); N]) -> Value {
    let known = fields.into_iter().filter_map(|(k, n)| Some((k.to_owned(), n?.into())));
    Value::Object(known.collect())
}

fn memory(group: &Group) -> Value {
    let dir = group.path.as_path();
    let number = |file| number(dir, file);
    let limit = memory_limit(group).and_then(|amount| match amount {
        Amount::Of(n) => Some(n),
        Amount::Max => None,
    });
    let of = |file: &str, key: &str| count(&read(dir, file)?, key);
    match group.version {
        Version::V2 => object([
            ("limit", limit),
            ("current", number("memory.current")),
            ("peak", number("memory.peak")),
            ("swap-current", number("memory.swap.current")),
            ("swap-peak", number("memory.swap.peak")),
            ("high", of("memory.events", "high")),
            ("max", of("memory.events", "max")),
            ("oom", of("memory.events", "oom")),
            ("oom-kill", of("memory.events", "oom_kill")),
        ]),
        Version::V1 => object([
            ("limit", limit),
            ("current", number("memory.usage_in_bytes")),
            ("peak", number("memory.max_usage_in_bytes")),
            ("total-peak", number("memory.memsw.max_usage_in_bytes")),
            ("max", number("memory.failcnt")),
            ("oom-kill", of("memory.oom_control", "oom_kill")),
        ]),
    }
}

/// The limit of a group's memory.
pub(crate) fn memory_limit(group: &Group) -> Option<Amount> {
    match group.version {
        Version::V2 => Amount::read(&read(&group.path, "memory.max")?),
        Version::V1 => number(&group.path, "memory.limit_in_bytes").map(Amount::Of),
    }
}

/// Time in microseconds.
fn cpu(usage: Option<&Path>, throttling: Option<&Path>) -> Value {
    let stat = usage.and_then(|dir| read(dir, "cpu.stat")).unwrap_or_default();
    let limited = throttling.and_then(|dir| read(dir, "cpu.stat")).unwrap_or_default();
    let nanos = |file| Some(number(usage?, file)? / 1000);
    let throttled_ns = count(&limited, "throttled_time").map(|n| n / 1000);
    object([
        ("usage-us", count(&stat, "usage_usec").or(nanos("cpuacct.usage"))),
        ("user-us", count(&stat, "user_usec").or(nanos("cpuacct.usage_user"))),
        ("system-us", count(&stat, "system_usec").or(nanos("cpuacct.usage_sys"))),
        ("periods", count(&limited, "nr_periods")),
        ("throttled", count(&limited, "nr_throttled")),
        ("throttled-us", count(&limited, "throttled_usec").or(throttled_ns)),
    ])
}

fn pids(dir: &Path) -> Value {
    object([
        ("current", number(dir, "pids.current")),
        ("peak", number(dir, "pids.peak")),
        ("denied", denied(dir)),
    ])
}

/// How often a fork failed for the limit.
pub(crate) fn denied(dir: &Path) -> Option<u64> {
    count(&read(dir, "pids.events")?, "max")
}

/// Sums of all disks.
fn io(dir: &Path) -> Value {
    if let Some(text) = read(dir, "io.stat") {
        let sum = |key: &str| {
            let words = text.split_whitespace().filter_map(|w| w.split_once('='));
            let of = words.filter(|(name, _)| *name == key);
            of.filter_map(|(_, n)| n.parse::<u64>().ok()).reduce(u64::saturating_add)
        };
        return object([
            ("read-bytes", sum("rbytes")),
            ("write-bytes", sum("wbytes")),
            ("reads", sum("rios")),
            ("writes", sum("wios")),
        ]);
    }
    let [bytes, served] = ["service_bytes", "serviced"]
        .map(|what| read(dir, &format!("blkio.throttle.io_{what}")).unwrap_or_default());
    let sum = |text: &str, key: &str| {
        let of =
            |line: &str| line.split_once(' ')?.1.strip_prefix(key)?.trim().parse().ok();
        text.lines().filter_map(of).reduce(u64::saturating_add)
    };
    object([
        ("read-bytes", sum(&bytes, "Read")),
        ("write-bytes", sum(&bytes, "Write")),
        ("reads", sum(&served, "Read")),
        ("writes", sum(&served, "Write")),
    ])
}

/// Microseconds that some or all processes waited: accounting/psi.rst.
fn pressure(dir: &Path) -> Value {
    let total = |what: &str, who: &str| {
        let text = read(dir, &format!("{what}.pressure"))?;
        let line =
            text.lines().find_map(|line| line.strip_prefix(who)?.split_once("total="));
        line?.1.parse::<u64>().ok()
    };
    object([
        ("cpu-some-us", total("cpu", "some")),
        ("memory-some-us", total("memory", "some")),
        ("memory-full-us", total("memory", "full")),
        ("io-some-us", total("io", "some")),
        ("io-full-us", total("io", "full")),
    ])
}

/// How it ended, for the report.
pub(crate) fn end(
    ended: common::spawn::Ended,
    wall: std::time::Duration,
) -> Map<String, Value> {
    use common::spawn::Ended;
    let (status, signal) = match ended {
        Ended::Exited(status) => (json!(status), Value::Null),
        Ended::Killed(signal) => (Value::Null, json!(signal)),
    };
    let wall = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
    let fields = [("wall-us", json!(wall)), ("status", status), ("signal", signal)];
    fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}
