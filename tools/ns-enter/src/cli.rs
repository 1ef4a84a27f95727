//! The command line of ns-enter.
#![allow(clippy::option_option, reason = "clap's type of an option whose value can lack")]

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{CommandFactory, Parser};
use common::Fail;
use common::cli::Link;
use common::nstype::Ns;
use common::quick::{self, Opt, Rest, Set};

use crate::name::{Place, Target, Who, place, target, who};

/// Run a program in another process's namespaces
#[derive(Parser, Debug, Default)]
#[command(name = "ns-enter", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Enter every namespace that is not ours already
    #[arg(short, long)]
    pub all: bool,

    /// The process: PID, PID:INODE, fd:N, file:, cgroup:, netns:
    #[arg(short, long, value_name = "TARGET", value_parser = os(target))]
    pub target: Option<Target>,

    /// Enter the mount namespace
    // These are not --mount-proc: clap must not complain of one where another is wrong.
    #[arg(short, long, aliases = ["m", "mo", "mou", "moun"], value_name = "FILE", num_args = 0..=1, require_equals = true, value_parser = os(place))]
    pub mount: Option<Option<Place>>,

    /// Enter the UTS namespace: host and domain name
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_parser = os(place))]
    pub uts: Option<Option<Place>>,

    /// Enter the IPC namespace
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_parser = os(place))]
    pub ipc: Option<Option<Place>>,

    /// Enter the network namespace
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_parser = os(place))]
    pub net: Option<Option<Place>>,

    /// Enter the network namespace of the process's socket
    #[arg(short = 'N', long, value_name = "FD", value_parser = common::cli::fd)]
    pub net_socket: Option<RawFd>,

    /// Enter the pid namespace
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_parser = os(place))]
    pub pid: Option<Option<Place>>,

    /// Enter the cgroup namespace
    #[arg(short = 'C', long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_parser = os(place))]
    pub cgroup: Option<Option<Place>>,

    /// Enter the user namespace and become its root
    #[arg(short = 'U', long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_parser = os(place))]
    pub user: Option<Option<Place>>,

    /// Enter the parent of the user namespace instead
    #[arg(long)]
    pub user_parent: bool,

    /// Enter the time namespace
    #[arg(short = 'T', long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_parser = os(place))]
    pub time: Option<Option<Place>>,

    /// Enter the pid and time namespaces that its children get
    #[arg(long)]
    pub for_children: bool,

    /// Become this user: uid, name or follow
    #[arg(short = 'S', long, value_name = "UID", value_parser = os(who))]
    pub setuid: Option<Who>,

    /// Become this gid and leave all other groups
    #[arg(short = 'G', long, value_name = "GID", value_parser = os(who))]
    pub setgid: Option<Who>,

    /// Keep uid, gid and groups, also with --user
    #[arg(long)]
    pub preserve_credentials: bool,

    /// Keep the capabilities that --user gives, over the exec
    #[arg(long)]
    pub keep_caps: bool,

    /// Change to the process's root directory, or to DIR
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub root: Option<Option<PathBuf>>,

    /// Change to the process's working directory, or to DIR
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true, conflicts_with = "wdns")]
    pub wd: Option<Option<PathBuf>>,

    /// Change to this working directory inside
    #[arg(short = 'W', long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub wdns: Option<Option<PathBuf>>,

    /// Mount a proc for COMMAND alone
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "/proc", conflicts_with = "root")]
    pub mount_proc: Option<PathBuf>,

    /// Take the process's environment
    #[arg(short, long, alias = "e")]
    pub env: bool,

    /// Become COMMAND without a fork, outside the pid namespace
    #[arg(short = 'F', long)]
    pub no_fork: bool,

    /// Join the process's cgroups
    #[arg(short = 'c', long)]
    pub join_cgroup: bool,

    /// Take the process's SELinux context
    #[arg(short = 'Z', long, aliases = ["f", "fo"])]
    pub follow_context: bool,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

/// A parser of what need not be UTF-8.
fn os<T: Clone + Send + Sync + 'static>(
    read: fn(&OsStr) -> Result<T, String>,
) -> impl TypedValueParser<Value = T> {
    OsStringValueParser::new().try_map(move |text| read(&text))
}

/// Takes a file or an id where there is one; none for what clap has to complain of.
fn own(into: &mut Option<Option<Place>>, value: Option<&str>) -> Option<()> {
    let place = value.map(|value| place(OsStr::new(value))).transpose().ok()?;
    *into = Some(place);
    Some(())
}

/// Reads a user or group; none for what clap has to complain of.
fn whom(into: &mut Option<Who>, value: &str) -> Option<()> {
    *into = Some(who(OsStr::new(value)).ok()?);
    Some(())
}

/// Takes a directory where there is one.
macro_rules! dir {
    ($field:ident) => {
        Set::Cluster(|c, dir| {
            c.$field = Some(dir.map(PathBuf::from));
            Some(())
        })
    };
}

