//! Runs that end in every way, also by kill -9 at any moment: no group stays behind.
#![allow(clippy::arithmetic_side_effects, reason = "a test's errors are failed tests")]

mod root {
    use std::hash::{BuildHasher, Hasher, RandomState};
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;
    use std::time::Duration;

    use kit::run::{SIGKILL, SIGTERM};
    use kit::{Run, need, tool};

    use crate::{groups, limited, record};

    /// `SOAK_RUNS=5000` for a longer one.
    fn runs() -> usize {
        let asked = std::env::var("SOAK_RUNS").ok();
        asked.and_then(|text| text.parse().ok()).unwrap_or(60)
    }

    fn random(below: u64) -> u64 {
        RandomState::new().build_hasher().finish() % below
    }

    /// The directories that groups are made in.
    fn parents(limits: &[&str]) -> Vec<PathBuf> {
        let status = limited(limits, &["true"]).run().ok();
        let made = groups(&record(&status));
        made.iter().map(|group| group.parent().unwrap().to_owned()).collect()
    }

    /// Groups that the cg-limit of this pid has made and that are there.
    fn left_of(pids: &[i32], parents: &[PathBuf]) -> Vec<PathBuf> {
        let names: Vec<_> = pids.iter().map(|pid| format!("cg-limit.{pid}.")).collect();
        let entries = parents.iter().flat_map(|dir| std::fs::read_dir(dir).unwrap());
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap().as_bytes().to_owned();
            names.iter().any(|ours| name.starts_with(ours.as_bytes()))
        };
        entries.map(|entry| entry.unwrap().path()).filter(is_ours).collect()
    }

    /// One run, ended in one of four ways; its pid and whether cg-limit itself was killed.
    fn one(n: usize, limits: &[&str]) -> (i32, bool) {
        let daemons = "\"$0\" & \"$0\" & exec \"$0\"";
        let run = Run::tool("cg-limit").args(limits);
        let run = match n % 4 {
            0 => run.arg(tool("pause")),
            1 => run.args(["sh", "-c", daemons]).arg(tool("pause")),
            2 => {
                let time = format!("--timeout={}us", 1 + random(5000));
                run.args([&time, "sh", "-c", daemons]).arg(tool("pause"))
            }
            _ => run.args(["sh", "-c", "\"$0\" & exit 0"]).arg(tool("pause")),
        };
        let was_killed = n.is_multiple_of(4);
        let mut cg_limit = run.start();
        let pid = cg_limit.pid();
        if n % 4 < 2 {
            std::thread::sleep(Duration::from_micros(random(5000)));
            cg_limit.signal(if was_killed { SIGKILL } else { SIGTERM });
        }
        cg_limit.child.wait().unwrap();
        (pid, was_killed)
    }

    #[test]
    fn no_end_of_a_run_leaves_a_cgroup() {
        need!("root");
        let limits = ["--pids=20", "--memory=64M"];
        let parents = parents(&limits);
        let mut killed = Vec::new();

        for n in 0..runs() {
            let (pid, was_killed) = one(n, &limits);
            if was_killed {
                killed.push(pid);
            } else {
                let left = left_of(&[pid], &parents);
                assert!(left.is_empty(), "run {n} left {left:?}");
            }
        }

        // The dead must be put away first, which nobody tells.
        for _ in 0..1000 {
            assert_eq!(Run::tool("cg-limit").arg("--gc").run().ok(), "");
            if left_of(&killed, &parents).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{:?} are left", left_of(&killed, &parents));
    }
}
