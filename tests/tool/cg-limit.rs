//! cg-limit against the real kernel.
//!
//! Whatever the layout of the machine: the tests find the groups by `--status-fd`. All
//! groups are made below the ones the test is in, and each test looks that its own are
//! gone; names contain `cgroup`, so that nextest runs one at a time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's errors are failed tests")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use kit::{Out, Run, Started, World, expect, need};
use serde_json::Value;

#[path = "cg-limit/end.rs"]
mod end;
#[path = "cg-limit/kernels.rs"]
mod kernels;
#[path = "cg-limit/place.rs"]
mod place;
#[path = "cg-limit/soak.rs"]
mod soak;

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

/// A running cg-limit whose command has started, and its groups.
struct Running {
    cg_limit: Started,
    groups: Vec<PathBuf>,
    _run: Run,
}

fn start(limits: &[&str], text: &str) -> Running {
    let run = limited(limits, &["sh", "-c", &format!("echo up; {text}")]);
    let mut cg_limit = run.start();
    let groups = groups(&record(&cg_limit.line()));
    assert_eq!(cg_limit.line(), "up\n");
    Running { cg_limit, groups, _run: run }
}

impl Running {
    /// Lets a command end that reads its input.
    fn end(mut self) {
        drop(self.cg_limit.child.stdin.take());
        self.cg_limit.child.wait().unwrap();
        assert_gone(&self.groups);
    }

    /// The end of everything that has our stdout.
    fn wait_for_silence(&mut self) {
        self.cg_limit.stdout.read_to_end(&mut Vec::new()).unwrap();
    }
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
            cg-limit: invalid value '0' for '--pids <N|N%|max>': not a number of tasks from 1 to 4194304; try 'cg-limit --help'
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
            cg-limit: cannot use parent '/proc': not a directory of a cgroup hierarchy with controllers
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
        // In the words of the layout's own files.
        let limits = status["limits"].to_string();
        let v1 = r#"{"memory.limit_in_bytes":49999872,"cpu.cfs_period_us":100000,"cpu.cfs_quota_us":50000,"pids.max":"max"}"#;
        let v2 = r#"{"memory.max":49999872,"cpu.max":"50000 100000","pids.max":"max"}"#;
        assert!([v1, v2].contains(&limits.as_str()), "{limits}");
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
}

#[test]
fn the_man_page_tells_every_name_and_file_of_a_limit() {
    let page = fs::read_to_string(need::project().join("man/cg-limit.1")).unwrap();
    let page = page.replace("\\-", "-");
    let is_cell =
        |text: &str| page.lines().any(|line| line.split('\t').any(|cell| cell == text));

    for row in cg_limit::table::TABLE {
        let docker = row.docker.iter().map(|name| format!("--{name}"));
        let systemd = row.systemd.iter().map(|(name, _)| (*name).to_owned());
        let files = [&row.v1, &row.v2].into_iter().flat_map(|to| to.files().split(", "));
        let files = files.filter(|name| !name.is_empty()).map(str::to_owned);
        for name in docker.chain(systemd).chain(files) {
            assert!(is_cell(&name), "man/cg-limit.1 has no {name} of --{}", row.name);
        }
    }
}
