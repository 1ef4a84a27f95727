//! What to make new and what to do there, decided without a system call.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use common::Fail;
use common::chain::link_name;
use common::explain::Explain;
use common::fail::quote;
use common::mount::Propagation;
use common::nstype::{Ns, flag_names};

use crate::cli::{Cli, Spread};
use crate::host::Host;
use crate::maps::Maps;

/// What ns-run is going to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The namespaces to make, in the order of [`Ns`].
    pub kinds: Vec<Ns>,
    /// Whether COMMAND is a child, made with the namespaces.
    pub fork: bool,
    /// The ids of a new user namespace.
    pub maps: Option<Maps>,
    /// What is done inside, in this order.
    pub steps: Vec<Step>,
}

/// One thing to do in the new namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep our tools within reach; before any mount changes, and as the user that may
    /// read their directory.
    KeepTools,
    /// Become the root of the namespace, where the caller's own ids were not mapped.
    Become {
        /// The caller's uid means nothing inside.
        uid: bool,
        /// The caller's gid means nothing inside.
        gid: bool,
    },
    /// How mounts spread, for the whole tree.
    Propagation(Propagation),
    /// Bring loopback up.
    Loopback {
        /// The user asked for it: it may not fail.
        must: bool,
    },
    /// Set the host name.
    Hostname(OsString),
    /// Mount a proc of the pid namespace.
    Proc {
        /// Where.
        dir: PathBuf,
        /// Keep the mount from spreading, where propagation did not see to it.
        shield: bool,
    },
    /// Tell that set-up is complete.
    Status(RawFd),
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// When options contradict each other or ids are not there to be mapped.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        let kinds = kinds(cli);
        let has = |ns| kinds.contains(&ns);
        let maps = if has(Ns::User) { Maps::new(cli, host)? } else { None };
        if cli.setgroups.is_some() && !has(Ns::User) {
            return Err(Fail::new("cannot rule setgroups without a user namespace")
                .hint("add --user"));
        }
        let mut steps = Vec::new();
        if has(Ns::Mount) && cli.link.command.iter().any(|word| link_name(word).is_some())
        {
            steps.push(Step::KeepTools);
        }
        let (uid, gid) = maps.as_ref().map_or((false, false), |m| m.strangers(host));
        if uid || gid {
            steps.push(Step::Become { uid, gid });
        }
        if has(Ns::Mount)
            && let Some(propagation) = propagation(cli.propagation)
        {
            steps.push(Step::Propagation(propagation));
        }
        if has(Ns::Net) && !cli.no_lo {
            steps.push(Step::Loopback { must: cli.lo });
        }
        steps.extend(cli.hostname.clone().map(Step::Hostname));
        if let Some(dir) = cli.mount_proc.clone() {
            let shield = cli.propagation != Spread::Private;
            steps.push(Step::Proc { dir, shield });
        }
        steps.extend(cli.status_fd.map(Step::Status));
        Ok(Self { kinds, fork: cli.fork, maps, steps })
    }

    /// Whether there is something that only a process outside can do or knows: the
    /// maps, the process id there.
    pub fn needs_parent(&self) -> bool {
        self.maps.as_ref().is_some_and(Maps::needs_outside)
            || self.steps.iter().any(|step| matches!(step, Step::Status(_)))
    }

    /// The plan as lines for `--explain`.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let names = flag_names(&self.kinds);
        if self.fork {
            let call = format!("clone3({names}|CLONE_PIDFD)");
            lines.push(Line::new(call, "COMMAND's process, in namespaces of its own"));
            let why = "it dies with ns-run, not after it";
            lines.push(Line::new("prctl(PR_SET_PDEATHSIG, SIGKILL)".into(), why));
        } else if !self.kinds.is_empty() {
            let why = if self.kinds.contains(&Ns::Pid) {
                "this process's own, the pid namespace for its children"
            } else {
                "this process's own"
            };
            lines.push(Line::new(format!("unshare({names})"), why));
        }
        lines.extend(self.maps.iter().flat_map(Maps::lines));
        lines.extend(self.steps.iter().map(|s| Line { call: s.call(), why: s.why() }));
        lines
    }
}

fn kinds(cli: &Cli) -> Vec<Ns> {
    let ids = [cli.map_user, cli.map_group].iter().any(Option::is_some);
    let ranges = cli.map_auto || !cli.map_users.is_empty() || !cli.map_groups.is_empty();
    let user = cli.user || cli.map_root_user || cli.map_current_user || ids || ranges;
    let all = [
        (user, Ns::User),
        (cli.mount || cli.mount_proc.is_some(), Ns::Mount),
        (cli.pid, Ns::Pid),
        (cli.ipc, Ns::Ipc),
        (cli.uts || cli.hostname.is_some(), Ns::Uts),
        (cli.net, Ns::Net),
        (cli.cgroup, Ns::Cgroup),
        (cli.time, Ns::Time),
    ];
    all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, ns)| ns).collect()
}

fn propagation(spread: Spread) -> Option<Propagation> {
    match spread {
        Spread::Private => Some(Propagation::Private),
        Spread::Slave => Some(Propagation::Slave),
        Spread::Shared => Some(Propagation::Shared),
        Spread::Unchanged => None,
    }
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

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::KeepTools => {
                "open_tree('.../', OPEN_TREE_CLONE); mount_setattr()".into()
            }
            Self::Become { uid, gid } => {
                let gid = gid.then_some("setgroups([]); setresgid(0, 0, 0)");
                let uid = uid.then_some("setresuid(0, 0, 0)");
                gid.into_iter().chain(uid).collect::<Vec<_>>().join("; ")
            }
            Self::Propagation(p) => {
                format!("mount(NULL, '/', NULL, MS_REC|{}, NULL)", p.name())
            }
            Self::Loopback { .. } => "ioctl(SIOCSIFFLAGS, 'lo', IFF_UP)".into(),
            Self::Hostname(name) => format!("sethostname({})", quote(name)),
            Self::Proc { dir, .. } => {
                format!(
                    "mount('proc', {}, 'proc', MS_NOSUID|MS_NODEV|MS_NOEXEC)",
                    quote(dir)
                )
            }
            Self::Status(fd) => format!("write({fd}, '{{\"pid\":…,\"ns\":{{…}}}}')"),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::KeepTools => {
                "a read-only clone of the tools' directory, for later links"
            }
            Self::Become { .. } => "the own ids are not mapped: be root of the namespace",
            Self::Propagation(_) => "how mounts spread to and from the outside",
            Self::Loopback { must: true } => "loopback, as asked for",
            Self::Loopback { must: false } => "loopback, where there is the right to",
            Self::Hostname(_) => "the host name",
            Self::Proc { .. } => "the processes of the pid namespace",
            Self::Status(_) => "set-up is complete",
        }
        .into()
    }
}
