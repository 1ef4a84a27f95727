//! Becoming another user: the three uids, the three gids, the supplementary groups.

use std::fmt;

use nix::errno::Errno;
use nix::unistd::{getgroups, getresgid, getresuid};

use crate::explain::Explain;
use crate::fail::Hint;
use crate::idmap::IdMap;
use crate::{Context, Fail, proc, sys};

const CAP_SETGID: u32 = 6;

/// Whether setgroups(2) would do anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Setgroups {
    /// It would.
    #[default]
    Allowed,
    /// `CAP_SETGID` is not effective.
    NoRight,
    /// The user namespace denies it for good, user_namespaces(7).
    Denied,
}

/// Who this process is, and who the kernel could let it be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    /// Real, effective, saved.
    pub uids: [u32; 3],
    /// Real, effective, saved.
    pub gids: [u32; 3],
    /// Supplementary groups, in the kernel's order.
    pub groups: Vec<u32>,
    /// Whether the groups can be changed.
    pub setgroups: Setgroups,
    /// Which uids mean something here, where /proc can tell.
    pub uid_map: Option<IdMap>,
    /// Which gids do.
    pub gid_map: Option<IdMap>,
}

impl Ids {
    /// Reads them, and what the kernel would allow.
    pub fn read() -> Result<Self, Fail> {
        let [effective, _, _] = sys::capget().failed_to("read capabilities")?;
        let has_setgid = effective & 1 << CAP_SETGID != 0;
        let map = |file| proc::is_mounted().then(|| IdMap::own(file).ok()).flatten();
        Ok(Self {
            setgroups: match sys::may_setgroups() {
                true => Setgroups::Allowed,
                false if has_setgid => Setgroups::Denied,
                false => Setgroups::NoRight,
            },
            uid_map: map("uid_map"),
            gid_map: map("gid_map"),
            ..Self::now()?
        })
    }

    /// Reads the ids alone.
    pub fn now() -> Result<Self, Fail> {
        let u = getresuid().failed_to("read the user ids")?;
        let g = getresgid().failed_to("read the group ids")?;
        let groups = getgroups().failed_to("read the supplementary groups")?;
        Ok(Self {
            uids: [u.real, u.effective, u.saved].map(nix::unistd::Uid::as_raw),
            gids: [g.real, g.effective, g.saved].map(nix::unistd::Gid::as_raw),
            groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
            ..Self::default()
        })
    }

    /// Refuses a group that [`Groups::Mapped`] would leave out, where it was asked for.
    ///
    /// # Errors
    /// When it means nothing in this user namespace.
    pub fn require_group(&self, gid: u32) -> Result<(), Fail> {
        if is_mapped(self.gid_map.as_ref(), gid) {
            Ok(())
        } else {
            Err(unmapped("gid", gid))
        }
    }

    /// Whether the supplementary groups are these, in whatever order.
    fn has_exactly(&self, groups: &[u32]) -> bool {
        let all_in = |a: &[u32], b: &[u32]| a.iter().all(|gid| b.contains(gid));
        all_in(groups, &self.groups) && all_in(&self.groups, groups)
    }

    /// Whether setgroups(2) could not make it any better.
    ///
    /// One's own gid belongs in the list (CVE-2022-36109), but that is no reason to fail
    /// where it cannot be put there. Where setgroups(2) is denied for good, unmapped
    /// groups of the caller stay, since nothing can take them away.
    fn has_as_good_as(&self, gid: u32, groups: &[u32]) -> bool {
        let other = |all: &[u32], keep: &dyn Fn(&u32) -> bool| -> Vec<u32> {
            let mut all: Vec<u32> =
                all.iter().copied().filter(|g| *g != gid && keep(g)).collect();
            all.sort_unstable();
            all
        };
        let wanted = other(groups, &|_| true);
        match (self.setgroups, &self.gid_map) {
            (Setgroups::Allowed, _) => self.has_exactly(groups),
            (Setgroups::NoRight, _) => other(&self.groups, &|_| true) == wanted,
            (Setgroups::Denied, None) => true,
            (Setgroups::Denied, Some(map)) => {
                other(&self.groups, &|g| map.has_inside(*g)) == wanted
            }
        }
    }
}

