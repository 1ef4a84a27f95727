//! What a bind, a tmpfs and the kernel's own file systems look like from inside.

use std::fs;

use kit::{Run, World, expect, need, tool};

use super::{USERNS, pivot, root, shell, with_host_programs};

/// The options of each mount below a directory, as the probe saw them.
fn options(world: &World, below: &str) -> Vec<String> {
    let mounts = world.get("mounts");
    let own = mounts.as_array().unwrap().iter();
    own.filter(|m| m["target"].as_str().unwrap().starts_with(below))
        .map(|m| m["options"].as_str().unwrap().to_owned())
        .collect()
}

/// A directory `src` with another file system in it, and root-pivot to bind it.
fn with_submount(flags: &[&str], options: &str) -> Run {
    let script = "mkdir -p src/sub; mount -t tmpfs x src/sub; exec \"$@\"";
    let run = Run::tool("sandbox").args(flags).args(["--", "sh", "-ec", script, "sh"]);
    let run = run.arg(tool("root-pivot")).args(["--proc", "--bind"]);
    let run = run.arg(format!("src:/a:{options}")).args(["root", "/probe"]);
    root(run.tmp());
    run
}

mod userns {
    use super::*;

    #[test]
    fn the_attributes_of_a_bind_hold_for_all_that_is_mounted_in_it() {
        need!("userns");
        let run = with_submount(USERNS, "ro,nosuid,nodev,noexec,nosymfollow");

        let all = options(&World::of(run), "/a");

        assert_eq!(all.len(), 2);
        for options in all {
            for word in ["ro", "nosuid", "nodev", "noexec", "nosymfollow"] {
                assert!(options.split(',').any(|o| o == word), "{word}: {options}");
            }
        }
    }

