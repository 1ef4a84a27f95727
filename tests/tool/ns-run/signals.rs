//! Signals reach COMMAND, and it never outlives ns-run.

use std::io::{BufRead, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;

use common::sys;
use kit::run::{SIGKILL, SIGTERM};
use kit::started::has_ended;
use kit::{Run, need, tool};
use nix::libc::{SIGABRT, SIGALRM, SIGPIPE, SIGUSR1, SIGUSR2, SIGVTALRM};

use crate::shell;

/// Kills ns-run, which says its child's pid first, and waits for that child's end.
pub(crate) fn outlives_nothing(run: &Run) {
    let mut ns_run = run.start();
    let status: serde_json::Value = serde_json::from_str(&ns_run.line()).unwrap();
    let pid = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
    let command = sys::pidfd_open(pid).unwrap();
    assert_eq!(ns_run.line().trim_end(), "ready");

    ns_run.signal(SIGKILL);

    assert!(has_ended(command.as_fd()));
    ns_run.child.wait().unwrap();
}

#[test]
fn a_signal_reaches_command() {
    let run = shell(&["-f"], "trap 'exit 3' TERM; echo ready; while :; do read x; done");
    let mut ns_run = run.start();
    assert_eq!(ns_run.line(), "ready\n");

    ns_run.signal(SIGTERM);

    assert_eq!(ns_run.child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_key_of_the_terminal_reaches_command_once() {
    need!("program:script");
    let inner = "n=0; trap 'n=$((n+1))' INT; echo ready; \
        while ! read x; do :; done; echo \"n=$n\"";
    let line = format!(
        "exec '{}' -f sh -c '{}'",
        tool("ns-run").display(),
        inner.replace('\'', "'\\''")
    );
    let run = Run::program("script").args(["-qec", &line, "/dev/null"]);
    let mut script = run.start();
    let mut input = script.child.stdin.take().unwrap();
    let mut out = script.stdout.by_ref().lines().map(Result::unwrap);
    assert_eq!(out.next().unwrap().trim(), "ready");

    input.write_all(b"\x03").unwrap();
    input.write_all(b"x\n").unwrap();

    let rest: Vec<_> = out.collect();
    assert_eq!(rest.last().unwrap().trim(), "n=1", "{rest:?}");
    assert!(script.child.wait().unwrap().success());
}

#[test]
fn a_terminal_that_is_hung_up_ends_command_as_if_it_led_the_session() {
    need!("program:script");
    let line = format!(
        "exec '{}' -f --status-fd=1 '{}'",
        tool("ns-run").display(),
        tool("pause").display()
    );

    outlives_nothing(&Run::program("script").args(["-qec", &line, "/dev/null"]));
}

#[test]
fn killing_ns_run_kills_command() {
    let run = Run::tool("ns-run").args(["-f", "--status-fd=1"]).arg(tool("pause"));

    outlives_nothing(&run);
}

mod userns {
    use super::*;

    #[test]
    fn an_init_dies_of_each_signal_that_ends_a_program() {
        need!("userns");
        for signal in [SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE, SIGABRT, SIGVTALRM, 40] {
            let mut ns_run = Run::tool("ns-run").arg("-rpf").arg(tool("pause")).start();
            assert_eq!(ns_run.line(), "ready\n");

            ns_run.signal(signal);

            let status = ns_run.child.wait().unwrap();
            let ended = status.signal();
            assert_eq!(ended, Some(signal));
        }
    }

    #[test]
    fn an_init_that_is_deaf_dies_of_the_signal_all_the_same() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rpf"]).arg(tool("pause"));
        let mut ns_run = run.start();
        assert_eq!(ns_run.line(), "ready\n");

        ns_run.signal(SIGTERM);

        assert_eq!(ns_run.child.wait().unwrap().signal(), Some(SIGTERM));
    }

    #[test]
    fn a_signal_is_not_lost_however_early_it_comes() {
        need!("userns");
        for _ in 0..50 {
            let run = Run::tool("ns-run").args(["-rpf"]).arg(tool("pause"));
            let mut ns_run = run.start();
            while ns_run.children().is_empty() {
                std::thread::yield_now();
            }

            ns_run.signal(SIGTERM);

            assert_eq!(ns_run.child.wait().unwrap().signal(), Some(SIGTERM));
        }
    }

    #[test]
    fn an_init_that_listens_is_not_killed() {
        need!("userns");
        let script = "trap 'exit 3' TERM; echo ready; while :; do read x; done";
        let run = shell(&["-rpf"], script);
        let mut ns_run = run.start();
        assert_eq!(ns_run.line(), "ready\n");

        ns_run.signal(SIGTERM);

        assert_eq!(ns_run.child.wait().unwrap().code(), Some(3));
    }

    #[test]
    fn killing_ns_run_empties_the_pid_namespace() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rpf", "--status-fd=1"]).arg(tool("pause"));

        outlives_nothing(&run);
    }

    #[test]
    fn the_bond_passes_through_links() {
        need!("userns");
        let run =
            Run::tool("ns-run").args(["-rpf", "--status-fd=1", "ns-run", "-U", "-c"]);

        outlives_nothing(&run.arg(tool("pause")));
    }
}
