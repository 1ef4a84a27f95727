//! What to take away and in which order, decided without a system call.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use caps::Capability;
use common::explain::Explain;
use common::ids::{self, Groups, Ids, Target};
use common::inroot::Root;
use common::passwd::{self, Account};
use common::{Context, Fail, sys};

use crate::cli::Cli;
use crate::sets::CapSet;
use crate::state::State;

/// The facts of the host that the plan depends on.
#[derive(Debug, Default)]
pub struct Host {
    /// The privileges now.
    pub state: State,
    /// The ids now.
    pub ids: Ids,
    /// The variable `SHELL`.
    pub shell: Option<OsString>,
    /// /etc/passwd of the root as it is now, where it is needed.
    pub passwd: Vec<u8>,
    /// /etc/group, where it is needed.
    pub group: Vec<u8>,
}

impl Host {
    /// Reads them.
    pub fn read(cli: &Cli) -> Result<Self, Fail> {
        let shell = sys::environ()
            .into_iter()
            .find_map(|entry| entry.to_bytes().strip_prefix(b"SHELL="))
            .filter(|value| !value.is_empty())
            .map(|value| OsStr::from_bytes(value).to_owned());
        let no_shell = cli.link.command.is_empty() && shell.is_none();
        let root = Root::open(Path::new("/")).cannot("open", "/")?;
        let read = |name, needed| {
            if needed { passwd::read(&root, name) } else { Ok(Vec::new()) }
        };
        Ok(Self {
            state: State::read()?,
            ids: Ids::read()?,
            passwd: read("passwd", cli.user.is_some() || no_shell)?,
            group: read("group", cli.user.is_some())?,
            shell,
        })
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// capset(2): make effective what the next steps take.
    Raise(State),
    /// prctl(2) `PR_CAPBSET_DROP` of one capability.
    Bounding(u8),
    /// Another user.
    Ids(ids::Step),
    /// capset(2): effective, permitted and inheritable at once.
    Lower(State),
    /// prctl(2) `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivs,
    /// Reading everything back.
    Verify(State),
}

/// What cap-drop is going to do.
#[derive(Debug)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// The program to become: the user's shell where none was named.
    pub command: Vec<OsString>,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// When the options contradict each other or a user cannot be found.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        let kept = kept(cli)?;
        let target = target(cli, host)?;
        let ids = ids::steps(&target, &host.ids)?;
        let now = &host.state;
        let meant = meant(cli, now, kept, target.uid);
        let drops = now.bounding.without(meant.bounding);

        // 1. Rights that are permitted may have to be made effective.
        let mut steps = Vec::new();
        let raised = raised(now, !drops.is_empty(), &ids);
        if raised != *now {
            steps.push(Step::Raise(raised.clone()));
        }
        // 2. The bounding set: takes CAP_SETPCAP, which goes with the uid.
        steps.extend(drops.each().map(|(number, _)| Step::Bounding(number)));
        // 3. Groups, gid, uid: take CAP_SETGID and CAP_SETUID.
        steps.extend(ids.iter().cloned().map(Step::Ids));
        // 4. The other sets: to take away takes nothing. The ambient set follows them.
        let sets = |s: &State| (s.effective, s.permitted, s.inheritable, s.ambient);
        if !ids.is_empty() || sets(&raised) != sets(&meant) {
            steps.push(Step::Lower(meant.clone()));
        }
        // 5. Last: a security module may tie its own transitions to it.
        if meant.no_new_privs && !now.no_new_privs {
            steps.push(Step::NoNewPrivs);
        }
        // 6. The kernel and the C library have been known to do less than was asked.
        if !steps.is_empty() {
            steps.push(Step::Verify(meant));
        }
        Ok(Self { steps, command: command(cli, host) })
    }
}

/// What is to be left at most.
fn kept(cli: &Cli) -> Result<CapSet, Fail> {
    let union = |lists: &[CapSet]| lists.iter().fold(CapSet::NONE, |all, l| all.or(*l));
    let dropped = union(&cli.drop);
    let keep = (!cli.keep.is_empty()).then(|| union(&cli.keep));
    let both = keep.unwrap_or(CapSet::NONE).and(dropped);
    if !both.is_empty() {
        let text = both.to_string();
        let first = text.split(',').next().unwrap_or_default();
        return Err(Fail::cannot("keep", first, "it is to be dropped as well")
            .hint("--keep alone drops all others"));
    }
    let keep = keep.or(cli.profile.map(crate::cli::Profile::set));
    Ok(keep.unwrap_or(CapSet::ALL).without(dropped))
}

