//! `sandbox [--user] [--mount] [--pid] [--net] [--uts] [--ipc] -- COMMAND`: a changed
//! world for a test, made without the tools that are tested.
#![no_main]

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use common::chain::Chain;
use common::mount::{Depth, Propagation, set_propagation};
use common::nstype::Ns;
use common::spawn::{Bond, Spawn, end_like};
use common::{Context, Fail, sys};

common::entry!("sandbox", run);

const FLAGS: [(&str, Ns); 6] = [
    ("--user", Ns::User),
    ("--mount", Ns::Mount),
    ("--pid", Ns::Pid),
    ("--net", Ns::Net),
    ("--uts", Ns::Uts),
    ("--ipc", Ns::Ipc),
];

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let mut kinds = Vec::new();
    let mut words = args.into_iter().skip(1);
    for word in words.by_ref().take_while(|w| w != "--") {
        let known = FLAGS.iter().find(|(name, _)| word == *name);
        let (_, ns) = known.ok_or_else(|| Fail::cannot("use", &word, "not known"))?;
        kinds.push(*ns);
    }
    let command: Vec<_> = words.collect();
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    sys::unshare(common::nstype::flags(&kinds)).failed_to("unshare")?;
    if kinds.contains(&Ns::User) {
        write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
        write("/proc/self/setgroups", "deny")?;
        write("/proc/self/gid_map", &format!("0 {gid} 1"))?;
    }
    if kinds.contains(&Ns::Mount) {
        set_propagation(Path::new("/"), Propagation::Private, Depth::Tree)
            .failed_to("make the mounts private")?;
    }
    if !kinds.contains(&Ns::Pid) {
        return Chain::default().exec(&command);
    }
    let spawn =
        Spawn { tool: "sandbox", flags: 0, cgroup: None, bond: Bond::DieWithParent };
    let child = spawn.fork(|_| Chain::default().exec(&command)).failed_to("fork")?;
    Err(end_like(child.wait()?))
}

fn write(path: &str, text: &str) -> Result<(), Fail> {
    fs::write(path, text).cannot("write", path)
}
