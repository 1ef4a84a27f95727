//! ns-enter: run a program in another process's namespaces.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::chain::Chain;
use common::{Fail, explain};

mod apply;
pub mod cli;
pub mod host;
pub mod plan;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli = cli::parse(args)?;
    let (target, host) = host::read(&cli)?;
    let plan = plan::Plan::new(&cli, &host);
    if cli.link.explain {
        let command =
            host.shell.as_ref().map_or(&*cli.link.command, std::slice::from_ref);
        return Err(explain::explain(&plan.lines(), command));
    }
    let chain = Chain::inherit()?;
    let command = match &host.shell {
        Some(shell) => apply::Command::Shell(shell),
        None => apply::Command::Given(&cli.link.command),
    };
    apply::apply(&plan, &target, chain, &command)
}
