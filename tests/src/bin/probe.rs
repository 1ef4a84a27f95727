//! Prints the world it is started in as one JSON object: static, so it runs in any root.
#![no_main]

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;

use common::nstype::KINDS;
use common::proc::{mountinfo, status_field};
use common::{Fail, sys};
use nix::sys::resource::{Resource, getrlimit};
use serde_json::{Map, Value, json};

common::entry!("probe", run);

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| Value::from(status_field(&status, name).unwrap_or("?"));
    let read = |path: &str| Value::from(fs::read_to_string(path).unwrap_or_default());
    let words = |list: Vec<OsString>| -> Vec<String> {
        list.into_iter().map(|w| w.to_string_lossy().into_owned()).collect()
    };
    let env: Vec<_> =
        sys::environ().iter().map(|e| e.to_string_lossy().into_owned()).collect();
    let umask = status_field(&status, "Umask").unwrap_or("?").to_owned();
    let world = json!({
        "argv": words(args),
        "env": env,
        "comm": field("Name"),
        "pid": nix::unistd::getpid().as_raw(),
        "ppid": nix::unistd::getppid().as_raw(),
        "pgid": nix::unistd::getpgrp().as_raw(),
        "sid": nix::unistd::getsid(None).map_or(-1, nix::unistd::Pid::as_raw),
        "cwd": std::env::current_dir().map_or_else(|e| e.to_string(), |d| d.display().to_string()),
        "cwd-stat": fs::metadata(".").map_or_else(|e| e.to_string(), |m| owner_and_mode(&m)),
        "ns": namespaces(),
        "uid-map": read("/proc/self/uid_map"),
        "gid-map": read("/proc/self/gid_map"),
        "setgroups": read("/proc/self/setgroups"),
        "uid": field("Uid"),
        "gid": field("Gid"),
        "groups": field("Groups"),
        "caps": {
            "inh": field("CapInh"), "prm": field("CapPrm"), "eff": field("CapEff"),
            "bnd": field("CapBnd"), "amb": field("CapAmb"),
        },
        "securebits": sys::prctl(nix::libc::PR_GET_SECUREBITS, 0, 0).unwrap_or(-1),
        "no-new-privs": field("NoNewPrivs"),
        "seccomp": field("Seccomp"),
        "signals": { "blocked": field("SigBlk"), "ignored": field("SigIgn") },
        "pdeathsig": sys::pdeathsig().unwrap_or(-1),
        "umask": umask,
        "rlimits": rlimits(),
        "oom-score-adj": read("/proc/self/oom_score_adj"),
        "hostname": read("/proc/sys/kernel/hostname"),
        "cgroup": read("/proc/self/cgroup"),
        "fds": descriptors(),
        "mounts": mounts(),
    });
    Err(Fail::output(format!("{world:#}\n")))
}

/// `755 0:0`, as stat(1) would write it.
fn owner_and_mode(of: &fs::Metadata) -> String {
    format!("{:o} {}:{}", of.mode() & 0o7777, of.uid(), of.gid())
}

fn namespaces() -> Map<String, Value> {
    let inode =
        |file: &str| fs::metadata(format!("/proc/self/ns/{file}")).map_or(0, |m| m.ino());
    KINDS.iter().map(|k| (k.file.to_owned(), inode(k.file).into())).collect()
}

fn rlimits() -> Map<String, Value> {
    let all = [
        ("core", Resource::RLIMIT_CORE),
        ("nofile", Resource::RLIMIT_NOFILE),
        ("stack", Resource::RLIMIT_STACK),
        ("memlock", Resource::RLIMIT_MEMLOCK),
    ];
    all.map(|(name, r)| (name.to_owned(), json!(getrlimit(r).unwrap_or((0, 0)))))
        .into_iter()
        .collect()
}

/// The open ones below 64, with what /proc says they are.
fn descriptors() -> Map<String, Value> {
    let open = (0..64).filter(|fd| sys::open_flags(*fd).is_ok());
    let name = |fd| nix::fcntl::readlink(format!("/proc/self/fd/{fd}").as_str());
    // A pipe's or socket's number differs from run to run.
    let kind = |name: OsString| {
        let name = name.to_string_lossy().into_owned();
        name.split(":[").next().unwrap_or_default().to_owned()
    };
    open.map(|fd| (fd.to_string(), name(fd).map_or_else(|_| "?".into(), kind).into()))
        .collect()
}

fn mounts() -> Vec<Value> {
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let shown = |m: common::proc::MountInfo| {
        json!({
            "target": m.target.display().to_string(),
            "fstype": m.fstype,
            "root": m.root.display().to_string(),
            "source": m.source.to_string_lossy(),
            "options": m.options,
            "tags": m.tags,
            "super-options": m.super_options,
        })
    };
    mountinfo(&text).into_iter().map(shown).collect()
}
