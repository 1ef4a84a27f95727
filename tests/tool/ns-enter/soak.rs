//! Killed at any moment, it leaves nothing behind.

use std::time::Duration;

use kit::run::SIGKILL;
use kit::{need, tool};

use crate::Target;

/// How many times, and with `SOAK` in the environment as many as that.
fn times() -> u64 {
    std::env::var("SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}

/// The processes whose pid namespace is that of the target.
fn inside(target: &Target) -> Vec<String> {
    let own = target.ns["pid"].as_u64().unwrap();
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| {
        let file = std::fs::metadata(format!("/proc/{pid}/ns/pid"));
        file.is_ok_and(|file| std::os::unix::fs::MetadataExt::ino(&file) == own)
    })
    .collect()
}

mod userns {
    use super::*;

    #[test]
    fn killed_at_any_moment_it_leaves_no_process_and_no_mount() {
        need!("userns");
        let target = Target::new(&["-UrmnpuiC", "--mount-proc"]);
        let mounts = || std::fs::read("/proc/self/mountinfo").unwrap();
        let before = mounts();
        let run = target.enter(&["-a", "-c", "--mount-proc"]).arg(tool("pause"));
        for n in 0..times() {
            let mut ns_enter = run.start();
            // From before its first instruction to long after its last.
            std::thread::sleep(Duration::from_micros(n * 7919 % 5000));
            ns_enter.signal(SIGKILL);
            ns_enter.child.wait().unwrap();
        }

        for _ in 0..1000 {
            if inside(&target).len() == 1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }

        assert_eq!(inside(&target), std::slice::from_ref(&target.pid));
        assert_eq!(mounts(), before);
    }
}
