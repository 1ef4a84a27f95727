//! cg-limit: run a program under cgroup limits, on v2, v1 and hybrid systems.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::chain::Chain;
use common::spawn::{Ended, Held, end_like};
use common::{Context, Fail, entry, explain};

use crate::apply::Group;
use crate::plan::Plan;
use crate::start::Job;

mod apply;
mod clean;
pub mod cli;
pub use common::cgroup as discover;
mod gc;
pub mod host;
pub mod limit;
mod place;
pub mod plan;
mod start;
mod v1;
mod v2;
mod verdict;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli: cli::Cli = common::cli::parse(args)?;
    if cli.gc {
        gc::collect()?;
        return Err(Fail::done());
    }
    let plan = Plan::new(&cli, &host::Host::read(&cli)?)?;
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, &cli.link.command));
    }
    let mut chain = Chain::inherit()?;
    if let Some(fd) = cli.status_fd {
        chain.carry_status(fd)?;
    }
    let job = Job { status_fd: cli.status_fd, plan: &plan, command: &cli.link.command };
    // From here on something may outlive us: no signal ends us until it is removed.
    let held = Held::hold().failed_to("block signals")?;
    let mut groups = Vec::new();
    let ended = supervise(&mut groups, &held, chain, &job);
    let verdict = verdict::verdict(&groups, &plan.limits).map(Fail::new);
    for line in clean::remove(&groups).iter().chain(&verdict) {
        entry::report("cg-limit", line);
    }
    Err(end_like(ended?))
}

/// Makes the groups, runs COMMAND in them, waits for its end.
fn supervise(
    groups: &mut Vec<Group>,
    held: &Held,
    chain: Chain,
    job: &Job<'_>,
) -> Result<Ended, Fail> {
    for step in &job.plan.steps {
        apply::apply(step, groups)?;
    }
    start::start(groups, held, chain, job)?.wait()
}
