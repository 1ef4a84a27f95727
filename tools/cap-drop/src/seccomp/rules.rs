//! From a profile to what becomes of each system call number, as runc and libseccomp
//! have it.
//!
//! A rule with the default action says nothing. Of rules on the same call, one whose
//! conditions are all among another's comes before it, whatever their order (so one
//! without conditions comes before all); else the first that matches counts.

use super::action::{ENOSYS, EPERM};
use super::arch::X32_BIT;
use super::condition::{Condition, Op};
use super::names::{self, Names, Numbers};
use super::profile::Group;
use super::{Action, Arch, Facts, Profile};

/// What becomes of a call that is none of the profile's calling conventions. libseccomp
/// ends the thread only, which leaves a program without one of its threads.
pub const FOREIGN: Action = Action::KillProcess;

/// All numbers of those calling conventions that the kernel calls the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `AUDIT_ARCH_*`.
    pub audit: u32,
    /// Each verdict counts from its number to that of the next; the first is 0.
    pub spans: Vec<(u32, Verdict)>,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The first of which all conditions hold counts.
    pub rules: Vec<Rule>,
    /// If there is none.
    pub otherwise: Action,
}

/// A rule on one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Then.
    pub action: Action,
}

impl From<Action> for Verdict {
    fn from(otherwise: Action) -> Self {
        Self { rules: Vec::new(), otherwise }
    }
}

/// The sections of a profile, the machine's own first.
pub fn resolve(profile: &Profile<'_>, facts: &Facts) -> Vec<Section> {
    let named = Named::all(profile, facts);
    let mut all: Vec<Section> = Vec::new();
    for arch in profile.arches_on(facts.arch) {
        let spans = Call::all(&named, profile.default, arch).spans(profile.default);
        match all.iter_mut().find(|section| section.audit == arch.audit()) {
            // x32 is sorted behind what it is a part of.
            Some(section) => section.add_x32(&spans),
            None => all.push(Section { audit: arch.audit(), spans }),
        }
    }
    for section in &mut all {
        section.end_x86_64(profile.default);
        section.spans.dedup_by(|next, before| next.1 == before.1);
    }
    all
}

impl Section {
    fn add_x32(&mut self, spans: &[(u32, Verdict)]) {
        self.spans.retain(|(start, _)| *start < X32_BIT);
        // What is below the bit has its verdicts from x86-64.
        let at = spans.partition_point(|(start, _)| *start <= X32_BIT);
        let (below, above) = spans.split_at(at);
        let first = below.last().map(|(_, verdict)| (X32_BIT, verdict.clone()));
        self.spans.extend(first);
        self.spans.extend_from_slice(above);
    }

    /// Without x32, a number with its bit is of a calling convention that is not the
    /// profile's. -1 is no call: a tracer has put it there to skip one.
    fn end_x86_64(&mut self, default: Action) {
        let has_x32 = self.spans.iter().any(|(start, _)| *start == X32_BIT);
        if self.audit == Arch::X86_64.audit() && !has_x32 {
            self.spans.push((X32_BIT, FOREIGN.into()));
            self.spans.push((u32::MAX, default.into()));
        }
    }
}

/// The rules on the calls of one calling convention.
struct Call<'p> {
    /// Sorted by number; the order of the profile within a number.
    entries: Vec<Entry<'p>>,
    /// Numbers from here on are of calls that the profile does not know.
    unknown: Option<u32>,
    arch: Arch,
}

struct Entry<'p> {
    number: u32,
    /// A condition that stands before those of the group.
    first: Option<Condition>,
    conditions: &'p [Condition],
    action: Action,
}

/// A name of a group, looked up once for all calling conventions.
struct Named<'p> {
    numbers: Option<Numbers>,
    /// Where 32-bit x86 also has it, and by which first argument.
    behind: Option<(Numbers, u64)>,
    group: &'p Group<'p>,
}

impl<'p> Named<'p> {
    fn all(profile: &'p Profile<'_>, facts: &Facts) -> Vec<Self> {
        let names = Names::read();
        let mut all = Vec::with_capacity(512);
        for group in profile.groups.iter().filter(|group| group.applies(facts)) {
            all.extend(group.names.iter().map(|name| {
                Self {
                    numbers: names.find(name),
                    behind: names::multiplexed(name)
                        .and_then(|(by, call)| Some((names.find(by)?, call))),
                    group,
                }
            }));
        }
        all
    }
}

