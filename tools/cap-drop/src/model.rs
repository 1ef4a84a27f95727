//! Every plan is run through the kernel's rules, which refuse what the kernel refuses.

use arbtest::arbitrary::{Result, Unstructured};
use caps::Capability;
use common::ids::{self, Ids};

use crate::cli::{Cli, Profile};
use crate::kernel;
use crate::plan::{Host, Plan};
use crate::securebits::{Change, Securebits};
use crate::sets::CapSet;
use crate::state::{Caps, State};
use crate::step::{Ambient, KeepCaps, Step};

/// A process as far as the steps concern it.
struct Process {
    state: State,
    uids: [u32; 3],
}

impl Process {
    fn may(&self, capability: Capability) -> bool {
        self.state.caps.effective.has(capability.into())
    }

    /// One system call; panics where the kernel would say `EPERM`.
    fn call(&mut self, step: &Step) {
        match step {
            Step::Raise(to) | Step::Inherit(to) | Step::Capset(to) => self.capset(to),
            Step::Bounding(number) => {
                assert!(self.may(Capability::CAP_SETPCAP));
                let bounding = &mut self.state.caps.bounding;
                *bounding = bounding.without(CapSet::one(*number));
            }
            Step::Ids(ids::Step::Groups(_) | ids::Step::Gid(_)) => {
                assert!(self.may(Capability::CAP_SETGID));
            }
            Step::Ids(ids::Step::Uid(uid)) => {
                assert!(self.may(Capability::CAP_SETUID));
                self.state = kernel::setresuid(&self.state, self.uids, *uid);
                self.uids = [*uid; 3];
            }
            Step::KeepCaps(keep) => {
                let bits = &mut self.state.securebits;
                assert!(!bits.has(Securebits::KEEP_CAPS_LOCKED));
                *bits = match keep {
                    KeepCaps::On => bits.or(Securebits::KEEP_CAPS),
                    KeepCaps::Off => bits.without(Securebits::KEEP_CAPS),
                };
            }
            Step::Ambient(change) => self.ambient(*change),
            Step::Securebits(to) => {
                assert!(self.may(Capability::CAP_SETPCAP));
                let now = self.state.securebits;
                assert_eq!((now.0 ^ to.0) & now.locked().0 & !0x10, 0);
                self.state.securebits = *to;
            }
            Step::NoNewPrivs => self.state.no_new_privs = true,
            Step::Verify(meant) => assert_eq!(self.state.difference(meant), None),
            Step::Landlock(_) | Step::Seccomp(_) => {
                assert!(self.state.no_new_privs || self.may(Capability::CAP_SYS_ADMIN));
            }
            Step::Label(_)
            | Step::OomScoreAdj(_)
            | Step::Rlimit(_)
            | Step::Nice(_)
            | Step::Umask(_)
            | Step::Root(_)
            | Step::DeathSignal(_)
            | Step::Environment(_) => panic!("was not asked for: {step:?}"),
        }
    }

    /// `cap_capset` of security/commoncap.c.
    fn capset(&mut self, to: &Caps) {
        let now = &self.state.caps;
        assert!(now.permitted.has(to.permitted));
        assert!(to.permitted.has(to.effective));
        assert!(now.inheritable.or(now.bounding).has(to.inheritable));
        let may_add = self.may(Capability::CAP_SETPCAP);
        assert!(may_add || now.inheritable.or(now.permitted).has(to.inheritable));
        self.state = kernel::capset(&self.state, to);
    }

    fn ambient(&mut self, change: Ambient) {
        let Caps { permitted, inheritable, .. } = self.state.caps;
        let ambient = &mut self.state.caps.ambient;
        *ambient = match change {
            Ambient::Clear => CapSet::NONE,
            Ambient::Lower(number) => ambient.without(CapSet::one(number)),
            Ambient::Raise(number) => {
                let forbids = Securebits::NO_CAP_AMBIENT_RAISE;
                assert!(!self.state.securebits.has(forbids));
                assert!(permitted.and(inheritable).has(CapSet::one(number)));
                ambient.or(CapSet::one(number))
            }
        };
    }
}

/// A state that the kernel allows, with the rights that the steps take permitted.
fn state(u: &mut Unstructured<'_>) -> Result<State> {
    let needed =
        [Capability::CAP_SETPCAP, Capability::CAP_SETUID, Capability::CAP_SETGID];
    let permitted =
        needed.into_iter().fold(CapSet(u.arbitrary()?), |set, c| set.or(c.into()));
    let inheritable = CapSet(u.arbitrary()?);
    let caps = Caps {
        bounding: CapSet(u.arbitrary()?),
        permitted,
        effective: CapSet(u.arbitrary()?).and(permitted),
        inheritable,
        ambient: CapSet(u.arbitrary()?).and(permitted).and(inheritable),
    };
    let securebits = securebits(u)?;
    Ok(State { caps, securebits, no_new_privs: u.arbitrary()? })
}

