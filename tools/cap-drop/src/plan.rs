//! What to take away and in which order, decided without a system call.

use std::ffi::OsString;
use std::path::Path;

use caps::Capability;
use common::explain::Explain;
use common::ids::{self, Groups, Ids, Target};
use common::inroot::Root;
use common::passwd::{self, Account};
use common::{Context, Fail, shell};

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
    /// The user's shell, where no COMMAND was given.
    pub shell: Option<OsString>,
    /// /etc/passwd of the root as it is now, where it is needed.
    pub passwd: Vec<u8>,
    /// /etc/group, where it is needed.
    pub group: Vec<u8>,
}

impl Host {
    /// Reads them.
    pub fn read(cli: &Cli) -> Result<Self, Fail> {
        let read = |name: &str, needed: bool| {
            if !needed {
                return Ok(Vec::new());
            }
            passwd::read(&Root::open(Path::new("/")).cannot("open", "/")?, name)
        };
        Ok(Self {
            state: State::read()?,
            ids: if cli.names_ids() { Ids::read()? } else { Ids::now()? },
            passwd: read("passwd", cli.user.is_some())?,
            group: read("group", cli.user.is_some())?,
            shell: cli.link.command.is_empty().then(shell::program),
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
        Ok(Self { steps })
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

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Raise(state) => format!("capset(effective={:#x})", state.effective.0),
            Self::Bounding(number) => {
                format!("prctl(PR_CAPBSET_DROP, {})", CapSet::one(*number))
            }
            Self::Ids(step) => step.call(),
            Self::Lower(state) => format!(
                "capset(effective={:#x}, permitted={:#x}, inheritable={:#x})",
                state.effective.0, state.permitted.0, state.inheritable.0
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
            Self::Lower(state) => format!("permitted: {}", state.permitted),
            Self::NoNewPrivs => "setuid bits and file capabilities do nothing".to_owned(),
            Self::Verify(_) => "COMMAND is run only if all that was done".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        let own = CapSet(0x1ff_feff_ffff);
        let state =
            State { bounding: own, permitted: own, effective: own, ..State::default() };
        let passwd = b"root:x:0:0::/root:/bin/ash\nwww:x:33:33::/:\n".to_vec();
        let group = b"www:x:33:\nadm:x:4:www\n".to_vec();
        Host { state, passwd, group, ..Host::default() }
    }

    fn plan(args: &[&str], host: &Host) -> Result<Plan, String> {
        let args = ["cap-drop"].iter().chain(args).map(OsString::from).collect();
        let cli: Cli = common::cli::parse(args).map_err(|f| f.text)?;
        Plan::new(&cli, host).map_err(|f| f.text)
    }

    fn calls(args: &[&str]) -> Vec<String> {
        let plan = plan(args, &host()).unwrap();
        plan.steps.iter().map(Step::call).collect()
    }

    const READ_BACK: &str = "capget(); prctl(PR_CAPBSET_READ, …)";

    #[test]
    fn a_dropped_capability_leaves_every_set() {
        assert_eq!(
            calls(&["--drop", "net_raw,22", "--drop", "net_raw"]),
            [
                "prctl(PR_CAPBSET_DROP, cap_net_raw)",
                "prctl(PR_CAPBSET_DROP, cap_sys_boot)",
                "capset(effective=0x1fffebfdfff, permitted=0x1fffebfdfff, inheritable=0x0)",
                READ_BACK,
            ]
        );
    }

    #[test]
    fn another_user_comes_after_the_bounding_set_and_has_nothing_left() {
        assert_eq!(
            calls(&["--user", "www", "--drop", "kill", "--no-new-privs"]),
            [
                "prctl(PR_CAPBSET_DROP, cap_kill)",
                "setgroups([33, 4])",
                "setresgid(33, 33, 33)",
                "setresuid(33, 33, 33)",
                "capset(effective=0x0, permitted=0x0, inheritable=0x0)",
                "prctl(PR_SET_NO_NEW_PRIVS, 1)",
                READ_BACK,
            ]
        );
    }

    #[test]
    fn the_order_of_the_options_does_not_matter() {
        let one = ["--uid", "5", "--gid", "6", "--groups", "7,8", "--keep", "chown"];
        let other = ["--keep", "chown", "--groups", "7,8", "--gid", "6", "--uid", "5"];

        assert_eq!(calls(&one), calls(&other));
    }

    #[test]
    fn another_id_leaves_no_group_of_the_callers() {
        let here = Host { ids: Ids { groups: vec![0, 27], ..Ids::default() }, ..host() };
        let first = |args: &[&str]| plan(args, &here).unwrap().steps[0].call();

        assert_eq!(first(&["--uid", "5"]), "setgroups([])");
        assert_eq!(first(&["--uid", "5", "--groups", "27"]), "setgroups([27])");
        assert_eq!(first(&["--clear-groups"]), "setgroups([])");
        assert_eq!(first(&["--user", "www:4"]), "setgroups([4])");
    }

    #[test]
    fn what_is_lacked_already_is_no_error_and_needs_no_step() {
        assert_eq!(calls(&["--drop", "sys_resource,41,63"]), [""; 0]);
        assert_eq!(calls(&["--keep", "all"]), [""; 0]);
        assert_eq!(calls(&[]), [""; 0]);
    }

    #[test]
    fn what_is_permitted_only_is_made_effective_for_the_steps_that_take_it() {
        let mut host = host();
        host.state.effective = CapSet::NONE;

        let plan = plan(&["--drop", "kill", "--gid", "1"], &host).unwrap();

        assert_eq!(plan.steps[0].call(), "capset(effective=0x140)");
    }

    #[test]
    fn contradictions_are_refused() {
        for (args, text) in [
            (
                &["--keep", "kill,chown", "--drop", "all"][..],
                "cannot keep 'cap_chown': it is to be dropped as well; --keep alone drops all others",
            ),
            (
                &["--user", "nobody"],
                "cannot find user 'nobody': not in /etc/passwd; a number needs no line there",
            ),
            (
                &["--drop", "net_row"],
                "invalid value 'net_row' for '--drop <LIST>': 'net_row' is no capability, see capabilities(7); try 'cap-drop --help'",
            ),
            (
                &["--uid", "4294967295"],
                "invalid value '4294967295' for '--uid <UID>': not an id from 0 to 4294967294; try 'cap-drop --help'",
            ),
            (
                &["--user", ""],
                "invalid value '' for '--user <USER>': no user is named; try 'cap-drop --help'",
            ),
            (
                &["--groups", "1,4294967296"],
                "invalid value '4294967296' for '--groups <GIDS>': not an id from 0 to 4294967294; try 'cap-drop --help'",
            ),
            (
                &["--profile", "docker", "--keep", "kill"],
                "the argument '--profile <NAME>' cannot be used with '--keep <LIST>'; try 'cap-drop --help'",
            ),
        ] {
            assert_eq!(plan(args, &host()).unwrap_err(), text);
        }
    }
}
