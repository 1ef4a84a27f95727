//! cap-drop: run a program with fewer privileges, read back before it starts.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::AsFd;

use common::chain::Chain;
use common::{Fail, explain, spawn};

mod apply;
pub mod cli;
#[cfg(test)]
mod model;
pub mod plan;
pub mod sets;
pub mod state;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli: cli::Cli = common::cli::parse(args)?;
    let plan = plan::Plan::new(&cli, &plan::Host::read(&cli)?)?;
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, &plan.command));
    }
    let mut chain = Chain::inherit()?;
    if cli.names_ids() {
        // Another user may not reach the directory that the tools are in.
        chain.keep_tools(&plan.command)?;
    }
    let parent = chain.parent.as_ref().map(AsFd::as_fd);
    spawn::keep_bond(parent, || apply::apply(&plan.steps))?;
    chain.exec(&plan.command)
}
