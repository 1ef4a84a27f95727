//! root-pivot: make a directory the root.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::chain::Chain;
use common::{Fail, explain};

mod apply;
pub mod cli;
mod fill;
pub mod plan;
pub mod standard;
pub mod volume;
mod world;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli: cli::Cli = common::cli::parse(args)?;
    let plan = plan::Plan::new(&cli, &plan::Host::read());
    let command = &cli.link.command;
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, command));
    }
    let mut chain = Chain::inherit()?;
    world::refuse_the_hosts(&chain)?;
    chain.keep_tools(command)?;
    let _open = apply::apply(&plan)?;
    chain.exec(command)
}
