//! mkdev: populate a /dev, by device nodes as real root, by binds elsewhere.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::chain::Chain;
use common::{Fail, explain};

mod apply;
pub mod cli;
pub mod device;
mod explained;
pub mod host;
mod place;
pub mod plan;
pub mod spec;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli = cli::parse(args)?;
    let plan = plan::Plan::new(&cli, &host::Host::read(&cli)?)?;
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, &cli.link.command));
    }
    let chain = Chain::inherit()?;
    let place = apply::apply(&plan.steps)?;
    // Without COMMAND the mount is what was asked for.
    chain.exec(&cli.link.command).inspect_err(|fail| place.undo_after(fail))
}
