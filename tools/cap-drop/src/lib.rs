//! cap-drop: run a program with fewer privileges, read back before it starts.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::AsFd;

use common::chain::Chain;
use common::cli::basename;
use common::{Fail, explain, spawn};

mod apply;
pub mod capsh;
pub mod cli;
pub mod describe;
pub mod getpcaps;
pub mod libcap;
#[cfg(test)]
mod model;
pub mod plan;
pub mod seccomp;
pub mod sets;
pub mod state;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    match args.first().and_then(|name| basename(name).to_str()) {
        Some("getpcaps") => getpcaps::run(&args),
        _ => run_as_itself(args),
    }
}

fn run_as_itself(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli: cli::Cli = common::cli::parse(args)?;
    let host = plan::Host::read(&cli)?;
    let plan = plan::Plan::new(&cli, &host)?;
    let command = host.shell.as_ref().map_or(&*cli.link.command, std::slice::from_ref);
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, command));
    }
    let mut chain = Chain::inherit()?;
    if cli.names_ids() {
        // Another user may not reach the directory that the tools are in.
        chain.keep_tools(command)?;
    }
    let parent = chain.parent.as_ref().map(AsFd::as_fd);
    spawn::keep_bond(parent, || apply::apply(&plan.steps))?;
    match &host.shell {
        Some(shell) => chain.exec_shell(shell),
        None => chain.exec(command),
    }
}