/// What the supplementary groups are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Groups {
    /// What they are.
    #[default]
    Kept,
    /// These and no others, or not at all.
    Exactly(Vec<u32>),
    /// Those of these that mean something here: what /etc/group says, without which
    /// the kernel gives less, not more.
    Mapped(Vec<u32>),
}

/// Who to become; what is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// All three uids.
    pub uid: Option<u32>,
    /// All three gids.
    pub gid: Option<u32>,
    /// The supplementary groups.
    pub groups: Groups,
}

/// One system call on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// setgroups(2): first, while the right to is there.
    Groups(Vec<u32>),
    /// setresgid(2): before the uid, with which the right to would go.
    Gid(u32),
    /// setresuid(2): last.
    Uid(u32),
}

/// The steps from here to the target, in the order that works; none that are not needed.
///
/// # Errors
/// When an id means nothing in this user namespace.
pub fn steps(target: &Target, here: &Ids) -> Result<Vec<Step>, Fail> {
    let mut steps = Vec::new();
    let gid = target.gid.unwrap_or(here.gids[1]);
    let mapped = |gid: &u32| is_mapped(here.gid_map.as_ref(), *gid);
    match &target.groups {
        Groups::Kept => {}
        Groups::Exactly(groups) if here.has_exactly(groups) => {}
        Groups::Exactly(groups) => {
            if let Some(lost) = groups.iter().find(|gid| !mapped(gid)) {
                return Err(unmapped("gid", *lost));
            }
            steps.push(Step::Groups(groups.clone()));
        }
        Groups::Mapped(groups) => {
            let groups: Vec<u32> = groups.iter().copied().filter(mapped).collect();
            if !here.has_as_good_as(gid, &groups) {
                steps.push(Step::Groups(groups));
            }
        }
    }
    if let Some(gid) = target.gid.filter(|gid| here.gids != [*gid; 3]) {
        if !mapped(&gid) {
            return Err(unmapped("gid", gid));
        }
        steps.push(Step::Gid(gid));
    }
    if let Some(uid) = target.uid.filter(|uid| here.uids != [*uid; 3]) {
        if !is_mapped(here.uid_map.as_ref(), uid) {
            return Err(unmapped("uid", uid));
        }
        steps.push(Step::Uid(uid));
    }
    Ok(steps)
}

fn is_mapped(map: Option<&IdMap>, id: u32) -> bool {
    map.is_none_or(|map| map.has_inside(id))
}

fn unmapped(kind: &str, id: u32) -> Fail {
    Fail::os(format_args!("cannot set {kind} {id}"), Errno::EINVAL)
        .hint(format_args!("{kind} {id} is not mapped here: ns-run --map-auto"))
}

impl Step {
    /// Does it, and reads back that it was done.
    pub fn apply(&self) -> Result<(), Fail> {
        let object = self.object();
        let right = match self {
            Self::Groups(_) | Self::Gid(_) => "CAP_SETGID",
            Self::Uid(_) => "CAP_SETUID",
        };
        match self {
            Self::Groups(gids) => sys::setgroups(gids),
            Self::Gid(gid) => sys::setresgid(*gid),
            Self::Uid(uid) => sys::setresuid(*uid),
        }
        .failed_to(format_args!("set {object}"))
        .hint_on(Errno::EINVAL, "an id is not mapped here: ns-run --map-auto")
        .hint_on(
            Errno::EPERM,
            format_args!(
                "it takes {right} and a user namespace that allows it: ns-run --map-auto"
            ),
        )?;
        let now = Ids::now()?;
        let done = match self {
            Self::Groups(gids) => now.has_exactly(gids),
            Self::Gid(gid) => now.gids == [*gid; 3],
            Self::Uid(uid) => now.uids == [*uid; 3],
        };
        if done {
            return Ok(());
        }
        Err(Fail::new(format_args!("cannot set {object}: the kernel did not do it")))
    }