/// All of them: how each is abbreviated is known here.
const TABLE: [Opt<Cli>; 26] = [
    Opt::new(Some('a'), "all", Set::Flag(|c| c.all = true)),
    Opt::new(
        Some('t'),
        "target",
        Set::Value(|c, t| target(OsStr::new(t)).ok().map(|t| c.target = Some(t))),
    ),
    Opt::new(Some('m'), "mount", Set::Cluster(|c, file| own(&mut c.mount, file))),
    Opt::new(Some('u'), "uts", Set::Cluster(|c, file| own(&mut c.uts, file))),
    Opt::new(Some('i'), "ipc", Set::Cluster(|c, file| own(&mut c.ipc, file))),
    Opt::new(Some('n'), "net", Set::Cluster(|c, file| own(&mut c.net, file))),
    Opt::new(
        Some('N'),
        "net-socket",
        Set::Value(|c, fd| common::cli::fd(fd).ok().map(|fd| c.net_socket = Some(fd))),
    ),
    Opt::new(Some('p'), "pid", Set::Cluster(|c, file| own(&mut c.pid, file))),
    Opt::new(Some('C'), "cgroup", Set::Cluster(|c, file| own(&mut c.cgroup, file))),
    Opt::new(Some('U'), "user", Set::Cluster(|c, file| own(&mut c.user, file))),
    Opt::new(None, "user-parent", Set::Flag(|c| c.user_parent = true)),
    Opt::new(Some('T'), "time", Set::Cluster(|c, file| own(&mut c.time, file))),
    Opt::extra(None, "for-children", Set::Flag(|c| c.for_children = true)),
    Opt::new(Some('S'), "setuid", Set::Value(|c, uid| whom(&mut c.setuid, uid))),
    Opt::new(Some('G'), "setgid", Set::Value(|c, gid| whom(&mut c.setgid, gid))),
    Opt::new(None, "preserve-credentials", Set::Flag(|c| c.preserve_credentials = true)),
    Opt::new(None, "keep-caps", Set::Flag(|c| c.keep_caps = true)),
    Opt::new(Some('r'), "root", dir!(root)),
    Opt::new(Some('w'), "wd", dir!(wd)),
    Opt::new(Some('W'), "wdns", dir!(wdns)),
    Opt::extra(
        None,
        "mount-proc",
        Set::Optional(|c, dir| c.mount_proc = Some(dir.unwrap_or("/proc").into())),
    ),
    Opt::new(Some('e'), "env", Set::Flag(|c| c.env = true)),
    Opt::new(Some('F'), "no-fork", Set::Flag(|c| c.no_fork = true)),
    Opt::new(Some('c'), "join-cgroup", Set::Flag(|c| c.join_cgroup = true)),
    Opt::new(Some('Z'), "follow-context", Set::Flag(|c| c.follow_context = true)),
    Opt::extra(None, "explain", Set::Flag(|c| c.link.explain = true)),
];

/// Parses the arguments (the program's name first) or says in one line why not.
///
/// # Errors
/// Usage mistakes, or the text of `--help` and `--version`.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    let quick = quick::read_all(&args, &TABLE);
    let cli = match quick.and_then(|(cli, rest)| with_command(cli, rest)) {
        Some(cli) => cli,
        None => common::cli::parse(common::cli::attach(args, &Cli::command()))?,
    };
    match (cli.needs_target(), &cli.target) {
        (Some(option), None) => Err(Fail::new(format_args!(
            "missing --target <TARGET>: {option} takes one; try 'ns-enter --help'"
        ))),
        (Some(option), Some(Target::Netns(_))) => Err(Fail::new(format_args!(
            "cannot do {option}: a net namespace is no process; leave all but --net away"
        ))),
        _ => Ok(cli),
    }
}

/// None where options exclude each other, which clap tells.
fn with_command(mut cli: Cli, rest: Rest) -> Option<Cli> {
    cli.link.command = rest.command();
    let is_sound = (cli.wd.is_none() || cli.wdns.is_none())
        && (cli.root.is_none() || cli.mount_proc.is_none());
    is_sound.then_some(cli)
}

impl Cli {
    /// The kinds that were asked for one by one, and whose they are.
    pub fn kinds(&self) -> Vec<(Ns, Option<&Place>)> {
        let all = [
            (&self.user, Ns::User),
            (&self.mount, Ns::Mount),
            (&self.pid, Ns::Pid),
            (&self.ipc, Ns::Ipc),
            (&self.uts, Ns::Uts),
            (&self.net, Ns::Net),
            (&self.cgroup, Ns::Cgroup),
            (&self.time, Ns::Time),
        ];
        all.into_iter()
            .filter_map(|(own, ns)| own.as_ref().map(|own| (ns, own.as_ref())))
            .collect()
    }

    /// Whether the target is a net namespace alone.
    pub fn is_netns(&self) -> bool {
        matches!(self.target, Some(Target::Netns(_)))
    }

    /// The first option that only a process can serve.
    fn needs_target(&self) -> Option<&'static str> {
        let is_netns = self.is_netns();
        let of_target =
            |ns: Ns, own: Option<&Place>| own.is_none() && !(is_netns && ns == Ns::Net);
        if let Some((ns, _)) =
            self.kinds().into_iter().find(|(ns, own)| of_target(*ns, *own))
        {
            return Some(option(ns));
        }
        let is_follow = |who: &Option<Who>| *who == Some(Who::Follow);
        let all = [
            (self.all && !is_netns, "--all"),
            (self.net_socket.is_some(), "--net-socket"),
            (self.user_parent && self.kinds().is_empty(), "--user-parent"),
            (self.root == Some(None), "--root"),
            (self.wd == Some(None), "--wd"),
            (self.env, "--env"),
            (self.join_cgroup, "--join-cgroup"),
            (self.follow_context, "--follow-context"),
            (is_follow(&self.setuid), "--setuid=follow"),
            (is_follow(&self.setgid), "--setgid=follow"),
            (self.for_children, "--for-children"),
        ];
        all.into_iter().find(|(is_given, _)| *is_given).map(|(_, option)| option)
    }
}

/// The option that enters a kind.
pub fn option(ns: Ns) -> &'static str {
    match ns {
        Ns::User => "--user",
        Ns::Mount => "--mount",
        Ns::Pid => "--pid",
        Ns::Ipc => "--ipc",
        Ns::Uts => "--uts",
        Ns::Net => "--net",
        Ns::Cgroup => "--cgroup",
        Ns::Time => "--time",
    }
}

#[cfg(test)]
#[path = "cli/tests.rs"]
mod tests;
