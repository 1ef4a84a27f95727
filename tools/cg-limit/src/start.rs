//! Starts COMMAND in the groups: born there on v2, moved there by itself on v1.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use common::chain::Chain;
use common::fail::{Hint, quote};
use common::spawn::{Bond, Child, Held, Spawn};
use common::{Context, Fail, status};
use nix::errno::Errno;
use nix::unistd::write;
use serde_json::{Map, Value, json};

use crate::apply::{DELEGATE, Group, open_entry};
use crate::discover::Version;
use crate::plan::{Plan, Step};

/// Starts COMMAND; it is in every group before its first instruction.
pub(crate) fn start(
    groups: &mut [Group],
    held: &Held,
    chain: Chain,
    job: &Job<'_>,
) -> Result<Child, Fail> {
    let mut chain = Some(chain);
    let v2 = groups.iter().position(|group| group.version == Version::V2);
    let into = v2.and_then(|i| groups.get(i)).map(|group| group.dir.as_fd());
    let child = fork(groups, held, into, &mut chain, job);
    let child = match (child, v2.and_then(|i| groups.get_mut(i))) {
        // Before Linux 5.7, or behind a seccomp filter: the child moves itself.
        (
            Err(Errno::ENOSYS | Errno::EINVAL | Errno::E2BIG | Errno::EPERM),
            Some(group),
        ) => {
            group.entry = Some(open_entry(group, "cgroup.procs")?);
            fork(groups, held, None, &mut chain, job)
        }
        (child, _) => child,
    };
    child.or_else(|e| not_started(&job.plan.steps, e))
}

fn not_started(steps: &[Step], errno: Errno) -> Result<Child, Fail> {
    let places = steps.iter().find_map(|step| match step {
        Step::Fork { group, above } => group.as_ref().zip(above.as_ref()),
        Step::Enable { .. }
        | Step::Evacuate { .. }
        | Step::Make { .. }
        | Step::Write { .. }
        | Step::Filter { .. }
        | Step::Enter { .. }
        | Step::Join { .. } => None,
    });
    let Some((group, above)) = places else {
        return Err(Fail::os("cannot fork", errno));
    };
    let right = quote(above.join("cgroup.procs"));
    Err(errno)
        .cannot("start a process in", group)
        .hint_on(
            Errno::EACCES,
            format_args!("{right} must be yours to write; {DELEGATE}"),
        )
        .hint_on(Errno::EOPNOTSUPP, "the group above is threaded, see cgroups(7)")
        .hint_on(Errno::EAGAIN, "a group above, or ulimit -u, has too few tasks left")
}

/// What the new process has to do in the groups.
pub(crate) struct Job<'j> {
    /// `--status-fd`.
    pub(crate) status_fd: Option<RawFd>,
    /// The plan, for the status.
    pub(crate) plan: &'j Plan,
    /// COMMAND.
    pub(crate) command: &'j [OsString],
}

fn fork(
    groups: &[Group],
    held: &Held,
    cgroup: Option<BorrowedFd<'_>>,
    chain: &mut Option<Chain>,
    job: &Job<'_>,
) -> Result<Child, Errno> {
    let spawn = Spawn { tool: "cg-limit", flags: 0, cgroup, bond: Bond::DieWithParent };
    spawn.fork_held(held, |parent| {
        let mut chain = chain.take().unwrap_or_default();
        chain.parent = Some(parent);
        enter(groups, chain, job)
    })
}

/// The child: goes where it was not born, tells, becomes COMMAND.
fn enter(groups: &[Group], chain: Chain, job: &Job<'_>) -> Result<Infallible, Fail> {
    move_in(groups)?;
    if let Some(fd) = job.status_fd {
        status::write(fd, &record(groups, &job.plan.steps))?;
    }
    chain.exec(job.command)
}

/// "0" means the writer. A single thread that moves itself by `tasks` need not wait for
/// an RCU grace period, some 10 ms, as any other way into a v1 group must.
fn move_in(groups: &[Group]) -> Result<(), Fail> {
    for group in groups {
        if let Some(entry) = &group.entry {
            write(entry, b"0")
                .cannot("enter the group", &group.path)
                .hint_on(Errno::EACCES, DELEGATE)?;
        }
    }
    Ok(())
}

/// Without a fork: this process goes in and becomes COMMAND. Comes back only to say why not,
/// and to where it was.
pub(crate) fn become_command(
    groups: &[Group],
    held: &Held,
    chain: Chain,
    job: &Job<'_>,
) -> Fail {
    let ready = held.release().failed_to("restore signals");
    let failed = ready.and_then(|()| enter(groups, chain, job));
    for group in groups {
        let _ = group.back.as_ref().map(|file| std::fs::write(file, "0"));
    }
    match failed {
        Ok(never) => match never {},
        Err(fail) => fail,
    }
}

fn record(groups: &[Group], steps: &[Step]) -> Value {
    let mut places = Map::new();
    for group in groups {
        for controller in &group.controllers {
            let path = group.path.to_string_lossy().into_owned();
            places.insert((*controller).to_owned(), path.into());
        }
    }
    json!({
        "cgroups": places,
        "limits": limits(steps),
        "pid": nix::unistd::getpid().as_raw(),
    })
}

/// What was written, by the file's name: a number where it is one.
fn limits(steps: &[Step]) -> Map<String, Value> {
    let mut all: Map<String, Value> = Map::new();
    for step in steps {
        let Step::Write { file, .. } = step else { continue };
        let value =
            file.value.parse::<u64>().map_or_else(|_| json!(file.value), Value::from);
        match all.get_mut(&file.name) {
            // A file of lines.
            Some(known) => {
                let lines =
                    known.as_str().map_or_else(|| known.to_string(), str::to_owned);
                *known = json!(format!("{lines}\n{}", file.value));
            }
            None => drop(all.insert(file.name.clone(), value)),
        }
    }
    all
}
