//! Small tools: minimum and median of spawn to exit, and the ratios of the medians to the
//! peer's and, where there is one, to the floor's: the same system calls and nothing else.
//! `added` is the ratio of what tool and peer add to a static no-op (spawn to exec, from
//! the minima).

use std::ffi::CString;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Context, Fail};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawnp};
use nix::sys::wait::{WaitStatus, waitpid};

/// A line of the table: a name, what is timed, and what it is compared to.
struct Row {
    name: String,
    ours: Vec<String>,
    peer: Vec<String>,
    floor: Option<Vec<String>>,
}

/// The table.
pub(crate) fn table(here: &Path, work: &Path, runs: u32) -> Result<String, Fail> {
    let mut text = format!(
        "{:<40} {:>5} {:>6}   {:>5} {:>6}   ratio  added   {:>5} {:>6}   times\n",
        "spawn to exit, us", "min", "median", "peer", "median", "floor", "median"
    );
    let target = Target::start(here)?;
    let rows = rows(here, work, &target)?;
    nix::unistd::chdir(work).cannot("enter", work)?;
    let mut noop = None;
    for row in rows {
        let (line, min) = measure(&row, noop.unwrap_or(f64::NAN), runs)?;
        noop = noop.or(Some(min));
        text.push_str(&line);
    }
    Ok(text)
}

/// A process in namespaces of its own, to be entered.
struct Target {
    ns_run: Child,
    pid: String,
}

impl Target {
    fn start(here: &Path) -> Result<Self, Fail> {
        let user = if nix::unistd::geteuid().is_root() { "" } else { "r" };
        let mut ns_run = Command::new(here.join("ns-run"))
            .args(["--status-fd=1", &format!("-{user}mnpuiCf"), "--mount-proc"])
            .arg(here.join("pause"))
            .stdout(Stdio::piped())
            .spawn()
            .failed_to("start a process to enter")?;
        let mut line = String::new();
        if let Some(out) = ns_run.stdout.as_mut() {
            BufReader::new(out).read_line(&mut line).failed_to("read its id")?;
        }
        let record = serde_json::from_str::<serde_json::Value>(&line).ok();
        let pid = record.and_then(|record| record.get("pid").map(ToString::to_string));
        let pid = pid.ok_or_else(|| Fail::new("cannot start a process to enter"))?;
        Ok(Self { ns_run, pid })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // What it runs dies with it.
        let _ = self.ns_run.kill();
        let _ = self.ns_run.wait();
    }
}

/// What is timed, and what it is compared to: `@tool` is one of this build, `@` the target.
const LINES: &[[&str; 3]] = &[
    ["ns-run, nothing to do | unshare", "@ns-run @noop", "unshare @noop"],
    [
        "cap-drop --no-new-privs | setpriv",
        "@cap-drop --no-new-privs @noop",
        "setpriv --no-new-privs @noop",
    ],
    [
        "cap-drop --keep none | setpriv",
        "@cap-drop --keep none @noop",
        "setpriv --bounding-set -all --inh-caps -all @noop",
    ],
    [
        "cap-drop --seccomp docker | without",
        "@cap-drop --no-new-privs --seccomp docker @noop",
        "@cap-drop --no-new-privs @noop",
    ],
    [
        "cap-drop --bounding none | setpriv",
        "@cap-drop --bounding none @noop",
        "setpriv --bounding-set -all @noop",
    ],
    [
        "cap-drop --drop chown | capsh",
        "@cap-drop --drop chown @noop",
        "capsh --drop=cap_chown -- -c @noop",
    ],
    [
        "cap-drop --user nobody | setpriv",
        "@cap-drop --user nobody @noop",
        "setpriv --reuid nobody --regid nogroup --init-groups @noop",
    ],
    ["cap-drop --print | setpriv --dump", "@cap-drop --print", "setpriv --dump"],
    [
        "capsh --drop=… -- -c true",
        "@capsh --drop=cap_chown -- -c true",
        "capsh --drop=cap_chown -- -c true",
    ],
    [
        "capsh --drop=… --shell=noop --",
        "@capsh --drop=cap_chown --shell=flat/bin/noop --",
        "capsh --drop=cap_chown --shell=flat/bin/noop --",
    ],
    ["capsh --print", "@capsh --print", "capsh --print"],
    ["cap-drop as setpriv --dump", "./setpriv --dump", "setpriv --dump"],
    [
        "cap-drop as setpriv --bounding-set -all",
        "./setpriv --bounding-set -all @noop",
        "setpriv --bounding-set -all @noop",
    ],
    ["cap-drop as getpcaps 1", "./getpcaps 1", "getpcaps 1"],
    ["img-exec | env -i", "@img-exec --config box --entrypoint @noop", "env -i @noop"],
    [
        "the whole chain | bwrap, without overlay",
        "@ns-run -Urmnpuif --hostname box -- ovl-mount --image box --tmpfs root -- \
         mkdev root/dev -- root-pivot --std root/ -- cap-drop --profile docker --no-new-privs -- img-exec",
        "bwrap --unshare-all --bind flat / --proc /proc --dev /dev --tmpfs /run --tmpfs /tmp --cap-drop ALL /bin/noop",
    ],
];

