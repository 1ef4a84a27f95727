//! Which capabilities COMMAND uses: what the kernel tells of it, or what it can do without.

use std::convert::Infallible;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::spawn::{Bond, Child, Ended, Spawn, end_like, is_dead};
use common::{Context, Fail, entry, proc, status, sys};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;
use serde_json::json;

use crate::become_command;
use crate::cli::Cli;
use crate::plan::{Host, Plan};
use crate::sets::CapSet;

pub mod bisect;
pub mod events;
mod tracefs;

use events::{Events, Seen};
use tracefs::{INSTEAD, Instance};

const SPAWN: Spawn<'static> =
    Spawn { tool: "cap-drop", flags: 0, cgroup: None, bond: Bond::DieWithParent };

/// Runs COMMAND once and tells what the kernel granted it.
pub(crate) fn by_events(cli: &Cli, host: &Host, plan: &Plan) -> Result<Fail, Fail> {
    refuse_elsewhere()?;
    let instance = Instance::make()?;
    let (may_go, go) = pipe()?;
    let child = start(cli, host, plan, move || wait_to_go(may_go))?;
    instance.trace(child.pid)?;
    let reader = Reader::start(&instance, child.pidfd.as_fd())?;
    File::from(go).write_all(b"g").failed_to("start COMMAND")?;
    let ended = child.wait()?;
    let seen = reader.finish()?;
    drop(instance);
    if matches!(ended, Ended::Exited(125..=127)) {
        return Ok(end_like(ended));
    }
    if seen.lost {
        entry::report(
            "cap-drop",
            &Fail::new("some checks were lost: there were too many"),
        );
    }
    tell(cli, seen.used)?;
    Ok(end_like(ended))
}

/// A child that has done all but the exec, before which it does `last`.
fn start(
    cli: &Cli,
    host: &Host,
    plan: &Plan,
    last: impl FnOnce() -> Result<(), Fail>,
) -> Result<Child, Fail> {
    let (ready, is_ready) = pipe()?;
    let last = move || {
        File::from(is_ready).write_all(b"r").failed_to("tell that COMMAND is ready")?;
        last()
    };
    let child =
        SPAWN.fork(|_| become_command(cli, host, plan, last)).failed_to("fork")?;
    // Nothing comes from one that failed, and has said so.
    if File::from(ready).read(&mut [0]).failed_to("hear of COMMAND")? == 0 {
        return Err(end_like(child.wait()?));
    }
    Ok(child)
}

/// A pid is meant in the first namespace of its kind, and tracing is not for any other.
fn refuse_elsewhere() -> Result<(), Fail> {
    let hint = |fail: Fail| fail.hint(INSTEAD);
    if !proc::in_initial_userns().map_err(hint)? {
        let reason =
            "cannot trace COMMAND: the kernel's tracing is for the first user namespace";
        return Err(hint(Fail::new(reason)));
    }
    let own =
        std::fs::read_link("/proc/self/ns/pid").cannot("read", "/proc/self/ns/pid")?;
    // PROC_PID_INIT_INO of linux/proc_ns.h.
    if own.as_os_str() != "pid:[4026531836]" {
        let reason = "cannot trace COMMAND: its tracing counts processes in the first pid namespace";
        return Err(hint(Fail::new(reason)));
    }
    Ok(())
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Fail> {
    pipe2(OFlag::O_CLOEXEC).failed_to("make a pipe")
}

/// In the child: from here on it is traced.
fn wait_to_go(may_go: OwnedFd) -> Result<(), Fail> {
    if File::from(may_go).read(&mut [0]).failed_to("wait to be traced")? == 0 {
        return Err(Fail::exit(125));
    }
    // A check of a capability in our own user namespace, whatever its answer: the first
    // event, which shows how the kernel prints that namespace.
    let _ = sys::may_setgroups();
    Ok(())
}

/// Another process, which reads while this one waits.
struct Reader {
    process: Child,
    answer: OwnedFd,
}

impl Reader {
    fn start(instance: &Instance, command: BorrowedFd<'_>) -> Result<Self, Fail> {
        let text = instance.text()?;
        let command = command.try_clone_to_owned().failed_to("watch COMMAND")?;
        let (answer, out) = pipe()?;
        let process =
            SPAWN.fork(move |_| read_all(text, &command, out)).failed_to("fork")?;
        Ok(Self { process, answer })
    }

    fn finish(self) -> Result<Seen, Fail> {
        let mut text = String::new();
        let what = "hear what COMMAND used";
        File::from(self.answer).read_to_string(&mut text).failed_to(what)?;
        self.process.reap()?;
        let (used, lost) = text.split_once(' ').unwrap_or_default();
        let used = used.parse().map(CapSet);
        let used =
            used.map_err(|_| Fail::new(format_args!("cannot {what}: no answer")))?;
        Ok(Seen { used, lost: lost == "lost" })
    }
}

/// Reads until COMMAND has ended and nothing is left.
fn read_all(mut text: File, command: &OwnedFd, out: OwnedFd) -> Result<Infallible, Fail> {
    let mut events = Events::default();
    loop {
        // What ended before has left all of its text there.
        let has_ended = is_dead(command.as_fd());
        drain(&mut text, &mut events)?;
        if has_ended {
            break;
        }
        let mut watched = [
            PollFd::new(command.as_fd(), PollFlags::POLLIN),
            PollFd::new(text.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e).failed_to("wait for events"),
        }
    }
    let Seen { used, lost } = events.seen();
    let lost = if lost { "lost" } else { "whole" };
    File::from(out)
        .write_all(format!("{} {lost}", used.0).as_bytes())
        .failed_to("tell what COMMAND used")?;
    Err(Fail::done())
}

fn drain(text: &mut File, events: &mut Events) -> Result<(), Fail> {
    let mut bytes = [0; 16384];
    loop {
        match text.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(length) => events.feed(bytes.get(..length).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e).failed_to("read trace_pipe"),
        }
    }
}

/// Runs COMMAND with fewer and fewer capabilities and tells the fewest that are enough.
pub(crate) fn by_bisection(mut cli: Cli, host: &Host) -> Result<Fail, Fail> {
    let plan = Plan::new(&cli, host)?;
    let all = plan.end.caps.bounding.or(plan.end.caps.permitted);
    let mut run = |kept: CapSet| -> Result<Ended, Fail> {
        cli.keep = vec![kept];
        cli.profile = None;
        cli.from_file_caps = None;
        cli.add = Vec::new();
        let plan = Plan::new(&cli, host)?;
        start(&cli, host, &plan, || Ok(()))?.wait()
    };
    let ended = run(all)?;
    if matches!(ended, Ended::Exited(125..=127)) {
        return Ok(end_like(ended));
    }
    let used = bisect::fewest(all, |kept| Ok(run(kept)? == ended))?;
    tell(&cli, used)?;
    Ok(end_like(ended))
}

/// A line for people, and the same for scripts.
fn tell(cli: &Cli, used: CapSet) -> Result<(), Fail> {
    match cli.confine.status_fd {
        Some(fd) => {
            let names: Vec<_> = used.each().map(|(_, one)| one.to_string()).collect();
            status::write(fd, &json!({ "used": names, "keep": used.to_string() }))
        }
        None => entry::write_all(2, format!("cap-drop: --keep {used}\n").as_bytes())
            .failed_to("tell what COMMAND used"),
    }
}
