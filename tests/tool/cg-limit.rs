//! cg-limit against the real kernel.
//!
//! Whatever the layout of the machine: the tests find the groups by `--status-fd`. All
//! groups are made below the ones the test is in, and each test looks that its own are
//! gone; names contain `cgroup`, so that nextest runs one at a time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's errors are failed tests")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use kit::{Out, Run, World, expect, need};
use serde_json::Value;

/// cg-limit with its status as the first line of stdout.
fn limited(limits: &[&str], command: &[&str]) -> Run {
    Run::tool("cg-limit").args(["--status-fd", "1"]).args(limits).arg("--").args(command)
}

/// A shell command under limits, which gets the groups' directories as `$memory` ….
fn script(limits: &[&str], text: &str) -> Run {
    // The status is in the file before the shell is.
    let find = "for c in memory cpu pids; do \
        eval \"$c=$(sed -n \"s/.*\\\"$c\\\":\\\"\\([^\\\"]*\\)\\\".*/\\1/p\" status)\"; done";
    let run = Run::program("sh").args(["-c", "exec 9>status; exec \"$@\" 9>&9", "sh"]);
    run.arg(kit::tool("cg-limit")).args(["--status-fd", "9"]).args(limits).args([
        "--",
        "sh",
        "-c",
        &format!("{find}\n{text}"),
    ])
}

fn record(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"))
}

/// The groups that a status names.
fn groups(record: &Value) -> Vec<PathBuf> {
    let all = record["cgroups"].as_object().unwrap();
    all.values().map(|path| PathBuf::from(path.as_str().unwrap())).collect()
}

/// The groups of a `script`, once it has run.
fn groups_of(out: &Out) -> Vec<PathBuf> {
    groups(&record(&fs::read_to_string(out.tmp().join("status")).unwrap()))
}

#[track_caller]
fn assert_gone(groups: &[PathBuf]) {
    assert!(!groups.is_empty());
    for group in groups {
        assert!(!group.exists(), "{} is left", group.display());
    }
}

/// A running cg-limit whose command has started, its status and the rest of its stdout.
struct Running {
    child: Child,
    groups: Vec<PathBuf>,
    stdout: BufReader<std::process::ChildStdout>,
    _run: Run,
}

fn start(limits: &[&str], text: &str) -> Running {
    let run = limited(limits, &["sh", "-c", &format!("echo up; {text}")]);
    let mut child = run.command().spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let groups = groups(&record(&line));
    stdout.read_line(&mut line).unwrap();
    assert!(line.ends_with("up\n"), "{line}");
    Running { child, groups, stdout, _run: run }
}

impl Running {
    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    }

    /// Lets a command end that reads its input.
    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
        assert_gone(&self.groups);
    }

    /// The end of everything that has our stdout.
    fn wait_for_silence(&mut self) {
        self.stdout.read_to_end(&mut Vec::new()).unwrap();
    }
}

fn gc() {
    assert_eq!(Run::tool("cg-limit").arg("--gc").run().ok(), "");
}

