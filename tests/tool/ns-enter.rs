//! ns-enter against the real kernel.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's errors are failed tests"
)]

use kit::{Run, Started, World, expect, need, tool};
use serde_json::Value;

#[path = "ns-enter/calls.rs"]
mod calls;
#[path = "ns-enter/defects.rs"]
mod defects;
#[path = "ns-enter/examples.rs"]
mod examples;
#[path = "ns-enter/hostile.rs"]
mod hostile;
#[path = "ns-enter/ids.rs"]
mod ids;
#[path = "ns-enter/namespaces.rs"]
mod namespaces;
#[path = "ns-enter/options.rs"]
mod options;
#[path = "ns-enter/peer.rs"]
mod peer;
#[path = "ns-enter/refused.rs"]
mod refused;
#[path = "ns-enter/signals.rs"]
mod signals;
#[path = "ns-enter/soak.rs"]
mod soak;
#[path = "ns-enter/targets.rs"]
mod targets;

/// A process in namespaces of its own, gone with the test.
struct Target {
    /// The ns-run that waits for it.
    _ns_run: Started,
    /// What ns-run said of it.
    record: String,
    pid: String,
    ns: Value,
    _run: Run,
}

impl Target {
    fn new(args: &[&str]) -> Self {
        let run = Run::tool("ns-run").args(args).args(["-f", "--status-fd=1"]);
        Self::of(run.arg(tool("pause")))
    }

    /// The run must end in `pause` and tell its status on stdout.
    fn of(run: Run) -> Self {
        let mut ns_run = run.start();
        let record = ns_run.line();
        let status: Value = serde_json::from_str(&record).unwrap();
        assert_eq!(ns_run.line(), "ready\n");
        let pid = status["pid"].to_string();
        Self { _ns_run: ns_run, record, pid, ns: status["ns"].clone(), _run: run }
    }

    fn enter(&self, args: &[&str]) -> Run {
        Run::tool("ns-enter").args(["-t", &self.pid]).args(args)
    }

    /// ns-enter with `probe` at its end.
    fn world(&self, args: &[&str]) -> World {
        World::of(self.enter(args).arg("--").arg(tool("probe")))
    }

    /// The kinds in which a world is the target's but not the test's.
    fn entered(&self, world: &World) -> Vec<String> {
        let (here, ns) = (World::here().get("ns"), world.get("ns"));
        let of_target =
            |kind: &&String| ns[*kind] == self.ns[*kind] && ns[*kind] != here[*kind];
        let mut all: Vec<_> =
            ns.as_object().unwrap().keys().filter(of_target).cloned().collect();
        let others =
            ns.as_object().unwrap().keys().filter(|kind| ns[*kind] != here[*kind]);
        assert_eq!(others.count(), all.len(), "{ns}");
        all.sort();
        all
    }
}

#[test]
fn a_command_line_that_is_wrong_is_refused_in_one_line() {
    Run::tool("ns-enter").args(["-a", "true"]).run().refused(
        125,
        expect![[r#"
            ns-enter: missing --target <TARGET>: --all takes one; try 'ns-enter --help'
        "#]],
    );
    Run::tool("ns-enter").args(["-t", "0", "true"]).run().refused(
        125,
        expect![[r#"
            ns-enter: invalid value '0' for '--target <TARGET>': not PID, PID:INODE, fd:N, file:PATH, cgroup:PATH or netns:NAME; try 'ns-enter --help'
        "#]],
    );
    Run::tool("ns-enter").args(["-t1", "-w", "-W/", "true"]).run().refused(
        125,
        expect![[r#"
            ns-enter: the argument '--wd[=<DIR>]' cannot be used with '--wdns[=<DIR>]'; try 'ns-enter --help'
        "#]],
    );
    Run::tool("ns-enter").args(["-t1", "-S-1", "true"]).run().refused(
        125,
        expect![[r#"
            ns-enter: invalid value '-1' for '--setuid <UID>': not a name; try 'ns-enter --help'
        "#]],
    );
}

#[test]
fn a_process_that_is_not_there_is_told() {
    Run::tool("ns-enter").args(["-t", "2147483647", "-a", "true"]).run().refused(
        125,
        expect![[r#"
            ns-enter: cannot open process '2147483647': No such process
        "#]],
    );
}

#[test]
fn without_namespaces_nothing_changes() {
    let target = Target::new(&[]);

    assert_eq!(target.world(&[]).changed_from(&World::here()), [""; 0]);
    assert_eq!(target.world(&["-a"]).changed_from(&World::here()), [""; 0]);
}

#[test]
fn the_status_of_command_is_that_of_ns_enter() {
    let target = Target::new(&[]);

    let _ = target.enter(&["sh", "-c", "exit 7"]).run().code(7);
    target.enter(&["/no/such"]).run().refused(
        127,
        expect![[r#"
            ns-enter: cannot run '/no/such': No such file or directory
        "#]],
    );
}

#[test]
fn without_a_command_the_users_shell_is_a_login_shell() {
    let target = Target::new(&[]);

    let world = World::of(target.enter(&[]).env("SHELL", tool("probe")));

    assert_eq!(world.get("argv").to_string(), r#"["-probe"]"#);
}

#[test]
fn the_working_directory_of_the_process_can_be_taken() {
    let run = Run::program("sh").args(["-c", "mkdir there; cd there; exec \"$@\"", "sh"]);
    let run = run.arg(tool("ns-run")).args(["-f", "--status-fd=1"]).arg(tool("pause"));
    let there = run.tmp().join("there");
    let target = Target::of(run);

    let out = target.enter(&["-w", "pwd", "-P"]).run().ok();

    assert_eq!(out.trim_end(), there.canonicalize().unwrap().to_str().unwrap());
}

#[test]
fn another_users_process_is_refused_with_a_hint() {
    need!("user");
    Run::tool("ns-enter").args(["-t", "1", "-a", "true"]).run().refused(125, expect![[r#"
        ns-enter: cannot read '/proc/1/ns/user': Permission denied; it takes its user, or CAP_SYS_PTRACE over it
    "#]]);
    Run::tool("ns-enter").args(["-t", "1", "-n", "true"]).run().refused(125, expect![[r#"
        ns-enter: cannot enter the net namespace of process 1: Operation not permitted; it takes CAP_SYS_ADMIN: be root, or add --user
    "#]]);
}
