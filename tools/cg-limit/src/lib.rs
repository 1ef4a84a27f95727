//! cg-limit: run a program under cgroup limits, on v2, v1 and hybrid systems.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;
use std::time::Instant;

use common::chain::Chain;
use common::spawn::{Ended, Held, end_like};
use common::{Context, Fail, entry, explain};

use crate::apply::Group;
use crate::cli::Cli;
use crate::plan::Plan;
use crate::report::Report;
use crate::start::Job;
use crate::verdict::End;

mod apply;
pub mod asked;
mod check;
mod clean;
pub mod cli;
pub mod convert;
pub mod device;
mod disk;
pub use common::cgroup as discover;
mod file;
mod gc;
pub mod host;
pub mod list;
mod named;
mod parse;
mod place;
pub mod plan;
mod report;
pub mod row;
mod scope;
mod start;
pub mod table;
mod usage;
pub mod value;
mod verdict;
mod watch;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let given = args.clone();
    let cli = cli::parse(args)?;
    if cli.gc {
        gc::collect()?;
        return Err(Fail::done());
    }
    if cli.scope {
        return scope::enter(&given, &cli);
    }
    if cli.check {
        return Err(check::table(&cli)?);
    }
    if named::is_asked(&cli) {
        return Err(named::act(&cli)?);
    }
    let plan = Plan::new(&cli, &host::Host::read(&cli)?)?;
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, &cli.link.command));
    }
    let mut chain = Chain::inherit()?;
    if let Some(fd) = cli.status_fd {
        chain.carry_status(fd)?;
    }
    let report = cli.report.as_deref().map(Report::open).transpose()?;
    let job = Job { status_fd: cli.status_fd, plan: &plan, command: &cli.link.command };
    // From here on something may outlive us: no signal ends us until it is removed.
    let held = Held::hold().failed_to("block signals")?;
    let mut groups = Vec::new();
    let start = Instant::now();
    let how = supervise(&mut groups, &held, chain, &job, &cli)
        .map(|end| conclude(&groups, &end, report, start, &cli));
    for line in clean::remove(&groups) {
        entry::report("cg-limit", &line);
    }
    Err(match how? {
        How::Status(status) => Fail::exit(status),
        How::Like(ended) => end_like(ended),
    })
}

/// How to end, once nothing is left to be removed.
enum How {
    /// As COMMAND did.
    Like(Ended),
    /// With a status of ours.
    Status(u8),
}

/// Makes the groups, runs COMMAND in them, waits for its end.
fn supervise(
    groups: &mut Vec<Group>,
    held: &Held,
    chain: Chain,
    job: &Job<'_>,
    cli: &Cli,
) -> Result<End, Fail> {
    for step in &job.plan.steps {
        apply::apply(step, groups)?;
    }
    if cli.exec {
        return Err(start::become_command(groups, held, chain, job));
    }
    let child = start::start(groups, held, chain, job)?;
    watch::watch(&child, groups, cli)
}

/// Says and writes what happened, while the groups are there.
fn conclude(
    groups: &[Group],
    end: &End,
    report: Option<Report>,
    start: Instant,
    cli: &Cli,
) -> How {
    for line in verdict::verdict(groups, end) {
        entry::report("cg-limit", &Fail::new(line));
    }
    let wants_to_know = cli.oom_status.is_some() || report.is_some();
    let is_oom = wants_to_know && verdict::is_oom(groups);
    if let Some(report) = report
        && let Err(fail) = report.write(groups, end, is_oom, start.elapsed())
    {
        entry::report("cg-limit", &fail);
    }
    match (end.timed_out, cli.oom_status) {
        (Some(_), _) => How::Status(124),
        (None, Some(status)) if is_oom => How::Status(status),
        (None, _) => How::Like(end.ended),
    }
}
