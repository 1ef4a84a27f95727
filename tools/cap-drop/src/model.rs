//! The kernel's rules of capabilities(7) as a model: every plan is run through it.

use arbtest::arbitrary::{Result, Unstructured};
use caps::Capability;
use common::ids::{self, Ids};

use crate::cli::{Cli, Profile};
use crate::plan::{Host, Plan, Step};
use crate::sets::CapSet;
use crate::state::State;

/// A process as far as the steps concern it.
struct Process {
    state: State,
    uid: u32,
}

impl Process {
    fn may(&self, capability: Capability) -> bool {
        !self.state.effective.and(capability.into()).is_empty()
    }

    /// One system call; panics where the kernel would say `EPERM`.
    fn call(&mut self, step: &Step) {
        match step {
            Step::Raise(to) | Step::Lower(to) => self.capset(to),
            Step::Bounding(number) => {
                assert!(self.may(Capability::CAP_SETPCAP));
                self.state.bounding = self.state.bounding.without(CapSet::one(*number));
            }
            Step::Ids(ids::Step::Groups(_) | ids::Step::Gid(_)) => {
                assert!(self.may(Capability::CAP_SETGID));
            }
            Step::Ids(ids::Step::Uid(uid)) => self.setresuid(*uid),
            Step::NoNewPrivs => self.state.no_new_privs = true,
            Step::Verify(meant) => assert_eq!(self.state.difference(meant), None),
        }
    }

    fn capset(&mut self, to: &State) {
        let now = &self.state;
        assert!(to.permitted.without(now.permitted).is_empty());
        assert!(to.effective.without(to.permitted).is_empty());
        assert!(to.inheritable.without(now.inheritable.or(now.permitted)).is_empty());
        let ambient = now.ambient.and(to.permitted).and(to.inheritable);
        let (bounding, no_new_privs) = (now.bounding, now.no_new_privs);
        self.state = State { bounding, ambient, no_new_privs, ..to.clone() };
    }

    /// "Effect of user ID changes on capabilities", all three ids being the same.
    fn setresuid(&mut self, uid: u32) {
        assert!(self.may(Capability::CAP_SETUID));
        if self.uid == 0 && uid != 0 {
            self.state.permitted = CapSet::NONE;
            self.state.effective = CapSet::NONE;
            self.state.ambient = CapSet::NONE;
        } else if self.uid != 0 && uid == 0 {
            self.state.effective = self.state.permitted;
        }
        self.uid = uid;
    }
}

/// A state that the kernel allows, with the rights that the steps take permitted.
fn state(u: &mut Unstructured<'_>) -> Result<State> {
    let needed =
        [Capability::CAP_SETPCAP, Capability::CAP_SETUID, Capability::CAP_SETGID];
    let permitted =
        needed.into_iter().fold(CapSet(u.arbitrary()?), |set, c| set.or(c.into()));
    let inheritable = CapSet(u.arbitrary()?);
    Ok(State {
        bounding: CapSet(u.arbitrary()?),
        permitted,
        effective: CapSet(u.arbitrary()?).and(permitted),
        inheritable,
        ambient: CapSet(u.arbitrary()?).and(permitted).and(inheritable),
        no_new_privs: u.arbitrary()?,
    })
}

fn cli(u: &mut Unstructured<'_>) -> Result<Cli> {
    let drop = CapSet(u.arbitrary()?);
    let keep = CapSet(u.arbitrary()?).without(drop);
    let ids = [None, Some(0), Some(5)];
    let profile = *u.choose(&[None, Some(Profile::Docker), Some(Profile::None)])?;
    Ok(Cli {
        drop: vec![drop],
        keep: if profile.is_none() && u.arbitrary()? { vec![keep] } else { vec![] },
        profile,
        uid: *u.choose(&ids)?,
        gid: *u.choose(&ids)?,
        no_new_privs: u.arbitrary()?,
        ..Cli::default()
    })
}

#[test]
fn every_plan_is_allowed_and_ends_in_what_the_algebra_of_sets_says() {
    arbtest::arbtest(|u| {
        let (cli, now, uid) = (cli(u)?, state(u)?, *u.choose(&[0, 1000])?);
        let ids = Ids { uids: [uid; 3], ..Ids::default() };
        let host = Host { state: now.clone(), ids, ..Host::default() };
        let plan = Plan::new(&cli, &host).unwrap();

        let mut process = Process { state: now.clone(), uid };
        plan.steps.iter().for_each(|step| process.call(step));

        let left = match (cli.keep.first(), cli.profile) {
            (Some(keep), _) => *keep,
            (None, Some(profile)) => profile.set(),
            (None, None) => CapSet::ALL,
        };
        let left = left.without(cli.drop[0]);
        let active = if cli.uid == Some(5) { CapSet::NONE } else { left };
        let end = &process.state;
        assert_eq!(end.bounding, now.bounding.and(left));
        assert_eq!(end.permitted, now.permitted.and(active));
        assert_eq!(end.inheritable.without(now.inheritable.and(active)), CapSet::NONE);
        assert_eq!(end.ambient.without(end.permitted.and(end.inheritable)), CapSet::NONE);
        assert_eq!(end.effective.without(now.effective.and(active)), CapSet::NONE);
        assert_eq!(process.uid, cli.uid.unwrap_or(uid));
        Ok(())
    });
}
