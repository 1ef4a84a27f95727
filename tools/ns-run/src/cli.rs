//! The command line of ns-run.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};
use common::Fail;
use common::cli::Link;
use common::idmap::{Source, source};
use common::quick::{Opt, Set};

/// Run a program in new namespaces
#[derive(Parser, Debug, Default)]
#[command(name = "ns-run", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Make a new mount namespace
    #[arg(short, long)]
    pub mount: bool,

    /// Make a new UTS namespace: host and domain name
    #[arg(short, long)]
    pub uts: bool,

    /// Make a new IPC namespace
    #[arg(short, long)]
    pub ipc: bool,

    /// Make a new network namespace
    #[arg(short, long)]
    pub net: bool,

    /// Make a new pid namespace, for children: see --fork
    #[arg(short, long)]
    pub pid: bool,

    /// Make a new user namespace
    #[arg(short = 'U', long)]
    pub user: bool,

    /// Make a new cgroup namespace
    #[arg(short = 'C', long)]
    pub cgroup: bool,

    /// Make a new time namespace
    #[arg(short = 'T', long)]
    pub time: bool,

    /// Run COMMAND as a child and end as it ends
    #[arg(short, long)]
    pub fork: bool,

    /// Mount a new proc; implies --mount
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "/proc")]
    pub mount_proc: Option<PathBuf>,

    /// Set how mounts spread: private, slave, shared, unchanged
    #[arg(
        long,
        value_name = "MODE",
        default_value = "private",
        hide_possible_values = true
    )]
    pub propagation: Spread,

    /// Become root inside; implies --user
    #[arg(short = 'r', long, overrides_with = "map_current_user")]
    pub map_root_user: bool,

    /// Keep the own ids inside; implies --user
    #[arg(short = 'c', long, overrides_with = "map_root_user")]
    pub map_current_user: bool,

    /// Map the own uid to this one; implies --user
    #[arg(long, value_name = "USER", value_parser = user)]
    pub map_user: Option<u32>,

    /// Map the own gid to this one; implies --user
    #[arg(long, value_name = "GROUP", value_parser = group)]
    pub map_group: Option<u32>,

    /// Map the own subordinate ids from 0 on
    #[arg(long)]
    pub map_auto: bool,

    /// Map uids: auto, subids, all, I:O:N or O,I,N
    #[arg(long, value_name = "MAP", value_parser = common::idmap::source)]
    pub map_users: Vec<Source>,

    /// Map gids: auto, subids, all, I:O:N or O,I,N
    #[arg(long, value_name = "MAP", value_parser = common::idmap::source)]
    pub map_groups: Vec<Source>,

    /// Set the rule for setgroups(2) inside: allow or deny
    #[arg(long, value_name = "RULE", hide_possible_values = true)]
    pub setgroups: Option<Setgroups>,

    /// Set the host name; implies --uts
    #[arg(long, value_name = "NAME", value_parser = hostname)]
    pub hostname: Option<OsString>,

    /// Bring loopback up or fail
    #[arg(long, requires = "net", overrides_with = "no_lo")]
    pub lo: bool,

    /// Leave loopback down
    #[arg(long, action = ArgAction::SetTrue, overrides_with = "lo")]
    pub no_lo: bool,

    /// Write pid and namespaces as JSON to this descriptor
    #[arg(long, value_name = "FD", value_parser = common::cli::fd)]
    pub status_fd: Option<RawFd>,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

/// The options that need no look at the others.
const PLAIN: [Opt<Cli>; 18] = [
    Opt::new(Some('m'), "mount", Set::Flag(|c| c.mount = true)),
    Opt::new(Some('u'), "uts", Set::Flag(|c| c.uts = true)),
    Opt::new(Some('i'), "ipc", Set::Flag(|c| c.ipc = true)),
    Opt::new(Some('n'), "net", Set::Flag(|c| c.net = true)),
    Opt::new(Some('p'), "pid", Set::Flag(|c| c.pid = true)),
    Opt::new(Some('U'), "user", Set::Flag(|c| c.user = true)),
    Opt::new(Some('C'), "cgroup", Set::Flag(|c| c.cgroup = true)),
    Opt::new(Some('T'), "time", Set::Flag(|c| c.time = true)),
    Opt::new(Some('f'), "fork", Set::Flag(|c| c.fork = true)),
    Opt::new(
        None,
        "mount-proc",
        Set::Optional(|c, dir| c.mount_proc = Some(dir.unwrap_or("/proc").into())),
    ),
    Opt::new(
        Some('r'),
        "map-root-user",
        Set::Flag(|c| (c.map_root_user, c.map_current_user) = (true, false)),
    ),
    Opt::new(
        Some('c'),
        "map-current-user",
        Set::Flag(|c| (c.map_root_user, c.map_current_user) = (false, true)),
    ),
    Opt::new(None, "map-auto", Set::Flag(|c| c.map_auto = true)),
    Opt::new(
        None,
        "map-users",
        Set::Value(|c, map| source(map).ok().map(|map| c.map_users.push(map))),
    ),
    Opt::new(
        None,
        "map-groups",
        Set::Value(|c, map| source(map).ok().map(|map| c.map_groups.push(map))),
    ),
    Opt::new(
        None,
        "hostname",
        Set::Value(|c, name| hostname(name).ok().map(|name| c.hostname = Some(name))),
    ),
    Opt::new(
        None,
        "status-fd",
        Set::Value(|c, fd| common::cli::fd(fd).ok().map(|fd| c.status_fd = Some(fd))),
    ),
    Opt::new(
        None,
        "propagation",
        Set::Value(|c, mode| {
            Spread::from_str(mode, false).ok().map(|s| c.propagation = s)
        }),
    ),
];

