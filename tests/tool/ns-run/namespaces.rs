//! Which namespaces are made, what is set up in them, and why they may be refused.

use kit::world::NAMESPACES;
use kit::{Run, World, expect, need, tool};

use crate::{foreign, shell, world};

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
        for (option, kind) in NAMESPACES {
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
    fn who_has_no_id_here_is_told_which() {
        need!("userns");
        let ns_run = tool("ns-run").display().to_string();

        Run::tool("ns-run")
            .args(["-U", &ns_run, "-U", "true"])
            .run()
            .refused(125, expect![[r#"
                ns-run: cannot make namespaces 'user': Operation not permitted; the own uid is not mapped here, see user_namespaces(7)
            "#]]);
    }

    #[test]
    fn too_many_levels_are_told() {
        need!("userns");
        // Each level runs the next: more than 32 there cannot be.
        let script = "n=$1; [ $n -gt 40 ] && exit; exec \"$0\" -r sh -c \"$2\" \"$0\" $((n+1)) \"$2\"";
        let run = Run::program("sh")
            .args(["-c", script])
            .arg(tool("ns-run"))
            .args(["1", script]);

        let out = run.run().code(125);

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            said.starts_with(
                "ns-run: cannot make namespaces 'user': No space left on device; a limit is reached: 32 levels, or"
            ),
            "{said}"
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
