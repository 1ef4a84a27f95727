//! Makes the changes of credentials that each line of its input names, each line in a
//! process of its own, and tells what the kernel has made of them: a line each.
//!
//! `bits=5 caps=E:P:I amb=M drop=M nnp uid=N exec`, numbers in hexadecimal.
#![no_main]

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::io::Read;

use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

common::entry!("transition", run);

#[allow(clippy::needless_pass_by_value, reason = "as entry! calls it")]
fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    if args.len() > 1 {
        return Err(Fail::output(state()?));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).failed_to("read standard input")?;
    for line in text.lines() {
        if let Some((pid, _)) = sys::fork(0, None).failed_to("fork")? {
            waitpid(Pid::from_raw(pid), None).failed_to("wait")?;
            continue;
        }
        let done = line.split_whitespace().try_for_each(change);
        let said = done.map_or_else(|e| Ok(format!("{e:?}\n")), |()| state());
        let said = said.unwrap_or_else(|fail| fail.text);
        let written = common::entry::write_all(1, said.as_bytes());
        sys::exit_now(u8::from(written.is_err()));
    }
    Err(Fail::done())
}

fn number(text: &str) -> Result<u64, Errno> {
    u64::from_str_radix(text, 16).map_err(|_| Errno::EDOM)
}

fn prctl(option: libc::c_int, a: u64, b: u64) -> Result<(), Errno> {
    sys::prctl(option, a, b).map(drop)
}

fn change(word: &str) -> Result<(), Errno> {
    let (what, value) = word.split_once('=').unwrap_or((word, ""));
    let bits = |mask: u64| (0..64).filter(move |bit| mask >> bit & 1 == 1);
    match what {
        "bits" => prctl(libc::PR_SET_SECUREBITS, number(value)?, 0),
        "caps" => {
            let sets: Result<Vec<_>, _> = value.split(':').map(number).collect();
            sys::capset(sets?.try_into().map_err(|_| Errno::EDOM)?)
        }
        "amb" => bits(number(value)?)
            .try_for_each(|bit| sys::raise_ambient(u32::try_from(bit).unwrap_or(64))),
        "drop" => {
            bits(number(value)?).try_for_each(|bit| prctl(libc::PR_CAPBSET_DROP, bit, 0))
        }
        "nnp" => prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0),
        "uid" => sys::setresuid(u32::try_from(number(value)?).unwrap_or(u32::MAX)),
        "exec" => {
            let argv = [CString::from(c"transition"), CString::from(c"state")];
            Err(sys::execveat(AT_FDCWD, c"/proc/self/exe", &argv, &[]))
        }
        _ => Err(Errno::EDOM),
    }
}

/// `E P I B A bits nnp`
fn state() -> Result<String, Fail> {
    let what = "read the state";
    let sets = sys::capget().failed_to(what)?;
    let all = |option: libc::c_int, how: Option<u64>| {
        let is_set = |bit: &u64| {
            let (first, second) = how.map_or((*bit, 0), |how| (how, *bit));
            sys::prctl(option, first, second) == Ok(1)
        };
        (0..64).filter(is_set).fold(0_u64, |set, bit| {
            set | 1_u64.rotate_left(u32::try_from(bit).unwrap_or(0))
        })
    };
    let bounding = all(libc::PR_CAPBSET_READ, None);
    let is_set = libc::PR_CAP_AMBIENT_IS_SET.unsigned_abs().into();
    let ambient = all(libc::PR_CAP_AMBIENT, Some(is_set));
    let bits = sys::prctl(libc::PR_GET_SECUREBITS, 0, 0).failed_to(what)?;
    let nnp = sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0).failed_to(what)?;
    let [effective, permitted, inheritable] = sets;
    let sets =
        format!("{effective:x} {permitted:x} {inheritable:x} {bounding:x} {ambient:x}");
    Ok(format!("{sets} {bits:x} {nnp}\n"))
}
