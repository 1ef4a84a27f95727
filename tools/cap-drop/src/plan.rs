//! What to take away and in which order, decided without a system call.

use std::ffi::OsString;

use caps::Capability;
use common::Fail;
use common::ids::{self, Ids};
use nix::libc::{c_int, pid_t};

use crate::cli::{Cli, DeathSignal, YesNo};
use crate::confine::{self, Given};
use crate::environment;
use crate::filecaps::FileCaps;
use crate::kernel;
use crate::label::Label;
use crate::meant::meant;
use crate::securebits::Securebits;
use crate::sets::CapSet;
use crate::state::{Caps, State};
use crate::step::{Ambient, KeepCaps, Step};
use crate::who;

/// The facts of the host that the plan depends on.
#[derive(Debug, Default)]
pub struct Host {
    /// The privileges now.
    pub state: State,
    /// The ids now.
    pub ids: Ids,
    /// Who started this process.
    pub parent: pid_t,
    /// The user's shell, where no COMMAND was given.
    pub shell: Option<OsString>,
    /// /etc/passwd of the root that COMMAND will have, where it is needed.
    pub passwd: Vec<u8>,
    /// /etc/group, where it is needed.
    pub group: Vec<u8>,
    /// The file that --profile names.
    pub profile: Vec<u8>,
    /// What is to be forbidden beyond the privileges.
    pub given: Given,
    /// What the file of --from-file-caps has.
    pub file_caps: Option<FileCaps>,
    /// The variables that --reset-env leaves.
    pub terminal: Vec<std::ffi::CString>,
}

impl Host {
    /// What is run: COMMAND or the shell.
    pub fn command<'h>(&'h self, cli: &'h Cli) -> &'h [OsString] {
        self.shell.as_ref().map_or(&*cli.link.command, std::slice::from_ref)
    }
}

/// What cap-drop is going to do.
#[derive(Debug)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// After them, with nothing but the exec behind: some calls may be forbidden then.
    pub confine: Vec<Step>,
    /// The privileges after them.
    pub end: State,
    /// The uid after them.
    pub uid: u32,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// When the options contradict each other, a user cannot be found, or something is
    /// asked for that nobody can give.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        refuse_what_exec_undoes(cli)?;
        let target = who::target(cli, host)?;
        let ids = ids::steps(&target, &host.ids)?;
        let meant = meant(cli, host, target.uid)?;
        let mut order = Order { now: host.state, uids: host.ids.uids, steps: Vec::new() };

        // 1. Rights that are permitted may have to be made effective.
        order.raise(cli, &ids, &meant);
        // 2. What takes rights or this /proc, and has nothing to do with the sets.
        order.steps.extend(settings(cli));
        // 3. The root: /proc was needed above, the ids' names were read from it.
        order.steps.extend(cli.root.clone().map(Step::Root));
        // 4. What becomes inheritable, while it is in the bounding set and permitted.
        order.inherit(&meant);
        // 5. The bounding set: takes CAP_SETPCAP, which goes with the uid.
        order.bounding(meant.caps.bounding);
        // 6. Groups, gid, uid: take CAP_SETGID and CAP_SETUID.
        order.ids(&ids, &meant)?;
        // 7. The other sets at once, but for CAP_SETPCAP where step 9 takes it.
        order.sets(&meant);
        // 8. Ambient: permitted and inheritable by now, and a change of the uid clears it.
        order.ambient(meant.caps.ambient)?;
        // 9. Securebits: they could forbid steps 6 and 8, and may be locked.
        order.securebits(meant.securebits)?;
        order.sets(&meant);
        // 10. After every change of credentials, which clears it.
        let signal = cli.pdeathsig.map(number);
        order.steps.extend(signal.map(Step::DeathSignal));
        // 11. Last: a security module may tie its own transitions to it.
        order.no_new_privs(meant.no_new_privs);
        // 12. The kernel and the C library have been known to do less than was asked.
        let Order { now: end, mut steps, .. } = order;
        if !steps.is_empty() {
            steps.push(Step::Verify(end));
        }
        let uid = target.uid.unwrap_or(host.ids.uids[1]);
        if cli.reset_env {
            steps.push(Step::Environment(environment::of(uid, host)));
        }
        // 13. What also holds for whoever has privileges, and for the steps above.
        let confine = confine::steps(cli, &host.given, &end)?;
        Ok(Self { steps, confine, end, uid })
    }
}

