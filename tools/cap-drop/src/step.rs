//! One thing that cap-drop does, and how it is told.

use std::ffi::CString;
use std::path::PathBuf;

use common::explain::Explain;
use common::fail::quote;
use common::ids;
use nix::libc::c_int;

use crate::describe;
use crate::label::Label;
use crate::landlock::{self, Ruleset};
use crate::limits::Limit;
use crate::seccomp::Program;
use crate::securebits::Securebits;
use crate::sets::CapSet;
use crate::state::{Caps, State};

/// A change of the ambient set, `PR_CAP_AMBIENT` of prctl(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambient {
    /// `PR_CAP_AMBIENT_CLEAR_ALL`
    Clear,
    /// `PR_CAP_AMBIENT_LOWER`
    Lower(u8),
    /// `PR_CAP_AMBIENT_RAISE`
    Raise(u8),
}

/// Whether the next change of the uid leaves what is permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepCaps {
    /// It does.
    On,
    /// It does not, as always.
    Off,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// capset(2): make effective what the next steps take.
    Raise(Caps),
    /// The label that exec gives.
    Label(Label),
    /// /proc/self/oom_score_adj.
    OomScoreAdj(i16),
    /// setrlimit(2).
    Rlimit(Limit),
    /// setpriority(2).
    Nice(c_int),
    /// umask(2).
    Umask(u32),
    /// chroot(2).
    Root(PathBuf),
    /// capset(2): what becomes inheritable.
    Inherit(Caps),
    /// prctl(2) `PR_CAPBSET_DROP` of one capability.
    Bounding(u8),
    /// prctl(2) `PR_SET_KEEPCAPS`.
    KeepCaps(KeepCaps),
    /// Another user.
    Ids(ids::Step),
    /// capset(2): effective, permitted and inheritable at once.
    Capset(Caps),
    /// prctl(2) `PR_CAP_AMBIENT`.
    Ambient(Ambient),
    /// prctl(2) `PR_SET_SECUREBITS`.
    Securebits(Securebits),
    /// prctl(2) `PR_SET_PDEATHSIG`; 0 for none.
    DeathSignal(c_int),
    /// prctl(2) `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivs,
    /// Reading everything back.
    Verify(State),
    /// landlock_restrict_self(2).
    Landlock(Ruleset),
    /// seccomp(2) `SECCOMP_SET_MODE_FILTER`.
    Seccomp(Program),
    /// What execve(2) is given as the environment.
    Environment(Vec<CString>),
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Raise(caps) => format!("capset(effective={:#x})", caps.effective.0),
            Self::Label(label) => label.call(),
            Self::OomScoreAdj(n) => format!("write(/proc/self/oom_score_adj, {n})"),
            Self::Rlimit(limit) => {
                format!("setrlimit(RLIMIT_{}, {limit})", limit.name.to_uppercase())
            }
            Self::Nice(n) => format!("setpriority(PRIO_PROCESS, 0, {n})"),
            Self::Umask(mode) => format!("umask({mode:#05o})"),
            Self::Root(dir) => format!("chroot({}); chdir(\"/\")", quote(dir)),
            Self::Inherit(caps) => {
                format!("capset(inheritable={:#x})", caps.inheritable.0)
            }
            Self::Bounding(number) => {
                format!("prctl(PR_CAPBSET_DROP, {})", CapSet::one(*number))
            }
            Self::KeepCaps(KeepCaps::On) => "prctl(PR_SET_KEEPCAPS, 1)".to_owned(),
            Self::KeepCaps(KeepCaps::Off) => "prctl(PR_SET_KEEPCAPS, 0)".to_owned(),
            Self::Ids(step) => step.call(),
            Self::Capset(caps) => format!(
                "capset(effective={:#x}, permitted={:#x}, inheritable={:#x})",
                caps.effective.0, caps.permitted.0, caps.inheritable.0
            ),
            Self::Ambient(change) => match change {
                Ambient::Clear => "prctl(PR_CAP_AMBIENT, CLEAR_ALL)".to_owned(),
                Ambient::Lower(number) => {
                    format!("prctl(PR_CAP_AMBIENT, LOWER, {})", CapSet::one(*number))
                }
                Ambient::Raise(number) => {
                    format!("prctl(PR_CAP_AMBIENT, RAISE, {})", CapSet::one(*number))
                }
            },
            Self::Securebits(bits) => format!("prctl(PR_SET_SECUREBITS, {bits})"),
            Self::DeathSignal(number) => format!("prctl(PR_SET_PDEATHSIG, {number})"),
            Self::NoNewPrivs => "prctl(PR_SET_NO_NEW_PRIVS, 1)".to_owned(),
            Self::Verify(_) => "capget(); prctl(PR_CAPBSET_READ, …)".to_owned(),
            Self::Landlock(rules) => {
                format!("landlock_restrict_self({})", landlock::summary(rules.handled))
            }
            Self::Seccomp(program) => {
                format!("seccomp(SET_MODE_FILTER, {} instructions)", program.code.len())
            }
            Self::Environment(entries) => {
                let of = |e: &CString| {
                    let text = e.to_string_lossy().into_owned();
                    text.split('=').next().unwrap_or_default().to_owned()
                };
                let names: Vec<_> = entries.iter().map(of).collect();
                format!("environ = {}", names.join(" "))
            }
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Raise(_) => "the next steps take them",
            Self::Label(_) => "exec changes to it",
            Self::OomScoreAdj(_) => "how soon it is killed when memory runs out",
            Self::Rlimit(_) => "a limit, soft and hard",
            Self::Nice(_) => "how much of the processor others leave it",
            Self::Umask(_) => "mode bits that new files lack",
            Self::Root(_) => "the root of all paths from here",
            Self::Inherit(_) => "while it is permitted and in the bounding set",
            Self::Bounding(number) => {
                return match describe::of(*number) {
                    Some(known) => format!("no exec gives it back: {}", known.brief()),
                    None => "no exec gives it back".to_owned(),
                };
            }
            Self::KeepCaps(KeepCaps::On) => "the next uid would take all permitted",
            Self::KeepCaps(KeepCaps::Off) => "as it was",
            Self::Ids(step) => return step.why(),
            Self::Capset(caps) => return format!("permitted: {}", caps.permitted),
            Self::Ambient(Ambient::Raise(_)) => "lives over the exec of any user",
            Self::Ambient(Ambient::Lower(_) | Ambient::Clear) => "an exec takes it",
            Self::Securebits(_) => "how uid 0 and the sets are treated from here",
            Self::DeathSignal(0) => "the parent's death means nothing",
            Self::DeathSignal(_) => "sent when the parent dies",
            Self::NoNewPrivs => "setuid bits and file capabilities do nothing",
            Self::Verify(_) => "COMMAND is run only if all that was done",
            Self::Landlock(rules) => {
                let (paths, ports) = (rules.paths.len(), rules.ports.len());
                return format!("forbidden but for {paths} paths and {ports} ports");
            }
            Self::Seccomp(_) => "which system calls are made",
            Self::Environment(_) => "nothing of the caller's but the terminal",
        }
        .to_owned()
    }
}
