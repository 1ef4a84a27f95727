//! kill -9 of any link at any stage leaves nothing behind.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use common::proc::mountinfo;
use common::sys;
use kit::need;
use kit::started::has_ended;
use serde_json::json;

use crate::{CHAIN, chain, image_with, unpack};

/// The process and all its descendants, parents first.
pub(crate) fn family(pid: i32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    let below = children.split_whitespace().flat_map(|c| family(c.parse().unwrap()));
    std::iter::once(pid).chain(below).collect()
}

fn host_mounts() -> Vec<PathBuf> {
    let text = std::fs::read("/proc/self/mountinfo").unwrap();
    mountinfo(&text).into_iter().map(|m| m.target).collect()
}

/// The groups of cg-limit that are left in any hierarchy.
pub(crate) fn left_groups() -> Vec<String> {
    let text = std::fs::read("/proc/self/mountinfo").unwrap();
    let tops = mountinfo(&text).into_iter().filter(|m| m.fstype.starts_with("cgroup"));
    let mut left = Vec::new();
    for top in tops {
        find_groups(&top.target, &mut left);
    }
    left
}

fn find_groups(dir: &std::path::Path, left: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            if entry.file_name().to_string_lossy().starts_with("cg-limit.") {
                left.push(entry.path().display().to_string());
            }
            find_groups(&entry.path(), left);
        }
    }
}

/// Starts the chain up to `pause`, kills its nth process, and waits for all to be gone.
fn kill_one(words: &str, nth: usize) {
    let run = chain(words);
    let image = image_with(&["pause"]).set("Entrypoint", json!(["pause"]));
    unpack(&image, run.tmp());
    let before = host_mounts();
    let mut top = run.start();
    assert_eq!(top.line(), "ready\n", "{words}");
    let family = family(top.pid());
    let all: Vec<OwnedFd> = family.iter().map(|p| sys::pidfd_open(*p).unwrap()).collect();

    let victim = all[nth.min(all.len() - 1)].as_fd();
    sys::pidfd_send_signal(victim, nix::libc::SIGKILL).unwrap();

    for (pid, pidfd) in family.iter().zip(&all) {
        let gone = has_ended(pidfd.as_fd());
        assert!(gone, "process {pid} of {family:?} outlived number {nth} in: {words}");
    }
    top.child.wait().unwrap();
    assert_eq!(host_mounts(), before, "{words}");
}

/// The chain cut off after each of its links, with `pause` as the command there.
fn stages() -> Vec<String> {
    let links: Vec<_> = CHAIN.split(" -- ").map(str::trim).collect();
    let pause = kit::tool("pause").display().to_string();
    let mut stages: Vec<_> = (1..links.len() - 2)
        .map(|n| format!("{} -- {pause}", links[..n].join(" -- ")))
        .collect();
    stages.push(CHAIN.to_owned());
    stages
}

mod userns {
    use super::*;

    #[test]
    fn kill_minus_nine_of_any_link_at_any_stage_leaves_no_process_and_no_mount() {
        need!("userns");
        for stage in stages() {
            for nth in 0..2 {
                kill_one(&stage, nth);
            }
        }
    }

    #[test]
    fn a_changed_user_is_still_killed_with_its_parent() {
        need!("subuid");
        let map = CHAIN.replace("--map-root-user", "--map-root-user --map-auto");
        let words = format!("{map} --user 1000:1000");
        kill_one(&words, 0);
    }
}

mod root {
    use super::*;

    #[test]
    fn a_cgroup_that_a_killed_cg_limit_left_is_collected() {
        need!("root");
        for nth in 0..3 {
            kill_one(&format!("cg-limit --memory 256M --pids 128 -- {CHAIN}"), nth);
        }
        let _ = kit::Run::tool("cg-limit").arg("--gc").run().ok();

        assert_eq!(left_groups(), Vec::<String>::new());
    }
}
