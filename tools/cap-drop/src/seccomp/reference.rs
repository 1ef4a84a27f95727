//! What a profile means, read from it word by word, without any of the compiler's tables:
//! slow, and plain enough to be compared with the documentation.

use super::bpf::Data;
use super::condition::{Condition, Op, Width};
use super::names::{self, Names};
use super::{Action, Arch, Facts, Profile};

/// The rules of a profile as a list.
pub(super) struct Reference {
    default: Action,
    conventions: Vec<Convention>,
}

/// Those of one calling convention.
struct Convention {
    arch: Arch,
    highest: Option<u32>,
    rules: Vec<(u32, Vec<Condition>, Action)>,
}

impl Reference {
    pub(super) fn new(profile: &Profile<'_>, facts: &Facts) -> Self {
        let names = Names::read();
        let arches = profile.arches_on(facts.arch).into_iter();
        let conventions =
            arches.map(|arch| Convention::new(profile, facts, &names, arch));
        Self { default: profile.default, conventions: conventions.collect() }
    }

    /// The action for a call.
    pub(super) fn judge(&self, data: &Data) -> Action {
        let with_bit = data.number >= 0x4000_0000;
        let is_meant = |arch: Arch| {
            let is_x86_64 = arch.audit() == Arch::X86_64.audit();
            arch.audit() == data.audit && (!is_x86_64 || (arch == Arch::X32) == with_bit)
        };
        if let Some(found) = self.conventions.iter().find(|c| is_meant(c.arch)) {
            return found.judge(self.default, data);
        }
        // No call: what a tracer leaves of one that it has taken away.
        let is_own = self.conventions.iter().any(|c| c.arch.audit() == data.audit);
        let is_skipped = is_own && data.number == u32::MAX;
        if is_skipped { self.default } else { Action::KillProcess }
    }
}

impl Convention {
    fn new(profile: &Profile<'_>, facts: &Facts, names: &Names, arch: Arch) -> Self {
        let number = |name: &str| names.find(name)?.on(arch);
        let (mut highest, mut rules) = (None, Vec::new());
        for group in profile.groups.iter().filter(|group| group.applies(facts)) {
            for name in &group.names {
                let direct = number(name);
                let behind = names::multiplexed(name).filter(|_| arch == Arch::X86);
                let behind = behind.map(|(mux, call)| (number(mux).unwrap(), call));
                highest = highest.max(direct).max(behind.map(|b| b.0));
                let split = split(&group.conditions);
                rules.extend(split.filter_map(|c| Some((direct?, c, group.action))));
                let is_safe = group.conditions.is_empty() || !group.action.lets_pass();
                rules.extend(behind.filter(|_| is_safe).map(|(mux, call)| {
                    (mux, vec![Condition::new(0, Op::Eq, call)], group.action)
                }));
            }
        }
        rules.retain(|(_, _, action)| *action != profile.default);
        for (_, conditions, _) in &mut rules {
            for condition in conditions.iter_mut().filter(|_| arch.is_narrow()) {
                *condition = condition.narrow();
            }
            conditions.retain(|condition| condition.op != Op::Masked(0));
        }
        Self { arch, highest, rules }
    }

    fn judge(&self, default: Action, data: &Data) -> Action {
        let hides = !default.lets_pass() && default != Action::Errno(38);
        if hides && self.highest.is_some_and(|highest| data.number > highest) {
            return Action::Errno(38);
        }
        let rules: Vec<_> =
            self.rules.iter().filter(|(number, ..)| *number == data.number).collect();
        let is_among = |few: &[Condition], many: &[Condition]| {
            few.iter().all(|condition| many.contains(condition))
        };
        // One that no other comes before.
        let mut left = rules.iter().enumerate().filter(|(at, (_, many, _))| {
            !rules.iter().enumerate().any(|(other, (_, few, _))| {
                is_among(few, many) && (!is_among(many, few) || other < *at)
            })
        });
        let chosen = left.find(|(_, (_, all, _))| all.iter().all(|c| holds(c, data)));
        chosen.map_or(default, |(_, (_, _, action))| *action)
    }
}

/// An argument that is there twice makes each condition a rule.
fn split(conditions: &[Condition]) -> std::vec::IntoIter<Vec<Condition>> {
    let is_twice = conditions.iter().enumerate().any(|(at, condition)| {
        conditions[..at].iter().any(|before| before.index == condition.index)
    });
    let all: Vec<_> = if is_twice {
        conditions.iter().map(|condition| vec![*condition]).collect()
    } else {
        vec![conditions.to_vec()]
    };
    all.into_iter()
}

fn holds(condition: &Condition, data: &Data) -> bool {
    let arg = data.args[usize::from(condition.index)];
    let arg = match condition.width {
        Width::Whole => arg,
        Width::Low => arg & 0xffff_ffff,
    };
    match condition.op {
        Op::Ne => arg != condition.value,
        Op::Lt => arg < condition.value,
        Op::Le => arg <= condition.value,
        Op::Eq => arg == condition.value,
        Op::Ge => arg >= condition.value,
        Op::Gt => arg > condition.value,
        Op::Masked(mask) => arg & mask == condition.value & mask,
    }
}
