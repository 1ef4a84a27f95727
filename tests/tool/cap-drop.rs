//! cap-drop against the real kernel.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's errors are failed tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kit::{Run, World, expect, need};

#[path = "cap-drop/calls.rs"]
mod calls;
#[path = "cap-drop/examples.rs"]
mod examples;
#[path = "cap-drop/landlock.rs"]
mod landlock;
#[path = "cap-drop/regain.rs"]
mod regain;
#[path = "cap-drop/rules.rs"]
mod rules;
#[path = "cap-drop/seccomp.rs"]
mod seccomp;
#[path = "cap-drop/settings.rs"]
mod settings;
#[path = "cap-drop/show.rs"]
mod show;
#[path = "cap-drop/silent.rs"]
mod silent;
#[path = "cap-drop/trace.rs"]
mod trace;
#[path = "cap-drop/users.rs"]
mod users;

const DOCKER: u64 = 0xa804_25fb;
const NET_RAW: u64 = 1 << 13;

/// The world below cap-drop with these options.
fn below(options: &[&str]) -> World {
    World::of(Run::tool("cap-drop").args(options).arg("--").arg(kit::tool("probe")))
}

fn mask(world: &World, set: &str) -> u64 {
    let text = world.get(&format!("caps.{set}"));
    u64::from_str_radix(text.as_str().unwrap(), 16).unwrap()
}

/// Bounding, permitted, effective, inheritable, ambient.
fn caps(world: &World) -> [u64; 5] {
    ["bnd", "prm", "eff", "inh", "amb"].map(|set| mask(world, set))
}

/// What root may keep: not every root has every capability.
fn own() -> u64 {
    mask(&World::here(), "prm")
}

