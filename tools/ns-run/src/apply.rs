//! Makes the namespaces, has the maps written, does the rest inside and becomes COMMAND.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use common::chain::Chain;
use common::fail::Hint;
use common::ids;
use common::mount::Propagation;
use common::nstype::{KINDS, Ns, flags};
use common::spawn::{Bond, Child, Held, Spawn, end_like, keep_bond};
use common::{Context, Fail, status, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::pid_t;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use serde_json::{Map, Value, json};

use crate::gate::Gate;
use crate::maps::Maps;
use crate::plan::{Plan, Step};
use crate::refusal::refused;

const NONE: Option<&str> = None;

/// What is run at the end.
pub(crate) enum Command<'a> {
    /// COMMAND and its arguments.
    Given(&'a [std::ffi::OsString]),
    /// The user's shell.
    Shell(&'a OsStr),
}

/// Carries the plan out.
pub(crate) fn apply(
    plan: &Plan,
    chain: Chain,
    command: &Command<'_>,
) -> Result<Infallible, Fail> {
    if plan.fork { forked(plan, chain, command) } else { in_place(plan, chain, command) }
}

/// unshare(2): this process moves into the namespaces and becomes COMMAND.
fn in_place(
    plan: &Plan,
    chain: Chain,
    command: &Command<'_>,
) -> Result<Infallible, Fail> {
    let pid = if plan.needs_parent() { nix::unistd::getpid().as_raw() } else { 0 };
    let make = || {
        if plan.kinds.is_empty() {
            return Ok(());
        }
        sys::unshare(flags(&plan.kinds)).map_err(|e| refused(&plan.kinds, e))
    };
    match &plan.maps {
        Some(maps) if maps.needs_outside() => mapped_by_helper(maps, pid, make)?,
        Some(maps) => make().and_then(|()| maps.write("self"))?,
        None => make()?,
    }
    inside(plan, chain, command, pid)
}

/// Ranges are written from outside: by a process that stays there for as long.
///
/// It is bound to this one, and a gate that closes unopened ends it: when the
/// namespaces are refused nothing is left that holds the caller's files.
fn mapped_by_helper(
    maps: &Maps,
    pid: pid_t,
    make: impl FnOnce() -> Result<(), Fail>,
) -> Result<(), Fail> {
    let gate = Gate::new()?;
    let spawn =
        Spawn { tool: "ns-run", flags: 0, cgroup: None, bond: Bond::DieWithParent };
    let held = Held::hold().failed_to("block signals")?;
    let helper = spawn
        .fork_held(&held, |_| {
            gate.wait()?;
            maps.write(&pid.to_string())?;
            Err(Fail::done())
        })
        .failed_to("fork")?;
    let made = make();
    if made.is_ok() {
        gate.open(pid)?;
    }
    drop(gate);
    let ended = helper.reap()?;
    held.release().failed_to("restore signals")?;
    made?;
    match ended {
        common::spawn::Ended::Exited(0) => Ok(()),
        // It said why.
        common::spawn::Ended::Exited(status) => Err(Fail::exit(status)),
        common::spawn::Ended::Killed(_) => {
            Err(Fail::new("cannot map ids: the helper was killed"))
        }
    }
}

/// clone3(2): a child begins in the namespaces; this process stays outside and waits.
fn forked(plan: &Plan, chain: Chain, command: &Command<'_>) -> Result<Infallible, Fail> {
    let gate = plan.needs_parent().then(Gate::new).transpose()?;
    let how = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let proc = open("/proc", how, Mode::empty()).cannot("open", "/proc")?;
    let spawn = Spawn {
        tool: "ns-run",
        flags: flags(&plan.kinds),
        cgroup: None,
        bond: Bond::DieWithParent,
    };
    let child = spawn
        .fork(|parent| {
            let mut chain = chain;
            chain.parent = Some(parent);
            let pid = gate.as_ref().map_or(Ok(0), Gate::wait)?;
            match &plan.maps {
                Some(maps) if !maps.needs_outside() => maps.write("self")?,
                Some(_) | None => {}
            }
            inside(plan, chain, command, pid)
        })
        .map_err(|e| refused(&plan.kinds, e))?;
    let child = if plan.kinds.contains(&Ns::Pid) { child.as_init(proc) } else { child };
    if let Some(gate) = gate {
        let ready = match &plan.maps {
            Some(maps) if maps.needs_outside() => maps.write(&child.pid.to_string()),
            Some(_) | None => Ok(()),
        };
        open_or_end(&gate, &child, ready).inspect_err(|_| {
            drop_child(&child);
        })?;
    }
    Err(end_like(child.wait()?))
}

fn open_or_end(gate: &Gate, child: &Child, ready: Result<(), Fail>) -> Result<(), Fail> {
    ready?;
    gate.open(child.pid)
}

/// A child that never got through the gate.
fn drop_child(child: &Child) {
    let _ = sys::pidfd_send_signal(child.pidfd.as_fd(), nix::libc::SIGKILL);
    let _ = child.reap();
}

fn inside(
    plan: &Plan,
    mut chain: Chain,
    command: &Command<'_>,
    pid: pid_t,
) -> Result<Infallible, Fail> {
    for step in &plan.steps {
        carry_out(step, plan, &mut chain, command, pid)?;
    }
    match command {
        Command::Given(command) => chain.exec(command),
        Command::Shell(shell) => chain.exec_shell(shell),
    }
}

fn carry_out(
    step: &Step,
    plan: &Plan,
    chain: &mut Chain,
    command: &Command<'_>,
    pid: pid_t,
) -> Result<(), Fail> {
    match step {
        Step::KeepTools => match command {
            Command::Given(command) => chain.keep_tools(command),
            Command::Shell(_) => Ok(()),
        },
        Step::Become { uid, gid } => {
            let parent = chain.parent.as_ref().map(AsFd::as_fd);
            keep_bond(parent, || be_root(*uid, *gid))
        }
        Step::Propagation(propagation) => {
            let how = MsFlags::MS_REC | kernel_flag(*propagation);
            propagate(Path::new("/"), how)
                .cannot("set propagation of", "/")
                .hint_on(Errno::EINVAL, "/ is no mount here: --propagation unchanged")
        }
        Step::Loopback { must } => match sys::loopback_up() {
            Err(e) if *must => Err(e).cannot("bring up", "lo"),
            Ok(()) | Err(_) => Ok(()),
        },
        Step::Hostname(name) => {
            nix::unistd::sethostname(name).cannot("set host name", name)
        }
        Step::Proc { dir, shield } => mount_proc(dir, *shield, plan),
        Step::Status(fd) => {
            status::write(*fd, &json!({ "pid": pid, "ns": namespaces(plan)? }))
        }
    }
}

/// The root of the namespace, without the groups of outside unless the namespace that we
/// come from keeps everybody from shedding any.
fn be_root(uid: bool, gid: bool) -> Result<(), Fail> {
    if gid {
        let left = ids::Step::Groups(vec![]).apply();
        if left.is_err() && !is_denied()? {
            return left;
        }
        ids::Step::Gid(0).apply()?;
    }
    if uid {
        ids::Step::Uid(0).apply()?;
    }
    Ok(())
}

fn is_denied() -> Result<bool, Fail> {
    let path = "/proc/self/setgroups";
    Ok(fs::read_to_string(path).cannot("read", path)?.trim_end() == "deny")
}

fn kernel_flag(propagation: Propagation) -> MsFlags {
    match propagation {
        Propagation::Private => MsFlags::MS_PRIVATE,
        Propagation::Slave => MsFlags::MS_SLAVE,
        Propagation::Shared => MsFlags::MS_SHARED,
    }
}

fn mount_proc(dir: &Path, shield: bool, plan: &Plan) -> Result<(), Fail> {
    if shield {
        match propagate(dir, MsFlags::MS_PRIVATE) {
            // No mount of its own there: what it lies on spreads as was asked for.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(e) => return Err(e).cannot("set propagation of", dir),
        }
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let is_own = plan.fork && plan.kinds.contains(&Ns::Pid);
    let hint = if is_own {
        // What is mounted over in the old proc would be seen: mount_namespaces(7).
        "something is mounted below /proc here"
    } else {
        "proc shows a pid namespace of our own: --pid --fork"
    };
    mount(Some("proc"), dir, Some("proc"), flags, NONE)
        .cannot("mount proc on", dir)
        .hint_on(Errno::EPERM, hint)
}

fn propagate(at: &Path, how: MsFlags) -> nix::Result<()> {
    mount(NONE, at, NONE, how, NONE)
}

/// The inodes of COMMAND's namespaces, as ls -i /proc/PID/ns has them.
fn namespaces(plan: &Plan) -> Result<Map<String, Value>, Fail> {
    let mut all = Map::new();
    for kind in &KINDS {
        // Where it was unshared in place the exec moves COMMAND there.
        let moves = kind.ns == Ns::Time && !plan.fork && plan.kinds.contains(&Ns::Time);
        let file = if moves { "time_for_children" } else { kind.file };
        let path = format!("/proc/self/ns/{file}");
        match fs::metadata(&path) {
            Ok(meta) => {
                all.insert(kind.file.to_owned(), meta.ino().into());
            }
            Err(e)
                if e.kind() == std::io::ErrorKind::NotFound && kind.ns >= Ns::Cgroup => {}
            Err(e) => return Err(e).cannot("read", path),
        }
    }
    Ok(all)
}
