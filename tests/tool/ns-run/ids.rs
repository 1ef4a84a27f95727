//! Which ids COMMAND has, and who maps them.

use kit::{Run, World, expect, need, tool};

use crate::signals::outlives_nothing;
use crate::world;

mod userns {
    use super::*;

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

    /// newuidmap wants a name for the user.
    fn with_passwd(script: &str) -> Run {
        let passwd = "cp /etc/passwd passwd; echo 'me:x:4711:4711::/:/bin/sh' >>passwd; \
            mount --bind passwd /etc/passwd; chmod 755 .; ";
        with_subids("me:200000:65536\n", &format!("{passwd}{script}"))
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
}
