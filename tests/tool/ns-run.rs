//! ns-run against the real kernel.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's errors are failed tests"
)]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;

use common::sys;
use kit::run::{SIGKILL, SIGTERM};
use kit::{Run, World, expect, need, tool};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const ALL: [&str; 8] = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"];

/// ns-run with `probe` at its end.
fn world(args: &[&str]) -> World {
    World::of(Run::tool("ns-run").args(args).arg("--").arg(tool("probe")))
}

/// The kinds of namespaces in which a world differs from the test's own.
fn foreign(world: &World) -> Vec<&'static str> {
    let here = World::here();
    let differs = |kind: &&str| {
        let path = format!("ns.{kind}");
        world.get(&path) != here.get(&path)
    };
    ALL.into_iter().filter(differs).collect()
}

fn shell(args: &[&str], script: &str) -> Run {
    Run::tool("ns-run").args(args).args(["--", "sh", "-c", script])
}

/// Starts it and waits for its first line.
fn started(run: &Run) -> (Child, String, BufReader<std::process::ChildStdout>) {
    let mut child = run.command().spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    (child, line, out)
}

fn signal(child: &Child, signal: i32) {
    let pidfd = sys::pidfd_open(i32::try_from(child.id()).unwrap()).unwrap();
    sys::pidfd_send_signal(pidfd.as_fd(), signal).unwrap();
}

fn is_gone(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap() == 1
}

