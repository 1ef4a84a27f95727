//! ovl-mount: mount an overlay of layers.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::chain::Chain;
use common::{Fail, explain};

mod apply;
pub mod cli;
mod data;
mod diagnose;
mod explained;
mod fuse;
pub mod layers;
pub mod option;
pub mod plan;
mod stack;
mod work;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli = cli::parse(args)?;
    let plan = plan::Plan::new(&cli, plan::Host::read(&cli)?)?;
    let command = &cli.link.command;
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, command));
    }
    let mut chain = Chain::inherit()?;
    chain.keep_tools(command)?;
    let made = apply::apply(&plan.steps, &mut chain)?;
    // Without COMMAND the mount is what was asked for.
    chain.exec(command).inspect_err(|fail| made.undo_after(fail))
}
