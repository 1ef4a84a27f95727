//! Container after container, some of them killed: nothing stays.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use kit::run::SIGKILL;
use kit::{Run, need};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{CHAIN, chain, image_with, unpack};

/// `SOAK_RUNS=10000` for all of them.
fn runs() -> usize {
    let asked = std::env::var("SOAK_RUNS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(40)
}

/// What a container could leave behind, outside of itself: mounts on what is its own,
/// processes, files. Other tests run beside this one.
fn left(dir: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let name = dir.display().to_string();
    let mounts = mounts.lines().filter(|line| line.contains(&name)).map(str::to_owned);
    let files = Run::program("find").arg(dir).args(["-printf", "%P %y %m %s\n"]);
    let mut left: Vec<_> = mounts.chain(processes(dir)).collect();
    left.extend(files.run().ok().lines().map(str::to_owned));
    left
}

/// Those that were started from here.
fn processes(dir: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let path = process.path();
        let line = fs::read(path.join("environ")).unwrap_or_default();
        let mark = format!("SOAK={}", dir.display());
        if String::from_utf8_lossy(&line).contains(&mark) {
            all.insert(path.display().to_string());
        }
    }
    all
}

fn random(below: u64) -> u64 {
    RandomState::new().build_hasher().finish() % below
}

/// One container, which ends by itself, or is killed at some moment. Whoever has its
/// standard output has to end soon.
fn one(words: &str, dir: &Path, is_killed: bool) {
    let command = if is_killed { "/bin/pause" } else { "/bin/noop" };
    let words = format!("{words} --entrypoint {command}");
    let run = chain(&words).cwd(dir).env("SOAK", dir);
    let mut started = run.start();
    if is_killed {
        std::thread::sleep(Duration::from_micros(random(20_000)));
        started.signal(SIGKILL);
    }
    let status = started.child.wait().unwrap();
    assert!(is_killed || status.success(), "{words}: {status}");
    loop {
        let mut fds = [PollFd::new(started.stdout.get_ref().as_fd(), PollFlags::POLLIN)];
        let told = poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap();
        assert!(told > 0, "{words}: outlived by something");
        if started.stdout.get_mut().read(&mut [0; 64]).unwrap() == 0 {
            return;
        }
    }
}

fn soak(ways: &[String]) {
    let dir = tempfile::tempdir().unwrap();
    unpack(&image_with(&["noop", "pause"]), dir.path());
    for name in ["root", "outer"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    // What the first one makes, such as the place of /dev, is there for all others.
    for way in ways {
        one(way, dir.path(), false);
    }
    let before = left(dir.path());

    for n in 0..runs() {
        one(&ways[n % ways.len()], dir.path(), n % 3 == 2);
    }

    assert_eq!(left(dir.path()), before);
}

mod userns {
    use super::*;

    #[test]
    fn containers_leave_nothing_behind() {
        need!("userns");
        soak(&[
            CHAIN.to_owned(),
            // With files, binds and a volume, and without the masks.
            CHAIN.replace(
                "--std",
                "--proc --sys --hosts new --file /x=text --bind .:/mnt:ro --tmpfs /data:size=1M",
            ),
            CHAIN.replace("--std", "--std --read-only"),
        ]);
    }
}

mod root {
    use super::*;

    #[test]
    fn containers_of_real_root_leave_nothing_behind() {
        need!("root");
        let words = CHAIN.replace("--user --map-root-user ", "");
        soak(&[words]);
    }
}
