//! root-pivot: make a directory the root.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::chain::Chain;
use common::{Fail, explain};

mod apply;
pub mod attribute;
pub mod bind;
pub mod cli;
mod copy;
mod cover;
pub mod file;
mod fill;
mod give;
pub mod inside;
mod make;
pub mod plan;
pub mod standard;
pub mod step;
mod store;
pub mod tmpfs;
pub mod volume;
mod world;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli = cli::parse(args)?;
    let plan = plan::Plan::new(&cli, &plan::Host::read(&cli))?;
    let command = &cli.link.command;
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, command));
    }
    let mut chain = Chain::inherit()?;
    world::refuse_the_hosts(&chain)?;
    chain.keep_tools(command)?;
    let _open = apply::apply(&plan, &mut chain)?;
    chain.exec(command)
}
