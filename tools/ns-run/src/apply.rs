//! Makes the namespaces, forks where that is asked for, and becomes COMMAND.
//!
//! As with unshare(1), this process moves into the namespaces itself, all but the pid
//! namespace: who knows its id alone can enter them or move a network device there.

use std::convert::Infallible;
use std::ffi::{CStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use common::called::Called;
use common::chain::Chain;
use common::fail::Hint;
use common::ids;
use common::nstype::{Ns, flags};
use common::spawn::{Bond, Child, Ended, Held, Memory, Spawn, end_like};
use common::{Context, Fail, shell, sys};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{getpid, pipe2};

use crate::helper::Helper;
use crate::keeper::Keeper;
use crate::later;
use crate::maps::Maps;
use crate::outside::Outside;
use crate::plan::{Env, Fork, Plan};
use crate::refusal::refused;
use crate::step::Step;

/// A plan that is being carried out.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    /// COMMAND and its arguments; without any, the user's shell.
    pub(crate) command: &'a [OsString],
    pub(crate) called: Called,
    pub(crate) chain: Chain,
    pub(crate) outside: Outside,
    pub(crate) keeper: Option<Keeper>,
    /// Namespaces of `--try` that were refused.
    skipped: Vec<Ns>,
}

/// Carries the plan out.
pub(crate) fn apply(
    plan: &Plan,
    chain: Chain,
    command: &[OsString],
    called: Called,
) -> Result<Infallible, Fail> {
    let outside = Outside::open(plan)?;
    let (keeper, skipped) = (None, Vec::new());
    let mut run = Run { plan, command, called, chain, outside, keeper, skipped };
    run.make().inspect_err(|_| run.undo())?;
    match plan.fork {
        Some(fork) => run.forked(fork),
        None => run.inside(&plan.steps),
    }
}