#[test]
fn an_option_that_is_not_known_is_refused_in_one_line() {
    Run::tool("ns-run").args(["--nope"]).run().refused(
        125,
        expect![[r#"
            ns-run: unexpected argument '--nope' found; try 'ns-run --help'
        "#]],
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    Run::tool("ns-run").args(["--setgroups", "deny", "true"]).run().refused(
        125,
        expect![[r#"
            ns-run: cannot rule setgroups without a user namespace; add --user
        "#]],
    );
    Run::tool("ns-run").args(["-r", "--setgroups", "allow", "true"]).run().refused(
        125,
        expect![[r#"
            ns-run: cannot allow setgroups where only the own gid is mapped; drop --setgroups, or map more with --map-groups
        "#]],
    );
    Run::tool("ns-run").args(["--lo", "true"]).run().refused(
        125,
        expect![[r#"
            ns-run: missing --net; try 'ns-run --help'
        "#]],
    );
}

#[test]
fn a_map_in_which_command_would_be_nobody_is_refused() {
    Run::tool("ns-run").args(["--map-users", "5:100000:10", "true"]).run().refused(
        125,
        expect![[r#"
            ns-run: cannot run COMMAND with a uid that is not mapped; add --map-root-user or --map-current-user
        "#]],
    );
}

#[test]
fn persistent_namespaces_are_refused_until_they_work() {
    Run::tool("ns-run").args(["--mount=file", "true"]).run().refused(
        125,
        expect![[r#"
            ns-run: unexpected value 'file' for '--mount' found; no more were expected; try 'ns-run --help'
        "#]],
    );
}

#[test]
fn the_plan_is_printed_and_nothing_is_done() {
    let args =
        ["--explain", "-Unpf", "--map-user=0", "--mount-proc", "--hostname", "box"];
    let run = Run::tool("ns-run").args(args).args(["--status-fd=1", "mkdev", "dev"]);
    let uid = nix::unistd::geteuid().to_string();

    let text = run.run().ok().replace(&format!("'0 {uid} 1'"), "'0 UID 1'");

    expect![[r#"
        clone3(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWUTS|CLONE_NEWNET|CLONE_PIDFD) # COMMAND's process, in namespaces of its own
        prctl(PR_SET_PDEATHSIG, SIGKILL) # it dies with ns-run, not after it
        write('/proc/self/uid_map', '0 UID 1') # the own id
        open_tree('.../', OPEN_TREE_CLONE); mount_setattr()# a read-only clone of the tools' directory, for later links
        mount(NULL, '/', NULL, MS_REC|MS_PRIVATE, NULL)# how mounts spread to and from the outside
        ioctl(SIOCSIFFLAGS, 'lo', IFF_UP)# loopback, where there is the right to
        sethostname('box') # the host name
        mount('proc', '/proc', 'proc', MS_NOSUID|MS_NODEV|MS_NOEXEC) # the processes of the pid namespace
        write(1, '{"pid":…,"ns":{…}}') # set-up is complete
        execve('mkdev', …) # become COMMAND"#]]
    .assert_eq(&text.lines().map(|l| l.replace("  ", "")).collect::<Vec<_>>().join("\n"));
}

#[test]
fn without_options_nothing_changes() {
    assert_eq!(world(&[]).changed_from(&World::here()), [""; 0]);
}

#[test]
fn a_fork_changes_the_bond_and_nothing_else() {
    let world = world(&["--fork"]);

    assert_eq!(world.changed_from(&World::here()), ["pdeathsig"]);
    assert_eq!(world.get("pdeathsig"), SIGKILL);
}

#[test]
fn without_a_command_the_users_shell_is_a_login_shell() {
    let run = Run::tool("ns-run").arg("--fork").env("SHELL", tool("probe"));

    assert_eq!(World::of(run).get("argv").to_string(), r#"["-probe"]"#);
}

#[test]
fn the_status_of_command_is_that_of_ns_run() {
    for fork in [&[][..], &["--fork"]] {
        let _ = shell(fork, "exit 7").run().code(7);
        let _ = shell(fork, "kill -TERM $$").run().signal(SIGTERM);
    }
}

#[test]
fn a_command_that_cannot_be_run_is_told_once() {
    for fork in [&[][..], &["--fork"]] {
        Run::tool("ns-run").args(fork).arg("/no/such").run().refused(
            127,
            expect![[r#"
                ns-run: cannot run '/no/such': No such file or directory
            "#]],
        );
        Run::tool("ns-run").args(fork).arg("/").run().refused(
            126,
            expect![[r#"
                ns-run: cannot run '/': Permission denied
            "#]],
        );
    }
}

#[test]
fn ignored_signals_stay_ignored_and_closed_files_closed() {
    let with = |program: &[&str], command: &[&str]| {
        let script = "trap '' PIPE CHLD; exec \"$@\" <&- 2>&-";
        let run = Run::program("sh").args(["-c", script, "sh"]).args(program);
        run.args(command).run().ok()
    };
    let ns_run = tool("ns-run");
    let command = [
        "sh",
        "-c",
        "grep SigIgn /proc/self/status; for n in 0 1 2 3 4 5; do [ -e /proc/$$/fd/$n ] && echo $n; done; :",
    ];

    let plain = with(&[], &command);

    assert!(plain.ends_with("000\n1\n"), "{plain}");
    assert_eq!(with(&[ns_run.to_str().unwrap(), "--fork"], &command), plain);
}

#[test]
fn a_signal_reaches_command() {
    let run = shell(&["-f"], "trap 'exit 3' TERM; echo ready; while :; do read x; done");
    let (mut child, line, _out) = started(&run);
    assert_eq!(line, "ready\n");

    signal(&child, SIGTERM);

    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_key_of_the_terminal_reaches_command_once() {
    need!("program:script");
    let inner = "n=0; trap 'n=$((n+1))' INT; echo ready; \
        while ! read x; do :; done; echo \"n=$n\"";
    let line = format!(
        "exec '{}' -f sh -c '{}'",
        tool("ns-run").display(),
        inner.replace('\'', "'\\''")
    );
    let run = Run::program("script").args(["-qec", &line, "/dev/null"]);
    let mut child = run.command().spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut out =
        BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(out.next().unwrap().trim(), "ready");

    input.write_all(b"\x03").unwrap();
    input.write_all(b"x\n").unwrap();

    let rest: Vec<_> = out.collect();
    assert_eq!(rest.last().unwrap().trim(), "n=1", "{rest:?}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_terminal_that_is_hung_up_ends_command_as_if_it_led_the_session() {
    need!("program:script");
    let line = format!(
        "exec '{}' -f --status-fd=1 '{}'",
        tool("ns-run").display(),
        tool("pause").display()
    );

    outlives_nothing(&Run::program("script").args(["-qec", &line, "/dev/null"]));
}

#[test]
fn killing_ns_run_kills_command() {
    let run = Run::tool("ns-run").args(["-f", "--status-fd=1"]).arg(tool("pause"));

    outlives_nothing(&run);
}

/// Kills ns-run, which says its child's pid first, and waits for that child's end.
fn outlives_nothing(run: &Run) {
    let (mut child, line, mut out) = started(run);
    let status: serde_json::Value = serde_json::from_str(&line).unwrap();
    let pid = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
    let command = sys::pidfd_open(pid).unwrap();
    let mut ready = String::new();
    out.read_line(&mut ready).unwrap();
    assert_eq!(ready.trim_end(), "ready");

    signal(&child, SIGKILL);

    assert!(is_gone(&command));
    child.wait().unwrap();
}

#[test]
fn who_may_not_make_namespaces_is_told_what_would_help() {
    need!("user");
    Run::tool("ns-run").args(["-m", "true"]).run().refused(
        125,
        expect![[r#"
            ns-run: cannot make namespaces 'mnt': Operation not permitted; it takes CAP_SYS_ADMIN: add --user --map-root-user
        "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn each_option_makes_its_namespace_and_no_other() {
        need!("userns");
        for (option, kind) in [
            ("--mount", "mnt"),
            ("--ipc", "ipc"),
            ("--uts", "uts"),
            ("--net", "net"),
            ("--cgroup", "cgroup"),
            ("--time", "time"),
        ] {
            for fork in [&[][..], &["--fork"]] {
                let world = world(&[&["-r", option][..], fork].concat());

                assert_eq!(foreign(&world), ["user", kind], "{option} {fork:?}");
            }
        }
    }

    #[test]
    fn a_pid_namespace_is_entered_by_the_fork() {
        need!("userns");
        let forked = world(&["-r", "--pid", "--fork"]);

        assert_eq!(foreign(&forked), ["user", "pid"]);
        assert_eq!((forked.get("pid"), forked.get("ppid")), (1.into(), 0.into()));
        assert_eq!(foreign(&world(&["-r", "--pid"])), ["user"]);
    }

    #[test]
    fn a_user_namespace_changes_ids_and_capabilities_only() {
        need!("userns");
        let topics =
            ["ns", "uid-map", "gid-map", "setgroups", "uid", "gid", "groups", "caps"];

        let world = world(&["--user", "--map-root-user"]);

        for topic in world.changed_from(&World::here()) {
            assert!(topics.contains(&topic.as_str()), "{topic}");
        }
        assert_eq!(world.get("uid"), "0\t0\t0\t0");
        assert_eq!(world.get("gid"), "0\t0\t0\t0");
        assert_eq!(world.get("setgroups"), "deny\n");
        assert_eq!(world.get("caps.eff"), world.get("caps.bnd"));
    }

    #[test]
    fn the_current_ids_can_be_kept() {
        need!("userns");
        let (here, world) = (World::here(), world(&["-c"]));

        assert_eq!(
            (world.get("uid"), world.get("gid")),
            (here.get("uid"), here.get("gid"))
        );
        if !nix::unistd::getuid().is_root() {
            assert_eq!(world.get("caps.eff"), "0000000000000000");
        }
    }

    #[test]
    fn mounts_do_not_spread_out_by_default() {
        need!("userns");
        let world = world(&["-r", "--mount"]);

        let mounts = world.get("mounts");
        assert!(
            mounts.as_array().unwrap().iter().all(|m| m["tags"] == serde_json::json!([]))
        );
    }

    #[test]
    fn a_new_proc_shows_the_new_pid_namespace() {
        need!("userns");
        let script = "echo $$; ls -d /proc/[0-9]*";
        let out = shell(&["-rpf", "--mount-proc"], script).run().ok();

        assert_eq!(out, "1\n/proc/1\n");
    }

    #[test]
    fn proc_of_a_pid_namespace_that_is_not_ours_is_refused_with_a_hint() {
        need!("userns");
        Run::tool("ns-run").args(["-r", "--mount-proc", "true"]).run().refused(
            125,
            expect![[r#"
                ns-run: cannot mount proc on '/proc': Operation not permitted; proc shows a pid namespace of our own: --pid --fork
            "#]],
        );
    }

    #[test]
    fn the_host_name_is_set_inside_only() {
        need!("userns");
        let before = World::here().get("hostname");

        assert_eq!(world(&["-r", "--hostname", "box"]).get("hostname"), "box\n");
        assert_eq!(World::here().get("hostname"), before);
    }

    #[test]
    fn loopback_is_up_unless_it_is_to_be_left_down() {
        need!("userns");
        let script = "grep -c 127.0.0.1 /proc/self/net/fib_trie";

        assert_ne!(shell(&["-rn"], script).run().ok(), "0\n");
        let _ = shell(&["-rn", "--no-lo"], script).run().code(1).stdout(expect![[r#"
            0
        "#]]);
    }

    #[test]
    fn what_is_told_is_what_command_finds() {
        need!("userns");
        for args in [&["-UrmuinC"][..], &["-UrmuinCT"], &["-UrmuinCTpf", "--mount-proc"]]
        {
            let run =
                Run::tool("ns-run").args(args).arg("--status-fd=2").arg(tool("probe"));
            let out = run.run().code(0);

            let told: serde_json::Value = serde_json::from_slice(&out.stderr).unwrap();
            let world: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
            assert_eq!(told["ns"], world["ns"], "{args:?}");
        }
    }

    #[test]
    fn a_status_descriptor_is_closed_for_command_and_for_ns_run() {
        need!("userns");
        // The reader sees the end although COMMAND goes on.
        let script = format!(
            "'{}' -rf --status-fd 3 {} 3>&1 >/dev/null | wc -l; echo done",
            tool("ns-run").display(),
            "sh -c 'echo x >&3'"
        );

        let out = Run::program("sh").args(["-c", &script]).run().code(0);

        let _ = out.stdout(expect![[r#"
            1
            done
        "#]]);
    }

    #[test]
    fn an_init_that_is_deaf_dies_of_the_signal_all_the_same() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rpf"]).arg(tool("pause"));
        let (mut child, line, _out) = started(&run);
        assert_eq!(line, "ready\n");

        signal(&child, SIGTERM);

        assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));
    }

    #[test]
    fn a_signal_is_not_lost_however_early_it_comes() {
        need!("userns");
        for _ in 0..50 {
            let run = Run::tool("ns-run").args(["-rpf"]).arg(tool("pause"));
            let mut child = run.command().spawn().unwrap();
            let below = format!("/proc/{0}/task/{0}/children", child.id());
            while std::fs::read_to_string(&below).unwrap().is_empty() {
                std::thread::yield_now();
            }

            signal(&child, SIGTERM);

            assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));
        }
    }

    #[test]
    fn an_init_that_listens_is_not_killed() {
        need!("userns");
        let script = "trap 'exit 3' TERM; echo ready; while :; do read x; done";
        let run = shell(&["-rpf"], script);
        let (mut child, line, _out) = started(&run);
        assert_eq!(line, "ready\n");

        signal(&child, SIGTERM);

        assert_eq!(child.wait().unwrap().code(), Some(3));
    }

    #[test]
    fn killing_ns_run_empties_the_pid_namespace() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rpf", "--status-fd=1"]).arg(tool("pause"));

        outlives_nothing(&run);
    }

    #[test]
    fn the_bond_passes_through_links() {
        need!("userns");
        let run =
            Run::tool("ns-run").args(["-rpf", "--status-fd=1", "ns-run", "-U", "-c"]);

        outlives_nothing(&run.arg(tool("pause")));
    }

    #[test]
    fn later_links_are_found_where_no_path_leads() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rm", "--", "ns-run", "-f", "--"]);

        let world = World::of(run.arg(tool("probe")).env("PATH", "/nonexistent"));

        assert_eq!(foreign(&world), ["user", "mnt"]);
        assert_eq!(world.get("fds"), World::here().get("fds"));
        assert!(!world.get("env").to_string().contains("BORDMITTEL"));
    }

    #[test]
    fn a_limit_of_zero_is_named() {
        need!("userns");
        let ns_run = tool("ns-run");
        let script = format!(
            "echo 0 >/proc/sys/user/max_net_namespaces; '{}' -n true",
            ns_run.display()
        );

        Run::tool("sandbox").args(["--user", "--", "sh", "-c", &script]).run().refused(
            125,
            expect![[r#"
                ns-run: cannot make namespaces 'net': No space left on device; sysctl user.max_net_namespaces is 0
            "#]],
        );
    }

    #[test]
    fn a_helper_ends_where_the_namespaces_are_refused() {
        need!("userns");
        // The helper would hold the pipe that the shell reads to its end.
        let script = format!(
            "echo 0 >/proc/sys/user/max_net_namespaces; \
             out=$('{}' -n --map-users 0:0:1 --map-groups 0:0:1 true 2>&1); echo \"$? $out\"",
            tool("ns-run").display()
        );

        let out = Run::tool("sandbox").args(["--user", "--", "sh", "-c", &script]).run();

        let _ = out.code(0).stdout(expect![[r#"
            125 ns-run: cannot make namespaces 'user,net': No space left on device; sysctl user.max_net_namespaces is 0
        "#]]);
    }

    #[test]
    fn ids_that_are_not_there_to_be_mapped_are_refused_by_fork_and_by_unshare() {
        need!("userns");
        for fork in [&[][..], &["--fork"]] {
            let run = Run::sandboxed(&["--user"], "ns-run").args(fork).args([
                "--map-users=0:7:1",
                "--map-groups=0:0:1",
                "true",
            ]);

            let out = run.run().code(125);

            let text = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(
                text.ends_with(
                    "an id is not ours to map, or a rule of AppArmor's forbids it\n"
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn the_world_is_the_one_that_unshare_makes() {
        need!("userns", "program:unshare");
        for args in [
            &["-U"][..],
            &["-r"],
            &["-c"],
            &["-Ur", "-m"],
            &["-rmuiC", "--propagation", "slave"],
            &["-rm", "--propagation", "unchanged"],
            &["-rnf"],
            &["-Urmnpuif", "--mount-proc"],
            &["--map-user=5", "--map-group=6"],
            &["-rT"],
        ] {
            let peer = Run::program("unshare").args(args).arg("--").arg(tool("probe"));

            let (ours, theirs) = (world(args), World::of(peer));

            // The bond is ours by default, and namespaces are new in both.
            let mut differs = ours.changed_from(&theirs);
            differs.retain(|topic| !["ns", "pdeathsig"].contains(&topic.as_str()));
            assert_eq!(differs, [""; 0], "{args:?}");
            assert_eq!(foreign(&ours), foreign(&theirs), "{args:?}");
        }
    }
}

mod root {
    use super::*;

    /// A shell with lines of its own in /etc/subuid and /etc/subgid.
    fn with_subids(lines: &str, script: &str) -> Run {
        let bind = "printf '%b' \"$LINES\" >subids; \
            mount --bind subids /etc/subuid; mount --bind subids /etc/subgid; ";
        Run::tool("sandbox")
            .args(["--mount", "--", "sh", "-ec"])
            .arg(format!("{bind}{script}"))
            .env("LINES", lines)
            .env("NS_RUN", tool("ns-run"))
            .env("PROBE", tool("probe"))
    }

    #[test]
    fn root_needs_no_user_namespace() {
        need!("root");
        let world = world(&["-mniuC"]);

        assert_eq!(foreign(&world), ["mnt", "ipc", "uts", "net", "cgroup"]);
        assert_eq!(world.get("caps"), World::here().get("caps"));
    }

    #[test]
    fn mounts_spread_as_it_is_said() {
        need!("root");
        for (mode, tags) in [
            ("private", ""),
            ("slave", "master"),
            ("shared", "shared"),
            ("unchanged", "shared"),
        ] {
            let run =
                Run::tool("sandbox").args(["--mount", "--", "sh", "-ec"]).arg(format!(
                    "mount --make-rshared /; '{}' -m --propagation {mode} '{}'; :",
                    tool("ns-run").display(),
                    tool("probe").display()
                ));

            let mounts = World::of(run).get("mounts");

            let tag = mounts[0]["tags"].as_array().unwrap().first().cloned();
            let tag = tag.map_or(String::new(), |t| t.as_str().unwrap().to_owned());
            assert_eq!(tag.split(':').next().unwrap(), tags, "{mode}");
        }
    }

    #[test]
    fn ranges_alone_make_root_of_the_namespace_without_the_groups_of_outside() {
        need!("root");
        for fork in ["", "--fork"] {
            let script = format!("exec \"$NS_RUN\" {fork} --map-auto -- \"$PROBE\"");
            let world = World::of(with_subids("root:100000:65536\n", &script));

            assert_eq!(world.get("uid-map"), "         0     100000      65536\n");
            assert_eq!(world.get("gid-map"), "         0     100000      65536\n");
            assert_eq!(world.get("uid"), "0\t0\t0\t0");
            assert_eq!(
                (world.get("groups"), world.get("setgroups")),
                ("".into(), "allow\n".into())
            );
            assert_eq!(world.get("caps.eff"), world.get("caps.bnd"));
        }
    }

    #[test]
    fn a_user_has_subordinate_ids_mapped_by_newuidmap() {
        need!("root", "program:newuidmap", "program:setpriv");
        for fork in ["", "--fork"] {
            let script = format!(
                "exec setpriv --reuid 4711 --regid 4711 --clear-groups \
                 \"$NS_RUN\" {fork} --map-auto -r sh -c 'for kind in uid gid; do \
                 while read -r i o n; do echo $i $o $n; done </proc/self/${{kind}}_map; done'"
            );
            let run = with_passwd(&script);

            let _ = run.run().code(0).stdout(expect![[r#"
                0 4711 1
                1 200000 65536
                0 4711 1
                1 200000 65536
            "#]]);
        }
    }

    /// newuidmap wants a name for the user.
    fn with_passwd(script: &str) -> Run {
        let passwd = "cp /etc/passwd passwd; echo 'me:x:4711:4711::/:/bin/sh' >>passwd; \
            mount --bind passwd /etc/passwd; chmod 755 .; ";
        with_subids("me:200000:65536\n", &format!("{passwd}{script}"))
    }

    #[test]
    fn the_bond_survives_becoming_root_of_the_ranges() {
        need!("root", "program:newuidmap", "program:setpriv");
        let script = format!(
            "exec setpriv --reuid 4711 --regid 4711 --clear-groups \
             \"$NS_RUN\" -f --map-auto --status-fd 1 '{}'",
            tool("pause").display()
        );

        outlives_nothing(&with_passwd(&script));
    }

    #[test]
    fn newuidmap_that_is_missing_or_refuses_is_told_in_one_line() {
        need!("root", "program:newuidmap", "program:setpriv");
        for fork in ["", "--fork"] {
            let user = "exec setpriv --reuid 4711 --regid 4711 --clear-groups";
            let missing = format!(
                "{user} env PATH=/nonexistent \"$NS_RUN\" {fork} --map-auto true"
            );
            let refused = format!("{user} \"$NS_RUN\" {fork} --map-users=0:7:5 -r true");

            with_passwd(&missing).run().refused(
                125,
                expect![[r#"
                    ns-run: cannot run 'newuidmap': No such file or directory; install uidmap
                "#]],
            );
            with_passwd(&refused).run().refused(
                125,
                expect![[r#"
                    ns-run: cannot map ids with 'newuidmap': uid range [1-5) -> [7-11) not allowed
                "#]],
            );
        }
    }

    #[test]
    fn a_user_without_subordinate_ids_is_told_how_to_get_some() {
        need!("root");
        with_subids("nobody-else:1:1\n", "exec \"$NS_RUN\" --map-auto true").run().refused(
            125,
            expect![[r#"
                ns-run: cannot find subordinate ids in '/etc/subuid': no line for this user; usermod --add-subuids and --add-subgids, see subuid(5)
            "#]],
        );
    }

    #[test]
    fn a_chroot_that_forbids_user_namespaces_is_named() {
        need!("root", "program:chroot");
        let script = format!(
            "mkdir -p r/proc r/bin; cp '{}' r/bin/ns-run; mount -t proc proc r/proc; \
             exec chroot r /bin/ns-run -r true",
            tool("ns-run").display()
        );

        Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", &script]).run().refused(
            125,
            expect![[r#"
                ns-run: cannot make namespaces 'user': Operation not permitted; no user namespace can be made in a chroot, see user_namespaces(7)
            "#]],
        );
    }
}
