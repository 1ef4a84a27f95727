//! What COMMAND is forbidden beyond its privileges: Landlock, then seccomp, at the very end.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use caps::Capability;
use common::chain::link_name;
use common::{Context, Fail, bounded, sys};
use nix::sys::utsname::uname;

use crate::cli::{Bpf, Cli, Confine, Seccomp};
use crate::landlock::rule::Rule;
use crate::landlock::{self, Effort, Ruleset};
use crate::seccomp::{self, Arch, Facts, Program};
use crate::sets::CapSet;
use crate::state::State;
use crate::step::Step;

/// No profile is longer.
const PROFILE_LIMIT: u64 = 4 << 20;

/// What the host says about it.
#[derive(Debug, Default)]
pub struct Given {
    /// The rules of Landlock, those of files included.
    pub rules: Vec<Rule>,
    /// The version of the kernel's Landlock.
    pub abi: u32,
    /// The text of the seccomp profile.
    pub profile: Vec<u8>,
    /// Filters that are finished.
    pub programs: Vec<Program>,
    /// Version and patchlevel of the kernel.
    pub kernel: (u32, u32),
}

impl Given {
    /// Reads it, as far as it is needed.
    pub(crate) fn read(cli: &Confine) -> Result<Self, Fail> {
        let mut given = Self { rules: cli.landlock.clone(), ..Self::default() };
        for path in &cli.landlock_profile {
            given.rules.extend(landlock::read(path)?);
        }
        if !given.rules.is_empty() {
            given.abi = landlock::abi()?;
        }
        if cli.seccomp.is_some() {
            given.kernel = kernel()?;
        }
        if let Some(Seccomp::File(path)) = &cli.seccomp {
            let file = File::open(path).cannot("open", path)?;
            given.profile = whole(file, path)?;
        }
        for source in &cli.seccomp_bpf {
            given.programs.push(program(source)?);
        }
        Ok(given)
    }
}

fn whole(file: impl Read, path: &Path) -> Result<Vec<u8>, Fail> {
    let text = bounded::read(file, PROFILE_LIMIT, 16384).cannot("read", path)?;
    text.ok_or_else(|| Fail::cannot("read", path, "larger than 4 MiB"))
}

fn program(source: &Bpf) -> Result<Program, Fail> {
    let (name, file) = match source {
        Bpf::File(path) => (path.clone(), File::open(path).cannot("open", path)?),
        Bpf::Fd(number) => {
            let fd = sys::adopt(*number).cannot("use descriptor", number.to_string())?;
            (format!("descriptor {number}").into(), fd.into())
        }
    };
    let bytes = whole(file, &name)?;
    Program::read(&bytes).map_err(|reason| Fail::cannot("use", name, reason))
}

fn kernel() -> Result<(u32, u32), Fail> {
    let uname = uname().failed_to("ask for the kernel's version")?;
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(version)), Some(Ok(patchlevel))) => Ok((version, patchlevel)),
        _ => Err(Fail::cannot("understand", release, "it is no version of a kernel")),
    }
}

/// The steps, which come after everything else: `end` is how it will be then.
///
/// # Errors
/// Where rules or a profile say nothing that can be done.
pub(crate) fn steps(cli: &Cli, given: &Given, end: &State) -> Result<Vec<Step>, Fail> {
    let mut steps = Vec::new();
    let confine = &cli.confine;
    if !given.rules.is_empty() {
        let rules = Ruleset::new(&given.rules).map_err(|reason| {
            Fail::new(format_args!("cannot restrict COMMAND: {reason}"))
        })?;
        let effort =
            if confine.landlock_best_effort { Effort::Best } else { Effort::Hard };
        let rules = rules.fit(given.abi, effort)?;
        if !rules.handled.is_empty() {
            steps.push(Step::Landlock(rules));
        }
    }
    // With no_new_privs, no exec gives what is not permitted: an ordinary user has no
    // more of the profile than a container without capabilities.
    let reach = if end.no_new_privs { end.caps.permitted } else { CapSet::ALL };
    let bounding = end.caps.bounding.and(reach);
    let facts = Facts { arch: Arch::HERE, kernel: given.kernel, bounding };
    let profile = match &confine.seccomp {
        None => None,
        Some(Seccomp::Docker) => Some(seccomp::compile_docker(&facts)?),
        Some(Seccomp::File(path)) => {
            let name = path.to_string_lossy().into_owned();
            Some(seccomp::compile(name, given.profile.clone(), &facts)?)
        }
    };
    for program in profile.into_iter().chain(given.programs.iter().cloned()) {
        refuse_without_exec(cli, &program)?;
        steps.push(Step::Seccomp(program));
    }
    let admin = end.caps.effective.and(Capability::CAP_SYS_ADMIN.into());
    if !steps.is_empty() && !end.no_new_privs && admin.is_empty() {
        let reason = "it takes no_new_privs, or CAP_SYS_ADMIN which is not kept";
        return Err(Fail::new(format_args!("cannot restrict COMMAND: {reason}"))
            .hint("add --no-new-privs"));
    }
    Ok(steps)
}

fn refuse_without_exec(cli: &Cli, program: &Program) -> Result<(), Fail> {
    let command = cli.link.command.first();
    // A tool of ours is started by its descriptor.
    let by_fd = command.is_some_and(|command| link_name(command).is_some());
    match program.forbids_exec(by_fd) {
        None => Ok(()),
        Some(call) => {
            let name = command.map_or("COMMAND".into(), |name| name.to_string_lossy());
            Err(Fail::cannot("run", &*name, format_args!("the filter forbids {call}(2)")))
        }
    }
}

/// What is made ready while every path can still be opened.
#[derive(Default)]
pub(crate) struct Ready {
    ruleset: Option<OwnedFd>,
}

impl Ready {
    pub(crate) fn make(steps: &[Step]) -> Result<Self, Fail> {
        let mut ready = Self::default();
        for step in steps {
            if let Step::Landlock(rules) = step {
                ready.ruleset = Some(rules.create()?);
            }
        }
        Ok(ready)
    }

    /// Carries the steps out.
    pub(crate) fn apply(&self, steps: &[Step]) -> Result<(), Fail> {
        if let Some(ruleset) = &self.ruleset {
            sys::landlock_restrict_self(ruleset.as_fd())
                .failed_to("restrict COMMAND by Landlock")?;
        }
        for step in steps {
            if let Step::Seccomp(program) = step {
                program.install()?;
            }
        }
        Ok(())
    }
}
