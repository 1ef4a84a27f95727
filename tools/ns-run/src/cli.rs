//! The command line of ns-run.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};
use common::cli::Link;
use common::idmap::Source;

/// Run a program in new namespaces
#[derive(Parser, Debug)]
#[command(name = "ns-run", version, infer_long_args = true)]
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

/// `--propagation`.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Neither way.
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
