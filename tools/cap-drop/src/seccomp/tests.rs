use std::borrow::Cow;

use arbtest::arbitrary::{self, Unstructured};

use super::condition::{Condition, Op};
use super::names::Names;
use super::profile::{Family, Group, When};
use super::reference::Reference;
use super::*;
use crate::seccomp::bpf::{Answer, Data, MAX, run};

const FACTS: Facts =
    Facts { arch: Arch::X86_64, kernel: (6, 1), bounding: CapSet::DOCKER };

fn answer(program: &Program, data: &Data) -> Answer {
    run(&program.code, data).expect("a program that ends")
}

/// Numbers that tell calls apart: each in use and its neighbours, and the ends.
fn numbers(arch: Arch) -> Vec<u32> {
    let names = Names::read();
    let used = names.all().filter_map(|name| names.find(name)?.on(arch));
    let mut all: Vec<u32> =
        used.flat_map(|n| [n.saturating_sub(1), n, n.saturating_add(1)]).collect();
    all.extend([0, 0x3fff_ffff, 0x4000_0000, 0x4000_0400, 0x7fff_ffff, u32::MAX]);
    all.sort_unstable();
    all.dedup();
    all
}

/// Arguments around each value that a profile compares with, on both words.
fn classes(profile: &Profile<'_>) -> Vec<u64> {
    let mut all = vec![0, 1, u64::MAX, 1 << 32, 0xffff_ffff];
    for condition in profile.groups.iter().flat_map(|group| &group.conditions) {
        let mask = if let Op::Masked(mask) = condition.op { mask } else { 0 };
        for value in [condition.value, mask, condition.value & mask] {
            all.extend([value, value.wrapping_add(1), value.wrapping_sub(1)]);
            all.extend([value ^ 1 << 32, value.wrapping_add(1 << 32), !value]);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Every number, and for one that has conditions every class of argument.
fn agrees(profile: &Profile<'_>, facts: &Facts) {
    let program = assemble(profile, facts).unwrap();
    assert!(program.code.len() <= MAX);
    let classes = classes(profile);
    let sections = rules::resolve(profile, facts);
    let reference = Reference::new(profile, facts);
    let check = |data: &Data| {
        let expected = reference.judge(data);
        let Answer { value, .. } = answer(&program, data);
        assert!(
            value == expected.value(),
            "{value:#x} and not {expected:?} for {data:x?} of {profile:#?}"
        );
    };
    for arch in Arch::ALL {
        for number in numbers(arch) {
            let spans = sections.iter().find(|s| s.audit == arch.audit());
            let verdict = spans.and_then(|section| {
                section.spans.iter().rev().find(|(start, _)| *start <= number)
            });
            let asked: Vec<u8> = verdict
                .iter()
                .flat_map(|(_, verdict)| &verdict.rules)
                .flat_map(|rule| rule.conditions.iter().map(|c| c.index))
                .collect();
            let mut data = Data { number, audit: arch.audit(), args: [0; 6] };
            check(&data);
            for &value in classes.iter().filter(|_| !asked.is_empty()) {
                for &index in &asked {
                    data.args[usize::from(index)] = value;
                    check(&data);
                }
            }
        }
    }
}

#[test]
fn docker_means_what_its_profile_says_on_every_machine() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for bounding in [CapSet::NONE, CapSet::DOCKER, CapSet(0x1ff_ffff_ffff)] {
            let facts = Facts { arch, bounding, ..FACTS };
            agrees(&docker::profile(), &facts);
        }
    }
}

fn random<'d>(u: &mut Unstructured<'d>) -> arbitrary::Result<Profile<'d>> {
    let actions = [
        Action::Allow,
        Action::Log,
        Action::Errno(1),
        Action::Errno(38),
        Action::Errno(4095),
        Action::Trap,
        Action::KillThread,
        Action::KillProcess,
    ];
    let names: Vec<_> = Names::read().all().collect();
    let mut groups = Vec::new();
    for _ in 0..u.int_in_range(0..=12)? {
        // Few names, so that rules meet; a span of them, so that there are many.
        let first = u.choose_index(names.len())?;
        let count = *u.choose(&[1, 1, 1, 2, 60])?;
        let mut called: Vec<_> = names.iter().skip(first).take(count).copied().collect();
        called.extend(["socket", "semget", "personality"]);
        called.truncate(u.int_in_range(0..=called.len())?);
        let mut conditions = Vec::new();
        for _ in 0..*u.choose(&[0, 0, 1, 1, 2, 3, 6])? {
            conditions.push(condition(u)?);
        }
        groups.push(Group {
            names: called.into_iter().map(Cow::Borrowed).collect(),
            action: *u.choose(&actions)?,
            conditions,
            only: When::default(),
            unless: When::default(),
        });
    }
    let mut arches = Arch::ALL.to_vec();
    arches.truncate(u.int_in_range(0..=5)?);
    Ok(Profile {
        default: *u.choose(&actions)?,
        arches: vec![Family { machine: None, arches }],
        groups,
        flags: Vec::new(),
    })
}