/// execve(2) makes every process dumpable again whose file its user can read.
fn refuse_what_exec_undoes(cli: &Cli) -> Result<(), Fail> {
    if cli.dumpable == Some(YesNo::No) {
        return Err(Fail::new("cannot make COMMAND undumpable: execve(2) undoes it")
            .hint("--rlimit core=0 leaves no core file"));
    }
    Ok(())
}

fn number(signal: DeathSignal) -> c_int {
    match signal {
        DeathSignal::Clear => 0,
        DeathSignal::Send(number) => number,
    }
}

fn settings(cli: &Cli) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(cli.selinux_label.clone().map(Label::SeLinux).map(Step::Label));
    steps.extend(cli.apparmor_profile.clone().map(Label::AppArmor).map(Step::Label));
    steps.extend(cli.oom_score_adj.map(Step::OomScoreAdj));
    steps.extend(cli.rlimit.iter().copied().map(Step::Rlimit));
    steps.extend(cli.nice.map(Step::Nice));
    steps.extend(cli.umask.map(Step::Umask));
    steps
}

/// The steps so far, and what the kernel has made of them.
struct Order {
    now: State,
    uids: [u32; 3],
    steps: Vec<Step>,
}

impl Order {
    fn capset(&mut self, to: Caps, step: fn(Caps) -> Step) {
        self.now = kernel::capset(&self.now, &to);
        self.steps.push(step(to));
    }

    /// Makes effective what the steps take, as far as it is permitted.
    fn raise(&mut self, cli: &Cli, ids: &[ids::Step], meant: &State) {
        let now = self.now.caps;
        let needs_setpcap = !now.bounding.without(meant.caps.bounding).is_empty()
            || self.now.securebits != meant.securebits
            || !now.inheritable.or(now.permitted).has(meant.caps.inheritable);
        let sets_limits = !cli.rlimit.is_empty() || cli.oom_score_adj.is_some();
        let needed = ids.iter().map(|step| match step {
            ids::Step::Groups(_) | ids::Step::Gid(_) => Capability::CAP_SETGID,
            ids::Step::Uid(_) => Capability::CAP_SETUID,
        });
        let needed = needed
            .chain(needs_setpcap.then_some(Capability::CAP_SETPCAP))
            .chain(cli.root.is_some().then_some(Capability::CAP_SYS_CHROOT))
            .chain(cli.nice.is_some().then_some(Capability::CAP_SYS_NICE))
            .chain(sets_limits.then_some(Capability::CAP_SYS_RESOURCE))
            .fold(CapSet::NONE, |all, one| all.or(one.into()));
        let lacks = now.permitted.and(needed).without(now.effective);
        if !lacks.is_empty() {
            let effective = now.effective.or(lacks);
            self.capset(Caps { effective, ..now }, Step::Raise);
        }
    }

    /// capset(2) adds nothing that the bounding set lacks.
    fn inherit(&mut self, meant: &State) {
        let now = self.now.caps;
        let inheritable = now.inheritable.or(meant.caps.inheritable);
        if inheritable != now.inheritable {
            self.capset(Caps { inheritable, ..now }, Step::Inherit);
        }
    }

    fn bounding(&mut self, to: CapSet) {
        let drops = self.now.caps.bounding.without(to);
        self.steps.extend(drops.each().map(|(number, _)| Step::Bounding(number)));
        self.now.caps.bounding = self.now.caps.bounding.and(to);
    }

