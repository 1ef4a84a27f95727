//! Takes the privileges away and proves that they are gone.

use common::fail::Hint;
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::libc;

use crate::plan::Step;
use crate::sets::CapSet;
use crate::state::State;

/// Carries the steps out.
pub(crate) fn apply(steps: &[Step]) -> Result<(), Fail> {
    steps.iter().try_for_each(carry_out)
}

fn carry_out(step: &Step) -> Result<(), Fail> {
    match step {
        Step::Raise(state) | Step::Lower(state) => {
            let State { effective, permitted, inheritable, .. } = state;
            sys::capset([effective.0, permitted.0, inheritable.0])
                .failed_to("set capabilities")
        }
        Step::Bounding(number) => sys::prctl(libc::PR_CAPBSET_DROP, (*number).into(), 0)
            .cannot("drop", CapSet::one(*number).to_string())
            .hint_on(
                Errno::EPERM,
                "it takes CAP_SETPCAP: run below ns-run --user, or use --no-new-privs alone",
            )
            .map(drop),
        Step::Ids(step) => step.apply(),
        Step::NoNewPrivs => sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
            .failed_to("set no_new_privs")
            .map(drop),
        Step::Verify(meant) => verify(meant),
    }
}

fn verify(meant: &State) -> Result<(), Fail> {
    let now = State::read()?;
    if now == *meant {
        return Ok(());
    }
    let difference = now.difference(meant);
    let reason = difference.unwrap_or_else(|| "no_new_privs is not set".to_owned());
    Err(Fail::new(format_args!("cannot drop privileges: {reason}")))
}
