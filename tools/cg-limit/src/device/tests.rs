//! The program is run by an interpreter of ours and compared with a plain reading.
#![allow(clippy::arithmetic_side_effects, reason = "a test's errors are failed tests")]

use super::*;

/// What a program answers for one use of a device.
fn run(program: &[u64], kind: u32, access: u32, major: u32, minor: u32) -> u32 {
    let mut registers = [0_u32; 11];
    let mut at = 0;
    loop {
        let [code, which, offset @ .., _, _, _, _] = program[at].to_ne_bytes();
        let [.., w, x, y, z] = program[at].to_ne_bytes();
        let (to, from) = (usize::from(which & 15), usize::from(which >> 4));
        let (offset, value) =
            (u16::from_ne_bytes(offset), u32::from_ne_bytes([w, x, y, z]));
        at += 1;
        match code {
            0x61 => {
                registers[to] = match offset {
                    0 => access << 16 | kind,
                    4 => major,
                    8 => minor,
                    _ => panic!("reads outside of the context"),
                }
            }
            0x54 => registers[to] &= value,
            0x74 => registers[to] >>= value,
            0xbc => registers[to] = registers[from],
            0xb4 => registers[to] = value,
            0x55 if registers[to] != value => at += usize::from(offset),
            0x15 if registers[to] == value => at += usize::from(offset),
            0x55 | 0x15 => {}
            0x95 => return registers[0],
            _ => panic!("unknown instruction {code:#x}"),
        }
    }
}

fn filter(words: &[&str]) -> Filter {
    let values: Vec<_> = words
        .iter()
        .map(|word| match word.split_once('=') {
            Some(("allow", rule)) => allow(rule).unwrap(),
            Some(("deny", rule)) => deny(rule).unwrap(),
            _ => policy(word).unwrap(),
        })
        .collect();
    let null = |path: &std::path::Path| {
        (path == std::path::Path::new("/dev/null")).then_some(Which::Number(
            Kind::Char,
            Some(1),
            Some(3),
        ))
    };
    Filter::new(values.iter(), null).unwrap()
}

#[test]
fn what_every_container_may_use_and_no_more() {
    let program = filter(&["std"]).program();

    assert_eq!(run(&program, 2, 2 | 4, 1, 3), 1);
    assert_eq!(run(&program, 2, 2 | 4, 136, 7), 1);
    assert_eq!(run(&program, 1, 1, 8, 0), 1, "a node may be made of anything");
    assert_eq!(run(&program, 1, 2, 8, 0), 0);
    assert_eq!(run(&program, 2, 2, 1, 1), 0, "/dev/mem");
}

#[test]
fn one_rule_is_enough_to_close_the_rest() {
    let program = filter(&["allow=c 10:229 rw"]).program();

    assert_eq!(run(&program, 2, 2 | 4, 10, 229), 1);
    assert_eq!(run(&program, 2, 2 | 4, 1, 3), 1, "the usual ones stay");
    assert_eq!(run(&program, 2, 2, 10, 200), 0);
    let strict = filter(&["none", "allow=/dev/null:r", "allow=/dev/null w"]).program();
    assert_eq!(run(&strict, 2, 2 | 4, 1, 3), 1, "to read and write is one use");
    assert_eq!(run(&strict, 2, 1, 1, 3), 0);
    assert_eq!(run(&strict, 2, 2, 1, 5), 0);
}

#[test]
fn the_last_rule_that_is_met_decides() {
    let program =
        filter(&["all", "deny=c 1:* rwm", "allow=c 1:5 r", "deny=b *:* w"]).program();

    assert_eq!(run(&program, 2, 2, 1, 3), 0);
    assert_eq!(run(&program, 2, 2, 1, 5), 1);
    assert_eq!(run(&program, 2, 2 | 4, 1, 5), 0);
    assert_eq!(run(&program, 1, 2, 8, 0), 1);
    assert_eq!(run(&program, 1, 2 | 4, 8, 0), 0);
    assert_eq!(run(&program, 2, 2, 5, 0), 1);
}

#[test]
fn v1_gets_the_same_rules_in_its_own_words() {
    let files = filter(&["none", "allow=/dev/null", "deny=c 1:3 w", "allow=a"]).files();
    let texts: Vec<_> = files.iter().map(|f| format!("{}={}", f.name, f.value)).collect();

    assert_eq!(
        texts,
        [
            "devices.deny=a",
            "devices.allow=c 1:3 rwm",
            "devices.deny=c 1:3 w",
            "devices.allow=a *:* rwm"
        ]
    );
}

#[test]
fn what_is_no_rule_is_refused() {
    for text in [
        "",
        "c 1:3",
        "c 1 r",
        "x 1:3 r",
        "c 1:3 x",
        "c 1:3 ",
        "/dev/null:",
        "null r",
        "c -1:3 r",
    ] {
        assert!(allow(text).is_err(), "{text}");
    }
    assert!(policy("some").is_err());
    let gone = allow("/nowhere:r").unwrap();
    let fail = Filter::new(std::iter::once(&gone), |_| None).unwrap_err();
    assert_eq!(fail.text, "cannot use device '/nowhere': it is no device node");
}

/// The rules read one by one, without a program.
fn plain(filter: &Filter, kind: Kind, access: u8, major: u32, minor: u32) -> bool {
    let is_met = |rule: &&Rule| {
        let Which::Number(k, a, b) = rule.which else { return false };
        let is_it = (k == Kind::Any || k == kind)
            && a.is_none_or(|a| a == major)
            && b.is_none_or(|b| b == minor);
        let others = access & !rule.access;
        let covers =
            if rule.is_allowed { others == 0 } else { access & rule.access != 0 };
        is_it && covers
    };
    filter
        .rules
        .iter()
        .rev()
        .find(is_met)
        .map_or(filter.is_allowed, |rule| rule.is_allowed)
}

#[test]
fn the_program_decides_as_the_rules_read() {
    arbtest::arbtest(|u| {
        let mut rules = Vec::new();
        for _ in 0..u.int_in_range(0..=5)? {
            let kind = *u.choose(&[Kind::Any, Kind::Block, Kind::Char])?;
            let mut number = || u.choose(&[None, Some(1), Some(2)]).copied();
            let which = Which::Number(kind, number()?, number()?);
            let access = u.int_in_range(1..=7)?;
            rules.push(Rule { is_allowed: u.arbitrary()?, which, access });
        }
        let filter = Filter { is_allowed: u.arbitrary()?, rules };
        let (kind, number) = *u.choose(&[(Kind::Block, 1), (Kind::Char, 2)])?;
        let (access, major, minor) =
            (u.int_in_range(1..=7)?, u.int_in_range(1..=3)?, u.int_in_range(1..=3)?);

        let answer = run(&filter.program(), number, u32::from(access), major, minor);

        assert_eq!(answer == 1, plain(&filter, kind, access, major, minor), "{filter:?}");
        Ok(())
    });
}