/// Parses the arguments (the program's name first) or says in one line why not.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    common::quick::parse(args, &PLAIN, with_command)
}

#[allow(clippy::unnecessary_wraps, reason = "the other users of quick::parse may refuse")]
fn with_command(mut cli: Cli, command: Vec<OsString>) -> Option<Cli> {
    cli.link.command = command;
    Some(cli)
}

/// `--propagation`.
#[derive(ValueEnum, Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Neither way.
    #[default]
    Private,
    /// Only in.
    Slave,
    /// Both ways.
    Shared,
    /// As it was.
    Unchanged,
}

/// `--setgroups`.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setgroups {
    /// As usual.
    Allow,
    /// For good: user_namespaces(7).
    Deny,
}

/// A uid, or the name of a user of this host.
fn user(text: &str) -> Result<u32, String> {
    let listed =
        || common::passwd::users(&etc("passwd")).find(|u| u.name == text).map(|u| u.uid);
    number_or(text, listed, "not a uid, nor a user in /etc/passwd")
}

/// A gid, or the name of a group of this host.
fn group(text: &str) -> Result<u32, String> {
    let listed =
        || common::passwd::groups(&etc("group")).find(|g| g.name == text).map(|g| g.gid);
    number_or(text, listed, "not a gid, nor a group in /etc/group")
}

fn number_or(
    text: &str,
    listed: impl Fn() -> Option<u32>,
    none: &str,
) -> Result<u32, String> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return common::parse::id(text);
    }
    listed().ok_or_else(|| none.to_owned())
}

fn etc(name: &str) -> Vec<u8> {
    std::fs::read(format!("/etc/{name}")).unwrap_or_default()
}

/// sethostname(2) takes 64 bytes.
fn hostname(text: &str) -> Result<OsString, String> {
    if (1..=64).contains(&text.len()) {
        return Ok(text.into());
    }
    Err("a host name has 1 to 64 bytes".to_owned())
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

    #[test]
    fn the_last_of_a_repeated_option_counts_and_lists_grow() {
        // An abbreviation is left to clap.
        for hostname in ["--hostname", "--host"] {
            let args = ["ns-run", "-U", "-U", hostname, "a", "--hostname", "b"];
            let maps = ["--map-users=all", "--map-users=auto", "true"];

            let cli = parse(args.into_iter().chain(maps).map(OsString::from).collect());

            let cli = cli.unwrap();
            assert_eq!(cli.hostname, Some("b".into()));
            assert_eq!(cli.map_users, [Source::All, Source::Auto]);
        }
    }

    /// Words of a command line, of which most make sense.
    const WORDS: [&str; 40] = [
        "-m",
        "-u",
        "-U",
        "-r",
        "-c",
        "-Urmnpuif",
        "-rT",
        "-C",
        "-x",
        "-",
        "--",
        "---",
        "",
        "--mount",
        "--mount=x",
        "--map-root-user",
        "--map-root",
        "--map-current-user",
        "--mount-proc",
        "--mount-proc=/p",
        "--mount-proc=",
        "--hostname",
        "--hostname=box",
        "--hostname=",
        "box",
        "--status-fd",
        "--status-fd=3",
        "--status-fd=-3",
        "3",
        "-3",
        "--map-users",
        "--map-users=auto",
        "all",
        "0:0:1",
        "--map-groups=0,0,1",
        "--propagation",
        "slave",
        "--propagation=none",
        "--map-auto",
        "--lo",
    ];

    #[test]
    fn what_is_read_without_clap_is_what_clap_reads() {
        kit::quick::agrees_with_clap("ns-run", &PLAIN, with_command, &WORDS);
    }

    #[test]
    fn users_are_numbers_or_names() {
        assert_eq!(user("0"), Ok(0));
        assert_eq!(user("root"), Ok(0));
        assert!(user("no such user").is_err() && user("4294967295").is_err());
    }

    #[test]
    fn options_cluster_and_abbreviate_as_in_unshare() {
        let args = ["ns-run", "-Urmnpf", "--prop", "slave", "--mount-proc", "id", "-u"];

        let cli: Cli = common::cli::parse(args.map(OsString::from).into()).unwrap();

        assert!(
            cli.user && cli.map_root_user && cli.mount && cli.net && cli.pid && cli.fork
        );
        assert_eq!(cli.propagation, Spread::Slave);
        assert_eq!(cli.mount_proc, Some("/proc".into()));
        assert_eq!(cli.link.command, ["id", "-u"]);
    }
}