/// What `floor` knows of unshare's options, and of nsenter's.
const MAKES: [&str; 3] = ["-r", "-fp --mount-proc", "-Urmnpuif"];
const ENTERS: [&str; 3] = ["-a", "-n", "-p"];

fn rows(here: &Path, work: &Path, target: &Target) -> Result<Vec<Row>, Fail> {
    let own = |name: &str| here.join(name).display().to_string();
    let words = |line: &str| -> Vec<String> {
        let word = |w: &str| match w.strip_prefix('@') {
            Some("") => target.pid.clone(),
            Some(tool) => own(tool),
            None => w.to_owned(),
        };
        line.split_whitespace().map(word).collect()
    };
    let row = |name: &str, ours: &str, peer: &str| Row {
        name: name.to_owned(),
        ours: words(ours),
        peer: words(peer),
        floor: None,
    };
    let floor = |options: &str| -> Option<Vec<String>> {
        Some(vec![own("floor"), options.to_owned(), target.pid.clone(), own("noop")])
    };
    prepare(work, &own("noop"))?;
    let mut all = vec![row("a static no-op", "@noop", "/bin/true")];
    for tool in common::chain::LINKS {
        if here.join(tool).exists() {
            let name = format!("{tool} --version | unshare --version");
            all.push(row(&name, &format!("@{tool} --version"), "unshare --version"));
        }
    }
    for options in MAKES {
        let name = format!("ns-run {options} | unshare");
        let (ours, peer) =
            (format!("@ns-run {options} @noop"), format!("unshare {options} @noop"));
        all.push(Row { floor: floor(options), ..row(&name, &ours, &peer) });
    }
    for options in ENTERS {
        let name = format!("ns-enter -t PID {options} | nsenter");
        let of = |program: &str| format!("{program} -t @ {options} @noop");
        all.push(Row {
            floor: floor(options),
            ..row(&name, &of("@ns-enter"), &of("nsenter"))
        });
    }
    all.extend(LINES.iter().map(|[name, ours, peer]| row(name, ours, peer)));
    all.extend(STACKS.map(|count| stack(count, &row)));
    Ok(all)
}

/// How many layers are stacked: what a small, a large and the largest image has.
const STACKS: [usize; 3] = [2, 128, 500];

/// Read-only layers in namespaces of their own; mount(8) gets names that fit into a page.
fn stack(count: usize, row: &impl Fn(&str, &str, &str) -> Row) -> Row {
    let names: Vec<_> = (0..count).map(|n| format!("l/{n}")).collect();
    let lowers = names.join(":");
    row(
        &format!("ovl-mount, {count} layers | mount"),
        &format!("@ns-run -Urm -- ovl-mount --layers list{count} root"),
        &format!("@ns-run -Urm -- mount -t overlay -o lowerdir={lowers} o root"),
    )
}

