//! What scripts wrote around unshare(1): joins, kept namespaces, set-up, attempts.

use kit::{Run, World, expect, need, tool};

use crate::{foreign, shell, world};

#[test]
fn what_is_asked_for_without_its_namespace_is_refused() {
    for (args, said) in [
        (
            &["--monotonic=5"][..],
            expect![[r#"
            ns-run: cannot set clocks off without a time namespace; add --time
        "#]],
        ),
        (
            &["--disable-userns"],
            expect![[r#"
            ns-run: cannot forbid user namespaces outside of a new one; add --user
        "#]],
        ),
        (
            &["--persist", "dir"],
            expect![[r#"
            ns-run: cannot keep namespaces where none is made; name them: --net, --mount, --user …
        "#]],
        ),
        (
            &["--pid=file"],
            expect![[r#"
            ns-run: cannot keep a pid namespace that has no process; add --fork
        "#]],
        ),
    ] {
        Run::tool("ns-run").args(args).arg("true").run().refused(125, said);
    }
}

#[test]
fn the_environment_is_cleared_but_for_what_is_named() {
    let env = |args: &[&str]| {
        let run = Run::tool("ns-run").args(args).arg(tool("probe"));
        World::of(run.env("A", "1").env("B", "2").env("AB", "3")).get("env").to_string()
    };

    assert_eq!(env(&["--clear-env"]), "[]");
    assert_eq!(env(&["--whitelist-env", "A,B,C"]), r#"["A=1","B=2"]"#);
    assert_eq!(env(&["--whitelist-env", "A", "--whitelist-env=AB"]), r#"["A=1","AB=3"]"#);
}

mod userns {
    use super::*;

    #[test]
    fn one_namespace_is_joined_and_the_others_are_made() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rn", "--status-fd=1"]).arg(tool("pause"));
        let mut holder = run.start();
        let status: serde_json::Value = serde_json::from_str(&holder.line()).unwrap();
        assert_eq!(holder.line(), "ready\n");
        let pid = &status["pid"];

        let joins =
            [format!("--join=net={pid}"), format!("--join=user=/proc/{pid}/ns/user")];
        let joined = world(&[&joins[0], &joins[1], "--uts", "--hostname", "box"]);

        assert_eq!(joined.get("ns.net"), status["ns"]["net"]);
        assert_eq!(joined.get("ns.user"), status["ns"]["user"]);
        assert_eq!(foreign(&joined), ["user", "uts", "net"]);
    }

    #[test]
    fn every_kind_can_be_done_without() {
        need!("userns");
        // On its own in a namespace where it is allowed, and where one of them is not.
        let kinds = crate::ALL;
        let tries = kinds.map(|kind| format!("--try-{}", kind.replace("mnt", "mount")));
        for refused in kinds.into_iter().map(Some).chain([None]) {
            let limit = refused.map(|kind| format!("max_{kind}_namespaces"));
            let script = format!(
                "{limit} exec '{ns_run}' -f {tries} '{probe}'",
                limit = limit.map_or(String::new(), |limit| format!(
                    "echo 0 >/proc/sys/user/{limit};"
                )),
                ns_run = tool("ns-run").display(),
                tries = tries.join(" "),
                probe = tool("probe").display()
            );
            // What probe was in before has a user namespace more.
            let flags =
                ["--user", "--", "sh", "-c", "readlink /proc/self/ns/user >user; "];
            let script = format!("{}{script}", flags[4]);
            let run = Run::tool("sandbox").args(&flags[..4]).arg(&script);
            let file = run.tmp().join("user");
            let started = run.run();
            let before = std::fs::read_to_string(file).unwrap();
            let json = serde_json::from_slice(&started.stdout);
            let world = World(json.unwrap_or_else(|e| panic!("{refused:?}: {e}")));

            let here = World::here();
            let user = format!("user:[{}]\n", world.get("ns.user"));
            let is_new = |kind: &&str| match *kind {
                "user" => user != before,
                kind => {
                    world.get(&format!("ns.{kind}")) != here.get(&format!("ns.{kind}"))
                }
            };
            let new: Vec<_> = kinds.into_iter().filter(is_new).collect();
            let expected: Vec<_> =
                kinds.into_iter().filter(|kind| Some(*kind) != refused).collect();
            assert_eq!(new, expected, "{refused:?} refused");
        }
    }

    #[test]
    fn a_namespace_that_is_refused_is_done_without() {
        need!("userns");
        let script = format!(
            "echo 0 >/proc/sys/user/max_net_namespaces; \
             exec '{}' --try-net --try-uts --hostname box '{}'",
            tool("ns-run").display(),
            tool("probe").display()
        );

        let world =
            World::of(Run::tool("sandbox").args(["--user", "--", "sh", "-c", &script]));

        assert_eq!(foreign(&world), ["user", "uts"]);
        assert_eq!(world.get("hostname"), "box\n");
    }

    #[test]
    fn what_was_to_be_set_up_in_a_refused_namespace_leaves_the_outside_alone() {
        need!("userns");
        let script = format!(
            "echo 0 >/proc/sys/user/max_user_namespaces; \
             exec '{}' --try-user --map-root-user --try-mount --mount-proc --try-uts --hostname box '{}'",
            tool("ns-run").display(),
            tool("probe").display()
        );
        let flags = ["--user", "--mount", "--uts", "--pid"];
        let here = World::of(Run::sandboxed(&flags, "probe"));

        let world =
            World::of(Run::tool("sandbox").args(flags).args(["--", "sh", "-c", &script]));

        assert_eq!(world.get("uid-map"), here.get("uid-map"));
        assert_eq!(world.get("hostname"), "box\n");
    }

    #[test]
    fn a_set_up_runs_as_root_and_command_as_oneself() {
        need!("userns");
        let script = "id -u; [ -e /mnt/x ] && umount /mnt 2>/dev/null || echo kept";
        let run = shell(
            &["-cm", "--setup", "id -u; mount -t tmpfs x /mnt; touch /mnt/x"],
            script,
        );

        let out = run.run().ok();

        let uid = nix::unistd::getuid();
        let kept = if uid.is_root() { "" } else { "kept\n" };
        assert_eq!(out, format!("0\n{uid}\n{kept}"));
    }

    #[test]
    fn a_set_up_that_fails_runs_no_command() {
        need!("userns");
        Run::tool("ns-run")
            .args(["-r", "--setup", "exit 3", "echo", "ran"])
            .run()
            .refused(
                125,
                expect![[r#"
                ns-run: cannot set up with 'exit 3': it ended with 3
            "#]],
            );
    }

    #[test]
    fn no_user_namespace_can_be_made_where_it_is_forbidden() {
        need!("userns");
        let script = format!("'{}' -U true", tool("ns-run").display());
        shell(&["-r", "--disable-userns"], &script).run().refused(125, expect![[r#"
            ns-run: cannot make namespaces 'user': No space left on device; a limit is reached: 32 levels, or user.max_user_namespaces (2147483647)
        "#]]);
        assert_eq!(world(&["-r", "--disable-userns"]).get("uid"), "0\t0\t0\t0");
    }

    #[test]
    fn the_names_of_host_and_domain_are_set() {
        need!("userns");
        let args = ["-r", "--hostname", "box", "--domainname", "home"];
        let out =
            shell(&args, "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname");

        assert_eq!(out.run().ok(), "box\nhome\n");
    }
}

mod root {
    use super::*;

    /// A script in a mount namespace whose mounts are shared.
    fn sandboxed(script: &str) -> Run {
        Run::shared_mounts(script)
            .env("NS_RUN", tool("ns-run"))
            .env("PROBE", tool("probe"))
    }

    #[test]
    fn a_directory_keeps_all_namespaces_and_they_can_be_joined() {
        need!("root");
        let world = World::of(sandboxed(
            "$NS_RUN --persist kept -mnui --hostname box true; ls kept >names; \
             $NS_RUN --join net=kept/net --join uts=kept/uts --join mnt=kept/mnt $PROBE; \
             [ \"$(echo $(cat names))\" = 'ipc mnt net uts' ]; umount kept/*",
        ));

        assert_eq!(world.get("hostname"), "box\n");
        assert_eq!(foreign(&world), ["mnt", "uts", "net"]);
    }

    #[test]
    fn a_pid_namespace_is_kept_as_long_as_its_first_process() {
        need!("root");
        let world = World::of(sandboxed(
            "mkfifo go; $NS_RUN --pid=p --fork sh -c 'echo >ready; read x <go' & \
             until [ -e ready ]; do :; done; \
             $NS_RUN --join pid=p $PROBE; echo >go; wait; umount p",
        ));

        assert_eq!(foreign(&world), ["mnt", "pid"]);
    }

    #[test]
    fn where_one_cannot_be_kept_none_is_and_nothing_is_left() {
        need!("root");
        let out = sandboxed(
            "$NS_RUN --net=a --uts=dir/none/b true || echo $?; ls; grep -c nsfs /proc/self/mountinfo || :",
        )
        .run();

        let _ = out
            .code(0)
            .stdout(expect![[r#"
            125
            0
        "#]])
            .stderr(expect![[r#"
            ns-run: cannot make 'dir/none/b': No such file or directory
        "#]]);
    }

    #[test]
    fn supplementary_groups_are_set() {
        need!("root");
        let world = world(&["--uid=4711", "--gid=4712", "--groups=5,6"]);

        assert_eq!(world.get("uid"), "4711\t4711\t4711\t4711");
        assert_eq!(world.get("gid"), "4712\t4712\t4712\t4712");
        assert_eq!(world.get("groups"), "5 6");
    }

    #[test]
    fn a_later_link_is_found_behind_a_new_root_and_not_in_it() {
        need!("root");
        // The root has a program of the link's name, which must not run.
        let script = "mkdir -p r/bin r/proc; cp \"$PROBE\" r/bin/probe; \
            printf '#!/bin/false\\n' >r/bin/cap-drop; chmod +x r/bin/cap-drop; \
            exec $NS_RUN -m --root r --mount-proc -- cap-drop --keep none -- /bin/probe";

        let world = World::of(sandboxed(script).env("PATH", "/bin:/usr/bin"));

        assert_eq!(world.get("cwd"), "/");
        assert_eq!(world.get("caps.bnd"), "0000000000000000");
        assert!(!world.get("env").to_string().contains("BORDMITTEL"));
    }
}
