//! The command line of cg-limit.

use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::Parser;
use common::cli::Link;

use crate::limit::{self, Amount, Cpus, Memory};

/// Run a program under cgroup limits
#[derive(Parser, Debug)]
#[command(name = "cg-limit", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Limit memory; what does not fit is swapped or killed
    #[arg(long, value_name = "SIZE|N%|max", value_parser = limit::memory)]
    pub memory: Option<Memory>,

    /// Limit swap, beside memory
    #[arg(long, value_name = "SIZE|max", value_parser = limit::amount)]
    pub swap: Option<Amount>,

    /// Limit CPU time, in CPUs
    #[arg(long, value_name = "N|N%", value_parser = limit::cpus)]
    pub cpus: Option<Cpus>,

    /// Limit the number of tasks
    #[arg(long, value_name = "N|max", value_parser = limit::pids)]
    pub pids: Option<Amount>,

    /// Make the group in this cgroup directory; repeatable
    #[arg(long, value_name = "DIR")]
    pub parent: Vec<PathBuf>,

    /// Write the groups and limits to this descriptor as JSON
    #[arg(long, value_name = "N", value_parser = common::cli::fd)]
    pub status_fd: Option<RawFd>,

    /// Remove the empty groups that killed cg-limits left
    #[arg(long, exclusive = true)]
    pub gc: bool,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

/// The controllers, as the kernel calls them.
pub const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

impl Cli {
    /// The controllers that the limits asked for belong to.
    pub fn controllers(&self) -> Vec<&'static str> {
        let wants = |controller: &&str| match *controller {
            "memory" => self.memory.is_some() || self.swap.is_some(),
            "cpu" => self.cpus.is_some(),
            _ => self.pids.is_some(),
        };
        CONTROLLERS.into_iter().filter(wants).collect()
    }
}