/// An unpacked image of two layers around the no-op, and the same as one directory.
pub(crate) fn prepare(work: &Path, noop: &str) -> Result<(), Fail> {
    let program = std::fs::read(noop).cannot("read", noop)?;
    let archive = kit::image::demo(&program)
        .set("Entrypoint", serde_json::json!(["/bin/guest"]))
        .set("WorkingDir", serde_json::json!("/"))
        .docker_save("bench:latest");
    let tar = work.join("bench.tar");
    std::fs::write(&tar, archive).cannot("write", &tar)?;
    for name in ["setpriv", "getpcaps"] {
        let link = work.join(name);
        std::os::unix::fs::symlink(Path::new(noop).with_file_name("cap-drop"), &link)
            .cannot("make", &link)?;
    }
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
    layers(work)?;
    for dir in ["root", "flat/bin", "flat/run", "flat/tmp", "flat/proc", "flat/dev"] {
        std::fs::create_dir_all(work.join(dir)).cannot("make", dir)?;
    }
    std::fs::copy(noop, work.join("flat/bin/noop")).cannot("copy", noop).map(drop)
}

/// Directories `l/0`, `l/1` …, and lists of them.
fn layers(work: &Path) -> Result<(), Fail> {
    for n in 0..500 {
        let dir = work.join(format!("l/{n}"));
        std::fs::create_dir_all(&dir).cannot("make", &dir)?;
    }
    for count in STACKS {
        let list: Vec<_> = (0..count).map(|n| format!("l/{n}")).collect();
        let file = work.join(format!("list{count}"));
        std::fs::write(&file, list.join("\n")).cannot("write", &file)?;
    }
    Ok(())
}

fn measure(row: &Row, noop: f64, runs: u32) -> Result<(String, f64), Fail> {
    let (ours, peer) = (words(&row.ours)?, words(&row.peer)?);
    let floor = row.floor.as_deref().map(words).transpose()?;
    let (mut our_times, mut peer_times, mut floor_times) =
        (Vec::new(), Vec::new(), Vec::new());
    let quiet = quiet().failed_to("open /dev/null")?;
    let timed = |argv: &[CString], words: &[String]| {
        once(argv, &quiet)
            .ok_or_else(|| Fail::cannot("time", words.join(" "), "it failed"))
    };
    for _ in 0..runs {
        let Some(time) = once(&peer, &quiet) else {
            return Ok((format!("{:<40} the peer does not run here\n", row.name), noop));
        };
        peer_times.push(time);
        our_times.push(timed(&ours, &row.ours)?);
        if let (Some(argv), Some(words)) = (&floor, &row.floor) {
            floor_times.push(timed(argv, words)?);
        }
    }
    let (a, b) = (summary(&mut our_times), summary(&mut peer_times));
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        line,
        "{:<40} {:>5.0} {:>6.0}   {:>5.0} {:>6.0}    {:.2}",
        row.name,
        a.min,
        a.median,
        b.min,
        b.median,
        a.median / b.median
    );
    let added = (a.min - noop) / (b.min - noop);
    let _ = if added.is_finite() && added > 0.0 {
        write!(line, "   {added:.2}")
    } else {
        write!(line, "       ")
    };
    if floor.is_some() {
        let f = summary(&mut floor_times);
        let times = a.median / f.median;
        let _ = write!(line, "   {:>5.0} {:>6.0}    {times:.2}", f.min, f.median);
    }
    Ok((format!("{}\n", line.trim_end()), a.min))
}

pub(crate) fn words(words: &[String]) -> Result<Vec<CString>, Fail> {
    let c = |word: &String| {
        CString::new(word.as_bytes())
            .map_err(|_| Fail::cannot("use", word, "it has a NUL"))
    };
    words.iter().map(c).collect()
}

/// Standard output and error to nowhere.
pub(crate) fn quiet() -> nix::Result<PosixSpawnFileActions> {
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
pub(crate) fn once(argv: &[CString], quiet: &PosixSpawnFileActions) -> Option<Duration> {
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
