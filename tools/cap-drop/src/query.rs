//! What is only looked at: --decode, --describe, --has, --pid, --tree.

use common::fail::Hint;
use common::{Context, Fail};
use nix::libc::pid_t;

use crate::cli::{Cli, Format, Has, Set};
use crate::print;
use crate::process::Process;
use crate::sets::CapSet;
use crate::state::Caps;

/// The answer, where the command line asks for nothing else.
pub(crate) fn answer(cli: &Cli) -> Option<Fail> {
    if let Some(set) = cli.decode {
        return Some(Fail::output(print::decoded(set)));
    }
    if let Some(set) = cli.describe {
        let known = CapSet(u64::MAX >> 23);
        let set = if set == CapSet::ALL { known } else { set };
        return Some(Fail::output(print::described(set)));
    }
    let looks = !cli.has.is_empty() || !cli.pid.is_empty() || cli.tree;
    looks.then(|| look(cli).unwrap_or_else(|fail| fail))
}

fn look(cli: &Cli) -> Result<Fail, Fail> {
    if let Some(program) = cli.link.command.first() {
        let reason = "--has, --pid and --tree run nothing";
        return Err(Fail::cannot("run", program, reason));
    }
    if cli.tree {
        return tree(&cli.pid).map(Fail::output);
    }
    let of = |pid: &pid_t| Process::of(*pid);
    let processes = if cli.pid.is_empty() {
        vec![Process::current()?]
    } else {
        cli.pid.iter().map(of).collect::<Result<_, _>>()?
    };
    if cli.has.is_empty() {
        let format = cli.print.unwrap_or(Format::Text);
        return Ok(Fail::output(print::all(&processes, format)));
    }
    let has = |process: &Process| cli.has.iter().all(|asked| holds(&process.caps, asked));
    Ok(Fail::exit(u8::from(!processes.iter().all(has))))
}

/// `all` is all that the kernel has.
fn holds(caps: &Caps, Has(asked): &Has) -> bool {
    asked.iter().all(|(set, list)| {
        let has = match set {
            Set::Bounding => caps.bounding,
            Set::Permitted => caps.permitted,
            Set::Effective => caps.effective,
            Set::Inheritable => caps.inheritable,
            Set::Ambient => caps.ambient,
        };
        has.has(if *list == CapSet::ALL { known() } else { *list })
    })
}

/// Every capability that this kernel has.
fn known() -> CapSet {
    let read = common::sys::last_capability();
    CapSet(u64::MAX >> 63_u32.saturating_sub(read))
}

/// Each process below its parent; those of a list with all below them.
fn tree(roots: &[pid_t]) -> Result<String, Fail> {
    let mut all = processes()?;
    all.sort_by_key(|process| process.pid);
    let is_there = |pid: pid_t| all.iter().any(|process| process.pid == pid);
    let tops: Vec<_> = if roots.is_empty() {
        let is_top = |p: &&Process| !is_there(p.parent);
        all.iter().filter(is_top).map(|process| process.pid).collect()
    } else {
        roots.to_vec()
    };
    let known = known();
    let mut text = String::new();
    // Depth first, without recursion: a chain of processes can be long.
    let mut open: Vec<_> = tops.into_iter().rev().map(|pid| (pid, 0_usize)).collect();
    while let Some((pid, depth)) = open.pop() {
        let Some(process) = all.iter().find(|process| process.pid == pid) else {
            let fail = Fail::cannot("look at process", pid.to_string(), "there is none");
            return Err(fail);
        };
        text.push_str(&print::tree_line(process, depth, known));
        let children = all.iter().filter(|process| process.parent == pid).rev();
        open.extend(children.map(|child| (child.pid, depth.saturating_add(1))));
    }
    Ok(text)
}

fn processes() -> Result<Vec<Process>, Fail> {
    let dir = std::fs::read_dir("/proc").cannot("read", "/proc")?;
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let pids: Vec<pid_t> = dir.flatten().filter_map(pid).collect();
    if pids.is_empty() {
        return Err(Fail::cannot("read", "/proc", "it is not mounted"))
            .hint("ns-run --mount-proc mounts one");
    }
    // One that ends meanwhile is not there.
    Ok(pids.into_iter().filter_map(|pid| Process::of(pid).ok()).collect())
}
