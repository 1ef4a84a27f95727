//! `bench [RUNS]`: times tools against their peers, in turn, in one run.
//!
//! Prints minimum and median of spawn to exit, and the ratio of the medians to the peer.
//! The machine's noise is in both columns alike, so quote the ratios.
#![no_main]

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Context, Fail};

common::entry_with_system_allocator!("bench", run);

/// A line of the table: a name, what is timed, and what it is compared to.
struct Pair {
    name: String,
    ours: Vec<String>,
    peer: Vec<String>,
}

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let runs = args.into_iter().nth(1).unwrap_or_else(|| "200".into());
    let number = runs.to_str().and_then(|text| text.parse().ok());
    let runs: u32 =
        number.ok_or_else(|| Fail::cannot("use", runs, "not a number of runs"))?;
    let exe = std::env::current_exe().failed_to("find this program")?;
    let here = exe.parent().unwrap_or(Path::new("."));
    let work = tempdir().failed_to("make a directory")?;
    let result = table(here, &work, runs);
    std::fs::remove_dir_all(&work).cannot("remove", &work)?;
    Err(Fail::output(result?))
}

fn tempdir() -> Result<std::path::PathBuf, nix::errno::Errno> {
    nix::unistd::mkdtemp(&std::env::temp_dir().join("bench-XXXXXX"))
}

fn table(here: &Path, work: &Path, runs: u32) -> Result<String, Fail> {
    let mut text = format!(
        "{:<44} {:>9} {:>9}   {:>9} {:>9}   ratio\n",
        "spawn to exit, us", "min", "median", "peer min", "median"
    );
    for pair in pairs(here, work)? {
        let line = measure(&pair, work, runs)?;
        text.push_str(&line);
    }
    Ok(text)
}

fn pairs(here: &Path, work: &Path) -> Result<Vec<Pair>, Fail> {
    let own = |name: &str| here.join(name).display().to_string();
    let noop = own("noop");
    let words = |line: &str| -> Vec<String> {
        let word = |w: &str| match w.strip_prefix('@') {
            Some(tool) => own(tool),
            None => w.to_owned(),
        };
        line.split_whitespace().map(word).collect()
    };
    let pair = |name: &str, ours: &str, peer: &str| Pair {
        name: name.to_owned(),
        ours: words(ours),
        peer: words(peer),
    };
    prepare(work, &noop)?;
    let mut all = vec![pair("a static no-op", "@noop", "/bin/true")];
    for tool in common::chain::LINKS {
        if here.join(tool).exists() {
            let name = format!("{tool} --version | unshare --version");
            all.push(pair(&name, &format!("@{tool} --version"), "unshare --version"));
        }
    }
    all.extend([
        pair("ns-run -r | unshare -r", "@ns-run -r @noop", "unshare -r @noop"),
        pair(
            "ns-run -fp --mount-proc | unshare",
            "@ns-run -fp --mount-proc @noop",
            "unshare -fp --mount-proc @noop",
        ),
        pair("ns-run -Urmnpuif | unshare", "@ns-run -Urmnpuif @noop", "unshare -Urmnpuif @noop"),
        pair("ns-enter -t 1 -a | nsenter", "@ns-enter -t 1 -a @noop", "nsenter -t 1 -a @noop"),
        pair(
            "cap-drop --no-new-privs | setpriv",
            "@cap-drop --no-new-privs @noop",
            "setpriv --no-new-privs @noop",
        ),
        pair(
            "cap-drop --keep none | setpriv",
            "@cap-drop --keep none @noop",
            "setpriv --bounding-set -all --inh-caps -all @noop",
        ),
        pair("img-exec | env -i", "@img-exec --config box", "env -i @noop"),
        pair(
            "the whole chain | bwrap, without overlay",
            "@ns-run -Urmnpuif --hostname box -- ovl-mount --image box --tmpfs root -- \
             mkdev root/dev -- root-pivot --std root -- cap-drop --profile docker --no-new-privs -- img-exec",
            "bwrap --unshare-all --bind flat / --proc /proc --dev /dev --tmpfs /run --tmpfs /tmp --cap-drop ALL /bin/noop",
        ),
    ]);
    Ok(all)
}

/// An unpacked image of two layers around the no-op, and the same as one directory.
fn prepare(work: &Path, noop: &str) -> Result<(), Fail> {
    let program = std::fs::read(noop).cannot("read", noop)?;
    let archive = kit::image::demo(&program)
        .set("Entrypoint", serde_json::json!(["/bin/guest"]))
        .set("WorkingDir", serde_json::json!("/"))
        .docker_save("bench:latest");
    let tar = work.join("bench.tar");
    std::fs::write(&tar, archive).cannot("write", &tar)?;
    let unpack = Path::new(noop).with_file_name("img-unpack");
    let status = Command::new(unpack)
        .arg(&tar)
        .arg(work.join("box"))
        .stdout(Stdio::null())
        .status()
        .failed_to("unpack the image")?;
    if !status.success() {
        return Err(Fail::new("cannot unpack the image"));
    }
    for dir in ["root", "flat/bin", "flat/run", "flat/tmp", "flat/proc", "flat/dev"] {
        std::fs::create_dir_all(work.join(dir)).cannot("make", dir)?;
    }
    std::fs::copy(noop, work.join("flat/bin/noop")).cannot("copy", noop).map(drop)
}

fn measure(pair: &Pair, work: &Path, runs: u32) -> Result<String, Fail> {
    let mut ours = Vec::new();
    let mut peer = Vec::new();
    for _ in 0..runs {
        match once(&pair.peer, work) {
            Some(time) => peer.push(time),
            None => return Ok(format!("{:<44} the peer does not run here\n", pair.name)),
        }
        let time = once(&pair.ours, work);
        ours.push(
            time.ok_or_else(|| Fail::cannot("time", pair.ours.join(" "), "it failed"))?,
        );
    }
    let (a, b) = (summary(&mut ours), summary(&mut peer));
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        line,
        "{:<44} {:>9.0} {:>9.0}   {:>9.0} {:>9.0}   {:.2}",
        pair.name,
        a.0,
        a.1,
        b.0,
        b.1,
        a.1 / b.1
    );
    Ok(line)
}

/// Spawn to exit; nothing where it cannot start or fails.
fn once(words: &[String], work: &Path) -> Option<Duration> {
    let (program, args) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(args).current_dir(work).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().ok()?;
    let time = start.elapsed();
    status.success().then_some(time)
}

/// Minimum and median in microseconds.
fn summary(times: &mut [Duration]) -> (f64, f64) {
    times.sort();
    let us = |at: usize| times.get(at).map_or(f64::NAN, |t| t.as_secs_f64() * 1e6);
    (us(0), us(times.len() / 2))
}
