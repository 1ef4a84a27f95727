//! Arguments of capsh, and options of setpriv, put together at random.

use arbtest::arbitrary::{Result, Unstructured};
use kit::need;
use kit::replay::{Known, Replay};

use crate::old_names::{CAPSH, Names, SETPRIV, nobody};

/// What is another than with capsh beside that, and meant.
const MORE: [Known; 1] = [Known {
    topic: "stdout",
    words: &["--", "-+", "==", "=+"],
    why: "what was printed before is lost by the peer in a pipe, or comes after",
}];

/// What is another than with setpriv beside that, and meant.
const MORE_SETPRIV: [Known; 2] = [
    Known {
        topic: "stdout",
        words: &["--bounding-set"],
        why: "there is no program then",
    },
    Known { topic: "stderr", words: &["--bounding-set"], why: "it is said first" },
];

/// What the peer takes for something else, and goes on with more than was asked for.
const REFUSED: [(&str, &str); 18] = [
    (
        "capsh --uid=4294967296",
        "invalid --uid value: want non-negative integer, got \"4294967296\"",
    ),
    (
        "capsh --gid=4294967296",
        "invalid --gid value: want non-negative integer, got \"4294967296\"",
    ),
    (
        "capsh --cap-uid=4294967296",
        "invalid --cap-uid value: want non-negative integer, got \"4294967296\"",
    ),
    (
        "capsh --secbits=4294967296",
        "invalid --secbits value: want non-negative integer, got \"4294967296\"",
    ),
    (
        "capsh --is-uid=4294967296",
        "invalid --is-uid value: want non-negative integer, got \"4294967296\"",
    ),
    ("capsh --groups=4294967296", "Failed to identify gid for group [4294967296]"),
    ("capsh --groups=1x", "Failed to identify gid for group [1x]"),
    (
        "capsh '--drop=cap_chown cap_kill'",
        "capability [cap_chown cap_kill] is unknown to libcap",
    ),
    ("capsh --drop=cap_chown+ep", "capability [cap_chown+ep] is unknown to libcap"),
    (
        "capsh --drop=cap_chown --dropped=cap_chown,cap_kill",
        "cap[cap_kill] raised in bounding vector",
    ),
    ("capsh --has-p=cap_kill,63", "cap[63] not permitted"),
    ("capsh --has-b=63", "cap[63] not in bounding vector"),
    ("capsh --has-a=63", "cap[63] not in ambient vector"),
    ("capsh '--iab=!'", "iab: '!' malformed"),
    (
        "setpriv --reuid 4294967296 true",
        "setpriv: failed to parse reuid: '4294967296': Numerical result out of range",
    ),
    (
        "setpriv --reuid=-1 true",
        "setpriv: failed to parse reuid: '-1': Numerical result out of range",
    ),
    (
        "setpriv --groups 4294967296 true",
        "setpriv: Invalid supplementary group id: '4294967296': Numerical result out of range",
    ),
    (
        "setpriv --egid -1 --clear-groups true",
        "setpriv: failed to parse egid: '-1': Numerical result out of range",
    ),
];

/// Some names of capabilities.
fn caps(u: &mut Unstructured<'_>) -> Result<String> {
    const NAMES: [&str; 10] = [
        "cap_chown",
        "cap_kill",
        "CAP_SETUID",
        "cap_setgid",
        "cap_setpcap",
        "cap_net_raw",
        "cap_sys_chroot",
        "40",
        "0x0c",
        "cap_sys_resource",
    ];
    let mut list = Vec::new();
    for _ in 0..u.int_in_range(1..=3)? {
        list.push(*u.choose(&NAMES)?);
    }
    Ok(list.join(","))
}

/// The text of cap_from_text(3).
fn text(u: &mut Unstructured<'_>) -> Result<String> {
    let base = *u.choose(&["", "=", "=p ", "all=ep ", "=ep cap_sys_resource-ep "])?;
    let mut all = base.to_owned();
    for _ in 0..u.int_in_range(0..=2)? {
        let operator = *u.choose(&["+", "-", "=", "=+", "+e-"])?;
        let flags = *u.choose(&["ep", "p", "eip", "i", "e"])?;
        all = format!("{all}{}{operator}{flags} ", caps(u)?);
    }
    Ok(all)
}

/// The text of cap_iab_from_text(3).
fn iab(u: &mut Unstructured<'_>) -> Result<String> {
    let mut all = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let mark = *u.choose(&["", "!", "^", "%", "!%", "!^"])?;
        let cap = *u.choose(&["cap_chown", "cap_kill", "CAP_SETPCAP", "13"])?;
        all.push(format!("{mark}{cap}"));
    }
    Ok(all.join(","))
}

/// An argument of capsh.
fn argument(u: &mut Unstructured<'_>) -> Result<String> {
    const PLAIN: [&str; 22] = [
        "--noamb",
        "--strict",
        "--keep=1",
        "--keep=0",
        "--secbits=0",
        "--secbits=0x2f",
        "--secbits=0357",
        "--secbits=4",
        "--mode=NOPRIV",
        "--mode=PURE1E_INIT",
        "--mode=PURE1E",
        "--mode=HYBRID",
        "--no-new-privs",
        "--uid=65534",
        "--uid=0",
        "--gid=65534",
        "--groups=4,sys",
        "--groups=",
        "--user=nobody",
        "--user=root",
        "--cap-uid=2",
        "--chroot=/",
    ];
    Ok(match u.int_in_range(0..=13)? {
        0 => format!("--drop={}", caps(u)?),
        1 => format!("--inh={}", caps(u)?),
        2 => format!("--addamb={}", caps(u)?),
        3 => format!("--delamb={}", caps(u)?),
        4 | 5 => format!("'--caps={}'", text(u)?),
        6 | 7 => format!("'--iab={}'", iab(u)?),
        8 => {
            let ask = *u.choose(&["has-p", "has-i", "has-a", "has-b", "supports"])?;
            format!("--{ask}={}", *u.choose(&["cap_kill", "CAP_CHOWN", "13", "x"])?)
        }
        _ => (*u.choose(&PLAIN)?).to_owned(),
    })
}