fn condition(u: &mut Unstructured<'_>) -> arbitrary::Result<Condition> {
    let values = [0, 1, 2, 0xffff_ffff, 1 << 32, 1 << 32 | 1, u64::MAX - 1, u64::MAX];
    let any = u.arbitrary()?;
    let value = if u.ratio(1, 4)? { any } else { *u.choose(&values)? };
    let mask = if u.ratio(1, 2)? { value } else { *u.choose(&values)? };
    let ops = [Op::Ne, Op::Lt, Op::Le, Op::Eq, Op::Ge, Op::Gt, Op::Masked(mask)];
    Ok(Condition::new(u.int_in_range(0..=5)?, *u.choose(&ops)?, value))
}

#[test]
fn random_profiles_mean_what_they_say() {
    arbtest::arbtest(|u| {
        let profile = random(u)?;
        let arch = *u.choose(&[Arch::X86_64, Arch::Aarch64])?;
        agrees(&profile, &Facts { arch, ..FACTS });
        Ok(())
    })
    .size_max(4096)
    .budget_ms(1500);
}

#[test]
fn a_call_is_found_in_few_steps() {
    let program = compile_docker(&FACTS).unwrap();
    let profile = docker::profile();
    let mut worst = (0, Data::default());
    for arch in [Arch::X86_64, Arch::X32, Arch::X86] {
        for number in numbers(arch) {
            for arg in classes(&profile) {
                let data = Data { number, audit: arch.audit(), args: [arg; 6] };
                let steps = answer(&program, &data).steps;
                if steps > worst.0 {
                    worst = (steps, data);
                }
            }
        }
    }
    let (steps, data) = worst;
    assert!(steps <= 40, "{steps} of {} for {data:?}", program.code.len());
}

#[test]
fn a_profile_that_is_too_long_is_refused() {
    // Each call its own errno, and conditions on all six arguments.
    let names: Vec<_> = Names::read().all().collect();
    let groups = names.iter().zip(1..).map(|(&name, errno)| Group {
        names: vec![Cow::Borrowed(name)],
        action: Action::Errno(errno),
        conditions: (0..6).map(|index| Condition::new(index, Op::Lt, 7)).collect(),
        only: When::default(),
        unless: When::default(),
    });
    let profile = Profile {
        default: Action::Allow,
        arches: Vec::new(),
        groups: groups.collect(),
        flags: Vec::new(),
    };

    let reason = assemble(&profile, &FACTS).unwrap_err();

    let (count, rest) =
        reason.strip_prefix("it makes ").unwrap().split_once(' ').unwrap();
    assert!(count.parse::<usize>().unwrap() > MAX);
    assert_eq!(rest, "instructions, and the kernel takes 4096");
}