impl<'p> Call<'p> {
    fn all(named: &[Named<'p>], default: Action, arch: Arch) -> Self {
        let mut entries = Vec::with_capacity(512);
        let mut last = None;
        for Named { numbers, behind, group } in named {
            let direct = numbers.and_then(|numbers| numbers.on(arch));
            let behind = behind.filter(|_| arch == Arch::X86);
            let behind = behind.and_then(|(by, call)| Some((by.on(arch)?, call)));
            last = last.max(direct).max(behind.map(|(number, _)| number));
            if group.action == default {
                continue;
            }
            if let Some(number) = direct {
                entries.extend(Entry::direct(number, group));
            }
            if let Some((number, call)) = behind {
                entries.extend(Entry::behind(number, call, group));
            }
        }
        entries.sort_by_key(|entry| entry.number);
        let unknown = last.and_then(|number| number.checked_add(1));
        let unknown = unknown.filter(|_| hides_unknown(default));
        Self { entries, unknown, arch }
    }

    fn spans(&self, default: Action) -> Vec<(u32, Verdict)> {
        let mut spans: Vec<(u32, Verdict)> = vec![(0, default.into())];
        let mut put = |start: u32, verdict: Verdict| match spans.last_mut() {
            Some(last) if last.0 == start => last.1 = verdict,
            Some(last) if last.1 == verdict => {}
            _ => spans.push((start, verdict)),
        };
        for entries in self.entries.chunk_by(|a, b| a.number == b.number) {
            let Some(number) = entries.first().map(|entry| entry.number) else {
                continue;
            };
            put(number, self.verdict(entries, default));
            put(number.saturating_add(1), default.into());
        }
        if let Some(unknown) = self.unknown {
            put(unknown, Action::Errno(ENOSYS).into());
        }
        spans
    }

    fn verdict(&self, entries: &[Entry<'_>], default: Action) -> Verdict {
        if let [only] = entries
            && only.is_unconditional()
        {
            return only.action.into();
        }
        let mut rules: Vec<Rule> = Vec::new();
        for entry in entries {
            let rule = entry.rule(self.arch);
            if rules.iter().any(|before| before.covers(&rule)) {
                continue;
            }
            rules.retain(|before| !rule.covers(before));
            rules.push(rule);
        }
        let always = rules.iter().position(|rule| rule.conditions.is_empty());
        let otherwise = always.map(|at| rules.remove(at).action);
        Verdict { rules, otherwise: otherwise.unwrap_or(default) }
    }
}

impl Rule {
    /// Whether it holds whenever the other does, seen by the conditions' text alone.
    fn covers(&self, other: &Self) -> bool {
        self.conditions.iter().all(|condition| other.conditions.contains(condition))
    }
}

impl<'p> Entry<'p> {
    /// An argument that is there twice makes each condition a rule, as in runc.
    fn direct(number: u32, group: &'p Group<'_>) -> impl Iterator<Item = Self> + use<'p> {
        let conditions = &*group.conditions;
        let is_twice = (0..6).any(|index| {
            conditions.iter().filter(|condition| condition.index == index).count() > 1
        });
        let size = if is_twice { 1 } else { conditions.len().max(1) };
        let none = conditions.is_empty().then_some(conditions);
        let (action, first) = (group.action, None);
        conditions.chunks(size).chain(none).map(move |conditions| Self {
            number,
            first,
            conditions,
            action,
        })
    }

    /// The same behind a multiplexer, where the arguments are out of a filter's reach. A
    /// rule on them lets nothing pass there, and forbids all.
    fn behind(number: u32, call: u64, group: &Group<'_>) -> Option<Self> {
        let is_blind = !group.conditions.is_empty();
        let first = Condition::new(0, Op::Eq, call);
        let entry =
            Self { number, first: Some(first), conditions: &[], action: group.action };
        (!is_blind || !group.action.lets_pass()).then_some(entry)
    }

    fn is_unconditional(&self) -> bool {
        self.first.is_none() && self.conditions.is_empty()
    }

    fn rule(&self, arch: Arch) -> Rule {
        let all = self.first.iter().chain(self.conditions).copied();
        let conditions = all
            .map(|c| if arch.is_narrow() { c.narrow() } else { c })
            // Nothing is asked where the mask is empty.
            .filter(|c| c.op != Op::Masked(0))
            .collect();
        Rule { conditions, action: self.action }
    }
}

/// runc's rule: where a profile forbids by default, calls newer than all of its own do not
/// exist (`ENOSYS`), so that programs try the older ones.
fn hides_unknown(default: Action) -> bool {
    !default.lets_pass() && default != Action::Errno(ENOSYS)
}

/// What a rule or a profile without a number fails with.
pub const DEFAULT_ERRNO: u16 = EPERM;
