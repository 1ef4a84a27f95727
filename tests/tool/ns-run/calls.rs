//! The system calls from start to exec: a list, so that none comes in unseen.

use kit::{Expect, Run, expect, need, tool};

/// The names of the calls of each process, in the order of their starts, up to its exec.
fn calls(options: &[&str]) -> String {
    let run = Run::program("strace").args(["-ff", "-qq", "-o", "log"]);
    let run = run.arg(tool("ns-run")).args(options).arg(tool("noop"));
    let out = run.run().code(0);
    let mut logs: Vec<_> = std::fs::read_dir(out.tmp()).unwrap().flatten().collect();
    logs.sort_by_key(|log| {
        let name = log.file_name().into_string().unwrap();
        name.rsplit('.').next().unwrap().parse::<u32>().unwrap()
    });
    let processes: Vec<_> = logs.iter().map(|log| names(&log.path())).collect();
    processes.join("\n") + "\n"
}

fn names(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap();
    // What the C library does before main is no decision of ours, nor what std asserts
    // of a descriptor where it is built for debugging.
    let ours = |name: &&str| {
        !matches!(*name, "arch_prctl" | "set_tid_address" | "execve" | "fcntl")
    };
    let names =
        text.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name);
    let names: Vec<_> = names
        .enumerate()
        .take_while(|(n, name)| *n == 0 || !matches!(*name, "execve" | "waitid"))
        .map(|(_, name)| name)
        .filter(ours)
        .collect();
    names.join(" ")
}

fn are(options: &[&str], expected: &Expect) {
    expected.assert_eq(&calls(options));
}

#[test]
fn with_nothing_to_do_there_is_nothing_done() {
    need!("program:strace");
    are(
        &[],
        &expect![[r#"
        poll geteuid getegid
    "#]],
    );
    are(
        &["-f"],
        &expect![[r#"
            poll geteuid getegid rt_sigprocmask rt_sigaction getpid pidfd_open mmap mprotect clone close munmap rt_sigtimedwait
            prctl poll rt_sigprocmask rt_sigaction rt_sigaction rt_sigaction rt_sigaction rt_sigprocmask
        "#]],
    );
}

/// What is not of the arena could be left half done by a child that is killed.
#[test]
fn more_memory_than_the_arena_has_is_never_lent() {
    need!("program:strace");
    let long = "x".repeat(100_000);
    let calls = calls(&["-f", "--", tool("noop").to_str().unwrap(), &long, &long]);

    assert!(calls.contains(" clone3 "), "{calls}");
}

mod userns {
    use super::*;

    #[test]
    fn a_user_namespace_takes_three_files() {
        need!("userns", "program:strace");
        are(
            &["-r"],
            &expect![[r#"
                poll geteuid getegid unshare openat fstatfs write pread64 close openat fstatfs write close openat fstatfs write pread64 close
            "#]],
        );
    }

    #[test]
    fn a_process_of_its_own_takes_a_fork() {
        need!("userns", "program:strace");
        are(
            &["-rpf", "--mount-proc"],
            &expect![[r#"
                poll geteuid getegid open unshare openat fstatfs write pread64 close openat fstatfs write close openat fstatfs write pread64 close rt_sigprocmask rt_sigaction getpid pidfd_open mmap mprotect clone close munmap rt_sigtimedwait
                prctl poll mount mount rt_sigprocmask rt_sigaction rt_sigaction rt_sigaction rt_sigaction rt_sigprocmask
            "#]],
        );
        are(
            &["-Urmnpuif"],
            &expect![[r#"
                poll geteuid getegid open unshare openat fstatfs write pread64 close openat fstatfs write close openat fstatfs write pread64 close rt_sigprocmask rt_sigaction getpid pidfd_open mmap mprotect clone close munmap rt_sigtimedwait
                prctl poll mount socket ioctl close rt_sigprocmask rt_sigaction rt_sigaction rt_sigaction rt_sigaction rt_sigprocmask
            "#]],
        );
    }
}
