//! The command line of ns-run.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser};
use common::Fail;
use common::cli::{Link, fd};
use common::idmap::Source;
use common::quick::Rest;
use nix::libc::c_int;

mod own;
mod table;
#[cfg(test)]
mod tests;
mod tries;
mod value;

pub use own::{Inside, Own};
pub use tries::Tries;
pub use value::{Join, New, Owner, Setgroups, Spread};

use common::parse::signal;
use table::TABLE;
use value::{group, hostname, join, owner, seconds, user};

/// Run a program in new namespaces
#[derive(Parser, Debug, Default)]
#[command(name = "ns-run", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Make a new mount namespace, kept by FILE
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = new())]
    pub mount: Option<New>,

    /// Make a new UTS namespace: host and domain name
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = new())]
    pub uts: Option<New>,

    /// Make a new IPC namespace
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = new())]
    pub ipc: Option<New>,

    /// Make a new network namespace
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = new())]
    pub net: Option<New>,

    /// Make a new pid namespace, for children: see --fork
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = new())]
    pub pid: Option<New>,

    /// Make a new user namespace
    #[arg(short = 'U', long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = new())]
    pub user: Option<New>,

    /// Make a new cgroup namespace
    #[arg(short = 'C', long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = new())]
    pub cgroup: Option<New>,

    /// Make a new time namespace
    #[arg(short = 'T', long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = new())]
    pub time: Option<New>,

    /// Namespaces that are made where they can be
    #[command(flatten)]
    pub tries: Tries,

    /// Join a namespace that is there: KIND=FILE or KIND=PID
    #[arg(long, value_name = "KIND=FILE", value_parser = join)]
    pub join: Vec<Join>,

    /// Keep all new namespaces by files in this directory
    #[arg(long, value_name = "DIR")]
    pub persist: Option<PathBuf>,

    /// Run COMMAND as a child and end as it ends
    #[arg(short, long)]
    pub fork: bool,

    /// Be the init process that reaps; implies --fork
    #[arg(long)]
    pub init: bool,

    /// Send the child this signal when ns-run dies; implies --fork
    #[arg(long, value_name = "SIGNAL", num_args = 0..=1, require_equals = true, default_missing_value = "KILL", value_parser = signal)]
    pub kill_child: Option<c_int>,

    /// Forward signals, as always; implies --fork
    #[arg(long)]
    pub forward_signals: bool,

    /// Kill COMMAND when the process that started ns-run dies
    #[arg(long)]
    pub die_with_parent: bool,

    /// Give COMMAND a session without terminal; implies --fork
    #[arg(long)]
    pub new_session: bool,

    /// Mount a new proc; implies --mount
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "/proc")]
    pub mount_proc: Option<PathBuf>,

    /// Mount a new binfmt_misc; implies --user --mount
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = new())]
    pub mount_binfmt: Option<New>,

    /// Register an interpreter; implies --mount-binfmt
    #[arg(short, long, value_name = "TEXT")]
    pub load_interp: Option<OsString>,

    /// Set how mounts spread: private, slave, shared, unchanged
    #[arg(
        long,
        value_name = "MODE",
        default_value = "private",
        hide_possible_values = true
    )]
    pub propagation: Spread,

    /// Change the root directory
    #[arg(short = 'R', long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Change the working directory, after the root
    #[arg(short, long, value_name = "DIR")]
    pub wd: Option<PathBuf>,

    /// What the own ids become
    #[command(flatten)]
    pub own: Own,

    /// Map the own subordinate ids from 0 on
    #[arg(long)]
    pub map_auto: bool,

    /// Map the own subordinate ids to themselves
    #[arg(long)]
    pub map_subids: bool,

    /// Map uids: auto, subids, all, I:O:N or O,I,N
    #[arg(long, value_name = "MAP", value_parser = common::idmap::source)]
    pub map_users: Vec<Source>,

    /// Map gids: auto, subids, all, I:O:N or O,I,N
    #[arg(long, value_name = "MAP", value_parser = common::idmap::source)]
    pub map_groups: Vec<Source>,

    /// Let this user own the namespace; implies --user
    #[arg(long, value_name = "UID:GID", value_parser = owner)]
    pub owner: Option<Owner>,

    /// Set the rule for setgroups(2) inside: allow or deny
    #[arg(long, value_name = "RULE", hide_possible_values = true)]
    pub setgroups: Option<Setgroups>,

    /// Become this user last of all; also --uid
    #[arg(short = 'S', long, alias = "uid", value_name = "USER", value_parser = user)]
    pub setuid: Option<u32>,

    /// Become this group and leave all others; also --gid
    #[arg(short = 'G', long, alias = "gid", value_name = "GROUP", value_parser = group)]
    pub setgid: Option<u32>,

    /// Set the supplementary groups
    #[arg(long, value_name = "GROUPS", value_parser = group, value_delimiter = ',')]
    pub groups: Vec<u32>,

    /// Keep the capabilities of the user namespace over the exec
    #[arg(long)]
    pub keep_caps: bool,

    /// Set the monotonic clock off by seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub monotonic: Option<i64>,

    /// Set the boot clock off by seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub boottime: Option<i64>,

    /// Set the host name; implies --uts
    #[arg(long, value_name = "NAME", value_parser = hostname)]
    pub hostname: Option<OsString>,

    /// Set the NIS domain name; implies --uts
    #[arg(long, value_name = "NAME", value_parser = hostname)]
    pub domainname: Option<OsString>,

    /// Bring loopback up or fail
    #[arg(long, requires = "net", overrides_with = "no_lo")]
    pub lo: bool,

    /// Leave loopback down
    #[arg(long, action = ArgAction::SetTrue, overrides_with = "lo")]
    pub no_lo: bool,

    /// Run a shell command as root of the namespaces first
    #[arg(long, value_name = "LINE")]
    pub setup: Option<OsString>,

    /// Forbid user namespaces inside
    #[arg(long)]
    pub disable_userns: bool,

    /// Start COMMAND without the variables of the environment
    #[arg(long)]
    pub clear_env: bool,

    /// Start COMMAND with these variables only
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub whitelist_env: Vec<OsString>,

    /// Wait for a byte or the end of this descriptor
    #[arg(long, value_name = "FD", value_parser = fd)]
    pub wait_fd: Option<RawFd>,

    /// Write a line to this descriptor when all is set up
    #[arg(long, value_name = "FD", value_parser = fd)]
    pub ready_fd: Option<RawFd>,

    /// Write pid and namespaces as JSON to this descriptor
    #[arg(long, value_name = "FD", value_parser = fd)]
    pub status_fd: Option<RawFd>,

    /// Write COMMAND's process id to this file
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

fn new() -> impl TypedValueParser<Value = New> {
    OsStringValueParser::new().map(New::from)
}

/// Parses the arguments (the program's name first) or says in one line why not.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    match common::quick::read_all(&args, &TABLE)
        .and_then(|(read, rest)| with_command(read, rest))
    {
        Some(read) => Ok(read),
        None => common::cli::parse(args),
    }
}

/// None where an option lacks the one it needs, which clap asks for.
fn with_command(mut cli: Cli, rest: Rest) -> Option<Cli> {
    cli.link.command = rest.command();
    (!cli.lo || cli.net.is_some()).then_some(cli)
}

impl Cli {
    /// Whether more than the own ids are to be mapped.
    pub fn has_ranges(&self) -> bool {
        self.map_auto
            || self.map_subids
            || !self.map_users.is_empty()
            || !self.map_groups.is_empty()
    }
}