    fn ids(&mut self, steps: &[ids::Step], meant: &State) -> Result<(), Fail> {
        for step in steps {
            if let ids::Step::Uid(uid) = step {
                self.keep_caps(*uid, meant)?;
                self.now = kernel::setresuid(&self.now, self.uids, *uid);
                self.uids = [*uid; 3];
            }
            self.steps.push(Step::Ids(step.clone()));
        }
        Ok(())
    }

    /// keep_caps, where the next uid would take what is to stay.
    fn keep_caps(&mut self, uid: u32, meant: &State) -> Result<(), Fail> {
        let needed = self.sets_for(meant).permitted;
        let left = kernel::setresuid(&self.now, self.uids, uid).caps.permitted;
        if left.has(needed) {
            return Ok(());
        }
        if self.now.securebits.has(Securebits::KEEP_CAPS_LOCKED) {
            let reason = "keep_caps is locked here";
            return Err(Fail::cannot("keep", needed.to_string(), reason));
        }
        self.now.securebits = self.now.securebits.or(Securebits::KEEP_CAPS);
        self.steps.push(Step::KeepCaps(KeepCaps::On));
        Ok(())
    }

    /// The sets that are meant, with what a change of the securebits takes.
    fn sets_for(&self, meant: &State) -> Caps {
        let unlike = Securebits::KEEP_CAPS;
        let same =
            self.now.securebits.without(unlike) == meant.securebits.without(unlike);
        let own = if same { CapSet::NONE } else { Capability::CAP_SETPCAP.into() };
        let own = self.now.caps.permitted.and(own);
        let permitted = meant.caps.permitted.or(own);
        Caps { permitted, effective: meant.caps.effective.or(own), ..meant.caps }
    }

    fn sets(&mut self, meant: &State) {
        let to = self.sets_for(meant);
        let now = self.now.caps;
        let sets = |c: Caps| (c.effective, c.permitted, c.inheritable);
        if sets(now) != sets(to) {
            self.capset(to, Step::Capset);
        }
    }

    fn ambient(&mut self, to: CapSet) -> Result<(), Fail> {
        let now = self.now.caps.ambient;
        let (extra, lacks) = (now.without(to), to.without(now));
        if self.now.securebits.has(Securebits::NO_CAP_AMBIENT_RAISE)
            && let Some(one) = lacks.first()
        {
            let reason = "the securebits have no_cap_ambient_raise here";
            return Err(Fail::cannot("make ambient", one, reason));
        }
        if extra == now && !extra.is_empty() {
            self.steps.push(Step::Ambient(Ambient::Clear));
        } else {
            let lower = extra.each().map(|(n, _)| Step::Ambient(Ambient::Lower(n)));
            self.steps.extend(lower);
        }
        let raise = lacks.each().map(|(n, _)| Step::Ambient(Ambient::Raise(n)));
        self.steps.extend(raise);
        self.now.caps.ambient = to;
        Ok(())
    }

    fn securebits(&mut self, to: Securebits) -> Result<(), Fail> {
        let now = self.now.securebits;
        if now == to {
            return Ok(());
        }
        if now.without(Securebits::KEEP_CAPS) == to {
            self.steps.push(Step::KeepCaps(KeepCaps::Off));
            self.now.securebits = to;
            return Ok(());
        }
        let changed = now.without(to).or(to.without(now));
        let locked = Securebits(changed.0 & now.locked().0);
        if locked != Securebits::default() {
            let reason = "locked here, and no process unlocks it";
            return Err(Fail::cannot("change securebit", locked.to_string(), reason));
        }
        self.steps.push(Step::Securebits(to));
        self.now.securebits = to;
        Ok(())
    }

    fn no_new_privs(&mut self, wanted: bool) {
        if wanted && !self.now.no_new_privs {
            self.steps.push(Step::NoNewPrivs);
            self.now.no_new_privs = true;
        }
    }
}

#[cfg(test)]
mod tests;
