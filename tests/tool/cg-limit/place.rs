//! Where the groups are made, and what becomes of those of a killed cg-limit.

mod root {
    use std::fs;
    use std::path::{Path, PathBuf};

    use kit::run::SIGKILL;
    use kit::{Run, need};

    use crate::{assert_gone, groups, groups_of, limited, record, script, start};

    fn gc() {
        assert_eq!(Run::tool("cg-limit").arg("--gc").run().ok(), "");
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

    #[test]
    fn a_killed_cg_limit_leaves_an_empty_cgroup_which_gc_removes() {
        need!("root");
        let mut running = start(&["--pids", "5", "--memory", "64M"], "exec sleep 1000");

        running.cg_limit.signal(SIGKILL);
        running.cg_limit.child.wait().unwrap();
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
        drop(running.cg_limit.child.stdin.take());
        assert_eq!(running.cg_limit.child.wait().unwrap().code(), Some(6));
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
}
