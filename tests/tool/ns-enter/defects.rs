//! What nsenter does wrong, done right. The numbers are util-linux's issues.

use std::os::fd::AsFd;

use kit::{Run, World, expect, need, tool};

use crate::Target;
use crate::targets::Cgroup;

mod userns {
    use super::*;

    #[test]
    fn a_process_without_namespaces_to_enter_is_no_mistake() {
        need!("userns");
        let target = Target::new(&["-rn"]);

        let _ = target.enter(&["--", "true"]).run().ok();
        let run = Run::tool("ns-enter").args(["--root=/", "pwd"]);
        let out = run.run();
        // As an ordinary user it may not, which is told.
        assert!(out.stdout == b"/\n" || out.status.code() == Some(125));
    }

    #[test]
    fn an_environment_that_ends_where_a_buffer_does_is_read_right() {
        need!("userns");
        for length in 1016..1028 {
            let first = "x".repeat(length - "A=\0B=1\0".len());
            let run = Run::tool("ns-run").args(["-rf", "--status-fd=1"]);
            let script = "exec env -i \"A=$1\" B=1 \"$2\"";
            let run = run.args(["sh", "-c", script, "sh", &first]).arg(tool("pause"));
            let target = Target::of(run);

            let world = target.world(&["-a", "--env"]);

            assert_eq!(world.get("env").to_string(), format!("[\"A={first}\",\"B=1\"]"));
        }
    }

    #[test]
    fn the_last_working_directory_counts() {
        need!("userns");
        let target = Target::new(&["-rn"]);

        assert_eq!(target.world(&["-w", "--wd=/proc"]).get("cwd"), "/proc");
        assert_eq!(target.world(&["--wd=/proc", "-w=/sys"]).get("cwd"), "/sys");
        assert_eq!(target.world(&["-U", "-w/sys"]).get("cwd"), "/sys");
    }

    #[test]
    fn all_without_a_process_is_told_as_what_it_is() {
        Run::tool("ns-enter").args(["-a", "true"]).run().refused(
            125,
            expect![[r#"
            ns-enter: missing --target <TARGET>: --all takes one; try 'ns-enter --help'
        "#]],
        );
    }

    #[test]
    fn what_the_caller_has_closed_stays_closed() {
        need!("userns");
        let target = Target::new(&["-Urmnui"]);
        let script = "out=$1; shift; exec \"$@\" \"$out\" 0<&- 1<&- 2<&-";
        // The redirection is 1 itself.
        let look = "for fd in 0 2 3 4 5 6 7 8 9; do \
            if [ -e /proc/$$/fd/$fd ]; then echo $fd; fi; done >\"$0\"";
        for args in [&["-a"][..], &["-n", "-U"], &["-a", "-e", "-w", "-c"]] {
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().join("fds");
            let run = Run::program("sh").args(["-c", script, "sh"]).arg(&out);
            let run = run.arg(tool("ns-enter")).args(["-t", &target.pid]).args(args);

            let _ = run.args(["--", "/bin/sh", "-c", look]).run().code(0);

            // 10 and above are where the shell itself keeps what it redirects.
            assert_eq!(std::fs::read_to_string(&out).unwrap(), "", "{args:?}");
        }
    }

    #[test]
    fn namespaces_by_file_are_opened_before_one_is_entered() {
        need!("userns", "program:strace");
        // As before Linux 5.8: the process's descriptor is not taken.
        let target = Target::new(&[crate::namespaces::EVERY]);
        let run = Run::program("strace").args(["-f", "-o", "log", "-e"]);
        let run =
            run.args(["inject=setns:error=EINVAL:when=1", "--"]).arg(tool("ns-enter"));
        let run = run.args(["-t", &target.pid, "-a", "--"]).arg(tool("probe"));

        let world = World::of(run);

        assert_eq!(world.get("ns"), target.ns);
        assert_eq!(world.get("fds"), World::here().get("fds"));
    }

    #[test]
    fn the_chain_of_user_namespaces_of_bwrap_is_entered() {
        // #1592: what bwrap was started as is owned by one that no file of /proc shows.
        need!("userns", "program:bwrap");
        let run = Run::program("bwrap").args(["--unshare-all", "--die-with-parent"]);
        let run = run.args(["--bind", "/", "/"]);
        let run = run.args(["--dev-bind", "/dev", "/dev", "--proc", "/proc", "--"]);
        let mut bwrap = run.arg(tool("pause")).start();
        assert_eq!(bwrap.line(), "ready\n");
        let pid = last_child(bwrap.pid());
        let ns = |kind: &str| {
            let file = std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).unwrap();
            std::os::unix::fs::MetadataExt::ino(&file)
        };

        let run =
            Run::tool("ns-enter").args(["-t", &pid, "-a", "--preserve-credentials"]);
        let world = World::of(run.arg(tool("probe")));

        for kind in ["user", "mnt", "pid", "net", "ipc", "uts"] {
            assert_eq!(world.get("ns")[kind], ns(kind), "{kind}");
        }
    }
}

/// The youngest of a process's descendants.
fn last_child(pid: i32) -> String {
    let mut pid = pid.to_string();
    loop {
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        match children.unwrap().split_whitespace().last() {
            Some(child) => child.clone_into(&mut pid),
            None => return pid,
        }
    }
}

mod root {
    use super::*;

    #[test]
    fn joining_a_cgroup_leaves_standard_input_and_no_descriptor() {
        // #1946: there it is /proc/PID/cgroup at its end.
        need!("root", "cgroup-v2");
        let group = Cgroup::new("stdin");
        let target = Target::new(&["-n"]);
        std::fs::write(group.dir.join("cgroup.procs"), &target.pid).unwrap();

        let out = target.enter(&["-n", "-c", "cat"]).stdin("hi\n").run().ok();
        let world = target.world(&["-n", "-c"]);

        assert_eq!(out, "hi\n");
        assert_eq!(world.get("fds"), World::here().get("fds"));
    }

    #[test]
    fn a_terminated_ns_enter_leaves_nothing_running() {
        need!("root");
        let target = Target::new(&["-p"]);
        let mut ns_enter = target.enter(&["-p"]).arg(tool("pause")).start();
        assert_eq!(ns_enter.line(), "ready\n");
        let command = ns_enter.children().trim().parse().unwrap();
        let command = common::sys::pidfd_open(command).unwrap();

        ns_enter.signal(kit::run::SIGTERM);

        assert!(kit::started::has_ended(command.as_fd()));
        ns_enter.child.wait().unwrap();
    }

    #[test]
    fn root_leaves_no_directory_outside_of_it() {
        need!("root", "program:chroot");
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(tool("probe"), dir.path().join("probe")).unwrap();
        for word in ["--root=", "-r=", "-r"] {
            let root = format!("{word}{}", dir.path().display());
            let run = Run::tool("ns-enter").args([&root, "--", "/probe"]);

            assert_eq!(World::of(run).get("cwd"), "/", "{word}");
        }
    }
}
