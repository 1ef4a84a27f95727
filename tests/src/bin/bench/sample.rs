//! One run of a shell script, and what it took.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Context, Fail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};

use crate::Bench;

/// What a run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Seconds from spawn to exit.
    pub(crate) wall: f64,
    /// Seconds of user and system time of all its processes.
    pub(crate) cpu: f64,
    /// MiB of its largest process.
    pub(crate) peak: f64,
    /// Cores that were busy for others meanwhile.
    pub(crate) others: f64,
    /// As a shell has it.
    pub(crate) status: i64,
}

/// `bench once SCRIPT`: in a small process of its own, so that getrusage(2) of its
/// children is of this run alone and the maximum does not begin at our own size.
pub(crate) fn once(script: &OsStr) -> Result<String, Fail> {
    let (start, busy) = (Instant::now(), busy());
    let status = Command::new("sh")
        .arg("-c")
        .arg(script)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .failed_to("start a shell")?;
    let wall = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).failed_to("read what it took")?;
    let micros = [usage.user_time(), usage.system_time()].map(|t| t.num_microseconds());
    let micros = micros.map(|n| Duration::from_micros(n.unsigned_abs()));
    let cpu: Duration = micros.iter().sum();
    let others = self::busy() - busy - cpu.as_secs_f64();
    let signal = status.signal().map(|n| n.saturating_add(128));
    Ok(json!({
        "wall": wall,
        "cpu": cpu.as_secs_f64(),
        "peak-kib": usage.max_rss(),
        "others": (others / wall).max(0.0),
        "status": status.code().or(signal),
    })
    .to_string())
}

/// Seconds that the cores were busy since the start of the machine, and stolen from it.
fn busy() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace();
    // user nice system, not idle and iowait, irq softirq steal: proc_stat(5).
    let ticks = fields.skip(1).take(8).enumerate().filter(|(i, _)| !matches!(i, 3 | 4));
    ticks.filter_map(|(_, n)| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Runs a script; the sample, and what it said on standard error.
pub(crate) fn run(
    bench: &Bench,
    script: &str,
    variables: &[(&str, OsString)],
) -> Result<(Sample, String), Fail> {
    let output = Command::new(&bench.exe)
        .args(["once", script])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env("PATH", &bench.path)
        .output()
        .failed_to("start a run")?;
    let told: Value = serde_json::from_slice(&output.stdout)
        .map_err(|e| Fail::cannot("time", script, e))?;
    let number = |key: &str| told.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let sample = Sample {
        wall: number("wall"),
        cpu: number("cpu"),
        peak: number("peak-kib") / 1024.0,
        others: number("others"),
        status: told.get("status").and_then(Value::as_i64).unwrap_or(-1),
    };
    Ok((sample, String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// The runs of one row.
#[derive(Debug, Default)]
pub(crate) struct Samples(pub(crate) Vec<Sample>);

impl Samples {
    pub(crate) fn min(&self) -> f64 {
        self.0.iter().map(|s| s.wall).fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        let mut all: Vec<f64> = self.0.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn peak(&self) -> f64 {
        self.0.iter().map(|s| s.peak).fold(0.0, f64::max)
    }

    /// The last status that was not 0.
    pub(crate) fn status(&self) -> i64 {
        self.0.iter().map(|s| s.status).rfind(|status| *status != 0).unwrap_or(0)
    }
}
