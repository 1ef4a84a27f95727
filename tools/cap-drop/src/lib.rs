//! cap-drop: run a program with fewer privileges, read back before it starts.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsString};
use std::os::fd::AsFd;

use common::chain::Chain;
use common::cli::basename;
use common::entry::{self, write_all};
use common::{Context, Fail, explain, spawn, sys};
use nix::unistd::getpid;

mod apply;
pub mod capsh;
pub mod cli;
mod confine;
pub mod describe;
mod environment;
pub mod filecaps;
mod getent;
pub mod getpcaps;
mod host;
pub mod kernel;
pub mod label;
pub mod landlock;
pub mod libcap;
pub mod limits;
mod meant;
#[cfg(test)]
mod model;
pub mod plan;
mod print;
pub mod process;
mod profile;
mod query;
pub mod seccomp;
pub mod securebits;
pub mod setpriv;
pub mod sets;
pub mod state;
pub mod step;
pub mod trace;
mod who;

use cli::Cli;
use confine::Ready;
use plan::{Host, Plan};
use step::Step;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    match args.first().and_then(|name| basename(name).to_str()) {
        Some("getpcaps") => getpcaps::run(&args),
        Some("setpriv") => setpriv::run(&args),
        _ => run_as_itself(args),
    }
}

fn run_as_itself(args: Vec<OsString>) -> Result<Infallible, Fail> {
    entry::refuse_raised()?;
    let cli = cli::parse(args)?;
    if let Some(answer) = query::answer(&cli) {
        return Err(answer);
    }
    let mut host = Host::read(&cli)?;
    if cli.confine.trace.is_some() {
        // COMMAND is a child then.
        host.parent = getpid().as_raw();
    }
    let plan = Plan::new(&cli, &host)?;
    if cli.link.explain {
        let steps = plan.steps.iter().chain(&plan.confine);
        return Err(explain::explain(steps, host.command(&cli)));
    }
    match cli.confine.trace {
        None => become_command(&cli, &host, &plan, || Ok(())),
        Some(cli::Trace::Events) => Err(trace::by_events(&cli, &host, &plan)?),
        Some(cli::Trace::Bisect) => Err(trace::by_bisection(cli, &host)?),
    }
}

/// Does what is planned and becomes COMMAND; `last` comes before what may forbid calls.
fn become_command(
    cli: &Cli,
    host: &Host,
    plan: &Plan,
    last: impl FnOnce() -> Result<(), Fail>,
) -> Result<Infallible, Fail> {
    let command = host.command(cli);
    let mut chain = Chain::inherit()?;
    if cli.names_ids() || cli.root.is_some() {
        // Another user may not reach the directory that the tools are in.
        chain.keep_tools(command)?;
    }
    let ready = Ready::make(&plan.confine)?;
    let change = || apply::apply(plan, host.parent);
    if cli.pdeathsig.is_some() {
        change()?;
    } else {
        spawn::keep_bond(chain.parent.as_ref().map(AsFd::as_fd), change)?;
    }
    let own = plan.steps.iter().find_map(environment);
    let environ: Vec<&CStr> = match own {
        Some(own) => own.iter().map(|entry| &**entry).collect(),
        None => sys::environ(),
    };
    last()?;
    ready.apply(&plan.confine)?;
    if let Some(format) = cli.print {
        let text = print::all(&[process::Process::current()?], format);
        write_all(1, text.as_bytes()).failed_to("write to standard output")?;
    }
    match &host.shell {
        Some(shell) => chain.exec_shell_with(shell, &environ),
        None => chain.exec_with(command, &environ),
    }
}

fn environment(step: &Step) -> Option<&[CString]> {
    if let Step::Environment(entries) = step { Some(entries) } else { None }
}
