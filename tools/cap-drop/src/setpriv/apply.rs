//! Does what the plan says, and says what could not be done as setpriv does.

use std::path::Path;

use common::{Fail, sys};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_ulong};
use nix::unistd::{Gid, Uid, setresgid, setresuid};

use super::plan::{Plan, Step};
use super::privilege;
use crate::label::Label;
use crate::libcap::kernel;

/// Carries the steps out.
pub(super) fn apply(plan: &Plan) -> Result<(), Fail> {
    plan.steps.iter().try_for_each(carry_out)
}

fn prctl(option: c_int, value: c_ulong) -> Result<(), Errno> {
    sys::prctl(option, value, 0).map(drop)
}

fn carry_out(step: &Step) -> Result<(), Fail> {
    let ambient = |what, number: u8| kernel::ambient(what, number.into()).map(drop);
    let (done, what) = match step {
        Step::NoNewPrivs => {
            let what = "disallow granting new privileges failed";
            let done = prctl(libc::PR_SET_NO_NEW_PRIVS, 1);
            return done.map_err(|e| Fail::os(what, e).status(1));
        }
        Step::KeepCaps => {
            let what = "keep process capabilities failed";
            return prctl(libc::PR_SET_KEEPCAPS, 1)
                .map_err(|e| Fail::os(what, e).status(1));
        }
        Step::Label(label) => return change_label(label),
        Step::Capset(to, what) => (kernel::set(to), *what),
        Step::Uids(real, effective) => {
            let [real, effective] = [*real, *effective].map(Uid::from_raw);
            // No way back is left.
            (setresuid(real, effective, effective), "setresuid failed")
        }
        Step::Gids(real, effective) => {
            let [real, effective] = [*real, *effective].map(Gid::from_raw);
            (setresgid(real, effective, effective), "setresgid failed")
        }
        Step::Groups(gids, what) => (sys::setgroups(gids), *what),
        Step::Securebits(bits) => {
            let done = prctl(libc::PR_SET_SECUREBITS, (*bits).into());
            (done, "set process securebits failed")
        }
        Step::Bounding(number) => {
            (prctl(libc::PR_CAPBSET_DROP, (*number).into()), "apply bounding set")
        }
        Step::ClearAmbient => (kernel::clear_ambient(), "clear ambient capabilities"),
        Step::LowerAmbient(number) => {
            (ambient(libc::PR_CAP_AMBIENT_LOWER, *number), "lower ambient capabilities")
        }
        Step::RaiseAmbient(number) => {
            // Where that is refused there is less than was asked for, as with the peer.
            let _ = ambient(libc::PR_CAP_AMBIENT_RAISE, *number);
            return Ok(());
        }
        Step::DeathSignal(signal) => {
            let done = prctl(libc::PR_SET_PDEATHSIG, signal.unsigned_abs().into());
            (done, "set parent death signal failed")
        }
        Step::Ptracer(pid) => (allow_tracer(*pid), "set ptracer"),
    };
    done.map_err(privilege(what))
}

/// `PR_SET_PTRACER`, which means nothing where no module asks who may trace.
fn allow_tracer(pid: c_ulong) -> Result<(), Errno> {
    let has_yama = || Path::new("/proc/sys/kernel/yama").exists();
    match prctl(libc::PR_SET_PTRACER, pid) {
        Err(Errno::EINVAL) if !has_yama() => Ok(()),
        done => done,
    }
}

fn change_label(label: &Label) -> Result<(), Fail> {
    let is_selinux = matches!(label, Label::SeLinux(_));
    if is_selinux && !Path::new("/sys/fs/selinux").exists() {
        return Err(Fail::new("SELinux is not running").status(127));
    }
    label.apply().map_err(|fail| fail.status(127))
}