/// Who to become. Another id without a word on groups leaves none of the caller's.
fn target(cli: &Cli, host: &Host) -> Result<Target, Fail> {
    let account = cli
        .user
        .as_ref()
        .map(|who| Account::find(who, &host.passwd, &host.group))
        .transpose()?;
    let uid = account.as_ref().map(|a| a.uid).or(cli.uid);
    let gid = account.as_ref().map(|a| a.gid).or(cli.gid);
    let groups = if cli.clear_groups || !cli.groups.is_empty() {
        Groups::Exactly(cli.groups.clone())
    } else if let Some(account) = account {
        Groups::Mapped(account.groups)
    } else if uid.is_some() || gid.is_some() {
        Groups::Mapped(Vec::new())
    } else {
        Groups::Kept
    };
    Ok(Target { uid, gid, groups })
}

/// The privileges as they are to be in the end.
///
/// Who becomes an ordinary user has the bounding set left and nothing else, as in
/// docker. A profile leaves nothing inheritable (CVE-2022-24769).
fn meant(cli: &Cli, now: &State, kept: CapSet, uid: Option<u32>) -> State {
    let active = if uid.is_some_and(|uid| uid != 0) { CapSet::NONE } else { kept };
    let inheritable = if cli.profile.is_some() { CapSet::NONE } else { active };
    State {
        bounding: now.bounding.and(kept),
        permitted: now.permitted.and(active),
        effective: now.effective.and(active),
        inheritable: now.inheritable.and(inheritable),
        ambient: now.ambient.and(inheritable),
        no_new_privs: now.no_new_privs || cli.no_new_privs,
    }
}

/// The state with what the steps take made effective, as far as it is permitted.
fn raised(now: &State, drops: bool, ids: &[ids::Step]) -> State {
    let needed = ids.iter().map(|step| match step {
        ids::Step::Groups(_) | ids::Step::Gid(_) => Capability::CAP_SETGID,
        ids::Step::Uid(_) => Capability::CAP_SETUID,
    });
    let needed = needed
        .chain(drops.then_some(Capability::CAP_SETPCAP))
        .fold(CapSet::NONE, |all, one| all.or(one.into()));
    State { effective: now.effective.or(now.permitted.and(needed)), ..now.clone() }
}

/// COMMAND, or the shell as unshare(1) finds it: the caller's, of whoever it will be.
fn command(cli: &Cli, host: &Host) -> Vec<OsString> {
    if !cli.link.command.is_empty() {
        return cli.link.command.clone();
    }
    let of_user = || {
        let uid = host.ids.uids[0];
        let user = passwd::users(&host.passwd).find(|user| user.uid == uid)?;
        Some(user.shell.to_owned()).filter(|shell| !shell.is_empty())
    };
    vec![host.shell.clone().or_else(of_user).unwrap_or_else(|| "/bin/sh".into())]
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Raise(state) => format!("capset(effective={})", state.effective),
            Self::Bounding(number) => {
                format!("prctl(PR_CAPBSET_DROP, {})", CapSet::one(*number))
            }
            Self::Ids(step) => step.call(),
            Self::Lower(state) => format!(
                "capset(effective={}, permitted={}, inheritable={})",
                state.effective, state.permitted, state.inheritable
            ),
            Self::NoNewPrivs => "prctl(PR_SET_NO_NEW_PRIVS, 1)".to_owned(),
            Self::Verify(_) => "capget(); prctl(PR_CAPBSET_READ, …)".to_owned(),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Raise(_) => "the next steps take them".to_owned(),
            Self::Bounding(_) => "no exec gives it back".to_owned(),
            Self::Ids(step) => step.why(),
            Self::Lower(_) => "and with these the ambient set".to_owned(),
            Self::NoNewPrivs => "setuid bits and file capabilities do nothing".to_owned(),
            Self::Verify(_) => "COMMAND is run only if all that was done".to_owned(),
        }
    }
}
