//! ns-enter: run a program in another process's namespaces.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::called::Called;
use common::chain::Chain;
use common::{Fail, explain, shell};

mod apply;
pub mod cli;
mod enter;
pub mod find;
pub mod host;
mod lines;
pub mod name;
pub mod open;
pub mod plan;
mod refused;

/// Runs the tool: `args` is argv with the program's name.
#[allow(clippy::needless_pass_by_value, reason = "what every tool's run takes")]
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let called = Called::new(&args, "ns-enter", "nsenter");
    run_as(&args, called).map_err(|fail| called.report(fail))
}

fn run_as(args: &[OsString], called: Called) -> Result<Infallible, Fail> {
    let cli = cli::parse(args.to_vec())?;
    if cli.link.explain {
        let (opened, host) = host::read(&cli)?;
        let command = shell::or_shell(&cli.link.command, &opened.environ());
        let plan = plan::Plan::new(&cli, &host);
        return Err(explain::explain(&plan.lines(), &command));
    }
    let chain = Chain::inherit()?;
    if !chain.is_sealed() && host::is_exposed(&cli, None)? {
        return chain.start_sealed(args);
    }
    let (opened, host) = host::read(&cli)?;
    if !chain.is_sealed() && host::is_exposed(&cli, Some(&host))? {
        return chain.start_sealed(args);
    }
    let plan = plan::Plan::new(&cli, &host);
    apply::apply(called, &plan, &opened, chain, &cli.link.command)
}
