//! What is no capability and no id: limits, priorities, signals, the root, the environment.

use std::fs;

use kit::{Run, World, expect, need};

use crate::below;

fn refused(args: &[&str], expected: kit::Expect) {
    Run::tool("cap-drop")
        .args(args)
        .args(["--", "echo", "ran"])
        .run()
        .refused(125, expected);
}

#[test]
fn the_umask_is_set_and_nothing_else() {
    let world = below(&["--umask", "077"]);

    assert_eq!(world.changed_from(&World::here()), ["umask"]);
    assert_eq!(world.get("umask"), "0077");
}

#[test]
fn limits_are_set_soft_and_hard() {
    let world = below(&["--rlimit", "nofile=64:128", "--rlimit", "core=0"]);

    assert_eq!(world.changed_from(&World::here()), ["rlimits"]);
    assert_eq!(world.get("rlimits.nofile"), serde_json::json!([64, 128]));
    assert_eq!(world.get("rlimits.core"), serde_json::json!([0, 0]));
}

#[test]
fn a_limit_of_no_such_name_is_refused_with_those_there_are() {
    refused(
        &["--rlimit", "files=1"],
        expect![[r#"
            cap-drop: invalid value 'files=1' for '--rlimit <NAME=SOFT[:HARD]>': 'files' is none of as, core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack; try 'cap-drop --help'
        "#]],
    );
}

#[test]
fn it_is_killed_sooner_and_comes_later() {
    let run = Run::tool("cap-drop").args(["--oom-score-adj=1000", "--nice=19", "--"]);
    let script = "cat /proc/self/oom_score_adj; cut -d' ' -f19 /proc/self/stat";

    assert_eq!(run.args(["sh", "-c", script]).run().ok(), "1000\n19\n");
}

#[test]
fn a_parents_death_sends_what_was_asked_for() {
    assert_eq!(below(&["--pdeathsig", "TERM"]).get("pdeathsig"), 15);
    let run = Run::tool("cap-drop").args(["--pdeathsig", "KILL", "--"]);
    let run = run.arg(kit::tool("cap-drop")).args(["--pdeathsig=clear", "--"]);
    assert_eq!(World::of(run.arg(kit::tool("probe"))).get("pdeathsig"), 0);
}

#[test]
fn a_parent_that_is_dead_already_is_told() {
    // The shell ends at once; its child goes on when it has another parent.
    let script = r#"(
        while [ "$(cut -d" " -f4 /proc/self/stat)" = "$$" ]; do :; done
        "$0" --explain --pdeathsig KILL true
    ) & wait"#;
    let text =
        Run::program("sh").args(["-c", script]).arg(kit::tool("cap-drop")).run().ok();

    assert!(text.starts_with("prctl(PR_SET_PDEATHSIG, 9)"), "{text}");
}

#[test]
fn what_exec_undoes_is_not_promised() {
    assert_eq!(below(&["--dumpable", "yes"]).changed_from(&World::here()), [""; 0]);
    refused(
        &["--dumpable", "no"],
        expect![[r#"
            cap-drop: cannot make COMMAND undumpable: execve(2) undoes it; --rlimit core=0 leaves no core file
        "#]],
    );
}

#[test]
fn a_label_is_refused_where_no_module_knows_it() {
    for option in ["--selinux-label", "--apparmor-profile"] {
        let out =
            Run::tool("cap-drop").args([option, "no_such", "--", "echo", "ran"]).run();
        let out = out.code(125);

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.stdout.is_empty() && said.lines().count() == 1, "{said}");
        assert!(
            said.contains("'no_such'") && said.contains("the kernel must run"),
            "{said}"
        );
    }
}

#[test]
fn a_clean_environment_has_nothing_of_the_callers_but_the_terminal() {
    let run = Run::tool("cap-drop").env("TERM", "vt100").env("SECRET", "s");
    let run = run.args(["--reset-env", "--"]).arg(kit::tool("probe"));

    let env = World::of(run).get("env").to_string();

    assert!(env.contains("TERM=vt100") && env.contains("HOME="), "{env}");
    assert!(!env.contains("SECRET") && !env.contains("LC_ALL"), "{env}");
}

mod userns {
    use super::*;

    #[test]
    fn an_ordinary_user_can_change_the_root_in_a_namespace() {
        need!("userns");
        let run = Run::sandboxed(&["--user"], "cap-drop").args(["--root", "root"]);
        let root = run.tmp().join("root");
        fs::create_dir(&root).unwrap();
        fs::copy(kit::tool("guest"), root.join("guest")).unwrap();

        let run = run.args(["--keep", "none", "--", "cap-drop", "--no-new-privs"]);
        let out = run.args(["--", "/guest", "env"]).run();

        // The link came from outside: the root holds none.
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}

mod root {
    use super::*;

    #[test]
    fn the_root_is_changed_and_so_is_the_directory() {
        need!("root");
        let run = Run::tool("cap-drop").args(["--root", "root", "--user", "web"]);
        let root = run.tmp().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/passwd"), "web:x:33:34::/:\n").unwrap();
        fs::write(root.join("etc/group"), "web:x:34:\nadm:x:4:web\n").unwrap();
        fs::copy(kit::tool("probe"), root.join("probe")).unwrap();

        // Nothing is mounted there, so the probe says less.
        let world = World::of(run.args(["--keep", "none", "--", "/probe"]));

        assert_eq!(world.get("cwd"), "/");
        assert_eq!(world.get("cwd-stat"), "755 0:0");
    }

    #[test]
    fn a_user_of_the_root_is_looked_up_there_and_not_here() {
        need!("root");
        let run = Run::tool("cap-drop").args(["--root", "root", "--user", "root"]);
        let root = run.tmp().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/passwd"), "web:x:33:34::/:\n").unwrap();

        run.args(["--", "/probe"]).run().refused(
            125,
            expect![[r#"
                cap-drop: cannot find user 'root': not in /etc/passwd; a number needs no line there
            "#]],
        );
    }

    #[test]
    fn a_root_that_is_none_is_told_and_nothing_is_run() {
        need!("root");
        refused(
            &["--root", "none"],
            expect![[r#"
                cap-drop: cannot change the root to 'none': No such file or directory
            "#]],
        );
    }

    #[test]
    fn the_root_takes_a_right_and_says_which() {
        need!("root");
        let run = Run::tool("cap-drop").args(["--drop", "sys_chroot", "--"]);
        let run =
            run.arg(kit::tool("cap-drop")).args(["--root", "/", "--", "echo", "ran"]);

        run.run().refused(
            125,
            expect![[r#"
                cap-drop: cannot change the root to '/': Operation not permitted; it takes CAP_SYS_CHROOT: run below ns-run --user, or use root-pivot
            "#]],
        );
    }

    #[test]
    fn what_is_permitted_and_not_effective_serves_for_the_root_too() {
        need!("root");
        // Under noroot a user's exec leaves permitted only what is ambient; capsh's raw
        // sets leave it permitted alone.
        let plan = Run::tool("cap-drop").args(["--explain", "--root", "/", "--nice=-5"]);

        let text = plan.arg("true").run().ok();

        assert!(text.starts_with("setpriority(PRIO_PROCESS, 0, -5)"), "{text}");
        assert!(text.contains("\nchroot('/'); chdir(\"/\") "), "{text}");
    }

    #[test]
    fn the_parents_death_is_looked_for_after_the_ids() {
        need!("root");
        let world = below(&["--pdeathsig", "INT", "--uid", "65534", "--gid", "65534"]);

        assert_eq!(world.get("pdeathsig"), 2);
    }
}
