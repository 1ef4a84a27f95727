//! What to make new and what to do there, decided without a system call.

use std::ffi::OsString;
use std::path::PathBuf;

use common::Fail;
use common::explain::Explain;
use common::fail::quote;
use common::nstype::{Ns, flag_names};
use common::spawn::Memory;
use nix::libc::{SIGKILL, c_int};
use nix::sys::signal::Signal;

use crate::cli::{Cli, Join, New, Owner};
use crate::host::Host;
use crate::maps::Maps;
use crate::order;
use crate::step::Step;

/// What ns-run is going to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Namespaces that are there already, user first.
    pub joins: Vec<Join>,
    /// Who is to own the new user namespace.
    pub owner: Option<Owner>,
    /// The namespaces to make, in the order of [`Ns`].
    pub kinds: Vec<Ns>,
    /// Those of them that are done without where they are refused.
    pub tries: Vec<Ns>,
    /// The ids of a new user namespace.
    pub maps: Option<Maps>,
    /// How far the clocks of a new time namespace are set off.
    pub clocks: Vec<(Clock, i64)>,
    /// The files that keep namespaces.
    pub kept: Vec<Kept>,
    /// The directory that is made for them.
    pub kept_in: Option<PathBuf>,
    /// Whether COMMAND is a child, and how it is tied to us.
    pub fork: Option<Fork>,
    /// Kill COMMAND when our starter dies.
    pub is_tied: bool,
    /// What is done inside, in this order.
    pub steps: Vec<Step>,
    /// The environment that COMMAND gets.
    pub env: Env,
}

/// COMMAND as a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// What it gets when we die.
    pub bond: c_int,
    /// It is in a pid namespace of its own.
    pub in_pid_namespace: bool,
    /// Somebody of ours reaps.
    pub init: bool,
    /// Where it runs until it is COMMAND.
    pub memory: Memory,
}

/// A clock of time_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// `CLOCK_BOOTTIME`.
    Boottime,
}

/// A namespace that outlives its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its kind.
    pub ns: Ns,
    /// What its file in /proc is mounted on.
    pub file: PathBuf,
}

/// `--clear-env` and `--whitelist-env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Env {
    /// What we have.
    Inherited,
    /// These variables of it.
    Only(Vec<OsString>),
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// When options contradict each other or ids are not there to be mapped.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        let tries = cli.tries.kinds();
        let kinds = kinds(cli, &tries);
        let has = |ns| kinds.contains(&ns);
        check(cli, &kinds)?;
        let maps = if has(Ns::User) { Maps::new(cli, host)? } else { None };
        let mut joins = cli.join.clone();
        joins.sort_by_key(|join| join.ns);
        let mut fork = fork(cli, &kinds);
        let kept = kept(cli, &kinds);
        let clocks = [(Clock::Monotonic, cli.monotonic), (Clock::Boottime, cli.boottime)];
        let clocks = clocks.into_iter().filter_map(|(clock, by)| Some((clock, by?)));
        let is_cleared = cli.clear_env || !cli.whitelist_env.is_empty();
        let steps = order::Steps { cli, host, kinds: &kinds, maps: maps.as_ref() }
            .list(fork.is_some(), !kept.is_empty());
        // Into a new time namespace a child of vfork(2) comes by its exec, since Linux 6.0.
        let is_timed = has(Ns::Time) || joins.iter().any(|join| join.ns == Ns::Time);
        if let Some(fork) = fork.as_mut().filter(|fork| !fork.init && !is_timed)
            && steps.iter().all(Step::is_quick)
        {
            fork.memory = Memory::Lent;
        }
        Ok(Self {
            steps,
            joins,
            owner: cli.owner,
            tries,
            maps,
            clocks: clocks.collect(),
            kept,
            kept_in: cli.persist.clone(),
            fork,
            is_tied: cli.die_with_parent,
            env: if is_cleared {
                Env::Only(cli.whitelist_env.clone())
            } else {
                Env::Inherited
            },
            kinds,
        })
    }

    /// Whether /proc of outside is looked at after something else may lie on it.
    pub fn needs_proc(&self) -> bool {
        let looks = |step: &Step| {
            matches!(
                step,
                Step::Wait { status: Some(_), .. }
                    | Step::Status(_)
                    | Step::PidFile(_)
                    | Step::Persist
                    | Step::Nest { .. }
            )
        };
        self.fork.is_some_and(|fork| fork.in_pid_namespace)
            || self.steps.iter().any(looks)
    }

    /// The plan as lines for `--explain`.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for join in &self.joins {
            let call =
                format!("setns({}, {})", quote(&join.file), flag_names(&[join.ns]));
            lines.push(Line::new(call, "a namespace that is there"));
        }
        if let Some(Owner { uid, gid }) = self.owner {
            let call = format!("setgroups([]); setresgid({gid}); setresuid({uid})");
            lines.push(Line::new(call, "who owns the user namespace"));
        }
        if !self.kinds.is_empty() {
            let why = match (self.kinds.contains(&Ns::Pid), self.tries.is_empty()) {
                (_, false) => "one by one; those of --try may be refused",
                (true, true) => "this process's own, the pid namespace for its children",
                (false, true) => "this process's own",
            };
            lines.push(Line::new(format!("unshare({})", flag_names(&self.kinds)), why));
        }
        lines.extend(self.maps.iter().flat_map(Maps::lines));
        for (clock, by) in &self.clocks {
            let call =
                format!("write('/proc/self/timens_offsets', '{} {by} 0')", clock.name());
            lines.push(Line::new(call, "before any process is in it"));
        }
        if let Some(fork) = self.fork {
            let signal = Signal::try_from(fork.bond).map_or("SIGRT", Signal::as_str);
            let clone = fork.memory.call();
            let call = format!("{clone}; prctl(PR_SET_PDEATHSIG, {signal})");
            lines.push(Line::new(call, "COMMAND's process, which dies with ns-run"));
        }
        lines.extend(self.steps.iter().map(|s| Line { call: s.call(), why: s.why() }));
        lines
    }
}

