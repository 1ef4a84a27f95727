//! A profile as it was written: who may call what, before anything is known of the machine.

use std::borrow::Cow;

use super::condition::Condition;
use super::{Action, Arch, Facts};
use crate::sets::CapSet;

/// Rules on system calls in docker's sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile<'d> {
    /// What becomes of a call that no rule is about.
    pub default: Action,
    /// Which calling conventions there are besides the machine's own.
    pub arches: Vec<Family>,
    /// The rules, in their order.
    pub groups: Vec<Group<'d>>,
    /// How it is to be installed.
    pub flags: Vec<Flag>,
}

/// Calling conventions that are used on a machine of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Of which machine; of any where it is none.
    pub machine: Option<Arch>,
    /// Which.
    pub arches: Vec<Arch>,
}

/// `SECCOMP_FILTER_FLAG_*` of seccomp(2) that a profile can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Every thread: there is one only.
    Tsync,
    /// All that is not allowed is logged.
    Log,
    /// No mitigation of speculative store bypass.
    SpecAllow,
    /// About notifications, of which there are none.
    WaitKillableRecv,
}

/// One entry of the list: several calls with the same rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'d> {
    /// The calls by name; those that we do not know are passed over.
    pub names: Vec<Cow<'d, str>>,
    /// What becomes of them.
    pub action: Action,
    /// If all of these hold, or each by itself where an argument is there twice.
    pub conditions: Vec<Condition>,
    /// It counts only then.
    pub only: When,
    /// It does not count then.
    pub unless: When,
}

/// `includes` or `excludes`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// Capabilities of the bounding set.
    pub caps: CapSet,
    /// Kinds of machine, by Go's names.
    pub arches: Vec<String>,
    /// A kernel from this version on.
    pub kernel: Option<(u32, u32)>,
}

impl Group<'_> {
    /// Whether it counts.
    pub fn applies(&self, facts: &Facts) -> bool {
        self.only.holds(facts) && !self.unless.excludes(facts)
    }
}

impl When {
    /// All that is said is so.
    fn holds(&self, facts: &Facts) -> bool {
        let is_arch = self.arches.is_empty() || self.names(facts.arch);
        self.caps.without(facts.bounding).is_empty()
            && is_arch
            && self.kernel.is_none_or(|least| facts.kernel >= least)
    }

    /// Any of what is said is so.
    fn excludes(&self, facts: &Facts) -> bool {
        !self.caps.and(facts.bounding).is_empty()
            || self.names(facts.arch)
            || self.kernel.is_some_and(|least| facts.kernel >= least)
    }

    fn names(&self, arch: Arch) -> bool {
        self.arches.iter().any(|name| name == arch.go_name())
    }
}

impl Profile<'_> {
    /// The calling conventions that are looked at; any other is not to be used.
    pub fn arches_on(&self, machine: Arch) -> Vec<Arch> {
        let family = self
            .arches
            .iter()
            .find(|family| family.machine.is_none_or(|of| of == machine));
        let mut all = vec![machine];
        all.extend(family.iter().flat_map(|family| &family.arches));
        all.retain(|arch| arch.runs_on(machine));
        all.sort_unstable();
        all.dedup();
        all
    }
}