/// Any but keep_caps, which no process has after an exec.
fn securebits(u: &mut Unstructured<'_>) -> Result<Securebits> {
    let bits = Securebits(u32::from(u.arbitrary::<u16>()?) & 0xfff);
    Ok(if u.ratio(1, 2)? {
        Securebits::default()
    } else {
        bits.without(Securebits::KEEP_CAPS)
    })
}

fn cli(u: &mut Unstructured<'_>) -> Result<Cli> {
    let drop = CapSet(u.arbitrary()?);
    let keep = CapSet(u.arbitrary()?).without(drop);
    let ids = [None, Some("0".into()), Some("5".into())];
    let profile = u.choose(&[None, Some(Profile::Docker), Some(Profile::None)])?.clone();
    let list = |u: &mut Unstructured<'_>| -> Result<Vec<CapSet>> {
        let some = CapSet(u.arbitrary::<u64>()? & u.arbitrary::<u64>()?);
        Ok(match u.int_in_range(0..=4)? {
            0 => vec![some],
            1 => vec![CapSet::ALL],
            2 => vec![CapSet::NONE],
            _ => vec![],
        })
    };
    let securebits = Change { set: securebits(u)?, clear: Securebits(!0x10) };
    Ok(Cli {
        drop: vec![drop],
        keep: if profile.is_none() && u.arbitrary()? { vec![keep] } else { vec![] },
        profile,
        bounding: list(u)?,
        inh: list(u)?,
        ambient: list(u)?,
        uid: u.choose(&ids)?.clone(),
        gid: u.choose(&ids)?.clone(),
        securebits: u.arbitrary::<bool>()?.then_some(securebits),
        no_new_privs: u.arbitrary()?,
        ..Cli::default()
    })
}

/// What is to be left at most.
fn kept(cli: &Cli) -> CapSet {
    let left = match (cli.keep.first(), &cli.profile) {
        (Some(keep), _) => *keep,
        (None, Some(Profile::Docker)) => CapSet::DOCKER,
        (None, Some(_)) => CapSet::NONE,
        (None, None) => CapSet::ALL,
    };
    left.without(cli.drop[0])
}

#[test]
fn every_plan_is_allowed_and_ends_in_what_the_algebra_of_sets_says() {
    let (mut made, mut refused) = (0, 0);
    arbtest::arbtest(|u| {
        let (cli, now, uid) = (cli(u)?, state(u)?, *u.choose(&[0, 1000])?);
        let ids = Ids { uids: [uid; 3], ..Ids::default() };
        let host = Host { state: now, ids, ..Host::default() };
        let Ok(plan) = Plan::new(&cli, &host) else {
            refused += 1;
            return Ok(());
        };
        made += 1;

        let mut process = Process { state: now, uids: [uid; 3] };
        plan.steps.iter().for_each(|step| process.call(step));

        let left = kept(&cli);
        let end = process.state.caps;
        assert_eq!(process.state, plan.end);
        for (set, caps) in end.named() {
            assert!(left.has(caps), "{set} has more than is kept");
        }
        let explicit = |lists: &[CapSet]| lists.first().copied();
        let named = |lists| explicit(lists).filter(|list| *list != CapSet::ALL);
        assert_eq!(named(&cli.bounding).unwrap_or(end.bounding), end.bounding);
        assert_eq!(named(&cli.inh).unwrap_or(end.inheritable), end.inheritable);
        assert_eq!(named(&cli.ambient).unwrap_or(end.ambient), end.ambient);
        if cli.inh.is_empty() && cli.ambient.is_empty() {
            assert!(end.bounding.has(end.inheritable), "an exec would bring it back");
        }
        if cli.bounding.is_empty() {
            assert_eq!(end.bounding, now.caps.bounding.and(left));
        }
        let active = if cli.uid == Some("5".into()) { end.ambient } else { left };
        let permitted = now.caps.permitted.and(active);
        assert_eq!(end.permitted, permitted);
        assert!(permitted.has(end.effective));
        let wanted = cli.securebits.map_or(now.securebits, |change| change.set);
        assert_eq!(process.state.securebits, wanted);
        assert_eq!(
            process.uids[0],
            cli.uid.map_or(uid, |u| u.to_str().unwrap().parse().unwrap())
        );
        Ok(())
    });
    assert!(made > 20 && refused > 20, "{made} {refused}");
}
