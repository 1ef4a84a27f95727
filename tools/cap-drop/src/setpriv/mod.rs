//! cap-drop in the place of setpriv(1): its options, its order, its exit statuses.

use std::convert::Infallible;
use std::ffi::{CStr, OsStr, OsString};
use std::fmt::Display;

use common::chain::Chain;
use common::fail::quote;
use common::{Fail, entry, sys};
use nix::errno::Errno;

mod apply;
mod capabilities;
mod dump;
mod environment;
mod files;
mod getopt;
mod help;
mod landlock;
mod options;
mod plan;
mod seccomp;
mod securebits;
mod signal;

pub use getopt::{OPTIONS, Opt};

/// What stands before a complaint.
const NAME: &str = "setpriv";

/// Runs it: `args` is argv with the program's name.
pub(crate) fn run(args: &[OsString]) -> Result<Infallible, Fail> {
    run_as_setpriv(args).map_err(|mut fail| {
        if fail.status == 125 && !fail.text.is_empty() {
            fail.status = 1;
        }
        let status = entry::report(NAME, &fail);
        // Standard output was full.
        Fail::exit(if fail.output && status != 0 { 1 } else { status })
    })
}

fn run_as_setpriv(args: &[OsString]) -> Result<Infallible, Fail> {
    let files = files::Files::default();
    let (options, command) = options::read(args, &files)?;
    if let Some(answer) = options.answer(command)? {
        return Err(Fail::output(answer));
    }
    // What is asked may be shown to anybody; what is done is the caller's own right.
    entry::refuse_raised().map_err(|fail| fail.status(1))?;
    let program = command.first().ok_or_else(|| usage("No program specified"))?;
    let host = plan::Host::read(&options)?;
    let plan = plan::Plan::new(&options, &host, &files)?;
    let filter = options.seccomp.as_deref().map(seccomp::Filter::read).transpose()?;
    let chain = Chain::inherit().map_err(|fail| fail.status(1))?;
    apply::apply(&plan)?;
    options.landlock.restrict()?;
    // Last, so that it need allow no more than the exec.
    filter.iter().try_for_each(seccomp::Filter::install)?;
    let environ: Vec<&CStr> = match &plan.environment {
        Some(own) => own.iter().map(|entry| &**entry).collect(),
        None => sys::environ(),
    };
    chain.exec_with(command, &environ).map_err(|fail| not_run(program, fail))
}

/// In setpriv's words why a program was not run.
fn not_run(program: &OsStr, mut fail: Fail) -> Fail {
    let ours = format!("cannot run {}: ", quote(program));
    if let Some(reason) = fail.text.strip_prefix(&ours) {
        let program = program.to_string_lossy();
        fail.text = format!("failed to execute {program}: {reason}");
    }
    fail
}

/// A mistake on the command line: status 1.
fn usage(text: impl Display) -> Fail {
    Fail::new(text).status(1)
}

/// What could not be done: status 127.
fn privilege(what: &str) -> impl Fn(Errno) -> Fail {
    move |errno| Fail::os(what, errno).status(127)
}
