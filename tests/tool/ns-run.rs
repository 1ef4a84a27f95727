//! ns-run against the real kernel.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test's errors are failed tests"
)]

use kit::run::{SIGKILL, SIGTERM};
use kit::{Run, World, expect, need, tool};

#[path = "ns-run/beyond.rs"]
mod beyond;
#[path = "ns-run/calls.rs"]
mod calls;
#[path = "ns-run/defects.rs"]
mod defects;
#[path = "ns-run/ids.rs"]
mod ids;
#[path = "ns-run/namespaces.rs"]
mod namespaces;
#[path = "ns-run/options.rs"]
mod options;
#[path = "ns-run/persist.rs"]
mod persist;
#[path = "ns-run/signals.rs"]
mod signals;
#[path = "ns-run/soak.rs"]
mod soak;
#[path = "ns-run/supervise.rs"]
mod supervise;
#[path = "ns-run/vfork.rs"]
mod vfork;

const ALL: [&str; 8] = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"];

/// ns-run with `probe` at its end.
fn world(args: &[&str]) -> World {
    World::of(Run::tool("ns-run").args(args).arg("--").arg(tool("probe")))
}

/// The kinds of namespaces in which a world differs from the test's own.
fn foreign(world: &World) -> Vec<&'static str> {
    let here = World::here();
    let differs = |kind: &&str| {
        let path = format!("ns.{kind}");
        world.get(&path) != here.get(&path)
    };
    ALL.into_iter().filter(differs).collect()
}

fn shell(args: &[&str], script: &str) -> Run {
    Run::tool("ns-run").args(args).args(["--", "sh", "-c", script])
}