impl Run<'_> {
    /// Moves this process into the namespaces.
    fn make(&mut self) -> Result<(), Fail> {
        let plan = self.plan;
        let mut joined = Vec::new();
        for join in &plan.joins {
            let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
            let mode = nix::sys::stat::Mode::empty();
            joined.push(
                nix::fcntl::open(&join.file, flags, mode).cannot("open", &join.file)?,
            );
        }
        if !plan.kept.is_empty() {
            self.keeper = Some(self.keeper()?);
        }
        for (join, file) in plan.joins.iter().zip(joined) {
            sys::setns(file.as_fd(), join.ns.kind().flag)
                .cannot(&format!("join the {} namespace", join.ns.kind().file), &join.file)
                .hint_on(Errno::EINVAL, "it is one of another kind, or the own one")
                .hint_on(
                    Errno::EPERM,
                    "it takes CAP_SYS_ADMIN in the user namespace that owns it: join that first",
                )?;
        }
        if let Some(maps) = plan.maps.as_ref().filter(|maps| maps.needs_outside()) {
            self.mapped_by_helper(maps, Self::unshare)?;
        } else {
            self.unshare()?;
            let has_user = !self.skipped.contains(&Ns::User);
            if let Some(maps) = plan.maps.as_ref().filter(|_| has_user) {
                maps.write("self")?;
            }
        }
        if !self.skipped.contains(&Ns::Time) {
            for (clock, by) in &plan.clocks {
                set_off(&format!("{} {by} 0", clock.name()))?;
            }
        }
        Ok(())
    }

    /// The process that binds the files, in the mount namespace that we leave.
    fn keeper(&self) -> Result<Keeper, Fail> {
        let held = Held::hold().failed_to("block signals")?;
        let keeper = Keeper::start(self.called, &held, self.plan)?;
        held.release().failed_to("restore signals")?;
        Ok(keeper)
    }

    /// unshare(2), after the change of owner; a mount namespace that is kept can be.
    fn unshare(&mut self) -> Result<(), Fail> {
        let is_kept = self.plan.kept.iter().any(|kept| kept.ns == Ns::Mount);
        let outside = is_kept.then(later::number).flatten();
        self.make_kinds()?;
        outside.map_or(Ok(()), later::than).failed_to("choose a CPU")
    }

    fn make_kinds(&mut self) -> Result<(), Fail> {
        if let Some(owner) = self.plan.owner {
            ids::Step::Groups(Vec::new()).apply()?;
            ids::Step::Gid(owner.gid).apply()?;
            ids::Step::Uid(owner.uid).apply()?;
        }
        let kinds = &self.plan.kinds;
        if self.plan.tries.is_empty() {
            if kinds.is_empty() {
                return Ok(());
            }
            return sys::unshare(flags(kinds)).map_err(|e| refused(kinds, e));
        }
        // In their order: what the user namespace grants, the others may need.
        for ns in kinds {
            match sys::unshare(ns.kind().flag) {
                Ok(()) => {}
                Err(_) if self.plan.tries.contains(ns) => self.skipped.push(*ns),
                Err(e) => return Err(refused(&[*ns], e)),
            }
        }
        Ok(())
    }

    /// Ranges are written from outside: by a process that stays there for as long.
    pub(crate) fn mapped_by_helper(
        &mut self,
        maps: &Maps,
        make: impl FnOnce(&mut Self) -> Result<(), Fail>,
    ) -> Result<(), Fail> {
        let held = Held::hold().failed_to("block signals")?;
        let writer =
            Helper::start(self.called, &held, |pid| maps.write(&pid.to_string()))?;
        make(self)?;
        if !self.skipped.contains(&Ns::User) {
            writer.work(getpid().as_raw())?.reap()?;
        }
        held.release().failed_to("restore signals")
    }

    /// A child goes on inside; this process waits.
    fn forked(mut self, fork: Fork) -> Result<Infallible, Fail> {
        let is_init = fork.in_pid_namespace && !self.skipped.contains(&Ns::Pid);
        let verdict = (fork.init && is_init)
            .then(|| pipe2(OFlag::O_CLOEXEC))
            .transpose()
            .failed_to("make a pipe")?;
        let (told, tell) = verdict.unzip();
        if fork.init && !is_init {
            sys::prctl(nix::libc::PR_SET_CHILD_SUBREAPER, 1, 0)
                .failed_to("become the reaper")?;
        }
        let child = match fork.memory {
            Memory::Own => self.child(fork, tell.as_ref()),
            Memory::Lent => self.brief_child(fork),
        };
        let child = child
            .failed_to("fork")
            .hint_on(Errno::ENOMEM, "the init process of the pid namespace has ended")
            .hint_on(Errno::EAGAIN, "a limit on processes is reached, see fork(2)")?;
        drop((tell, std::mem::take(&mut self.chain), self.keeper.take()));
        let mut outside = std::mem::take(&mut self.outside);
        let child = match outside.proc.take() {
            Some(proc) if is_init => child.as_init(proc),
            Some(_) | None => child,
        };
        let child = if fork.init { child.reaping() } else { child };
        let child = match outside.starter.take() {
            Some(starter) => child.tied_to(starter)?,
            None => child,
        };
        drop(outside);
        Err(end_like(judged(&child, told)?))
    }

    fn spawn(&self, fork: Fork) -> Spawn<'static> {
        let bond = Bond::Signal(fork.bond);
        Spawn { tool: self.called.name, flags: 0, cgroup: None, bond }
    }

    fn child(&mut self, fork: Fork, tell: Option<&OwnedFd>) -> Result<Child, Errno> {
        let (steps, called) = (&self.plan.steps, self.called);
        self.spawn(fork).fork(|parent| {
            self.chain.parent = Some(parent);
            match tell {
                Some(tell) => self.as_init(steps, tell),
                None => self.inside(steps),
            }
            .map_err(|fail| called.status(fail))
        })
    }

    /// In this process's memory: all that it changes there is its own.
    fn brief_child(&mut self, fork: Fork) -> Result<Child, Errno> {
        let (plan, command, called) = (self.plan, self.command, self.called);
        let chain = std::mem::take(&mut self.chain);
        let given = chain.descriptors();
        let (outside, skipped) = (Outside::default(), self.skipped.clone());
        let mut run =
            Run { plan, command, called, chain, outside, keeper: None, skipped };
        self.spawn(fork).start(fork.memory, &given, move |start| {
            run.chain.begin(start);
            run.inside(&plan.steps).map_err(|fail| called.status(fail))
        })
    }

    /// As process 1: another becomes COMMAND, and this one reaps.
    fn as_init(&mut self, steps: &[Step], tell: &OwnedFd) -> Result<Infallible, Fail> {
        let at = steps.iter().position(Step::is_last).unwrap_or(steps.len());
        let (first, last) = steps.split_at_checked(at).unwrap_or_default();
        self.carry_out(first).inspect_err(|_| self.undo())?;
        let spawn =
            Spawn { tool: self.called.name, flags: 0, cgroup: None, bond: Bond::Free };
        let child = spawn
            .fork(|parent| {
                self.chain.parent = Some(parent);
                let called = self.called;
                self.inside(last).map_err(|fail| called.status(fail))
            })
            .failed_to("fork")?;
        drop((std::mem::take(&mut self.chain), std::mem::take(&mut self.outside)));
        drop(self.keeper.take());
        match child.reaping().wait()? {
            Ended::Exited(status) => Err(Fail::exit(status)),
            Ended::Killed(signal) => {
                // An init process cannot die of it; who waits outside can.
                let number = u8::try_from(signal).unwrap_or(0);
                let _ = tell
                    .try_clone()
                    .map(std::fs::File::from)
                    .map(|mut pipe| pipe.write_all(&[number]));
                Err(Fail::exit(number.saturating_add(128)))
            }
        }
    }

    /// The steps, then COMMAND.
    fn inside(&mut self, steps: &[Step]) -> Result<Infallible, Fail> {
        let done = self.carry_out(steps).and_then(|()| self.command());
        done.inspect_err(|_| self.undo())
    }

    fn command(&mut self) -> Result<Infallible, Fail> {
        let chain = std::mem::take(&mut self.chain);
        let environ = match &self.plan.env {
            Env::Inherited => sys::environ(),
            Env::Only(names) => only(names),
        };
        match self.command {
            [] => chain.exec_shell_with(&shell::program(&environ), &environ),
            command => chain.exec_with(command, &environ),
        }
    }

    /// Takes away what would outlive a COMMAND that does not run.
    fn undo(&mut self) {
        self.outside.forget_pid();
        if let Some(keeper) = self.keeper.take() {
            keeper.undo();
        }
    }

    fn carry_out(&mut self, steps: &[Step]) -> Result<(), Fail> {
        for step in steps {
            if !step.needs().is_some_and(|ns| self.skipped.contains(&ns)) {
                self.step(step)?;
            }
        }
        Ok(())
    }
}

/// How COMMAND ended, also where its init had to tell it.
fn judged(child: &Child, told: Option<OwnedFd>) -> Result<Ended, Fail> {
    let ended = child.wait()?;
    let mut signal = [0];
    let is_told = told
        .is_some_and(|told| std::fs::File::from(told).read_exact(&mut signal).is_ok());
    let [signal] = signal;
    if is_told && ended == Ended::Exited(signal.saturating_add(128)) {
        return Ok(Ended::Killed(signal.into()));
    }
    Ok(ended)
}

/// The variables of the environment that have one of the names.
fn only(names: &[OsString]) -> Vec<&'static CStr> {
    let is_named = |entry: &&CStr| {
        let name = entry.to_bytes().split(|b| *b == b'=').next();
        names.iter().any(|wanted| Some(wanted.as_bytes()) == name)
    };
    sys::environ().into_iter().filter(is_named).collect()
}

fn set_off(line: &str) -> Result<(), Fail> {
    let path = "/proc/self/timens_offsets";
    std::fs::write(path, line)
        .cannot("write to", path)
        .hint_on(Errno::ERANGE, "a clock would be before the start or too far from it")
}
