//! The system calls from start to exec: a list, so that none comes in unseen.

use kit::{Expect, Run, expect, need, tool};

/// Each call but for those of the C library; one that follows itself once, with dots.
fn calls(options: &[&str]) -> String {
    let run = Run::program("strace").args(["-qq", "-o", "log", "-e", "raw=prctl"]);
    let run = run.arg(tool("cap-drop")).args(options).arg("--").arg(tool("noop"));
    let out = run.run().code(0);
    let text = std::fs::read_to_string(out.tmp().join("log")).unwrap();
    // The first is the exec of cap-drop itself.
    let names = text.lines().skip(1).filter_map(|line| line.split_once('(')).map(told);
    let ours = |name: &String| {
        let library = ["arch_prctl", "set_tid_address", "fcntl"];
        !library.contains(&name.as_str())
    };
    let mut all: Vec<String> = Vec::new();
    for name in names.take_while(|name| !name.starts_with("execve")).filter(ours) {
        match all.last_mut().filter(|last| last.trim_end_matches('…') == name) {
            Some(last) => *last = format!("{name}…"),
            None => all.push(name),
        }
    }
    all.join(" ") + "\n"
}

/// prctl(2) by what it is for.
fn told((name, arguments): (&str, &str)) -> String {
    let option = arguments.split(',').next().unwrap_or_default();
    let what = match (name, option) {
        ("prctl", "0x2") => "PR_GET_PDEATHSIG",
        ("prctl", "0x17") => "PR_CAPBSET_READ",
        ("prctl", "0x18") => "PR_CAPBSET_DROP",
        ("prctl", "0x1b") => "PR_GET_SECUREBITS",
        ("prctl", "0x26") => "PR_SET_NO_NEW_PRIVS",
        ("prctl", "0x27") => "PR_GET_NO_NEW_PRIVS",
        ("prctl", "0x2f") => "PR_CAP_AMBIENT",
        _ => name,
    };
    what.to_owned()
}

fn are(options: &[&str], expected: &Expect) {
    expected.assert_eq(&calls(options));
}

#[test]
fn no_new_privs_takes_few() {
    need!("program:strace");
    are(
        &["--no-new-privs"],
        &expect![[r#"
        poll PR_GET_SECUREBITS capget PR_CAPBSET_READ… PR_GET_NO_NEW_PRIVS getresuid getresgid getgroups getppid PR_GET_PDEATHSIG PR_SET_NO_NEW_PRIVS PR_GET_SECUREBITS capget PR_CAPBSET_READ… PR_GET_NO_NEW_PRIVS
    "#]],
    );
}

mod root {
    use super::*;

    #[test]
    fn the_bounding_set_takes_a_call_for_each_that_is_set_and_the_others_one() {
        need!("root", "program:strace");
        are(
            &["--keep", "none"],
            &expect![[r#"
            poll PR_GET_SECUREBITS capget PR_CAPBSET_READ… PR_GET_NO_NEW_PRIVS getresuid getresgid getgroups getppid PR_GET_PDEATHSIG PR_CAPBSET_DROP… capset PR_GET_SECUREBITS capget PR_CAPBSET_READ… PR_GET_NO_NEW_PRIVS
        "#]],
        );
    }

    #[test]
    fn a_user_takes_three() {
        need!("root", "program:strace");
        are(
            &["--uid", "65534", "--gid", "65534", "--drop", "kill"],
            &expect![[r#"
                poll PR_GET_SECUREBITS capget PR_CAPBSET_READ… PR_GET_NO_NEW_PRIVS capget setgroups statfs open fstat read… close statfs open fstat read… close getresuid getresgid getgroups getppid PR_GET_PDEATHSIG PR_CAPBSET_DROP setresgid getresuid getresgid getgroups setresuid getresuid getresgid getgroups PR_GET_SECUREBITS capget PR_CAPBSET_READ… PR_GET_NO_NEW_PRIVS
            "#]],
        );
    }
}
