//! A child in the memory of its sleeping parent: what comes at a bad moment.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::time::{Duration, Instant};

use kit::run::SIGKILL;
use kit::{Run, need, tool};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// `SOAK_RUNS=10000` for more.
fn runs() -> u64 {
    let asked = std::env::var("SOAK_RUNS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(150)
}

/// A moment of a debug build's short life: before the fork, in the child, after the exec.
fn moment(run: u64) {
    let (start, long) = (Instant::now(), Duration::from_micros(run * 37 % 3000));
    // To sleep is to wake up late.
    while start.elapsed() < long {
        std::hint::spin_loop();
    }
}

/// A shell would wait for ever for a job whose child alone has stopped.
#[test]
fn a_job_is_seen_to_stop_whenever_it_is_stopped() {
    let ns_run = Run::tool("ns-run").args(["-f"]).arg(tool("pause"));
    for run in 0..runs() {
        let mut job = ns_run.command().process_group(0).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(job.id()).unwrap());
        moment(run);

        let stop = match run % 3 {
            0 => Signal::SIGTSTP,
            1 => Signal::SIGTTIN,
            _ => Signal::SIGTTOU,
        };
        killpg(pid, stop).unwrap();

        let flags = WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG;
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut seen = WaitStatus::StillAlive;
        while seen == WaitStatus::StillAlive && Instant::now() < deadline {
            std::thread::yield_now();
            seen = waitpid(pid, Some(flags)).unwrap();
        }
        killpg(pid, Signal::SIGKILL).unwrap();
        job.wait().unwrap();
        assert!(matches!(seen, WaitStatus::Stopped(..)), "run {run}: {seen:?}");
    }
}

#[test]
fn a_child_that_is_killed_at_once_is_told_as_one_that_is_killed_later() {
    for run in 0..runs() {
        let ns_run = Run::tool("ns-run").args(["-f"]).arg(tool("pause"));
        let mut ns_run = ns_run.start();
        let mut children = ns_run.children();
        while children.is_empty() {
            children = ns_run.children();
        }
        moment(run % 8);

        let child = children.trim().parse().unwrap();
        kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();

        assert_eq!(ns_run.child.wait().unwrap().signal(), Some(SIGKILL));
    }
}

#[test]
fn command_can_be_stopped_from_the_terminal_again() {
    let status = Run::tool("ns-run").args(["-f", "grep", "SigCgt", "/proc/self/status"]);
    let direct = Run::program("grep").args(["SigCgt", "/proc/self/status"]);

    assert_eq!(status.run().ok(), direct.run().ok());
}

#[test]
fn a_stop_that_is_ignored_stays_ignored() {
    let grep = |by: &str| {
        let script = format!("trap '' TSTP; exec {by} grep SigIgn /proc/self/status");
        Run::program("sh").args(["-c", &script]).tools_in_path().run().ok()
    };

    assert_eq!(grep("ns-run -f"), grep(""));
}

mod userns {
    use super::*;

    #[test]
    fn what_the_child_complains_of_is_said_once() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rpf", "--mount-proc=/nowhere", "true"]);

        run.run().refused(
            125,
            kit::expect![[r"
                ns-run: cannot mount proc on '/nowhere': No such file or directory
            "]],
        );
    }
}
