//! The command line of ns-enter.

use clap::Parser;
use common::cli::Link;
use common::nstype::Ns;

/// Run a program in another process's namespaces
#[derive(Parser, Debug)]
#[command(name = "ns-enter", version, infer_long_args = true)]
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
    use std::ffi::OsString;

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
