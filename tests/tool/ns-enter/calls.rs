//! Which system calls it takes to get from the start to COMMAND.

use kit::{Expect, Run, expect, need, tool};

use crate::Target;

/// The calls of the one that becomes COMMAND and, before it is forked, of its parent; a
/// number before what is called in a row. Without what the C library does before main, and
/// what only a debug build does.
fn calls(run: Run, log: &std::path::Path) -> String {
    assert_eq!(run.run().ok(), "");
    let text = std::fs::read_to_string(log).unwrap();
    let mut lines = text.lines().filter_map(|line| line.trim_start().split_once(' '));
    let (mut pid, first) = lines.next().unwrap();
    assert!(first.trim_start().starts_with("execve("));
    let mut names: Vec<String> = Vec::new();
    for (who, call) in lines {
        let call = call.trim_start();
        if who != pid {
            continue;
        }
        if call.starts_with("clone") {
            let mut child = text.lines().map(|l| l.split_whitespace().next().unwrap());
            pid = child.rfind(|other| *other != pid).unwrap_or(pid);
        }
        let Some((name, _)) = call.split_once('(') else { continue };
        if call.starts_with("execve") {
            break;
        }
        let is_silent =
            ["arch_prctl", "set_tid_address", "fcntl", "close"].contains(&name);
        if !is_silent && !call.starts_with("<...") && !call.starts_with("+++") {
            names.push(name.to_owned());
        }
    }
    let rows = names.chunk_by(|a, b| a == b).map(|row| match row.len() {
        1 => row[0].clone(),
        n => format!("{n} {}", row[0]),
    });
    let rows = rows.collect::<Vec<_>>().join("\n");
    rows.replace(&"ioctl\nfstat\n".repeat(16), "16 ioctl and fstat\n")
}

#[allow(clippy::needless_pass_by_value, reason = "reads as a sentence")]
fn takes(target: &Target, args: &[&str], expected: Expect) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let run = Run::program("strace").args(["-f", "-o"]).arg(&log).arg(tool("ns-enter"));
    let run = run.args(["-t", &target.pid]).args(args).arg(tool("noop"));

    expected.assert_eq(&calls(run, &log));
}

mod root {
    use super::*;

    #[test]
    fn one_namespace_takes_one_call_and_what_keeps_it_safe() {
        need!("root", "program:strace");
        takes(
            &Target::new(&["-n"]),
            &["-n"],
            expect![[r#"
                poll
                pidfd_open
                prctl
                setns"#]],
        );
    }

    #[test]
    fn all_namespaces_take_one_call_and_a_fork() {
        need!("root", "program:strace");
        takes(
            &Target::new(&["-mnpuiC"]),
            &["-a"],
            expect![[r#"
                poll
                pidfd_open
                getpid
                pidfd_open
                16 ioctl and fstat
                pidfd_send_signal
                prctl
                setns
                rt_sigprocmask
                rt_sigaction
                getpid
                pidfd_open
                mmap
                mprotect
                clone
                prctl
                poll
                rt_sigprocmask
                4 rt_sigaction
                rt_sigprocmask"#]],
        );
    }

    #[test]
    fn a_user_namespace_takes_a_look_at_its_ids() {
        need!("root", "program:strace");
        takes(
            &Target::new(&["-Urn"]),
            &["-U", "-n"],
            expect![[r#"
                poll
                pidfd_open
                openat
                2 read
                capget
                openat
                2 read
                pidfd_send_signal
                prctl
                setgroups
                prctl
                setns
                prctl
                setresgid
                setresuid"#]],
        );
    }
}