#[test]
fn mistakes_are_refused_in_one_line() {
    let refused = |args: &[&str], expected| {
        Run::tool("cg-limit").args(args).run().refused(125, expected);
    };

    refused(
        &["--nope", "true"],
        expect![[r#"
            cg-limit: unexpected argument '--nope' found; try 'cg-limit --help'
        "#]],
    );
    refused(
        &["--", "true"],
        expect![[r#"
            cg-limit: no limit given; try 'cg-limit --help'
        "#]],
    );
    refused(
        &["--memory", "64Q", "true"],
        expect![[r#"
            cg-limit: invalid value '64Q' for '--memory <SIZE|N%|max>': not a size: a number and one of K, M, G, T, P; try 'cg-limit --help'
        "#]],
    );
    refused(
        &["--pids", "0", "true"],
        expect![[r#"
            cg-limit: invalid value '0' for '--pids <N|max>': not a number of tasks from 1 to 4194304; try 'cg-limit --help'
        "#]],
    );
    refused(
        &["--gc", "true"],
        expect![[r#"
            cg-limit: the argument '--gc' cannot be used with one or more of the other specified arguments; try 'cg-limit --help'
        "#]],
    );
    refused(
        &["--pids", "5", "--parent", "/proc", "true"],
        expect![[r#"
            cg-limit: cannot use parent '/proc': not a cgroup directory of memory, cpu or pids
        "#]],
    );
    refused(
        &["--pids", "5", "--parent", "nowhere", "true"],
        expect![[r#"
            cg-limit: cannot use parent 'nowhere': No such file or directory
        "#]],
    );
}

#[test]
fn an_ordinary_user_without_a_group_of_its_own_is_told_what_to_do() {
    need!("user", "cgroup-v1");
    let out = Run::tool("cg-limit").args(["--pids", "5", "--", "echo", "ran"]).run();

    let out = out.code(125);

    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.stdout.is_empty() && text.lines().count() == 1, "{text}");
    assert!(text.starts_with("cg-limit: cannot make a group in '/"), "{text}");
    let end =
        "': Permission denied; cgroup v1 takes root, or a group of yours by --parent\n";
    assert!(text.ends_with(end), "{text}");
}

mod root {
    use super::*;

    #[test]
    fn the_limits_of_a_cgroup_hold_before_the_command_starts() {
        need!("root");
        let text = "cat $memory/memory.max $memory/memory.limit_in_bytes \
             $cpu/cpu.max $cpu/cpu.cfs_quota_us $pids/pids.max 2>/dev/null; \
             for d in $memory $cpu $pids; do grep -c \"^$$\\$\" $d/cgroup.procs; done";
        let out =
            script(&["--memory", "33M", "--cpus", "150%", "--pids", "20"], text).run();

        let groups = groups_of(&out);
        let text = out.ok();
        assert_eq!(
            text.replace("150000 100000", "150000"),
            "34603008\n150000\n20\n1\n1\n1\n"
        );
        assert_gone(&groups);
    }

    #[test]
    fn nothing_but_the_cgroup_and_the_bond_to_its_parent_is_changed() {
        need!("root");
        let run = Run::tool("cg-limit")
            .args(["--memory=1G", "--pids=20", "--"])
            .arg(kit::tool("probe"));

        let world = World::of(run);

        assert_eq!(world.changed_from(&World::here()), ["pdeathsig", "cgroup"]);
        assert_eq!(world.get("pdeathsig"), 9);
    }

    #[test]
    fn the_status_names_the_cgroups_the_limits_and_the_process() {
        need!("root");
        let limits = ["--memory=50000001", "--cpus=0.5", "--pids=max"];
        let text = limited(&limits, &["sh", "-c", "echo $$"]).run().ok();

        let (status, pid) = text.split_once('\n').unwrap();
        let status = record(status);
        assert_eq!(
            status["limits"].to_string(),
            r#"{"memory":49999872,"pids":"max","cpu-quota-us":50000,"cpu-period-us":100000}"#
        );
        assert_eq!(status["pid"].to_string(), pid.trim());
        assert_gone(&groups(&status));
    }

    #[test]
    fn a_status_descriptor_that_is_not_open_is_refused_before_a_cgroup_is_made() {
        need!("root");
        Run::tool("cg-limit").args(["--pids=5", "--status-fd=7", "true"]).run().refused(
            125,
            expect![[r#"
                cg-limit: cannot use status descriptor '7': Bad file number
            "#]],
        );
    }

    #[test]
    fn the_plan_is_printed_and_no_cgroup_is_made() {
        need!("root");
        let text =
            Run::tool("cg-limit").args(["--explain", "--pids=5", "true"]).run().ok();

        let made = text.split('\'').nth(1).unwrap();
        assert!(made.contains("/cg-limit."), "{text}");
        assert!(!Path::new(made).exists());
        assert!(text.contains("\npids.max=5 "), "{text}");
        assert!(text.ends_with("# become COMMAND\n"), "{text}");
    }

    #[test]
    fn a_command_that_outgrows_its_cgroup_is_killed_and_that_is_said() {
        need!("root");
        let run = limited(&["--memory", "32M", "--swap", "0"], &["tail", "/dev/zero"]);

        let out = run.run().signal(kit::run::SIGKILL);

        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        let (said, peak) = text.split_once(" (peak ").unwrap();
        assert_eq!(said, "cg-limit: memory limit 32 MiB reached, a process was killed");
        assert!(peak.ends_with("iB)\n") && text.lines().count() == 1, "{text}");
        assert_gone(&groups(&record(&String::from_utf8_lossy(&out.stdout))));
    }

    #[test]
    fn a_hog_in_the_cgroup_is_killed_and_the_rest_goes_on() {
        need!("root");
        let text = "tail /dev/zero 2>/dev/null; echo hog $?";
        let out = script(&["--memory", "32M", "--swap", "0"], text).run().code(0);

        assert_eq!(out.stdout, b"hog 137\n");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains("cg-limit: memory limit 32 MiB reached"), "{said}");
    }

    #[test]
    fn a_cgroup_that_is_full_of_tasks_takes_no_more() {
        need!("root");
        let text =
            "for i in 1 2 3 4 5 6; do sleep 1000 & done 2>/dev/null; echo not reached";
        let out = script(&["--pids", "4"], text).run();

        assert_eq!(out.status.code(), Some(2));
        assert!(out.stdout.is_empty());
        assert_gone(&groups_of(&out));
    }

    #[test]
    fn a_cpu_quota_binds_the_cgroup() {
        need!("root");
        // 50 ms of CPU time at a tenth of one CPU take several periods.
        let text = "i=0; while ! grep -q '^nr_throttled [1-9]' $cpu/cpu.stat; do \
             i=$((i+1)); done; echo throttled";

        assert_eq!(script(&["--cpus", "0.1"], text).run().ok(), "throttled\n");
    }

    #[test]
    fn daemons_that_the_command_leaves_do_not_outlive_the_cgroup() {
        need!("root");
        let text = "for i in 1 2 3; do \
             setsid sh -c 'sleep 1000 & sleep 1000' </dev/null >/dev/null 2>&1 & done; exit 3";
        let out = script(&["--pids", "50", "--memory", "64M"], text).run().code(3);

        assert!(out.stderr.is_empty());
        assert_gone(&groups_of(&out));
    }

    #[test]
    fn processes_that_fork_without_end_are_ended_with_their_cgroup() {
        need!("root");
        let bomb = "b() { b 2>/dev/null & b 2>/dev/null & wait; }; \
             (b </dev/null >/dev/null 2>&1) & \
             until grep -q '^max [1-9]' $pids/pids.events; do :; done";
        let out = script(&["--pids", "60"], bomb).run();

        assert_gone(&groups_of(&out));
    }

    #[test]
    fn groups_that_the_command_makes_in_its_cgroup_are_removed() {
        need!("root");
        let text = "mkdir -p $pids/a/b $pids/c && \
             (echo 0 >$pids/a/b/cgroup.procs; exec sleep 1000 >/dev/null 2>&1) & \
             until grep -q . $pids/a/b/cgroup.procs 2>/dev/null; do :; done";
        let out = script(&["--pids", "50"], text).run().code(0);

        assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_gone(&groups_of(&out));
    }

    #[test]
    fn the_end_of_the_command_is_the_end_of_cg_limit_and_its_cgroup() {
        need!("root");
        for (text, code, signal) in [
            ("exit 0", Some(0), None),
            ("exit 7", Some(7), None),
            ("kill -TERM $$", None, Some(15)),
            ("kill -KILL $$", None, Some(9)),
            // A real-time signal.
            ("kill -40 $$", None, Some(40)),
        ] {
            let out = limited(&["--pids", "5"], &["sh", "-c", text]).run();

            assert_eq!(
                (out.status.code(), out.status.signal()),
                (code, signal),
                "{text}"
            );
            assert!(out.stderr.is_empty());
            assert_gone(&groups(&record(&String::from_utf8_lossy(&out.stdout))));
        }
    }

    #[test]
    fn a_command_that_is_not_there_leaves_no_cgroup() {
        need!("root");
        let out = limited(&["--pids", "5"], &["nosuchcommand"]).run().code(127);

        assert_gone(&groups(&record(&String::from_utf8_lossy(&out.stdout))));
        let _ = out.stderr(expect![[r#"
            cg-limit: cannot run 'nosuchcommand': No such file or directory
        "#]]);
    }

    #[test]
    fn an_ignored_sigchld_hides_the_end_of_no_cgroup() {
        need!("root");
        let run = Run::program("sh").args(["-c", "trap '' CHLD; exec \"$@\"", "sh"]);
        let run = run.arg(kit::tool("cg-limit")).args(["--pids=5", "sh", "-c", "exit 4"]);

        let _ = run.run().code(4);
    }

    #[test]
    fn an_alarm_set_before_reaches_the_command_in_the_cgroup() {
        need!("root", "program:perl");
        let run = Run::program("perl").args(["-e", "alarm 1; exec @ARGV"]);
        let run = run.arg(kit::tool("cg-limit")).args(["--pids=5", "sleep", "1000"]);

        let _ = run.run().signal(14);
    }

    #[test]
    fn a_signal_to_cg_limit_ends_the_command_and_its_cgroup() {
        need!("root");
        let mut running = start(&["--pids", "5"], "exec sleep 1000");

        running.signal(nix::sys::signal::SIGTERM);

        assert_eq!(running.child.wait().unwrap().signal(), Some(15));
        assert_gone(&running.groups);
    }

    #[test]
    fn a_killed_cg_limit_leaves_an_empty_cgroup_which_gc_removes() {
        need!("root");
        let mut running = start(&["--pids", "5", "--memory", "64M"], "exec sleep 1000");

        running.signal(nix::sys::signal::SIGKILL);
        running.child.wait().unwrap();
        running.wait_for_silence();

        assert!(running.groups.iter().all(|group| group.is_dir()));
        // The dead process must be put away first.
        let emptied = |group: &PathBuf| {
            fs::read_to_string(group.join("cgroup.procs")).unwrap().is_empty()
        };
        while !running.groups.iter().all(emptied) {
            std::thread::yield_now();
        }
        gc();
        assert_gone(&running.groups);
    }

    #[test]
    fn gc_leaves_a_cgroup_alone_that_is_in_use() {
        need!("root");
        let mut running = start(&["--pids", "5"], "read x; exit 6");

        gc();

        assert!(running.groups.iter().all(|group| group.is_dir()));
        drop(running.child.stdin.take());
        assert_eq!(running.child.wait().unwrap().code(), Some(6));
        assert_gone(&running.groups);
    }

    #[test]
    fn gc_leaves_cgroups_alone_that_are_not_its_own() {
        need!("root");
        let running = start(&["--pids", "5"], "read x");
        let parent = running.groups[0].parent().unwrap().to_owned();
        let pid = std::process::id();
        // A live process's name on a group that nobody locks is still dead: not cg-limit.
        let [left, other] = [format!("cg-limit.{pid}.a0"), format!("cg-limit.{pid}-x")]
            .map(|name| parent.join(name));
        fs::create_dir(&left).unwrap();
        fs::create_dir(&other).unwrap();

        gc();

        let is_there = [left.exists(), other.exists()];
        let _ = fs::remove_dir(&left);
        fs::remove_dir(&other).unwrap();
        assert_eq!(is_there, [false, true]);
        running.end();
    }

    #[test]
    fn a_cg_limit_in_the_cgroup_of_another_is_below_it() {
        need!("root");
        let inner = kit::tool("cg-limit");
        let text = format!(
            "{} --pids 20 --status-fd 1 -- true | sed 's/.*\"pids\":\"\\([^\"]*\\).*/\\1/'; \
             echo $pids",
            inner.display()
        );
        let out = script(&["--pids", "30"], &text).run();

        let groups = groups_of(&out);
        let text = out.ok();
        let (inner, outer) = text.split_once('\n').unwrap();
        assert_eq!(Path::new(inner).parent(), Some(Path::new(outer.trim())));
        assert_gone(&groups);
    }

    #[test]
    fn a_parent_cgroup_that_is_named_is_used() {
        need!("root");
        let running = start(&["--pids", "50"], "read x");
        let parent = running.groups[0].parent().unwrap();
        let parent = parent.join(format!("test-{}", std::process::id()));
        fs::create_dir(&parent).unwrap();

        let out =
            limited(&["--pids=5", "--parent", parent.to_str().unwrap()], &["true"]).run();

        fs::remove_dir(&parent).unwrap();
        running.end();
        let made = groups(&record(&out.ok()));
        assert_eq!(made[0].parent(), Some(parent.as_path()));
    }

    #[test]
    fn a_failure_half_way_removes_the_cgroups_that_were_made() {
        need!("root", "cgroup-v1");
        let running = start(&["--pids", "5", "--memory=1G"], "read x");
        let [memory, pids] =
            [0, 1].map(|i| running.groups[i].parent().unwrap().to_owned());
        running.end();
        let text = "mount -o bind,remount,ro \"$2\" && { \"$0\" --memory 10M --pids 5 -- echo ran & }; \
             wait $!; echo $?; ls -d \"$1\"/cg-limit.$!.* 2>/dev/null";
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-c", text]);

        let out = run.arg(kit::tool("cg-limit")).arg(&memory).arg(&pids).run();

        assert_eq!(String::from_utf8_lossy(&out.stdout), "125\n");
        let expected = format!(
            "cg-limit: cannot make a group in '{}': Read-only file system; \
             the cgroup file system must be mounted read-write\n",
            pids.display()
        );
        assert_eq!(String::from_utf8_lossy(&out.stderr), expected);
    }
}
