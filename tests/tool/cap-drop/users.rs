//! Users and groups: by name and number, in the files, by getent, in a namespace.

use std::fs;

use kit::{Run, World, expect, need};

/// A root with users of its own, and cap-drop in it with these options and `--explain`.
fn plan(options: &[&str]) -> kit::Out {
    let script = "mkdir root root/etc; cp \"$0\" root; \
        printf 'root:x:0:0::/root:\\nweb:x:33:34::/:\\nbare:x:7:8:::\\n' >root/etc/passwd; \
        printf 'web:x:34:\\nadm:x:4:web\\nops:x:5:\\nsix:x:6:root,web\\n' >root/etc/group; \
        shift 0; exec chroot root /cap-drop --explain \"$@\" -- true";
    let run = Run::program("sh").args(["-ec", script]).arg(kit::tool("cap-drop"));
    run.args(options).run()
}

fn calls(options: &[&str]) -> Vec<String> {
    let text = plan(options).ok();
    let call = |line: &str| line.split("  ").next().unwrap().to_owned();
    let all: Vec<_> = text.lines().map(call).collect();
    all.into_iter().filter(|call| call.starts_with("set")).collect()
}

#[test]
fn an_ordinary_user_keeps_what_takes_no_right() {
    need!("user");
    let run = Run::tool("cap-drop").args(["--no-new-privs", "--inh", "none"]);
    let run = run.args(["--umask", "77", "--rlimit", "core=0", "--pdeathsig", "TERM"]);

    let world = World::of(run.arg("--").arg(kit::tool("probe")));

    assert_eq!(world.get("no-new-privs"), "1");
    assert_eq!((world.get("umask"), world.get("pdeathsig")), ("0077".into(), 15.into()));
}

#[test]
fn an_ordinary_user_is_told_what_each_thing_takes() {
    need!("user");
    for (args, says) in [
        (&["--keep", "none"][..], "it takes CAP_SETPCAP: run below ns-run --user"),
        (&["--bounding", "none"], "it takes CAP_SETPCAP"),
        (&["--securebits", "noroot"], "it takes CAP_SETPCAP"),
        (&["--uid", "0"], "it takes CAP_SETUID"),
        (&["--gid", "0"], "it takes CAP_SETGID"),
        (&["--clear-groups", "--gid", "0"], "it takes CAP_SETGID"),
        (
            &["--ambient", "net_raw"],
            "it is not permitted here; run as root, below ns-run",
        ),
        (&["--inh", "net_raw"], "it is not permitted here; it takes CAP_SETPCAP"),
        (&["--root", "/"], "it takes CAP_SYS_CHROOT: run below ns-run --user"),
        (&["--nice=-20"], "it takes CAP_SYS_NICE"),
        (&["--oom-score-adj=-1000"], "it takes CAP_SYS_RESOURCE"),
    ] {
        let run = Run::tool("cap-drop").args(args).args(["--", "echo", "ran"]);
        let out = run.run().code(125);

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.stdout.is_empty() && said.lines().count() == 1, "{args:?} {said}");
        assert!(said.contains(says), "{args:?} {said}");
    }
}

mod userns {
    use super::*;

    #[test]
    fn everything_works_in_a_user_namespace() {
        need!("userns");
        let run = Run::sandboxed(&["--user"], "cap-drop");
        let run = run.args(["--keep", "kill,net_raw", "--ambient", "kill"]);
        let run =
            run.args(["--securebits", "noroot,noroot_locked", "--no-new-privs", "--"]);

        let world = World::of(run.arg(kit::tool("probe")));

        let (kill, two) = (1 << 5, 1 << 13 | 1 << 5);
        assert_eq!(crate::caps(&world), [two, kill, kill, kill, kill]);
        assert_eq!(world.get("securebits"), 3);
    }
}

mod root {
    use super::*;

    #[test]
    fn names_stand_for_numbers() {
        need!("root");
        assert_eq!(
            calls(&["--user", "web"]),
            ["setgroups([34, 4, 6])", "setresgid(34, 34, 34)", "setresuid(33, 33, 33)"]
        );
        assert_eq!(
            calls(&["--user", "web:ops"]),
            ["setgroups([5])", "setresgid(5, 5, 5)", "setresuid(33, 33, 33)"]
        );
        assert_eq!(
            calls(&["--uid", "web", "--gid", "ops", "--groups", "adm,77"]),
            ["setgroups([4, 77])", "setresgid(5, 5, 5)", "setresuid(33, 33, 33)"]
        );
        assert_eq!(calls(&["--user", "33"]), calls(&["--user", "web"]));
    }

    #[test]
    fn the_groups_that_list_the_user_are_set() {
        need!("root");
        assert_eq!(
            calls(&["--uid", "33", "--gid", "5", "--init-groups"]),
            ["setgroups([5, 4, 6])", "setresgid(5, 5, 5)", "setresuid(33, 33, 33)"]
        );
        assert_eq!(calls(&["--init-groups"]), ["setgroups([0, 6])"]);
        plan(&["--uid", "99", "--init-groups"]).refused(
            125,
            expect![[r#"
                cap-drop: cannot find user '99': not in /etc/passwd; --init-groups takes a user that has a name; --groups takes numbers
            "#]],
        );
    }

    #[test]
    fn getent_is_asked_only_where_it_is_said() {
        need!("root", "program:getent");
        let run = |options: &[&str]| {
            // A passwd file without the user; getent is this machine's own.
            let script = "printf 'root:x:0:0::/:\\n' >passwd; mount --bind passwd /etc/passwd; \
                printf '#!/bin/sh\\necho \"$@\" >>log\\ncase $1 in\\n\
                passwd) echo \"$2:x:1234:1235::/far:/bin/sh\";;\\n\
                initgroups) echo \"$2 1236 1237\";;\\n\
                group) echo \"$2:x:1238:\";;\\nesac\\n' >getent; chmod +x getent; \
                mount --bind getent /usr/bin/getent; exec \"$0\" --explain \"$@\" true";
            let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", script]);
            run.arg(kit::tool("cap-drop")).args(options).run()
        };

        run(&["--user", "far"]).refused(
            125,
            expect![[r#"
                cap-drop: cannot find user 'far': not in /etc/passwd; a number needs no line there
            "#]],
        );
        let out = run(&["--getent", "--user", "far"]);
        let asked = fs::read_to_string(out.tmp().join("log")).unwrap();
        let text = out.ok();
        assert!(
            text.contains("setgroups([1235, 1236, 1237])")
                && text.contains("1234, 1234, 1234"),
            "{text}"
        );
        assert_eq!(asked, "passwd far\ninitgroups far\n");
        let out = run(&["--getent", "--user", "root:12", "--groups", "away,5"]);
        assert_eq!(fs::read_to_string(out.tmp().join("log")).unwrap(), "group away\n");
        assert!(out.ok().contains("setgroups([1238, 5])"));
    }
}