#[test]
fn an_option_that_is_not_known_is_refused_in_one_line() {
    Run::tool("ns-run").args(["--nope"]).run().refused(
        125,
        expect![[r#"
            ns-run: unexpected argument '--nope' found; try 'ns-run --help'
        "#]],
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    Run::tool("ns-run").args(["-r", "--setgroups", "allow", "true"]).run().refused(
        125,
        expect![[r#"
            ns-run: cannot allow setgroups where only the own gid is mapped; drop --setgroups, or map more with --map-groups
        "#]],
    );
    Run::tool("ns-run").args(["--lo", "true"]).run().refused(
        125,
        expect![[r#"
            ns-run: missing --net[=<FILE>]; try 'ns-run --help'
        "#]],
    );
}

/// The columns are as wide as the uid makes them.
fn one_blank(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_plan_is_printed_and_nothing_is_done() {
    let args =
        ["--explain", "-Unpf", "--map-user=0", "--mount-proc", "--hostname", "box"];
    let run = Run::tool("ns-run").args(args).args(["--status-fd=1", "mkdev", "dev"]);
    let uid = nix::unistd::geteuid().to_string();

    let text = run.run().ok().replace(&format!("'0 {uid} 1'"), "'0 UID 1'");

    expect![[r#"
        unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWUTS|CLONE_NEWNET) # this process's own, the pid namespace for its children
        write('/proc/self/uid_map', '0 UID 1') # the own id
        clone3(CLONE_PIDFD); prctl(PR_SET_PDEATHSIG, SIGKILL) # COMMAND's process, which dies with ns-run
        open_tree('.../', OPEN_TREE_CLONE); mount_setattr() # a read-only clone of the tools' directory, for later links
        mount(NULL, '/', NULL, MS_REC|MS_PRIVATE, NULL) # how mounts spread to and from the outside
        ioctl(SIOCSIFFLAGS, 'lo', IFF_UP) # loopback, where there is the right to
        sethostname('box') # the host name
        mount('proc', '/proc', 'proc', MS_NOSUID|MS_NODEV|MS_NOEXEC) # the processes of the pid namespace
        write(1, '{"pid":…,"ns":{…}}') # set-up is complete
        execve('mkdev', …) # become COMMAND"#]]
    .assert_eq(&one_blank(&text));
}

#[test]
fn without_options_nothing_changes() {
    assert_eq!(world(&[]).changed_from(&World::here()), [""; 0]);
}

#[test]
fn a_fork_changes_the_bond_and_nothing_else() {
    let world = world(&["--fork"]);

    assert_eq!(world.changed_from(&World::here()), ["pdeathsig"]);
    assert_eq!(world.get("pdeathsig"), SIGKILL);
}

#[test]
fn without_a_command_the_users_shell_is_a_login_shell() {
    let run = Run::tool("ns-run").arg("--fork").env("SHELL", tool("probe"));

    assert_eq!(World::of(run).get("argv").to_string(), r#"["-probe"]"#);
}

#[test]
fn the_status_of_command_is_that_of_ns_run() {
    for fork in [&[][..], &["--fork"]] {
        let _ = shell(fork, "exit 7").run().code(7);
        let _ = shell(fork, "kill -TERM $$").run().signal(SIGTERM);
    }
}

#[test]
fn a_command_that_cannot_be_run_is_told_once() {
    for fork in [&[][..], &["--fork"]] {
        Run::tool("ns-run").args(fork).arg("/no/such").run().refused(
            127,
            expect![[r#"
                ns-run: cannot run '/no/such': No such file or directory
            "#]],
        );
        Run::tool("ns-run").args(fork).arg("/").run().refused(
            126,
            expect![[r#"
                ns-run: cannot run '/': Permission denied; it is a directory
            "#]],
        );
    }
}

#[test]
fn ignored_signals_stay_ignored_and_closed_files_closed() {
    let with = |program: &[&str], command: &[&str]| {
        let script = "trap '' PIPE CHLD; exec \"$@\" <&- 2>&-";
        let run = Run::program("sh").args(["-c", script, "sh"]).args(program);
        run.args(command).run().ok()
    };
    let ns_run = tool("ns-run");
    let command = [
        "sh",
        "-c",
        "grep SigIgn /proc/self/status; for n in 0 1 2 3 4 5; do [ -e /proc/$$/fd/$n ] && echo $n; done; :",
    ];

    let plain = with(&[], &command);

    assert!(plain.ends_with("000\n1\n"), "{plain}");
    assert_eq!(with(&[ns_run.to_str().unwrap(), "--fork"], &command), plain);
}

mod userns {
    use super::*;

    #[test]
    fn what_is_told_is_what_command_finds() {
        need!("userns");
        for args in [&["-UrmuinC"][..], &["-UrmuinCT"], &["-UrmuinCTpf", "--mount-proc"]]
        {
            let run =
                Run::tool("ns-run").args(args).arg("--status-fd=2").arg(tool("probe"));
            let out = run.run().code(0);

            let told: serde_json::Value = serde_json::from_slice(&out.stderr).unwrap();
            let world: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
            assert_eq!(told["ns"], world["ns"], "{args:?}");
        }
    }

    #[test]
    fn a_status_descriptor_is_closed_for_command_and_for_ns_run() {
        need!("userns");
        // The reader sees the end although COMMAND goes on.
        let script = format!(
            "'{}' -rf --status-fd 3 {} 3>&1 >/dev/null | wc -l; echo done",
            tool("ns-run").display(),
            "sh -c 'echo x >&3'"
        );

        let out = Run::program("sh").args(["-c", &script]).run().code(0);

        let _ = out.stdout(expect![[r#"
            1
            done
        "#]]);
    }

    #[test]
    fn later_links_are_found_where_no_path_leads() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rm", "--", "ns-run", "-f", "--"]);

        let world = World::of(run.arg(tool("probe")).env("PATH", "/nonexistent"));

        assert_eq!(foreign(&world), ["user", "mnt"]);
        assert_eq!(world.get("fds"), World::here().get("fds"));
        assert!(!world.get("env").to_string().contains("BORDMITTEL"));
    }
}