    #[test]
    fn what_was_inherited_cannot_be_left_out_of_a_bind() {
        need!("userns");
        let script = "mkdir -p src/sub; mount -t tmpfs x src/sub; exec \"$@\"";
        let run = Run::tool("sandbox").args(["--user", "--mount"]);
        let run = run.args(["--", "sh", "-ec", script, "sh"]).arg(tool("sandbox"));
        let run = run.args(USERNS).arg("--").arg(tool("root-pivot"));
        let run = run.args(["--bind", "src:/a:norec", "root", "/probe"]);
        root(run.tmp());

        run.run().refused(
            125,
            expect![[r#"
                root-pivot: cannot bind 'src': Invalid argument; what is mounted in it cannot be left out in a user namespace: without norec
            "#]],
        );
    }

    #[test]
    fn a_bind_is_private_unless_it_is_asked_to_follow() {
        need!("userns");
        // The sandbox makes all mounts private.
        with_submount(USERNS, "slave").run().refused(
            125,
            expect![[r#"
                root-pivot: cannot follow the mounts of 'src': they are private here; ns-run --propagation slave, or shared, leaves them as they are
            "#]],
        );
        with_submount(USERNS, "shared").run().refused(
            125,
            expect![[r#"
                root-pivot: cannot share the mounts of 'src': they are private here; ns-run --propagation slave, or shared, leaves them as they are
            "#]],
        );
    }

    #[test]
    fn ids_of_a_file_system_of_the_hosts_cannot_be_mapped() {
        need!("userns");
        pivot(USERNS, &["--bind", "/etc:/a:idmap=/proc/self/ns/user"]).run().refused(
            125,
            expect![[r#"
                root-pivot: cannot map the ids of '/etc': Operation not permitted; it takes CAP_SYS_ADMIN in the user namespace that its file system belongs to
            "#]],
        );
    }

    #[test]
    fn a_source_by_descriptor_is_what_was_opened() {
        need!("userns");
        let script = "exec 7<note; mv note away; echo another > note; exec \"$@\"";
        let run =
            Run::tool("sandbox").args(USERNS).args(["--", "sh", "-ec", script, "sh"]);
        let run = run.arg(tool("root-pivot"));
        let run = with_host_programs(run.args(["--bind", "/proc/self/fd/7:/a"]));
        let run = run.args(["root", "/bin/cat", "/a"]);
        fs::create_dir(run.tmp().join("root")).unwrap();
        fs::write(run.tmp().join("note"), "what was opened").unwrap();

        assert_eq!(run.run().ok(), "what was opened");
    }

    #[test]
    fn a_tmpfs_has_its_options() {
        need!("userns");
        let args = ["--proc", "--tmpfs", "/a:size=1M,nr_inodes=7,mode=750,noexec,dev,ro"];
        let run = shell(
            USERNS,
            &args,
            "stat -c %a /a; stat -fc '%b %c' /a; grep ' /a ' /proc/self/mountinfo | cut -d' ' -f6",
        );

        assert_eq!(run.run().ok(), "750\n256 7\nro,nosuid,noexec,relatime\n");
    }

    #[test]
    fn an_owner_that_is_not_mapped_is_refused_with_the_reason() {
        need!("userns");
        pivot(USERNS, &["--tmpfs", "/a:uid=4711"]).run().refused(
            125,
            expect![[r#"
                root-pivot: cannot mount tmpfs on '/a': Invalid argument; uid and gid must be mapped in this user namespace
            "#]],
        );
    }

    #[test]
    fn proc_can_show_processes_only() {
        need!("userns");
        let script =
            "ls -d /proc/self /proc/meminfo /proc/sys 2>&1 | wc -l; ls -d /proc/1";
        let run =
            shell(USERNS, &["--std", "--proc=subset=pid,hidepid=invisible"], script);

        assert_eq!(run.run().ok(), "3\n/proc/1\n");
        let run = shell(USERNS, &["--proc=ro"], "echo 0 > /proc/self/oom_score_adj");
        let _ = run.run().code(2).stderr(expect![[r#"
            /bin/sh: 1: cannot create /proc/self/oom_score_adj: Read-only file system
        "#]]);
    }

    #[test]
    fn cgroups_take_a_namespace_of_their_own() {
        need!("userns");
        pivot(USERNS, &["--cgroup"]).run().refused(
            125,
            expect![[r#"
                root-pivot: cannot mount cgroup2 on '/sys/fs/cgroup': Operation not permitted; it takes a cgroup namespace of its own: ns-run --cgroup
            "#]],
        );
    }

    #[test]
    fn cgroups_are_read_only_unless_that_is_asked_for() {
        need!("userns");
        let shown = |access: &str| {
            let run = Run::tool("ns-run").args(["-Urmnpf", "--cgroup", "--"]);
            let run =
                run.arg(tool("root-pivot")).args(["--std", access, "root", "/probe"]);
            root(run.tmp());
            let world = World::of(run);
            assert!(world.mounts().contains(&"/sys/fs/cgroup cgroup2".into()));
            options(&world, "/sys/fs/cgroup").concat()
        };

        assert!(shown("--cgroup").starts_with("ro,"), "{}", shown("--cgroup"));
        assert!(shown("--cgroup=rw").starts_with("rw,"), "{}", shown("--cgroup=rw"));
    }
}

mod root_only {
    use super::*;

    mod root {
        use std::os::unix::fs::{MetadataExt, chown};

        use super::*;

        #[test]
        fn what_is_mounted_in_a_bind_can_be_left_out() {
            need!("root");
            let world = World::of(with_submount(&["--mount", "--pid"], "norec,nodev"));

            assert_eq!(options(&world, "/a").len(), 1);
        }

        #[test]
        fn the_files_of_a_bind_show_the_ids_of_a_map() {
            need!("root");
            let script = "stat -c '%u %g' /a/zero /a/seven; echo > /a/new";
            let args = ["--bind", "src:/a:idmap=0:100000:1+7:200000:1"];
            let run = shell(&["--mount"], &args, script);
            let src = run.tmp().join("src");
            fs::create_dir(&src).unwrap();
            for (name, id) in [("zero", 0), ("seven", 7)] {
                fs::write(src.join(name), "").unwrap();
                chown(src.join(name), Some(id), Some(id)).unwrap();
            }

            let out = run.run().code(2);

            // Root of the caller's is nobody in that map.
            assert!(!out.tmp().join("src/new").exists());
            assert_eq!(fs::metadata(src.join("seven")).unwrap().uid(), 7);
            let _ = out.stdout(expect![[r#"
                100000 100000
                200000 200000
            "#]]);
        }

        #[test]
        fn a_bind_that_follows_gets_the_mounts_that_come_later() {
            need!("root", "program:taskset");
            let script = format!(
                "mkdir -p src/sub root; mkfifo go ready; {ns} --mount --propagation slave -- {pivot} \
                 --bind src:/a:slave,ro {binds} --bind go:/go --bind ready:/ready root -- \
                 /bin/sh -c 'echo > /ready; read x < /go; ls /a/sub' & \
                 read x < ready; mount -t tmpfs x src/sub; echo > src/sub/came; echo > go; wait",
                ns = tool("ns-run").display(),
                pivot = tool("root-pivot").display(),
                binds = "--bind /bin:/bin --bind /lib:/lib --bind /lib64:/lib64 --bind /usr:/usr"
            );

            assert_eq!(Run::shared_mounts(&script).run().ok(), "came\n");
        }

        #[test]
        fn the_cgroups_of_the_system_cannot_be_made_writable() {
            need!("root");
            pivot(&["--mount"], &["--sys", "--cgroup=rw"]).run().refused(
                125,
                expect![[r#"
                    root-pivot: cannot mount cgroup2 on '/sys/fs/cgroup': the groups of the whole system would be writable; it takes a cgroup namespace of its own: ns-run --cgroup
                "#]],
            );
        }
    }
}
