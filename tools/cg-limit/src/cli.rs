//! The command line of cg-limit.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use common::cli::Link;

use crate::asked::{self, Asked, Property, Setting};
use crate::parse;
use crate::table::TABLE;
use crate::value::Value;

/// Run a program under cgroup limits
#[derive(Parser, Debug)]
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

impl Cli {
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
