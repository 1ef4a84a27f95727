//! newuidmap(1) and newgidmap(1): what maps subordinate ids for an ordinary user.

use std::ffi::OsString;
use std::io::Read;

use common::chain::Chain;
use common::idmap::IdMap;
use common::spawn::{Bond, Ended, Held, Spawn};
use common::{Context, Fail};
use nix::fcntl::OFlag;
use nix::unistd::{dup2_stderr, pipe2};

/// Has one map written: `uid_map` or `gid_map` of the process.
pub(crate) fn run(file: &str, process: &str, map: &IdMap) -> Result<(), Fail> {
    let program = if file == "uid_map" { "newuidmap" } else { "newgidmap" };
    let mut argv: Vec<OsString> = vec![program.into(), process.into()];
    argv.extend(map.to_string().split_ascii_whitespace().map(OsString::from));
    let (read, write) = pipe2(OFlag::O_CLOEXEC).failed_to("make a pipe")?;
    let spawn =
        Spawn { tool: "ns-run", flags: 0, cgroup: None, bond: Bond::DieWithParent };
    let held = Held::hold().failed_to("block signals")?;
    let child = spawn
        .fork_held(&held, move |_| {
            // What it complains of becomes our one line.
            dup2_stderr(&write).failed_to("redirect standard error")?;
            Chain::default().exec(&argv)
        })
        .cannot("run", program)?;
    let mut said = String::new();
    let told = std::fs::File::from(read).take(4096).read_to_string(&mut said);
    let ended = child.reap()?;
    held.release().failed_to("restore signals")?;
    match ended {
        Ended::Exited(0) => Ok(()),
        Ended::Exited(126 | 127) => {
            let reason = said.trim().rsplit(": ").next().unwrap_or_default();
            Err(Fail::cannot("run", program, reason).hint("install uidmap"))
        }
        Ended::Exited(_) | Ended::Killed(_) => {
            let said = told.map_or("", |_| said.lines().next().unwrap_or_default());
            let said =
                said.strip_prefix(program).unwrap_or(said).trim_start_matches(": ");
            let reason = if said.is_empty() { "it failed" } else { said };
            Err(Fail::cannot("map ids with", program, reason))
        }
    }
}
