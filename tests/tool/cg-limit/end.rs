//! The end of COMMAND, and that nothing is left then.

mod root {
    use std::os::unix::process::ExitStatusExt;

    use kit::run::SIGTERM;
    use kit::{Run, expect, need};

    use crate::{assert_gone, groups, groups_of, limited, record, script, start};

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

        running.cg_limit.signal(SIGTERM);

        assert_eq!(running.cg_limit.child.wait().unwrap().signal(), Some(15));
        assert_gone(&running.groups);
    }
}
