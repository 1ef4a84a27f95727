//! Takes the privileges away and proves that they are gone.

use std::fs;
use std::path::Path;

use common::fail::Hint;
use common::{Context, Fail, proc, sys};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_ulong, pid_t};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, chroot, getppid};

use crate::limits::Limit;
use crate::plan::Plan;
use crate::sets::CapSet;
use crate::state::{Caps, State};
use crate::step::{Ambient, KeepCaps, Step};

const SETPCAP: &str =
    "it takes CAP_SETPCAP: run below ns-run --user, or use --no-new-privs alone";

/// Carries the steps out; `parent` is who started this process.
pub(crate) fn apply(plan: &Plan, parent: pid_t) -> Result<(), Fail> {
    plan.steps.iter().try_for_each(|step| carry_out(step, parent))
}

fn carry_out(step: &Step, parent: pid_t) -> Result<(), Fail> {
    match step {
        Step::Raise(caps) | Step::Inherit(caps) | Step::Capset(caps) => {
            let Caps { effective, permitted, inheritable, .. } = caps;
            sys::capset([effective.0, permitted.0, inheritable.0])
                .failed_to("set capabilities")
        }
        Step::Label(label) => label.apply(),
        Step::OomScoreAdj(number) => oom_score_adj(*number),
        Step::Rlimit(limit) => set_limit(*limit),
        Step::Nice(number) => sys::nice(*number)
            .cannot("set the nice value", number.to_string())
            .hint_on(Errno::EACCES, "it takes CAP_SYS_NICE or RLIMIT_NICE"),
        Step::Umask(mode) => {
            umask(Mode::from_bits_truncate(*mode));
            Ok(())
        }
        Step::Root(dir) => change_root(dir),
        Step::Bounding(number) => prctl(libc::PR_CAPBSET_DROP, (*number).into(), 0)
            .cannot("drop", CapSet::one(*number).to_string())
            .hint_on(Errno::EPERM, SETPCAP),
        Step::KeepCaps(KeepCaps::On) => {
            prctl(libc::PR_SET_KEEPCAPS, 1, 0).failed_to("set keep_caps")
        }
        Step::KeepCaps(KeepCaps::Off) => {
            prctl(libc::PR_SET_KEEPCAPS, 0, 0).failed_to("clear keep_caps")
        }
        Step::Ids(step) => step.apply(),
        Step::Ambient(change) => ambient(*change),
        Step::Securebits(bits) => prctl(libc::PR_SET_SECUREBITS, bits.0.into(), 0)
            .cannot("set the securebits", bits.to_string())
            .hint_on(Errno::EPERM, "it takes CAP_SETPCAP and a kernel that has them"),
        Step::DeathSignal(signal) => death_signal(*signal, parent),
        Step::NoNewPrivs => {
            prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).failed_to("set no_new_privs")
        }
        Step::Verify(meant) => verify(meant),
        // The exec is given it.
        Step::Environment(_)
        // `confine::Ready` does these.
        | Step::Landlock(_)
        | Step::Seccomp(_) => Ok(()),
    }
}

fn prctl(option: c_int, a: c_ulong, b: c_ulong) -> Result<(), Errno> {
    sys::prctl(option, a, b).map(drop)
}

fn ambient(change: Ambient) -> Result<(), Fail> {
    let call = |how: c_int, number: u8| {
        prctl(libc::PR_CAP_AMBIENT, c_ulong::from(how.unsigned_abs()), number.into())
    };
    match change {
        Ambient::Clear => {
            call(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0).failed_to("clear the ambient set")
        }
        Ambient::Lower(number) => call(libc::PR_CAP_AMBIENT_LOWER, number)
            .cannot("lower ambient", CapSet::one(number).to_string()),
        Ambient::Raise(number) => call(libc::PR_CAP_AMBIENT_RAISE, number)
            .cannot("make ambient", CapSet::one(number).to_string())
            .hint_on(Errno::EINVAL, "ambient capabilities came with Linux 4.3"),
    }
}

fn oom_score_adj(number: i16) -> Result<(), Fail> {
    let (verb, text) = ("set oom_score_adj", number.to_string());
    if !proc::is_mounted() {
        return Err(Fail::cannot(verb, text, "/proc is not mounted"));
    }
    fs::write("/proc/self/oom_score_adj", &text)
        .cannot(verb, &text)
        .hint_on(Errno::EACCES, "to lower it takes CAP_SYS_RESOURCE")
}

fn set_limit(limit: Limit) -> Result<(), Fail> {
    sys::setrlimit(limit.resource, limit.soft, limit.hard)
        .cannot("set limit", limit.name)
        .hint_on(Errno::EPERM, "above the hard limit it takes CAP_SYS_RESOURCE")
}

fn change_root(dir: &Path) -> Result<(), Fail> {
    let verb = "change the root to";
    chroot(dir).cannot(verb, dir).hint_on(
        Errno::EPERM,
        "it takes CAP_SYS_CHROOT: run below ns-run --user, or use root-pivot",
    )?;
    // Relative paths would still lead out of it.
    chdir("/").cannot(verb, dir)
}

fn death_signal(signal: c_int, parent: pid_t) -> Result<(), Fail> {
    let what = "set the parent death signal";
    prctl(libc::PR_SET_PDEATHSIG, signal.unsigned_abs().into(), 0).failed_to(what)?;
    if sys::pdeathsig().failed_to(what)? != signal {
        return Err(Fail::new(format_args!("cannot {what}: the kernel did not do it")));
    }
    // It died before: nobody would ever send the signal.
    if signal != 0 && getppid().as_raw() != parent {
        return Err(Fail::new(format_args!("cannot {what}: the parent is dead already")));
    }
    Ok(())
}

fn verify(meant: &State) -> Result<(), Fail> {
    match State::read()?.difference(meant) {
        None => Ok(()),
        Some(difference) => {
            Err(Fail::new(format_args!("cannot drop privileges: {difference}")))
        }
    }
}
