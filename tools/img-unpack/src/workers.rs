//! Several layers at a time, on as many cores as there are.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, available_parallelism};

use common::{Context, Fail};
use nix::errno::Errno;

use crate::job::{Job, Made, Site};
use crate::report::Report;

/// Each has two threads, a hundred descriptors and 8 MiB.
const MAX: usize = 4;

type Done = (usize, Result<Made, Fail>);

/// Does all jobs; `named` gets what was made in their order.
///
/// The bottom layer is begun first. Who has to look below waits for that to be complete,
/// and never for one that is above, so somebody can always go on.
pub(crate) fn all(
    site: &Site<'_>,
    jobs: &[Job],
    report: &Report,
    named: impl FnMut(&Job, Made) -> Result<(), Fail>,
) -> Result<(), Fail> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let (to, from) = channel();
    std::thread::scope(|scope| {
        for count in 0..cores.min(MAX).min(jobs.len()) {
            let (to, next) = (to.clone(), &next);
            let started = Builder::new()
                .spawn_scoped(scope, move || worker(site, jobs, (next, &to)));
            match started.failed_to("start a thread") {
                // One can do it all.
                Err(_) if count > 0 => break,
                other => other.map(drop)?,
            }
        }
        drop(to);
        collect(site, jobs, report, &from, named)
    })
}

fn worker(site: &Site<'_>, jobs: &[Job], (next, to): (&AtomicUsize, &Sender<Done>)) {
    while let Some((i, job)) = {
        let i = next.fetch_add(1, Ordering::Relaxed);
        jobs.get(i).map(|job| (i, job))
    } {
        if site.gauge.is_over() || to.send((i, site.run(job))).is_err() {
            return;
        }
    }
}

/// Takes what the workers made; at the first failure the others are stopped.
fn collect(
    site: &Site<'_>,
    jobs: &[Job],
    report: &Report,
    from: &Receiver<Done>,
    mut named: impl FnMut(&Job, Made) -> Result<(), Fail>,
) -> Result<(), Fail> {
    let mut waiting: BTreeMap<usize, Made> = BTreeMap::new();
    let mut todo = jobs.iter().enumerate().peekable();
    let mut result = Ok(());
    loop {
        match from.recv_timeout(report.interval()) {
            Ok((i, Ok(made))) => {
                waiting.insert(i, made);
            }
            Ok((_, Err(fail))) => {
                stop(site);
                result = worse(result, fail);
            }
            Err(RecvTimeoutError::Timeout) => report.tick(site.gauge.read()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        while result.is_ok()
            && let Some((i, job)) = todo.peek()
            && let Some(made) = waiting.remove(i)
        {
            result = named(job, made).inspect_err(|_| stop(site));
            todo.next();
        }
    }
    for made in waiting.into_values() {
        site.store.drop(&made.temporary);
    }
    result
}

fn stop(site: &Site<'_>) {
    site.gauge.stop();
    site.stack.stop();
}

/// The failure to tell: the one that was the cause of the others.
fn worse(before: Result<(), Fail>, fail: Fail) -> Result<(), Fail> {
    match before {
        Err(cause) if cause.errno != Some(Errno::ECANCELED) => Err(cause),
        Err(_) | Ok(()) => Err(fail),
    }
}
