//! ns-enter against the real kernel.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's errors are failed tests"
)]

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout};

use common::sys;
use kit::run::{SIGKILL, SIGTERM};
use kit::{Run, World, expect, need, tool};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

/// A process in namespaces of its own, gone with the test.
struct Target {
    ns_run: Child,
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
        let mut ns_run = run.command().spawn().unwrap();
        let mut out = BufReader::new(ns_run.stdout.take().unwrap());
        let status: Value = serde_json::from_str(&line(&mut out)).unwrap();
        assert_eq!(line(&mut out), "ready\n");
        let pid = status["pid"].to_string();
        Self { ns_run, pid, ns: status["ns"].clone(), _run: run }
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

impl Drop for Target {
    fn drop(&mut self) {
        self.ns_run.kill().unwrap();
        self.ns_run.wait().unwrap();
    }
}

fn line(out: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line
}

const EVERY: &str = "-UrmnpuiCT";

#[test]
fn a_command_line_that_is_wrong_is_refused_in_one_line() {
    Run::tool("ns-enter").args(["-a", "true"]).run().refused(
        125,
        expect![[r#"
            ns-enter: missing --target <PID>; try 'ns-enter --help'
        "#]],
    );
    Run::tool("ns-enter").args(["-t", "0", "true"]).run().refused(
        125,
        expect![[r#"
            ns-enter: invalid value '0' for '--target <PID>': 0 is not in 1..=2147483647; try 'ns-enter --help'
        "#]],
    );
    Run::tool("ns-enter").args(["-t1", "-S0", "--preserve-credentials"]).run().refused(
        125,
        expect![[r#"
            ns-enter: the argument '--setuid <UID>' cannot be used with '--preserve-credentials'; try 'ns-enter --help'
        "#]],
    );
}

#[test]
fn what_cannot_be_done_yet_is_refused() {
    Run::tool("ns-enter").args(["--net=file", "-t", "1", "true"]).run().refused(
        125,
        expect![[r#"
            ns-enter: unexpected value 'file' for '--net' found; no more were expected; try 'ns-enter --help'
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
        ns-enter: cannot enter the namespaces of process '1': Operation not permitted; it takes CAP_SYS_ADMIN: be root, or add --user
    "#]]);
}

mod userns {
    use super::*;

    #[test]
    fn all_enters_every_namespace_and_makes_root() {
        need!("userns");
        let target = Target::new(&[EVERY]);

        let world = target.world(&["-a"]);

        assert_eq!(world.get("ns"), target.ns);
        assert_eq!(
            (world.get("uid"), world.get("gid")),
            ("0\t0\t0\t0".into(), "0\t0\t0\t0".into())
        );
        assert_eq!(world.get("caps.eff"), world.get("caps.bnd"));
        assert_eq!((world.get("cwd"), world.get("ppid")), ("/".into(), 0.into()));
    }

    #[test]
    fn all_enters_only_what_is_foreign() {
        need!("userns");
        let target = Target::new(&["-rnu"]);

        let world = target.world(&["--all"]);

        assert_eq!(target.entered(&world), ["net", "user", "uts"]);
        let changed = world.changed_from(&World::here());
        let mut topics = [
            "ns",
            "hostname",
            "uid-map",
            "gid-map",
            "setgroups",
            "uid",
            "gid",
            "groups",
            "caps",
        ]
        .iter();
        assert!(
            changed.iter().all(|c| topics.any(|t| t == c) || c == "ns"),
            "{changed:?}"
        );
        // It did not enter the mount namespace, so the directory stays.
        assert_ne!(world.get("cwd"), "/");
    }

    #[test]
    fn each_option_enters_its_namespace_and_no_other() {
        need!("userns");
        let target = Target::new(&[EVERY]);
        for (option, kind) in [
            ("--mount", "mnt"),
            ("--ipc", "ipc"),
            ("--uts", "uts"),
            ("--net", "net"),
            ("--cgroup", "cgroup"),
            ("--pid", "pid"),
            ("--time", "time"),
        ] {
            let world = target.world(&["-U", option]);

            let mut expected = [kind, "user"];
            expected.sort_unstable();
            assert_eq!(target.entered(&world), expected);
        }
    }

    #[test]
    fn credentials_can_be_preserved() {
        need!("userns");
        let target = Target::new(&["-U"]);

        let world = target.world(&["-U", "--preserve-credentials"]);

        assert_eq!(world.get("uid"), "65534\t65534\t65534\t65534");
    }

    #[test]
    fn an_id_that_is_not_mapped_is_refused_with_a_hint() {
        need!("userns");
        let target = Target::new(&["-U"]);

        target.enter(&["-U", "true"]).run().refused(
            125,
            expect![[r#"
                ns-enter: cannot leave the supplementary groups: Operation not permitted; no ids are mapped there, or it takes CAP_SETGID: --preserve-credentials
            "#]],
        );
    }

    #[test]
    fn command_has_no_descriptor_and_no_variable_of_ours() {
        need!("userns");
        let target = Target::new(&[EVERY]);

        let world = target.world(&["-a"]);

        assert_eq!(world.get("fds"), World::here().get("fds"));
        assert_eq!(world.get("env"), World::here().get("env"));
        assert_eq!(world.get("signals"), World::here().get("signals"));
        assert_eq!(world.get("umask"), World::here().get("umask"));
    }

    #[test]
    fn our_tools_go_along() {
        need!("userns");
        let target = Target::new(&[EVERY]);
        let run = target.enter(&["-a", "--", "ns-run", "-f", "--"]);

        let world = World::of(run.arg(tool("probe")).env("PATH", "/nonexistent"));

        assert_eq!(world.get("fds"), World::here().get("fds"));
        assert!(!world.get("env").to_string().contains("BORDMITTEL"));
        assert_eq!(target.entered(&world).len(), 8);
    }

    #[test]
    fn no_fork_stays_outside_the_pid_namespace() {
        need!("userns");
        let target = Target::new(&["-rp"]);

        assert_eq!(target.entered(&target.world(&["-a"])), ["pid", "user"]);
        assert_eq!(target.entered(&target.world(&["-a", "-F"])), ["user"]);
    }

    #[test]
    fn a_signal_to_ns_enter_reaches_command_and_is_what_it_dies_of() {
        need!("userns");
        let target = Target::new(&["-rp"]);
        let run = target.enter(&["-a"]).arg(tool("pause"));
        let mut child = run.command().spawn().unwrap();
        assert_eq!(line(&mut BufReader::new(child.stdout.take().unwrap())), "ready\n");

        signal(&child, SIGTERM);

        assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));
    }

    #[test]
    fn killing_ns_enter_kills_command() {
        need!("userns");
        let target = Target::new(&["-rp"]);
        let run = target.enter(&["-a"]).arg(tool("pause"));
        let mut child = run.command().spawn().unwrap();
        assert_eq!(line(&mut BufReader::new(child.stdout.take().unwrap())), "ready\n");
        let below = format!("/proc/{0}/task/{0}/children", child.id());
        let command = std::fs::read_to_string(below).unwrap();
        let command = sys::pidfd_open(command.trim().parse().unwrap()).unwrap();

        signal(&child, SIGKILL);

        let mut fds = [PollFd::new(command.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap(), 1);
        child.wait().unwrap();
    }

    fn signal(child: &Child, signal: i32) {
        let pidfd = sys::pidfd_open(i32::try_from(child.id()).unwrap()).unwrap();
        sys::pidfd_send_signal(pidfd.as_fd(), signal).unwrap();
    }

    #[test]
    fn a_process_that_has_ended_is_told() {
        need!("userns");
        // Nobody has waited for it: a zombie.
        let zombie = Run::program("true").command().spawn().unwrap();
        let id = i32::try_from(zombie.id()).unwrap();
        let pidfd = sys::pidfd_open(id).unwrap();
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).unwrap();

        for option in ["-n", "-a"] {
            let out =
                Run::tool("ns-enter").args(["-t", &id.to_string(), option, "true"]).run();

            let out = out.code(125);
            let text =
                String::from_utf8_lossy(&out.stderr).replace(&id.to_string(), "PID");
            assert!(text.ends_with("ended\n") && text.lines().count() == 1, "{text}");
        }
        let mut zombie = zombie;
        zombie.wait().unwrap();
    }

    #[test]
    fn a_user_namespace_that_is_ours_is_told() {
        need!("userns");
        let target = Target::new(&[]);

        let out = target.enter(&["-U", "true"]).run().code(125);

        let text = String::from_utf8_lossy(&out.stderr).replace(&target.pid, "PID");
        expect![[r#"
            ns-enter: cannot enter the namespaces of process 'PID': Invalid argument; its user namespace is ours already: leave --user away
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn the_world_is_the_one_that_nsenter_makes() {
        need!("userns", "program:nsenter");
        let target = Target::new(&["-UrmnpuiC", "--mount-proc"]);
        for args in [
            &["-U", "-m"][..],
            &["-U", "-n", "-u", "-i"],
            &["-U", "-C"],
            &["-U", "-m", "-p"],
            &["-U", "-p", "-F"],
        ] {
            // Without, nsenter fails for an ordinary user: setgroups is denied there.
            let args = [args, &["--preserve-credentials"]].concat();
            let peer = Run::program("nsenter").args(["-t", &target.pid]).args(&args);

            let ours = target.world(&args);
            let theirs = World::of(peer.arg("--").arg(tool("probe")));

            // The bond is ours by default.
            let mut differs = ours.changed_from(&theirs);
            differs.retain(|topic| topic != "pdeathsig");
            assert_eq!(differs, [""; 0], "{args:?}");
        }
    }
}

mod root {
    use super::*;

    #[test]
    fn root_enters_one_namespace_and_stays_who_it_is() {
        need!("root");
        let target = Target::new(&["-nu"]);

        let world = target.world(&["-n"]);

        assert_eq!(target.entered(&world), ["net"]);
        assert_eq!(world.changed_from(&World::here()), ["ns"]);
    }

    #[test]
    fn ids_can_be_named_and_the_groups_are_left() {
        need!("root");
        let target = Target::new(&[]);

        let world = target.world(&["-S", "5", "-G", "6"]);

        assert_eq!(
            (world.get("uid"), world.get("gid")),
            ("5\t5\t5\t5".into(), "6\t6\t6\t6".into())
        );
        assert_eq!(world.get("groups"), "");
    }

    #[test]
    fn groups_are_left_before_a_namespace_that_forbids_it() {
        need!("root", "program:setpriv");
        let target = Target::new(&["-r"]);
        let script = "exec setpriv --groups 7,8 \"$@\"";
        let run = Run::program("sh").args(["-c", script, "sh"]).arg(tool("ns-enter"));

        let world = World::of(run.args(["-t", &target.pid, "-U"]).arg(tool("probe")));

        assert_eq!(world.get("groups"), "");
    }

    #[test]
    fn the_root_directory_of_the_process_can_be_taken() {
        need!("root", "program:chroot");
        let script = "mkdir -p r; cp \"$PAUSE\" \"$PROBE\" r; echo hi >r/hi; \
            exec \"$NS_RUN\" -f --status-fd 1 chroot r /pause";
        let run = Run::program("sh").args(["-ec", script]);
        let run = run.env("PAUSE", tool("pause")).env("PROBE", tool("probe"));
        let target = Target::of(run.env("NS_RUN", tool("ns-run")));

        let world = World::of(target.enter(&["-r", "/probe"]));

        assert_eq!(world.get("cwd"), "/");
        // It has no /proc there.
        assert!(world.mounts().is_empty());
    }

    #[test]
    fn the_bond_survives_a_change_of_ids() {
        need!("root");
        let target = Target::new(&["-p"]);

        let world = target.world(&["-p", "-S", "5", "-G", "5"]);

        assert_eq!(world.get("pdeathsig"), SIGKILL);
    }

    #[test]
    fn the_world_is_the_one_that_nsenter_makes_for_root() {
        need!("root", "program:nsenter");
        let target = Target::new(&["-UrmnpuiC", "--mount-proc"]);
        for args in [
            &["-a"][..],
            &["-m"],
            &["-n", "-u"],
            &["-p"],
            &["-a", "-F"],
            &["-U", "-S0"],
            &["-U", "-m", "-p"],
        ] {
            let peer = Run::program("nsenter").args(["-t", &target.pid]).args(args);

            let ours = target.world(args);
            let theirs = World::of(peer.arg("--").arg(tool("probe")));

            let mut differs = ours.changed_from(&theirs);
            differs.retain(|topic| topic != "pdeathsig");
            assert_eq!(differs, [""; 0], "{args:?}");
        }
    }
}
