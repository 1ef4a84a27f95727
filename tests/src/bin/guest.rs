//! The program in the demo's image: it tells what a container looks like from inside.
#![no_main]

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::fs;

use common::proc::{MountInfo, mountinfo, status_field};
use common::{Fail, sys};

common::entry!("guest", run);

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let words: Vec<_> = args.into_iter().skip(1).collect();
    let mut text = words.join(OsStr::new(" ")).to_string_lossy().into_owned();
    text.push('\n');
    if matches!(text.trim(), "" | "tour") {
        text.clear();
        tour(&mut text);
    }
    Err(Fail::output(text))
}

fn tour(text: &mut String) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name| status_field(&status, name).unwrap_or("?").replace('\t', " ");
    let read = |path| {
        fs::read_to_string(path).unwrap_or_else(|e| e.to_string()).trim().to_owned()
    };
    let cwd = std::env::current_dir()
        .map_or_else(|e| e.to_string(), |d| d.display().to_string());
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<13} {value}");
    };
    line("hostname", read("/proc/sys/kernel/hostname"));
    line(
        "process",
        format!("pid {} in {cwd}, uid {}", nix::unistd::getpid(), field("Uid")),
    );
    line(
        "uid map",
        read("/proc/self/uid_map").split_whitespace().collect::<Vec<_>>().join(" "),
    );
    line("processes", processes());
    line("interfaces", names("/sys/class/net"));
    line("bounding set", field("CapBnd"));
    line("no_new_privs", field("NoNewPrivs"));
    let open = (0..64).filter(|fd| sys::open_flags(*fd).is_ok()).map(|fd| fd.to_string());
    line("open files", open.collect::<Vec<_>>().join(" "));
    line("environment", environment());
    line("/etc/motd", read("/etc/motd"));
    line("/opt", format!("{} (layer 2 made it opaque)", names("/opt")));
    line("/var/cache", format!("{} (layer 2 removed junk)", names("/var/cache")));
    line("mounts", String::new());
    let all = mountinfo(&fs::read("/proc/self/mountinfo").unwrap_or_default());
    if let Some(root) = all.iter().find(|m| m.target == std::path::Path::new("/")) {
        tree(text, &all, root, 1);
    }
}

/// The mounts as findmnt(8) draws them, without the masks.
fn tree(text: &mut String, all: &[MountInfo], at: &MountInfo, depth: usize) {
    let _ = writeln!(
        text,
        "{:indent$}{:<width$} {}",
        "",
        at.target.display().to_string(),
        at.fstype,
        indent = depth.saturating_mul(2),
        width = 24_usize.saturating_sub(depth.saturating_mul(2)),
    );
    let is_mask = |m: &MountInfo| {
        let is_below = m.target.starts_with("/proc") || m.target.starts_with("/sys");
        is_below && m.target.components().count() > 2
    };
    for below in all.iter().filter(|m| m.parent == at.id && m.id != at.id && !is_mask(m))
    {
        tree(text, all, below, depth.saturating_add(1));
    }
}

fn processes() -> String {
    let pids = names("/proc");
    let pids = pids.split(' ').filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let name =
        |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    pids.map(|pid| format!("{pid} {}", name(pid).trim())).collect::<Vec<_>>().join(", ")
}

fn names(dir: &str) -> String {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { "empty".to_owned() } else { names.join(" ") }
}

fn environment() -> String {
    sys::environ().iter().map(|e| e.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