#[test]
fn an_option_that_is_not_known_is_refused_in_one_line() {
    Run::tool("cap-drop").args(["--nope", "true"]).run().refused(
        125,
        expect![[r#"
            cap-drop: unexpected argument '--nope' found; try 'cap-drop --help'
        "#]],
    );
}

#[test]
fn a_list_is_strict_and_the_bad_name_is_told() {
    Run::tool("cap-drop").args(["--keep", "chown,net_row", "true"]).run().refused(
        125,
        expect![[r#"
            cap-drop: invalid value 'chown,net_row' for '--keep <LIST>': 'net_row' is no capability, see capabilities(7); try 'cap-drop --help'
        "#]],
    );
}

#[test]
fn the_plan_is_printed_and_nothing_is_run() {
    let out = Run::tool("cap-drop").args(["--explain", "--no-new-privs", "echo", "ran"]);

    expect![[r#"
        prctl(PR_SET_NO_NEW_PRIVS, 1)                                  # setuid bits and file capabilities do nothing
        capget(); prctl(PR_CAPBSET_READ, …)                            # COMMAND is run only if all that was done
        execve('echo', …)                                              # become COMMAND
    "#]]
    .assert_eq(&out.run().ok());
}

#[test]
fn without_options_nothing_changes() {
    assert_eq!(below(&[]).changed_from(&World::here()), [""; 0]);
}

#[test]
fn no_new_privs_changes_nothing_else() {
    let world = below(&["--no-new-privs"]);

    assert_eq!(world.changed_from(&World::here()), ["no-new-privs"]);
    assert_eq!(world.get("no-new-privs"), "1");
}

#[test]
fn without_a_command_it_is_the_callers_shell() {
    let run = Run::tool("cap-drop").arg("--no-new-privs").env("SHELL", "/bin/sh");

    assert_eq!(
        run.stdin("grep NoNewPrivs /proc/self/status\n").run().ok(),
        "NoNewPrivs:\t1\n"
    );
}

#[test]
fn a_command_that_is_not_there_is_127() {
    Run::tool("cap-drop").arg("/no/such").run().refused(
        127,
        expect![[r#"
            cap-drop: cannot run '/no/such': No such file or directory
        "#]],
    );
}

#[test]
fn an_ordinary_user_is_told_what_it_takes_and_nothing_runs() {
    need!("user");
    Run::tool("cap-drop").args(["--drop", "net_raw", "--", "echo", "ran"]).run().refused(
        125,
        expect![[r#"
            cap-drop: cannot drop 'cap_net_raw': Operation not permitted; it takes CAP_SETPCAP: run below ns-run --user, or use --no-new-privs alone
        "#]],
    );
}

#[test]
fn an_ordinary_user_cannot_become_another() {
    need!("user");
    let out =
        Run::tool("cap-drop").args(["--uid", "1", "--groups", "1", "--", "echo", "ran"]);
    out.run().refused(
        125,
        expect![[r#"
            cap-drop: cannot set groups [1]: Operation not permitted; it takes CAP_SETGID and a user namespace that allows it: ns-run --map-auto
        "#]],
    );
}

mod userns {
    use super::*;

    fn inside(flags: &[&str], options: &[&str]) -> Run {
        Run::sandboxed(flags, "cap-drop").args(options).arg("--")
    }

    #[test]
    fn dockers_set_is_left_in_a_user_namespace() {
        need!("userns");
        let plain = World::of(Run::sandboxed(&["--user"], "probe"));
        let world = World::of(
            inside(&["--user"], &["--profile", "docker"]).arg(kit::tool("probe")),
        );

        assert_eq!(caps(&world), [DOCKER, DOCKER, DOCKER, 0, 0]);
        assert!(
            world
                .changed_from(&plain)
                .iter()
                .all(|topic| topic == "caps" || topic == "ns")
        );
    }

    #[test]
    fn it_works_without_proc() {
        need!("userns");
        let script = "mount -t tmpfs none /proc; exec \"$@\"";
        let run =
            Run::tool("sandbox").args(["--user", "--mount", "--", "sh", "-ec", script]);
        // The second one tells what the first has left.
        let run = run.args(["sh"]).arg(kit::tool("cap-drop")).args([
            "--keep",
            "setpcap,kill",
            "--no-new-privs",
            "--",
            "cap-drop",
            "--explain",
            "--keep",
            "none",
            "--no-new-privs",
        ]);

        expect![[r#"
            prctl(PR_CAPBSET_DROP, cap_kill)                               # no exec gives it back: Send signals to processes of any user
            prctl(PR_CAPBSET_DROP, cap_setpcap)                            # no exec gives it back: Drop capabilities from the bounding set, add those of the bounding set to the inheritable set, and change the securebits
            capset(effective=0x0, permitted=0x0, inheritable=0x0)          # permitted: none
            capget(); prctl(PR_CAPBSET_READ, …)                            # COMMAND is run only if all that was done
            execve('/bin/sh', …)                                           # become COMMAND
        "#]]
        .assert_eq(&run.env("SHELL", "/bin/sh").run().ok());
    }

    #[test]
    fn an_id_that_is_not_mapped_is_refused_with_what_would_map_it() {
        need!("userns");
        inside(&["--user"], &["--uid", "33"]).args(["echo", "ran"]).run().refused(
            125,
            expect![[r#"
                cap-drop: cannot set uid 33: Invalid argument; uid 33 is not mapped here: ns-run --map-auto
            "#]],
        );
    }

    #[test]
    fn who_it_is_already_needs_no_right() {
        need!("userns");
        let world = World::of(
            inside(&["--user"], &["--user", "0:0", "--keep", "none"])
                .arg(kit::tool("probe")),
        );

        assert_eq!(caps(&world), [0; 5]);
        assert_eq!(world.get("uid"), "0\t0\t0\t0");
    }
}

mod root {
    use super::*;

    #[test]
    fn dockers_set_is_what_docker_leaves_and_nothing_else_changes() {
        need!("root");
        let world = below(&["--profile", "docker"]);

        assert_eq!(world.changed_from(&World::here()), ["caps"]);
        let docker = DOCKER & own();
        assert_eq!(caps(&world), [docker, docker, docker, 0, 0]);
    }

    #[test]
    fn podmans_set_has_three_less() {
        need!("root");
        let podman = 0x8004_05fb & own();

        assert_eq!(
            caps(&below(&["--profile", "podman"])),
            [podman, podman, podman, 0, 0]
        );
    }

    #[test]
    fn one_dropped_capability_leaves_all_others() {
        need!("root");
        for name in ["cap_net_raw", "NET_RAW", "net_raw", "13"] {
            let world = below(&["--drop", name]);

            let rest = own() & !NET_RAW;
            assert_eq!(caps(&world), [rest, rest, rest, 0, 0], "{name}");
        }
    }

    #[test]
    fn what_is_kept_is_at_most_what_there_was() {
        need!("root");
        let two = ((1 << 24) | (1 << 7)) & own();

        assert_eq!(
            caps(&below(&["--keep", "sys_resource,setuid"])),
            [two, two, two, 0, 0]
        );
        assert_eq!(caps(&below(&["--keep", "none"])), [0; 5]);
        assert_eq!(caps(&below(&["--profile", "none"])), [0; 5]);
    }

    #[test]
    fn an_ordinary_user_has_the_bounding_set_and_nothing_else() {
        need!("root");
        let world = below(&[
            "--uid", "65534", "--gid", "65533", "--groups", "4,24", "--drop", "kill",
        ]);

        assert_eq!(world.changed_from(&World::here()), ["uid", "gid", "groups", "caps"]);
        assert_eq!(world.get("uid"), "65534\t65534\t65534\t65534");
        assert_eq!(world.get("gid"), "65533\t65533\t65533\t65533");
        assert_eq!(world.get("groups"), "4 24");
        assert_eq!(caps(&world), [own() & !(1 << 5), 0, 0, 0, 0]);
    }

    #[test]
    fn no_group_of_the_callers_is_left() {
        need!("root");
        let groups = |options: &[&str]| {
            let run = Run::tool("cap-drop").args(["--groups", "4,24", "--", "cap-drop"]);
            World::of(run.args(options).arg("--").arg(kit::tool("probe"))).get("groups")
        };

        assert_eq!(groups(&[]), "4 24");
        assert_eq!(groups(&["--uid", "65534"]), "");
        assert_eq!(groups(&["--clear-groups"]), "");
        assert_eq!(groups(&["--user", "65534:65534"]), "65534");
    }

    #[test]
    fn groups_cannot_be_cleared_where_the_namespace_denies_it() {
        need!("root");
        let run = Run::tool("cap-drop").args(["--groups", "4", "--"]);
        let run = run.arg(kit::tool("sandbox")).args(["--user", "--"]);
        let run =
            run.arg(kit::tool("cap-drop")).args(["--clear-groups", "--", "echo", "ran"]);

        run.run().refused(
            125,
            expect![[r#"
                cap-drop: cannot set groups []: Operation not permitted; it takes CAP_SETGID and a user namespace that allows it: ns-run --map-auto
            "#]],
        );
    }

    #[test]
    fn a_user_is_looked_up_in_the_root_as_it_is() {
        need!("root");
        let script = "mkdir root root/etc; cp \"$0\" \"$1\" root; \
            echo 'web:x:33:34::/:' >root/etc/passwd; printf 'web:x:34:\\nadm:x:4:web\\n' >root/etc/group; \
            exec chroot root /cap-drop --user web --explain true";
        let run = Run::program("sh").args(["-ec", script]);
        let run = run.arg(kit::tool("cap-drop")).arg(kit::tool("probe"));

        let text = run.run().ok();

        let calls: Vec<_> = text.lines().map(|l| l.split("  ").next().unwrap()).collect();
        assert_eq!(
            calls[..3],
            ["setgroups([34, 4])", "setresgid(34, 34, 34)", "setresuid(33, 33, 33)"]
        );
    }

    #[test]
    fn what_was_inheritable_stays_so_only_under_an_explicit_list() {
        need!("root", "program:setpriv");
        let caps = |options: &[&str]| {
            let ambient = "+net_raw,+kill";
            let run = Run::program("setpriv").args(["--inh-caps", ambient]);
            let run = run.args(["--ambient-caps", ambient]).arg(kit::tool("cap-drop"));
            caps(&World::of(run.args(options).arg("--").arg(kit::tool("probe"))))[3..]
                .to_vec()
        };

        assert_eq!(caps(&["--drop", "net_raw"]), [1 << 5, 1 << 5]);
        assert_eq!(caps(&["--profile", "docker"]), [0, 0]);
        assert_eq!(caps(&["--uid", "65534"]), [0, 0]);
    }

    #[test]
    fn a_kernel_that_lies_is_found_out() {
        need!("root", "program:strace");
        let lie = |call: &str, options: &[&str]| {
            let inject = format!("inject={call}:retval=0");
            let run =
                Run::program("strace").args(["-qq", "-o", "/dev/null", "-e", &inject]);
            run.arg(kit::tool("cap-drop")).args(options).args(["--", "echo", "ran"]).run()
        };

        lie("capset", &["--drop", "net_raw"]).refused(
            125,
            expect![[r#"
                cap-drop: cannot drop privileges: cap_net_raw stayed in the permitted set
            "#]],
        );
        lie("setresuid", &["--uid", "65534"]).refused(
            125,
            expect![[r#"
                cap-drop: cannot set uid 65534: the kernel did not do it
            "#]],
        );
    }

    #[test]
    fn the_chain_goes_on_where_the_new_user_cannot_reach_the_tools() {
        need!("root");
        let run = Run::program("./private/cap-drop").args(["--uid", "65534", "--"]);
        let private = run.tmp().join("private");
        fs::create_dir(&private).unwrap();
        fs::copy(kit::tool("cap-drop"), private.join("cap-drop")).unwrap();
        fs::set_permissions(run.tmp(), PermissionsExt::from_mode(0o700)).unwrap();

        let run = run.args(["cap-drop", "--no-new-privs", "--", "id", "-u"]);

        assert_eq!(run.run().ok(), "65534\n");
    }

    #[test]
    fn the_parent_death_signal_survives_the_change_of_ids() {
        need!("root", "program:setpriv");
        let run = Run::program("setpriv").args(["--pdeathsig", "KILL"]);
        let run = run
            .arg(kit::tool("cap-drop"))
            .args(["--uid", "65534", "--gid", "65534", "--"]);

        assert_eq!(World::of(run.arg(kit::tool("probe"))).get("pdeathsig"), 9);
    }
}
