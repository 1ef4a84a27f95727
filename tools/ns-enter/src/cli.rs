//! The command line of ns-enter.

use std::ffi::OsString;

use clap::Parser;
use common::Fail;
use common::cli::Link;
use common::nstype::Ns;
use common::quick::{Opt, Set};

/// Run a program in another process's namespaces
#[derive(Parser, Debug, Default)]
#[command(name = "ns-enter", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Enter every namespace that is not ours already
    #[arg(short, long)]
    pub all: bool,

    /// The process whose namespaces to enter
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub target: i32,

    /// Enter the mount namespace
    #[arg(short, long)]
    pub mount: bool,

    /// Enter the UTS namespace: host and domain name
    #[arg(short, long)]
    pub uts: bool,

    /// Enter the IPC namespace
    #[arg(short, long)]
    pub ipc: bool,

    /// Enter the network namespace
    #[arg(short, long)]
    pub net: bool,

    /// Enter the pid namespace
    #[arg(short, long)]
    pub pid: bool,

    /// Enter the cgroup namespace
    #[arg(short = 'C', long)]
    pub cgroup: bool,

    /// Enter the user namespace and become its root
    #[arg(short = 'U', long)]
    pub user: bool,

    /// Enter the time namespace
    #[arg(short = 'T', long)]
    pub time: bool,

    /// Become this uid
    #[arg(short = 'S', long, value_name = "UID", value_parser = common::parse::id)]
    pub setuid: Option<u32>,

    /// Become this gid and leave all other groups
    #[arg(short = 'G', long, value_name = "GID", value_parser = common::parse::id)]
    pub setgid: Option<u32>,

    /// Keep uid, gid and groups, also with --user
    #[arg(long, conflicts_with_all = ["setuid", "setgid"])]
    pub preserve_credentials: bool,

    /// Change to the process's root directory
    #[arg(short, long)]
    pub root: bool,

    /// Change to the process's working directory
    #[arg(short, long)]
    pub wd: bool,

    /// Become COMMAND without a fork, outside the pid namespace
    #[arg(short = 'F', long)]
    pub no_fork: bool,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

/// The options that need no look at the others.
const PLAIN: [Opt<Cli>; 13] = [
    Opt::new(Some('a'), "all", Set::Flag(|c| c.all = true)),
    Opt::new(
        Some('t'),
        "target",
        Set::Value(|c, pid| {
            let pid = common::parse::id(pid).ok()?;
            i32::try_from(pid).ok().filter(|pid| *pid > 0).map(|pid| c.target = pid)
        }),
    ),
    Opt::new(Some('m'), "mount", Set::Flag(|c| c.mount = true)),
    Opt::new(Some('u'), "uts", Set::Flag(|c| c.uts = true)),
    Opt::new(Some('i'), "ipc", Set::Flag(|c| c.ipc = true)),
    Opt::new(Some('n'), "net", Set::Flag(|c| c.net = true)),
    Opt::new(Some('p'), "pid", Set::Flag(|c| c.pid = true)),
    Opt::new(Some('C'), "cgroup", Set::Flag(|c| c.cgroup = true)),
    Opt::new(Some('U'), "user", Set::Flag(|c| c.user = true)),
    Opt::new(Some('T'), "time", Set::Flag(|c| c.time = true)),
    Opt::new(Some('r'), "root", Set::Flag(|c| c.root = true)),
    Opt::new(Some('w'), "wd", Set::Flag(|c| c.wd = true)),
    Opt::new(Some('F'), "no-fork", Set::Flag(|c| c.no_fork = true)),
];

/// Parses the arguments (the program's name first) or says in one line why not.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    common::quick::parse(args, &PLAIN, with_command)
}

/// None without a target, which clap asks for.
fn with_command(mut cli: Cli, command: Vec<OsString>) -> Option<Cli> {
    cli.link.command = command;
    (cli.target > 0).then_some(cli)
}

impl Cli {
    /// The kinds that were asked for one by one.
    pub fn kinds(&self) -> Vec<Ns> {
        let all = [
            (self.user, Ns::User),
            (self.mount, Ns::Mount),
            (self.pid, Ns::Pid),
            (self.ipc, Ns::Ipc),
            (self.uts, Ns::Uts),
            (self.net, Ns::Net),
            (self.cgroup, Ns::Cgroup),
            (self.time, Ns::Time),
        ];
        all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, ns)| ns).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_its_help_short() {
        Cli::command().debug_assert();
        for arg in Cli::command().get_arguments() {
            let help = arg.get_help().unwrap().to_string();
            assert!(help.len() <= 60, "{help}");
        }
    }

    const WORDS: [&str; 22] = [
        "-a",
        "-t",
        "-t7",
        "-at",
        "7",
        "0",
        "-7",
        "-t=7",
        "--target",
        "--target=7",
        "--target=0",
        "--target=x",
        "--all",
        "-mn",
        "-x",
        "--",
        "",
        "-",
        "--net",
        "--net=x",
        "-rwF",
        "--pid",
    ];

    #[test]
    fn what_is_read_without_clap_is_what_clap_reads() {
        kit::quick::agrees_with_clap("ns-enter", &PLAIN, with_command, &WORDS);
    }

    #[test]
    fn options_cluster_and_abbreviate_as_in_nsenter() {
        for args in [
            &["-at", "7", "--preserve", "id", "-u"][..],
            &["-a", "-t7", "--preserve", "--", "id", "-u"],
        ] {
            let args = ["ns-enter"].iter().chain(args).map(OsString::from);

            let cli: Cli = common::cli::parse(args.collect()).unwrap();

            assert!(cli.all && cli.target == 7 && cli.preserve_credentials);
            assert_eq!(cli.link.command, ["id", "-u"]);
        }
    }
}
