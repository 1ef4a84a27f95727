//! The command line of cg-limit.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use common::Fail;
use common::cli::Link;
use common::quick::{self, Opt, Rest, Set};

use crate::asked::{self, Asked, Property, Setting};
use crate::parse;
use crate::table::TABLE;
use crate::value::Value;

/// Run a program under cgroup limits
#[derive(Parser, Debug, Default)]
#[command(name = "cg-limit", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// The limits, see the table
    #[command(flatten)]
    pub asked: Asked,

    /// Set a limit by systemd's name for it; repeatable
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = asked::property)]
    pub property: Vec<Property>,

    /// Make the group in this cgroup directory; repeatable
    #[arg(long, value_name = "DIR")]
    pub parent: Vec<PathBuf>,

    /// Make the group below our own, whose processes move aside
    #[arg(long, conflicts_with = "parent")]
    pub evacuate: bool,

    /// Have systemd make a scope of ours first, and work in there
    #[arg(long, conflicts_with_all = ["parent", "evacuate"])]
    pub scope: bool,

    /// Call the group so, to be found by the options below
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: Option<String>,

    /// Do not wait and clean up: become COMMAND in the group
    #[arg(long, conflicts_with_all = ["timeout", "report", "oom_status", "oom-group"])]
    pub exec: bool,

    /// Kill all of the group after this time, status 124
    #[arg(long, value_name = "TIME", value_parser = parse::timeout)]
    pub timeout: Option<Duration>,

    /// On timeout ask COMMAND to end, and kill after this time
    #[arg(long, value_name = "TIME", value_parser = parse::timeout)]
    pub kill_after: Option<Duration>,

    /// Exit with N when a process was killed for lack of memory
    #[arg(long, value_name = "N")]
    pub oom_status: Option<u8>,

    /// Write what was used and what happened as JSON
    #[arg(long, value_name = "FILE|FD")]
    pub report: Option<PathBuf>,

    /// Write the groups and limits to this descriptor as JSON
    #[arg(long, value_name = "N", value_parser = common::cli::fd)]
    pub status_fd: Option<RawFd>,

    /// Change the limits of the group called NAME
    #[arg(long, group = "action", requires = "name")]
    pub update: bool,

    /// Stop all processes of the group called NAME
    #[arg(long, group = "action", requires = "name")]
    pub freeze: bool,

    /// Let them go on
    #[arg(long, group = "action", requires = "name")]
    pub thaw: bool,

    /// Kill them and remove the group
    #[arg(long, group = "action", requires = "name")]
    pub kill: bool,

    /// Print what the group called NAME has used, as JSON
    #[arg(long, group = "action", requires = "name")]
    pub stat: bool,

    /// Print which limits would work here, and why not
    #[arg(long, group = "action")]
    pub check: bool,

    /// Remove the empty groups that killed cg-limits left
    #[arg(long, exclusive = true)]
    pub gc: bool,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

/// A file name that no file of the kernel's has, nor a group of ours without a name.
fn name(text: &str) -> Result<String, String> {
    let is_bad = text.is_empty()
        || text.len() > 200
        || text.starts_with('.')
        || text.starts_with(crate::host::PREFIX)
        || text.contains(['/', '\n', '\0']);
    if is_bad { Err("not a name for a group".to_owned()) } else { Ok(text.to_owned()) }
}

/// The options of most command lines again, for [`common::quick`].
const PLAIN: [Opt<Cli>; 12] = [
    Opt::new(Some('m'), "memory", Set::Value(|cli, text| cli.push("memory", text))),
    Opt::new(None, "memory-high", Set::Value(|cli, text| cli.push("memory-high", text))),
    Opt::new(None, "swap", Set::Value(|cli, text| cli.push("swap", text))),
    Opt::new(None, "memory-swap", Set::Value(|cli, text| cli.push("memory-swap", text))),
    Opt::new(None, "cpus", Set::Value(|cli, text| cli.push("cpus", text))),
    Opt::new(None, "cpu-weight", Set::Value(|cli, text| cli.push("cpu-weight", text))),
    Opt::new(None, "cpuset-cpus", Set::Value(|cli, text| cli.push("cpuset-cpus", text))),
    Opt::new(None, "pids", Set::Value(|cli, text| cli.push("pids", text))),
    Opt::new(
        None,
        "timeout",
        Set::Value(|cli, text| {
            cli.timeout = Some(parse::timeout(text).ok()?);
            Some(())
        }),
    ),
    Opt::new(
        None,
        "status-fd",
        Set::Value(|cli, text| {
            cli.status_fd = Some(common::cli::fd(text).ok()?);
            Some(())
        }),
    ),
    Opt::new(None, "exec", Set::Flag(|cli| cli.exec = true)),
    Opt::new(None, "explain", Set::Flag(|cli| cli.link.explain = true)),
];

/// Reads the command line, by clap only where it must be.
///
/// # Errors
/// As [`common::cli::parse`].
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    quick::parse(args, &PLAIN, with_command).map(Cli::finish)
}

/// What clap would refuse is left to it: options that exclude each other.
fn with_command(mut cli: Cli, rest: Rest) -> Option<Cli> {
    cli.link.command = rest.command();
    (!cli.exec || cli.timeout.is_none()).then_some(cli)
}

impl Cli {
    /// A limit of the table.
    fn push(&mut self, name: &str, text: &str) -> Option<()> {
        let row = TABLE.iter().find(|row| row.name == name)?;
        let value = (row.parse)(text).ok()?;
        self.asked.0.push(Setting { row, value });
        Some(())
    }

    /// The limits by all their names, and what comes along without any.
    #[must_use]
    pub fn finish(mut self) -> Self {
        for property in std::mem::take(&mut self.property) {
            match property {
                Property::Limit(setting) => self.asked.0.push(setting),
                Property::Timeout(time) => self.timeout = Some(time),
                Property::Nothing => {}
            }
        }
        // What can be watched, killed or reported needs a group, if not a limit.
        let is_action = self.update || self.freeze || self.thaw || self.kill || self.stat;
        let account = if self.report.is_some() {
            vec!["memory", "pids", "cpuacct"]
        } else if self.timeout.is_some() || self.name.is_some() && !is_action {
            vec!["pids"]
        } else {
            Vec::new()
        };
        if self.asked.0.is_empty()
            && !account.is_empty()
            && let Some(row) = TABLE.iter().find(|row| row.name == "account")
        {
            self.asked.0.push(Setting { row, value: Value::Account(account) });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_command_lines_are_read_as_clap_reads_them() {
        const WORDS: [&str; 22] = [
            "-m",
            "64M",
            "-m1G",
            "--memory=75%",
            "--memory",
            "--memory-high=1M",
            "--swap=0",
            "--cpus=1.5",
            "--cpus=0",
            "--pids",
            "9",
            "--pids=-1",
            "--timeout=5s",
            "--exec",
            "--status-fd=1",
            "--explain",
            "--cpuset-cpus=0-3",
            "--cpu-weight=idle",
            "--",
            "true",
            "--memory-swap=2G",
            "--memo",
        ];

        kit::quick::agrees_with_clap("cg-limit", &PLAIN, with_command, &WORDS);
    }
}
