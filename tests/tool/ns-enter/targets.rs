//! The ways to name what is entered.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;

use common::sys;
use kit::{Run, World, expect, need, tool};
use serde_json::Value;

use crate::Target;

/// ns-enter with a target, and `probe` at its end.
fn world_by(target: &str, args: &[&str]) -> World {
    let run = Run::tool("ns-enter").args(["-t", target]).args(args);
    World::of(run.arg("--").arg(tool("probe")))
}

mod userns {
    use super::*;

    #[test]
    fn a_pid_file_and_a_status_record_name_a_process() {
        need!("userns");
        let target = Target::new(&["-rn"]);
        let dir = tempfile::tempdir().unwrap();
        let (pid, record) = (dir.path().join("pid"), dir.path().join("record"));
        std::fs::write(&pid, format!("{}\n", target.pid)).unwrap();
        std::fs::write(&record, format!("{{\"x\":1}}\n{}\n", target.record)).unwrap();

        for file in [&pid, &record] {
            let world = world_by(&format!("file:{}", file.display()), &["-a"]);

            assert_eq!(target.entered(&world), ["net", "user"]);
        }
    }

    #[test]
    fn a_record_is_of_one_process_whoever_has_its_id_now() {
        need!("userns");
        let target = Target::new(&["-rn"]);
        let mut record: Value = serde_json::from_str(&target.record).unwrap();
        record["ns"]["net"] = 1.into();
        let run = Run::tool("ns-enter").args(["-t", "file:/dev/stdin", "-n", "true"]);

        let out = run.stdin(record.to_string()).run().code(125);

        let text = String::from_utf8_lossy(&out.stderr).replace(&target.pid, "PID");
        expect![[r#"
            ns-enter: cannot enter process 'PID': it is not in the net namespace of the record; the id was given to another
        "#]].assert_eq(&text);
    }

    #[test]
    fn a_record_can_come_through_a_pipe_also_where_the_tool_starts_again() {
        need!("userns");
        let target = Target::new(&["-rm"]);
        let run = Run::tool("ns-enter").args(["-t", "file:/dev/stdin", "-a"]);

        let world = World::of(run.arg(tool("probe")).stdin(target.record.clone()));

        assert_eq!(target.entered(&world), ["mnt", "user"]);
    }

    #[test]
    fn a_pidfd_names_a_process_and_is_not_handed_on() {
        need!("userns", "program:python3");
        let target = Target::new(&["-rn"]);
        let script = "import os, sys\n\
            fd = os.pidfd_open(int(sys.argv[1]))\n\
            os.set_inheritable(fd, True)\n\
            os.execv(sys.argv[2], ['ns-enter', '-t', f'fd:{fd}', '-a', sys.argv[3]])";
        let run = Run::program("python3").args(["-c", script, &target.pid]);

        let world = World::of(run.arg(tool("ns-enter")).arg(tool("probe")));

        assert_eq!(target.entered(&world), ["net", "user"]);
        assert_eq!(world.get("fds"), World::here().get("fds"));
    }

    #[test]
    fn the_inode_of_its_pidfd_tells_a_process_from_any_other() {
        need!("userns");
        let target = Target::new(&["-rn"]);
        let pidfd = sys::pidfd_open(target.pid.parse().unwrap()).unwrap();
        let path = format!("/proc/self/fd/{}", pidfd.as_raw_fd());
        let inode = std::fs::metadata(path).unwrap().ino();

        let world = world_by(&format!("{}:{inode}", target.pid), &["-a"]);

        assert_eq!(target.entered(&world), ["net", "user"]);
        let out =
            Run::tool("ns-enter").args(["-t", &format!("{}:7", target.pid), "true"]);
        let text = String::from_utf8_lossy(&out.run().code(125).stderr).into_owned();
        expect![[r#"
            ns-enter: cannot open process 'PID:7': No such process; the id was given to another
        "#]].assert_eq(&text.replace(&target.pid, "PID"));
    }

    #[test]
    fn what_is_no_target_is_told() {
        for (target, said) in [
            (
                "fd:1",
                expect![[r#"
                ns-enter: cannot use 'fd:1': not a process's descriptor
            "#]],
            ),
            (
                "fd:60",
                expect![[r#"
                ns-enter: cannot use 'fd:60': Bad file number
            "#]],
            ),
            (
                "file:/dev/null",
                expect![[r#"
                ns-enter: cannot use '/dev/null': neither a pid nor a status record
            "#]],
            ),
            (
                "file:/dev/zero",
                expect![[r#"
                ns-enter: cannot read '/dev/zero': not a text, or no end to it
            "#]],
            ),
            (
                "file:/nonexistent",
                expect![[r#"
                ns-enter: cannot read '/nonexistent': No such file or directory
            "#]],
            ),
            (
                "cgroup:/nonexistent",
                expect![[r#"
                ns-enter: cannot enter cgroup '/nonexistent': No such file or directory; its directory, or its path as in /proc/PID/cgroup
            "#]],
            ),
            (
                "netns:nonexistent",
                expect![[r#"
                ns-enter: cannot open '/run/netns/nonexistent': No such file or directory
            "#]],
            ),
            (
                "7x",
                expect![[r#"
                ns-enter: invalid value '7x' for '--target <TARGET>': not PID, PID:INODE, fd:N, file:PATH, cgroup:PATH or netns:NAME; try 'ns-enter --help'
            "#]],
            ),
        ] {
            let out = Run::tool("ns-enter").args(["-t", target, "-n", "true"]).run();

            out.refused(125, said);
        }
    }

    #[test]
    fn namespaces_can_be_named_by_file() {
        need!("userns");
        let target = Target::new(&["-Urmnpui"]);
        let ns = |kind: &str| format!("/proc/{}/ns/{kind}", target.pid);
        for (args, kinds) in [
            (
                vec![format!("--user={}", ns("user")), format!("-n{}", ns("net"))],
                vec!["net", "user"],
            ),
            (
                vec![format!("-U{}", ns("user")), format!("-m={}", ns("mnt"))],
                vec!["mnt", "user"],
            ),
            (
                vec![
                    format!("-t{}", target.pid),
                    "-U".into(),
                    format!("-u{}", ns("uts")),
                ],
                vec!["user", "uts"],
            ),
            (
                vec![
                    format!("-t{}", target.pid),
                    "-ni".into(),
                    format!("-U{}", ns("user")),
                ],
                vec!["ipc", "net", "user"],
            ),
            (
                vec![format!("--pid={}", ns("pid")), format!("-U{}", ns("user"))],
                vec!["pid", "user"],
            ),
        ] {
            let run = Run::tool("ns-enter").args(&args).arg("--").arg(tool("probe"));

            assert_eq!(target.entered(&World::of(run)), kinds, "{args:?}");
        }
    }

    #[test]
    fn a_file_of_another_kind_is_told() {
        need!("userns");
        for (arg, said) in [
            (
                "--net=/proc/self/ns/uts",
                expect![[r#"
                ns-enter: cannot enter '/proc/self/ns/uts': it is no net namespace
            "#]],
            ),
            (
                "--net=/proc/self/status",
                expect![[r#"
                ns-enter: cannot enter '/proc/self/status': it is no namespace
            "#]],
            ),
            (
                "--net=/nonexistent",
                expect![[r#"
                ns-enter: cannot open '/nonexistent': No such file or directory
            "#]],
            ),
            (
                "--net=:7",
                expect![[r#"
                ns-enter: cannot find the net namespace with id 7: Stale file handle; there is none
            "#]],
            ),
        ] {
            Run::tool("ns-enter").args([arg, "true"]).run().refused(125, said);
        }
    }

    #[test]
    fn the_namespaces_of_children_can_be_entered() {
        need!("userns", "program:setpriv");
        // It stays outside of the pid namespace that its child is in.
        let script = "setpriv --pdeathsig KILL \"$0\" & wait";
        let run = Run::tool("ns-run").args(["-Urp", "--", "sh", "-c", script]);
        let run = run.arg(tool("pause"));
        let mut parent = run.start();
        assert_eq!(parent.line(), "ready\n");
        let pid = parent.pid().to_string();

        let enter = || Run::tool("ns-enter").args(["-t", &pid, "-a"]);
        let world = World::of(enter().arg("--for-children").arg(tool("probe")));
        let without = World::of(enter().arg(tool("probe")));

        let (ns, here) = (|w: &World| w.get("ns.pid"), World::here());
        assert_ne!(ns(&world), ns(&here));
        assert_eq!(ns(&without), ns(&here));
    }
}

mod root {
    use super::*;

    #[test]
    fn the_first_process_of_a_cgroup_can_be_entered() {
        need!("root", "cgroup-v2");
        let group = Cgroup::new("targets");
        std::fs::create_dir(group.dir.join("below")).unwrap();
        let target = Target::new(&["-n"]);
        std::fs::write(group.dir.join("below/cgroup.procs"), &target.pid).unwrap();

        let world = world_by(&format!("cgroup:{}", group.dir.display()), &["-a"]);

        assert_eq!(target.entered(&world), ["net"]);
        drop(target);
        group.wait_for_empty();
        let name = format!("cgroup:{}", group.dir.display());
        let out = Run::tool("ns-enter").args(["-t", &name, "-a", "true"]).run().code(125);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(text.ends_with("there is no process in it\n"), "{text}");
    }

    #[test]
    fn a_net_namespace_has_the_name_that_ip_netns_gives_it() {
        need!("root");
        let target = Target::new(&["-n"]);
        let name = format!("bm-test-{}", target.pid);
        let script = "mkdir -p /run/netns; touch /run/netns/$1; \
            mount --bind /proc/$2/ns/net /run/netns/$1; shift 2; exec \"$@\"";
        for option in ["-a", "-n"] {
            // In a mount namespace of its own: the name is gone with it.
            let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec"]);
            let run = run.args([
                &format!("mount -t tmpfs none /run; {script}"),
                "sh",
                &name,
                &target.pid,
            ]);
            let run =
                run.arg(tool("ns-enter")).args(["-t", &format!("netns:{name}"), option]);

            let world = World::of(run.arg(tool("probe")));

            assert_eq!(world.get("ns.net"), target.ns["net"], "{option}");
            assert_eq!(world.get("ns.uts"), World::here().get("ns.uts"));
        }
    }

    #[test]
    fn the_net_namespace_of_a_socket_can_be_entered() {
        need!("root", "program:python3");
        // A socket of a net namespace that the process has left.
        let script = "import socket, os, sys, time\n\
            f = os.open('/proc/self/ns/net', os.O_RDONLY)\n\
            libc = __import__('ctypes').CDLL(None)\n\
            libc.unshare(0x40000000)\n\
            s = socket.socket()\n\
            print(os.stat('/proc/self/ns/net').st_ino, s.fileno(), flush=True)\n\
            libc.setns(f, 0)\n\
            time.sleep(60)";
        let run = Run::program("python3").args(["-c", script]);
        let mut holder = run.start();
        let line = holder.line();
        let (inode, fd) = line.trim().split_once(' ').unwrap();
        let pid = holder.pid().to_string();

        let run = Run::tool("ns-enter").args(["-t", &pid, "-N", fd]);
        let world = World::of(run.arg(tool("probe")));

        assert_eq!(world.get("ns.net").to_string(), inode);
        let none =
            Run::tool("ns-enter").args(["-t", &pid, "-N", "1", "true"]).run().code(125);
        assert!(String::from_utf8_lossy(&none.stderr).ends_with("it is no socket\n"));
    }

    #[test]
    fn the_parent_of_a_user_namespace_can_be_entered() {
        need!("root");
        let run = Run::tool("ns-run").args(["-Ur", "--"]).arg(tool("ns-run"));
        let target = Target::of(run.args(["-Urf", "--status-fd=1"]).arg(tool("pause")));
        let file = std::fs::File::open(format!("/proc/{}/ns/user", target.pid)).unwrap();
        let parent = std::fs::File::from(sys::userns_of(file.as_fd()).unwrap());
        let parent = parent.metadata().unwrap().ino();

        let world = target.world(&["--user-parent"]);

        assert_ne!(world.get("ns.user"), target.ns["user"]);
        assert_eq!(world.get("ns.user"), parent);
    }
}

/// A cgroup of version 2 that goes away with the test.
pub(crate) struct Cgroup {
    pub(crate) dir: std::path::PathBuf,
}

impl Cgroup {
    pub(crate) fn new(name: &str) -> Self {
        let mounts = std::fs::read("/proc/self/mountinfo").unwrap();
        let all = common::proc::mountinfo(&mounts);
        let top = all.iter().find(|m| m.fstype == "cgroup2").unwrap();
        Self::below(&top.target, name)
    }

    pub(crate) fn below(top: &std::path::Path, name: &str) -> Self {
        let dir = top.join(format!("bm-{name}-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        Self { dir }
    }

    pub(crate) fn wait_for_empty(&self) {
        for _ in 0..1000 {
            let empty = |dir: &std::path::Path| {
                std::fs::read_to_string(dir.join("cgroup.procs")).unwrap().is_empty()
            };
            if empty(&self.dir) && empty(&self.dir.join("below")) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel takes a moment to let go of a process that has ended.
        for _ in 0..500 {
            let _ = std::fs::remove_dir(self.dir.join("below"));
            if std::fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
