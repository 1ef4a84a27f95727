//! ns-run: run a program in new namespaces.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::chain::Chain;
use common::{Fail, explain};

mod apply;
pub mod cli;
mod gate;
pub mod host;
pub mod maps;
mod newidmap;
pub mod plan;
mod refusal;
#[cfg(test)]
mod vectors;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli = cli::parse(args)?;
    let host = host::Host::read(&cli)?;
    let plan = plan::Plan::new(&cli, &host)?;
    if cli.link.explain {
        let command =
            host.shell.as_ref().map_or(&*cli.link.command, std::slice::from_ref);
        return Err(explain::explain(&plan.lines(), command));
    }
    let mut chain = Chain::inherit()?;
    if let Some(fd) = cli.status_fd {
        chain.carry_status(fd)?;
    }
    let command = match &host.shell {
        Some(shell) => apply::Command::Shell(shell),
        None => apply::Command::Given(&cli.link.command),
    };
    apply::apply(&plan, chain, &command)
}