impl Clock {
    /// As the kernel reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monotonic => "monotonic",
            Self::Boottime => "boottime",
        }
    }
}

fn check(cli: &Cli, kinds: &[Ns]) -> Result<(), Fail> {
    if (cli.monotonic.is_some() || cli.boottime.is_some()) && !kinds.contains(&Ns::Time) {
        let text = "cannot set clocks off without a time namespace";
        return Err(Fail::new(text).hint("add --time"));
    }
    if cli.disable_userns && !kinds.contains(&Ns::User) {
        let text = "cannot forbid user namespaces outside of a new one";
        return Err(Fail::new(text).hint("add --user"));
    }
    if cli.persist.is_some() && kinds.is_empty() {
        let text = "cannot keep namespaces where none is made";
        return Err(Fail::new(text).hint("name them: --net, --mount, --user …"));
    }
    let keeps_pid = cli.persist.is_some() || matches!(cli.pid, Some(New::Kept(_)));
    if keeps_pid && kinds.contains(&Ns::Pid) && fork(cli, kinds).is_none() {
        let text = "cannot keep a pid namespace that has no process";
        return Err(Fail::new(text).hint("add --fork"));
    }
    Ok(())
}

fn kinds(cli: &Cli, tries: &[Ns]) -> Vec<Ns> {
    let ids = cli.own.uid.is_some() || cli.own.gid.is_some() || cli.owner.is_some();
    let binfmt = cli.mount_binfmt.is_some() || cli.load_interp.is_some();
    let user = cli.user.is_some() || ids || cli.has_ranges() || binfmt;
    let mount = cli.mount.is_some() || cli.mount_proc.is_some() || binfmt;
    let uts = cli.uts.is_some() || cli.hostname.is_some() || cli.domainname.is_some();
    let all = [
        (user, Ns::User),
        (mount, Ns::Mount),
        (cli.pid.is_some(), Ns::Pid),
        (cli.ipc.is_some(), Ns::Ipc),
        (uts, Ns::Uts),
        (cli.net.is_some(), Ns::Net),
        (cli.cgroup.is_some(), Ns::Cgroup),
        (cli.time.is_some(), Ns::Time),
    ];
    let wanted = all.into_iter().filter(|(wanted, ns)| {
        // A namespace that was joined is not made anew for what is set in it.
        let is_joined = cli.join.iter().any(|join| join.ns == *ns);
        (*wanted && !(is_joined && *ns == Ns::Uts && cli.uts.is_none()))
            || tries.contains(ns)
    });
    wanted.map(|(_, ns)| ns).collect()
}

fn fork(cli: &Cli, kinds: &[Ns]) -> Option<Fork> {
    let joins_pid = cli.join.iter().any(|join| join.ns == Ns::Pid);
    let is_forked = cli.fork
        || cli.init
        || cli.kill_child.is_some()
        || cli.forward_signals
        || cli.new_session
        || joins_pid;
    is_forked.then_some(Fork {
        bond: cli.kill_child.unwrap_or(SIGKILL),
        in_pid_namespace: kinds.contains(&Ns::Pid),
        init: cli.init,
        memory: Memory::Own,
    })
}

fn kept(cli: &Cli, kinds: &[Ns]) -> Vec<Kept> {
    let files = [
        (&cli.user, Ns::User),
        (&cli.mount, Ns::Mount),
        (&cli.pid, Ns::Pid),
        (&cli.ipc, Ns::Ipc),
        (&cli.uts, Ns::Uts),
        (&cli.net, Ns::Net),
        (&cli.cgroup, Ns::Cgroup),
        (&cli.time, Ns::Time),
    ];
    let named = files.into_iter().filter_map(|(new, ns)| match new {
        Some(New::Kept(file)) => Some(Kept { ns, file: file.clone() }),
        Some(New::Passing) | None => None,
    });
    let in_dir = cli.persist.iter().flat_map(|dir| {
        kinds.iter().map(|ns| Kept { ns: *ns, file: dir.join(ns.kind().file) })
    });
    named.chain(in_dir).collect()
}

/// A line of `--explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    call: String,
    why: String,
}

impl Line {
    /// From a call and a reason.
    pub fn new(call: String, why: &str) -> Self {
        Self { call, why: why.to_owned() }
    }
}

impl Explain for Line {
    fn call(&self) -> String {
        self.call.clone()
    }

    fn why(&self) -> String {
        self.why.clone()
    }
}
