//! Small tools: minimum and median of spawn to exit, the ratio of the medians, and the
//! ratio of what tool and peer add to a static no-op (spawn to exec, from the minima).

use std::ffi::CString;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Context, Fail};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawnp};
use nix::sys::wait::{WaitStatus, waitpid};

/// A line of the table: a name, what is timed, and what it is compared to.
struct Pair {
    name: String,
    ours: Vec<String>,
    peer: Vec<String>,
}

/// The table.
pub(crate) fn table(here: &Path, work: &Path, runs: u32) -> Result<String, Fail> {
    let mut text = format!(
        "{:<44} {:>6} {:>6}   {:>6} {:>6}   ratio   added\n",
        "spawn to exit, us", "min", "median", "peer", "median"
    );
    let pairs = pairs(here, work)?;
    nix::unistd::chdir(work).cannot("enter", work)?;
    let mut floor = None;
    for pair in pairs {
        let (line, min) = measure(&pair, floor.unwrap_or(f64::NAN), runs)?;
        floor = floor.or(Some(min));
        text.push_str(&line);
    }
    Ok(text)
}

fn pairs(here: &Path, work: &Path) -> Result<Vec<Pair>, Fail> {
    let own = |name: &str| here.join(name).display().to_string();
    let noop = own("noop");
    let words = |line: &str| -> Vec<String> {
        let word = |w: &str| match w.strip_prefix('@') {
            Some("") => std::process::id().to_string(),
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
    all.push(pair("ns-run, nothing to do | unshare", "@ns-run @noop", "unshare @noop"));
    all.extend([
        pair("ns-run -r | unshare -r", "@ns-run -r @noop", "unshare -r @noop"),
        pair(
            "ns-run -fp --mount-proc | unshare",
            "@ns-run -fp --mount-proc @noop",
            "unshare -fp --mount-proc @noop",
        ),
        pair("ns-run -Urmnpuif | unshare", "@ns-run -Urmnpuif @noop", "unshare -Urmnpuif @noop"),
        pair("ns-enter -t PID -n | nsenter", "@ns-enter -t @ -n @noop", "nsenter -t @ -n @noop"),
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
        pair("img-exec | env -i", "@img-exec --config box --entrypoint @noop", "env -i @noop"),
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

fn measure(pair: &Pair, floor: f64, runs: u32) -> Result<(String, f64), Fail> {
    let (ours, peer) = (words(&pair.ours)?, words(&pair.peer)?);
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    let quiet = quiet().failed_to("open /dev/null")?;
    for _ in 0..runs {
        let Some(time) = once(&peer, &quiet) else {
            return Ok((
                format!("{:<44} the peer does not run here\n", pair.name),
                floor,
            ));
        };
        peer_times.push(time);
        let time = once(&ours, &quiet);
        our_times.push(
            time.ok_or_else(|| Fail::cannot("time", pair.ours.join(" "), "it failed"))?,
        );
    }
    let (a, b) = (summary(&mut our_times), summary(&mut peer_times));
    let ratio = a.median / b.median;
    let added = (a.min - floor) / (b.min - floor);
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        line,
        "{:<44} {:>6.0} {:>6.0}   {:>6.0} {:>6.0}   {ratio:.2}",
        pair.name, a.min, a.median, b.min, b.median
    );
    let _ = if added.is_finite() && added > 0.0 {
        writeln!(line, "   {added:.2}")
    } else {
        writeln!(line)
    };
    Ok((line, a.min))
}

fn words(words: &[String]) -> Result<Vec<CString>, Fail> {
    let c = |word: &String| {
        CString::new(word.as_bytes())
            .map_err(|_| Fail::cannot("use", word, "it has a NUL"))
    };
    words.iter().map(c).collect()
}

/// Standard output and error to nowhere.
fn quiet() -> nix::Result<PosixSpawnFileActions> {
    let null = nix::fcntl::open(
        "/dev/null",
        nix::fcntl::OFlag::O_RDWR,
        nix::sys::stat::Mode::empty(),
    )?;
    let mut actions = PosixSpawnFileActions::init()?;
    // The program lives as long as its descriptor.
    let null = std::os::fd::IntoRawFd::into_raw_fd(null);
    actions.add_dup2(null, 1)?;
    actions.add_dup2(null, 2)?;
    Ok(actions)
}

/// Spawn to exit; nothing where it cannot start or fails.
fn once(argv: &[CString], quiet: &PosixSpawnFileActions) -> Option<Duration> {
    let attributes = PosixSpawnAttr::init().ok()?;
    let start = Instant::now();
    let environ = common::sys::environ();
    let pid = posix_spawnp(argv.first()?, quiet, &attributes, argv, &environ).ok()?;
    let status = waitpid(pid, None).ok()?;
    let time = start.elapsed();
    (status == WaitStatus::Exited(pid, 0)).then_some(time)
}

/// Microseconds.
struct Summary {
    min: f64,
    median: f64,
}

fn summary(times: &mut [Duration]) -> Summary {
    times.sort();
    let us = |at: usize| times.get(at).map_or(f64::NAN, |t| t.as_secs_f64() * 1e6);
    Summary { min: us(0), median: us(times.len() / 2) }
}