    fn object(&self) -> String {
        match self {
            Self::Groups(gids) => format!("groups {}", List(gids)),
            Self::Gid(gid) => format!("gid {gid}"),
            Self::Uid(uid) => format!("uid {uid}"),
        }
    }
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Groups(gids) => format!("setgroups({})", List(gids)),
            Self::Gid(gid) => format!("setresgid({gid}, {gid}, {gid})"),
            Self::Uid(uid) => format!("setresuid({uid}, {uid}, {uid})"),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Groups(_) => "these supplementary groups and no others",
            Self::Gid(_) => "before the uid, with which the right to would go",
            Self::Uid(_) => "real, effective and saved: no way back",
        }
        .to_owned()
    }
}

struct List<'a>(&'a [u32]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(u32::to_string).collect();
        write!(f, "[{}]", all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Ids {
        Ids { groups: vec![0], ..Ids::default() }
    }

    fn target(uid: u32, gid: u32, groups: Groups) -> Target {
        Target { uid: Some(uid), gid: Some(gid), groups }
    }

    #[test]
    fn groups_come_first_and_the_uid_last() {
        let target = target(33, 33, Groups::Mapped(vec![33, 4]));

        let steps = steps(&target, &root()).unwrap();

        assert_eq!(steps, [Step::Groups(vec![33, 4]), Step::Gid(33), Step::Uid(33)]);
    }

    #[test]
    fn who_is_there_already_needs_no_system_call() {
        let target = target(0, 0, Groups::Mapped(vec![0]));

        assert_eq!(steps(&target, &root()), Ok(vec![]));
        let bare = Ids { groups: vec![], setgroups: Setgroups::NoRight, ..root() };
        assert_eq!(steps(&target, &bare), Ok(vec![]));
        assert_eq!(steps(&Target::default(), &root()), Ok(vec![]));
    }

    #[test]
    fn root_in_a_namespace_of_one_id_stays_as_it_is() {
        let map = Some(IdMap::from_kernel("0 1000 1\n"));
        let here = Ids {
            groups: vec![65534, 0],
            setgroups: Setgroups::Denied,
            uid_map: map.clone(),
            gid_map: map,
            ..Ids::default()
        };

        assert_eq!(
            steps(&target(0, 0, Groups::Mapped(vec![0, 1, 2])), &here),
            Ok(vec![])
        );
    }

    #[test]
    fn an_unmapped_id_is_told_with_what_would_map_it() {
        let map = Some(IdMap::from_kernel("0 1000 1\n"));
        let here = Ids { uid_map: map.clone(), gid_map: map, ..root() };
        let error = |t: Target| steps(&t, &here).unwrap_err().text;

        assert_eq!(
            error(Target { uid: Some(33), ..Target::default() }),
            "cannot set uid 33: Invalid argument; uid 33 is not mapped here: ns-run --map-auto"
        );
        assert_eq!(
            error(Target { groups: Groups::Exactly(vec![0, 5]), ..Target::default() }),
            "cannot set gid 5: Invalid argument; gid 5 is not mapped here: ns-run --map-auto"
        );
    }

    #[test]
    fn groups_that_were_asked_for_are_set_or_fail_also_where_it_is_denied() {
        let here = Ids { setgroups: Setgroups::Denied, ..root() };
        let exactly =
            |groups| Target { groups: Groups::Exactly(groups), ..Target::default() };

        assert_eq!(steps(&exactly(vec![]), &here), Ok(vec![Step::Groups(vec![])]));
        assert_eq!(steps(&exactly(vec![0]), &here), Ok(vec![]));
    }
}
