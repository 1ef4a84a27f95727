//! ns-run: run a program in new namespaces.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::called::Called;
use common::chain::Chain;
use common::{Fail, explain, shell, sys};

mod apply;
pub mod cli;
mod helper;
pub mod host;
mod inside;
mod keeper;
mod later;
pub mod maps;
mod newidmap;
mod order;
mod outside;
mod persist;
pub mod plan;
mod refusal;
pub mod step;
#[cfg(test)]
mod vectors;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let called = Called::new(&args, "ns-run", "unshare");
    run_as(args, called).map_err(|fail| called.report(fail))
}

fn run_as(args: Vec<OsString>, called: Called) -> Result<Infallible, Fail> {
    let cli = cli::parse(args)?;
    let host = host::Host::read(&cli)?;
    let plan = plan::Plan::new(&cli, &host)?;
    if cli.link.explain {
        let command = shell::or_shell(&cli.link.command, &sys::environ());
        return Err(explain::explain(&plan.lines(), &command));
    }
    let mut chain = Chain::inherit()?;
    if let Some(fd) = cli.status_fd {
        chain.carry_status(fd)?;
    }
    apply::apply(&plan, chain, &cli.link.command, called)
}