/// A command line of capsh.
fn capsh(u: &mut Unstructured<'_>) -> Result<String> {
    const ENDS: [&str; 8] = [
        "-- -c true",
        "-- -c 'exec true'",
        "-+ -c true",
        "== --print",
        "=+ --current",
        "--print",
        "--current",
        "--mode",
    ];
    let mut line = "capsh".to_owned();
    for _ in 0..u.int_in_range(0..=4)? {
        line = format!("{line} {}", argument(u)?);
    }
    Ok(format!("{line} {}", u.choose(&ENDS)?))
}

/// Signs and names for setpriv.
fn changes(u: &mut Unstructured<'_>) -> Result<String> {
    const NAMES: [&str; 8] =
        ["all", "chown", "KILL", "setuid", "setpcap", "cap_13", "net_raw", "sys_chroot"];
    let mut list = Vec::new();
    for _ in 0..u.int_in_range(1..=3)? {
        list.push(format!("{}{}", u.choose(&["+", "-", "-"])?, u.choose(&NAMES)?));
    }
    Ok(list.join(","))
}

/// An option of setpriv that both know.
fn option(u: &mut Unstructured<'_>) -> Result<String> {
    const PLAIN: [&str; 12] = [
        "--nnp",
        "--no-new",
        "--clear-groups",
        "--keep-groups",
        "--init-groups",
        "--groups 4,sys",
        "--groups=",
        "--reset-env",
        "--pdeathsig keep",
        "--pdeathsig=clear",
        "--pdeathsig sigusr1",
        "--pdeathsig 9",
    ];
    const BITS: [&str; 7] = [
        "+noroot",
        "+noroot,+noroot_locked",
        "+no_setuid_fixup",
        "-all",
        "+keep_caps_locked",
        "+all",
        "-noroot,x",
    ];
    let user = *u.choose(&["0", "65534", "nobody", "daemon", "root", "nobody2"])?;
    let group = *u.choose(&["0", "65534", "nogroup", "sys", "x"])?;
    Ok(match u.int_in_range(0..=11)? {
        0 => format!("--inh-caps={}", changes(u)?),
        1 => format!("--ambient-caps={}", changes(u)?),
        2 => format!("--bounding-set {}", changes(u)?),
        3 => format!("--{}={user}", u.choose(&["ruid", "euid"])?),
        4 | 5 => format!("--reuid {user}"),
        6 => format!("--{} {group}", u.choose(&["rgid", "egid", "regid"])?),
        7 => format!("--securebits {}", u.choose(&BITS)?),
        _ => (*u.choose(&PLAIN)?).to_owned(),
    })
}

/// A command line of setpriv.
fn setpriv(u: &mut Unstructured<'_>) -> Result<String> {
    let mut line = "setpriv".to_owned();
    for _ in 0..u.int_in_range(0..=4)? {
        line = format!("{line} {}", option(u)?);
    }
    Ok(match u.int_in_range(0..=9)? {
        0 => format!("{line} -d"),
        1 => format!("{line} setpriv -ddd"),
        2 => format!("{line} no-such-program"),
        3 => line,
        _ => format!("{line} true"),
    })
}

/// Seconds for each user; `PEER_SECONDS=600` for a longer look.
fn seconds() -> u64 {
    let seconds = std::env::var("PEER_SECONDS").ok();
    seconds.and_then(|text| text.parse().ok()).unwrap_or(3)
}

mod root {
    use super::*;

    #[test]
    fn arguments_of_capsh_at_random_do_the_same_as_root_and_as_an_ordinary_user() {
        need!("root", "program:setpriv", "program:capsh");
        let known: Vec<Known> = CAPSH.into_iter().chain(MORE).collect();
        let mut all = Replay::new(&known);

        for user in [Vec::new(), nobody()] {
            let names = Names::new(&user);
            arbtest::arbtest(|u| {
                names.compare(&mut all, &capsh(u)?);
                Ok(())
            })
            .budget_ms(seconds() * 1000);
        }

        all.finish(false);
    }

    #[test]
    fn options_of_setpriv_at_random_do_the_same_as_root_and_as_an_ordinary_user() {
        need!("root", "program:setpriv");
        let known: Vec<Known> = SETPRIV.into_iter().chain(MORE_SETPRIV).collect();
        let mut all = Replay::new(&known);

        for user in [Vec::new(), nobody()] {
            let names = Names::new(&user);
            arbtest::arbtest(|u| {
                names.compare(&mut all, &setpriv(u)?);
                Ok(())
            })
            .budget_ms(seconds() * 1000);
        }

        all.finish(false);
    }

    #[test]
    fn what_would_leave_more_than_was_asked_for_is_refused_where_the_peer_goes_on() {
        need!("root", "program:capsh", "program:setpriv");
        let names = Names::new(&[]);

        for (line, text) in REFUSED {
            let [ours, theirs] = ["ours", "theirs"].map(|side| names.run(side, line));

            assert_eq!((ours.code, ours.said.trim_end()), (Some(1), text), "{line}");
            assert_eq!(
                theirs.code,
                Some(0),
                "{line}: the peer does better: {}",
                theirs.said
            );
        }
    }
}
