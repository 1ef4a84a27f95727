//! The reaper, the bonds, and what the outside is told.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;

use common::sys;
use kit::run::SIGTERM;
use kit::started::has_ended;
use kit::{Run, World, expect, need, tool};

use crate::{shell, world};

/// A process id that a program printed as its first line.
fn pidfd_of(line: &str) -> std::os::fd::OwnedFd {
    sys::pidfd_open(line.trim().parse().unwrap()).unwrap()
}

#[test]
fn without_a_pid_namespace_ns_run_itself_reaps() {
    // The orphan's parent is ns-run, which is the shell's parent too.
    let script = "mkfifo go up; \
        (sh -c 'read x <go; exec cut -d\" \" -f4 /proc/self/stat >up' &); \
        echo >go; cat up; echo $PPID";

    let out = shell(&["--init"], script).run().ok();

    let lines: Vec<_> = out.lines().collect();
    assert_eq!((lines.len(), lines.first()), (2, lines.last()), "{out}");
}

#[test]
fn command_dies_with_what_started_ns_run() {
    for options in ["", "-f", "--init"] {
        let script = format!(
            "'{}' --die-with-parent {options} --status-fd 1 '{}' & read x",
            tool("ns-run").display(),
            tool("pause").display()
        );
        let run = Run::program("sh").args(["-c", &script]);
        let mut starter = run.start();
        let status: serde_json::Value = serde_json::from_str(&starter.line()).unwrap();
        let command = pidfd_of(&status["pid"].to_string());
        assert_eq!(starter.line(), "ready\n");

        starter.signal(kit::run::SIGKILL);

        assert!(has_ended(command.as_fd()), "{options}");
    }
}

#[test]
fn a_session_of_its_own_has_no_terminal_of_ours() {
    let world = world(&["--new-session"]);

    assert_eq!(world.get("sid"), world.get("pid"));
}

#[test]
fn readiness_is_told_once_everything_is_set_up() {
    let script = format!(
        "exec 3>ready; '{}' -f --pid-file pid --ready-fd 3 sh -c 'cat ready pid; echo $$'",
        tool("ns-run").display()
    );

    let out = Run::program("sh").args(["-c", &script]).run().ok();

    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert_eq!((lines[0], lines[1]), ("", lines[2]));
}

#[test]
fn a_file_of_a_process_that_never_was_is_taken_away() {
    let script = format!(
        "'{}' --pid-file pid --wd /no/such true 2>/dev/null; ls",
        tool("ns-run").display()
    );

    assert_eq!(Run::program("sh").args(["-c", &script]).run().ok(), "");
}

#[test]
fn a_descriptor_that_is_not_open_is_refused() {
    Run::tool("ns-run").args(["--ready-fd=9", "true"]).run().refused(
        125,
        expect![[r#"
        ns-run: cannot write to descriptor '9': Bad file number
    "#]],
    );
    Run::tool("ns-run").args(["--wait-fd=9", "true"]).run().refused(
        125,
        expect![[r#"
        ns-run: cannot wait for descriptor '9': Bad file number
    "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn process_1_reaps_and_command_is_process_2() {
        need!("userns");
        let world = world(&["-rp", "--init", "--mount-proc"]);
        assert_eq!((world.get("pid"), world.get("ppid")), (2.into(), 1.into()));

        // The orphan is gone, not a zombie.
        let script =
            "sh -c 'true & echo $! >orphan'; sleep 0.2; ls -d /proc/$(cat orphan)";
        let out = shell(&["-rp", "--init", "--mount-proc"], script).run();

        assert_eq!(out.status.code(), Some(2));
    }

    #[test]
    fn a_signal_ends_the_child_of_an_init_and_ns_run_ends_so_too() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rp", "--init"]).arg(tool("pause"));
        let mut ns_run = run.start();
        assert_eq!(ns_run.line(), "ready\n");

        ns_run.signal(SIGTERM);

        assert_eq!(ns_run.child.wait().unwrap().signal(), Some(SIGTERM));
    }

    #[test]
    fn the_status_of_command_passes_through_an_init() {
        need!("userns");
        let _ = shell(&["-rp", "--init"], "exit 143").run().code(143);
        let _ = shell(&["-rp", "--init"], "kill -TERM $$").run().signal(SIGTERM);
        Run::tool("ns-run").args(["-rp", "--init", "/no/such"]).run().refused(
            127,
            expect![[r#"
                ns-run: cannot run '/no/such': No such file or directory
            "#]],
        );
    }

    #[test]
    fn the_outside_does_its_part_before_command_starts() {
        need!("userns");
        let run = Run::tool("ns-run").args([
            "-U",
            "--wait-fd=0",
            "--status-fd=1",
            "--",
            "sh",
            "-c",
            "id -u",
        ]);
        let mut ns_run = run.start();
        let told: serde_json::Value = serde_json::from_str(&ns_run.line()).unwrap();
        assert_eq!(told["waiting"], true);

        let uid = nix::unistd::getuid();
        let map = format!("/proc/{}/uid_map", told["pid"]);
        std::fs::write(map, format!("7 {uid} 1")).unwrap();
        ns_run.child.stdin.take().unwrap().write_all(b"x").unwrap();

        let told: serde_json::Value = serde_json::from_str(&ns_run.line()).unwrap();
        assert_eq!(told.get("waiting"), None);
        assert_eq!(ns_run.line(), "7\n");
        assert!(ns_run.child.wait().unwrap().success());
    }
}

mod root {
    use super::*;

    #[test]
    fn a_command_that_changes_its_user_still_dies_with_what_started_ns_run() {
        need!("root", "program:setpriv");
        for options in ["-f", "-p --init", "-f -S 0"] {
            let script = format!(
                "'{}' --die-with-parent {options} --status-fd 1 \
                 setpriv --reuid 4711 --clear-groups '{}' & read x",
                tool("ns-run").display(),
                tool("pause").display()
            );
            let run = Run::program("sh").args(["-c", &script]);
            let mut starter = run.start();
            let status: serde_json::Value =
                serde_json::from_str(&starter.line()).unwrap();
            let command = pidfd_of(&status["pid"].to_string());
            assert_eq!(starter.line(), "ready\n");

            starter.signal(kit::run::SIGKILL);

            assert!(has_ended(command.as_fd()), "{options}");
        }
    }

    #[test]
    fn the_bond_survives_a_user_and_dying_with_the_starter_too() {
        need!("root");
        let world = World::of(
            Run::tool("ns-run")
                .args(["--die-with-parent", "-S", "4711"])
                .arg(tool("probe")),
        );

        assert_eq!(world.get("pdeathsig"), kit::run::SIGKILL);
    }
}
