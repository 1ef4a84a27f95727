//! img-exec: become an image's process, with its user, environment, directory, command.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::chain::Chain;
use common::{Fail, explain};

mod apply;
pub mod cli;
pub mod config;
mod env;
mod host;
pub mod plan;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli = cli::parse(args)?;
    let mut chain = Chain::inherit()?;
    let plan = plan::Plan::new(&cli, &plan::Host::read(&cli, &mut chain)?)?;
    if cli.explain {
        return Err(explain::explain(&plan.steps, &[]));
    }
    apply::apply(plan.steps, chain)
}
