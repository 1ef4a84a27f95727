//! kill -9 at any moment: whoever reads what ns-run writes sees the end soon.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::time::Duration;

use common::proc::mountinfo;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use kit::run::SIGKILL;
use kit::{Run, need, tool};

/// `SOAK_RUNS=10000` for a longer one.
fn runs() -> usize {
    let asked = std::env::var("SOAK_RUNS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(60)
}

fn random(below: u64) -> u64 {
    RandomState::new().build_hasher().finish() % below
}

/// Every process that ns-run made has its stdout: at the end of it there is none.
fn outlived(options: &[&str], micros: u64) -> bool {
    let run = Run::tool("ns-run").args(options).arg(tool("pause"));
    let mut ns_run = run.start();
    std::thread::sleep(Duration::from_micros(micros));
    ns_run.signal(SIGKILL);
    ns_run.child.wait().unwrap();
    let mut said = Vec::new();
    loop {
        let out = ns_run.stdout.get_ref();
        let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(out), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap() == 0 {
            return true;
        }
        let mut some = [0; 64];
        let len = ns_run.stdout.get_mut().read(&mut some).unwrap();
        if len == 0 {
            return false;
        }
        said.extend_from_slice(&some[..len]);
    }
}

fn kept_namespaces() -> usize {
    let text = std::fs::read("/proc/self/mountinfo").unwrap();
    mountinfo(&text).iter().filter(|mount| mount.fstype == "nsfs").count()
}

fn soak(lines: &[&[&str]]) {
    let before = kept_namespaces();
    for n in 0..runs() {
        let (options, micros) = (lines[n % lines.len()], random(4000));
        assert!(!outlived(options, micros), "{options:?} killed after {micros} us");
    }
    assert_eq!(kept_namespaces(), before);
}

mod userns {
    use super::*;

    #[test]
    fn a_kill_at_any_moment_leaves_nothing_behind() {
        need!("userns");
        soak(&[
            &["-r"],
            &["-f"],
            &["-rpf", "--mount-proc"],
            &["-Urmnpuif", "--mount-proc", "--hostname=x"],
            &["-rp", "--init", "--mount-proc"],
            &["-f", "--die-with-parent", "--new-session"],
            &["-rpf", "--setup=:", "--disable-userns", "--status-fd=1"],
        ]);
    }
}

mod root {
    use super::*;

    #[test]
    fn a_kill_at_any_moment_leaves_no_helper_behind() {
        need!("root");
        soak(&[
            &["-f", "--map-users=all", "--map-groups=all"],
            &["-pf", "--map-users=all", "--map-groups=all", "-S4711", "-G4711"],
            &["--owner=4711:4711", "-r", "-n", "--init", "-p"],
        ]);
    }
}
