//! A program in a cgroup of its own: cg-limit, the least it could take, and libcgroup.
//!
//! What moves into a cgroup waits for an RCU grace period, but only when nobody else did so
//! a moment ago: with no pause between the runs the peers look ten times as fast.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::cgroup::{Version, hierarchies};
use common::{Context, Fail};

/// As long as nobody else is to have moved.
const PAUSE: Duration = Duration::from_millis(200);

/// Where the groups are made.
struct Place {
    version: &'static str,
    own: PathBuf,
    /// As libcgroup calls it.
    path: String,
    file: &'static str,
}

fn place() -> Result<Place, Fail> {
    let read = |path: &str| std::fs::read(path).cannot("read", path);
    let all = hierarchies(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
    let has_memory =
        |h: &&common::cgroup::Hierarchy| h.controllers.iter().any(|c| c == "memory");
    let v2 = || all.iter().find(|h| h.version == Version::V2);
    let none = || Fail::new("cannot find the cgroups of memory");
    let hierarchy = all.iter().find(has_memory).or_else(v2).ok_or_else(none)?;
    let (version, file) = match hierarchy.version {
        Version::V1 => ("v1", "memory.limit_in_bytes"),
        Version::V2 => ("v2", "memory.max"),
    };
    let own = hierarchy.places.first().ok_or_else(none)?.own.clone();
    let path = hierarchy.path.display().to_string();
    Ok(Place { version, own, path: path.trim_matches('/').to_owned(), file })
}

/// The table, with the ratio of our minimum to each peer's.
pub(crate) fn table(here: &Path, runs: u32) -> Result<String, Fail> {
    let place = place()?;
    let noop = here.join("noop").display().to_string();
    let tool = |name: &str| here.join(name).display().to_string();
    let dir = place.own.display().to_string();
    let group = format!("{}/bench-{}", place.path, std::process::id());
    let group = group.trim_start_matches('/');
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let floor = format!(
        "{} {} {dir} {} 67108864 {noop}",
        tool("floor-group"),
        place.version,
        place.file
    );
    let script = format!(
        "cgcreate -g memory:{group}-b && cgset -r {}=64M {group}-b && \
         cgexec -g memory:{group}-b {noop} && cgdelete -g memory:{group}-b",
        place.file
    );
    let rows = [
        (
            "cg-limit --memory 64M",
            words(&format!("{} --memory 64M {noop}", tool("cg-limit"))),
            1.0,
        ),
        ("the least it takes", words(&floor), 1.3),
        (
            "cgexec, in a group that is there",
            words(&format!("cgexec -g memory:{group} {noop}")),
            0.5,
        ),
        (
            "cgcreate, cgset, cgexec, cgdelete",
            vec!["sh".to_owned(), "-c".to_owned(), script],
            0.1,
        ),
    ];
    // The group that cgexec is given.
    let made = place.own.join(format!("bench-{}", std::process::id()));
    std::fs::create_dir(&made).cannot("make", &made)?;
    let times = measure(&rows.clone().map(|(_, words, _)| words), runs);
    std::fs::remove_dir(&made).cannot("remove", &made)?;
    let names = rows.map(|(name, _, most)| (name, most));
    Ok(lines(place.version, &names, &mut times?))
}

fn lines(version: &str, rows: &[(&str, f64)], times: &mut [Vec<Duration>]) -> String {
    let mut text = format!(
        "{:<40} {:>6} {:>6}   ours/it  at most\n",
        format!("{version}, 200 ms between runs, us"),
        "min",
        "median"
    );
    let medians: Vec<_> = times.iter_mut().map(|all| summary(all)).collect();
    let ours = medians.first().copied().flatten().map_or(0, |(min, _)| min);
    for ((name, most), median) in rows.iter().zip(medians) {
        // Writing to a String cannot fail.
        let _ = match median {
            Some((min, median)) => {
                let ratio = ratio(ours, min);
                writeln!(
                    text,
                    "{name:<40} {min:>6} {median:>6}   {ratio:>7.2}  {most:>7.1}"
                )
            }
            None => writeln!(text, "{name:<40} does not run here"),
        };
    }
    text
}

fn ratio(a: u128, b: u128) -> f64 {
    let float = |n: u128| u32::try_from(n).map_or(f64::INFINITY, f64::from);
    float(a) / float(b)
}

fn summary(all: &mut [Duration]) -> Option<(u128, u128)> {
    all.sort();
    let us = |at: usize| all.get(at).map(Duration::as_micros);
    Some((us(0)?, us(all.len() / 2)?))
}

/// All in turn, each after a pause; none of what does not run.
fn measure(rows: &[Vec<String>], runs: u32) -> Result<Vec<Vec<Duration>>, Fail> {
    let mut all = vec![Vec::new(); rows.len()];
    for _ in 0..runs {
        for (words, times) in rows.iter().zip(&mut all) {
            let Some((program, args)) = words.split_first() else { continue };
            std::thread::sleep(PAUSE);
            let mut command = Command::new(program);
            command
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let start = Instant::now();
            // What is not installed is told in its line.
            if command.status().is_ok_and(|status| status.success()) {
                times.push(start.elapsed());
            }
        }
    }
    match all.first() {
        Some(ours) if !ours.is_empty() => Ok(all),
        _ => Err(Fail::new("cannot time cg-limit: it failed")),
    }
}
