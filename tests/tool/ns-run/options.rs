//! Options of unshare(1) that change what is inside.

use kit::{Run, World, expect, need, tool};

use crate::{shell, world};

#[test]
fn a_directory_is_changed_to() {
    assert_eq!(world(&["--wd", "/usr"]).get("cwd"), "/usr");
    Run::tool("ns-run").args(["-w", "/no/such", "true"]).run().refused(
        125,
        expect![[r#"
            ns-run: cannot change to directory '/no/such': No such file or directory
        "#]],
    );
}

#[test]
fn a_user_and_a_signal_that_are_not_there_are_refused() {
    for (args, said) in [
        (
            &["-S", "no-such-user"][..],
            expect![[r#"
            ns-run: invalid value 'no-such-user' for '--setuid <USER>': not a uid, nor a user in /etc/passwd; try 'ns-run --help'
        "#]],
        ),
        (
            &["--kill-child=NOPE"],
            expect![[r#"
            ns-run: invalid value 'NOPE' for '--kill-child[=<SIGNAL>]': no signal is called so; try 'ns-run --help'
        "#]],
        ),
        (
            &["--owner", "1"],
            expect![[r#"
            ns-run: invalid value '1' for '--owner <UID:GID>': not of the form UID:GID; try 'ns-run --help'
        "#]],
        ),
        (
            &["--join", "nope=1"],
            expect![[r#"
            ns-run: invalid value 'nope=1' for '--join <KIND=FILE>': KIND is user, mnt, pid, ipc, uts, net, cgroup or time; try 'ns-run --help'
        "#]],
        ),
        (
            &["--map-users", "1:2"],
            expect![[r#"
            ns-run: invalid value '1:2' for '--map-users <MAP>': not auto, subids, all, I:O:N or O,I,N; try 'ns-run --help'
        "#]],
        ),
    ] {
        Run::tool("ns-run").args(args).arg("true").run().refused(125, said);
    }
}

#[test]
fn the_signal_of_the_bond_can_be_chosen() {
    assert_eq!(world(&["--kill-child=TERM"]).get("pdeathsig"), kit::run::SIGTERM);
    assert_eq!(world(&["--kill-child"]).get("pdeathsig"), kit::run::SIGKILL);
}

/// The command lines of the man page that an ordinary user types and waits for.
fn examples() -> Vec<String> {
    let page = std::fs::read_to_string(need::project().join("man/ns-run.1")).unwrap();
    let (_, examples) = page.split_once(".Sh EXAMPLES").unwrap();
    let typed = examples.lines().filter_map(|line| line.strip_prefix("$ ns-run "));
    let ends = typed.filter(|line| !line.ends_with('&'));
    ends.map(|line| format!("ns-run {}", line.replace("\\-", "-"))).collect()
}

mod userns {
    use super::*;

    #[test]
    fn the_examples_of_the_man_page_run() {
        need!("userns", "program:ps");
        let examples = examples();
        assert!(examples.len() >= 4, "{examples:?}");
        for line in examples {
            let said = Run::program("sh").args(["-c", &line]).tools_in_path().run().ok();

            assert!(!said.is_empty(), "{line}");
        }
    }

    #[test]
    fn capabilities_are_kept_over_the_exec() {
        need!("userns");
        let world = world(&["-c", "--keep-caps"]);

        assert_eq!(world.get("caps.amb"), world.get("caps.bnd"));
        assert_eq!(world.get("caps.eff"), world.get("caps.bnd"));
    }

    #[test]
    fn clocks_are_set_off() {
        need!("userns");
        for fork in ["-rT", "-rTf"] {
            let args = [fork, "--monotonic", "86400", "--boottime=-1"];
            let out = shell(&args, "cat /proc/self/timens_offsets").run();

            // The boot clock cannot be before the start.
            let text = out.ok();
            let words: Vec<_> = text.split_whitespace().collect();
            assert_eq!(words, ["monotonic", "86400", "0", "boottime", "-1", "0"]);
        }
    }

    #[test]
    fn a_proc_is_mounted_where_it_is_said() {
        need!("userns");
        let script = "ls -d proc/[0-9]*; cat proc/1/comm";
        let run = Run::program("sh").args(["-c", "mkdir proc; exec \"$@\"", "sh"]);
        let run = run.arg(tool("ns-run")).args([
            "-rpf",
            "--mount-proc=proc",
            "sh",
            "-c",
            script,
        ]);

        assert_eq!(run.run().ok(), "proc/1\nsh\n");
    }
}

mod root {
    use super::*;

    #[test]
    fn the_owner_of_a_user_namespace_is_who_was_named() {
        need!("root");
        let world =
            world(&["--owner", "4711:4712", "--map-users=all", "--map-groups=all"]);

        assert_eq!(world.get("uid"), "4711\t4711\t4711\t4711");
        assert_eq!(world.get("gid"), "4712\t4712\t4712\t4712");
        assert_eq!(world.get("groups"), "");
    }

    #[test]
    fn a_new_root_is_changed_to_and_its_proc_is_mounted_in_it() {
        need!("root");
        let script = format!(
            "mkdir -p r/proc r/sub; cp '{}' r/probe; exec '{}' -pfm --root r --mount-proc -w /sub /probe",
            tool("probe").display(),
            tool("ns-run").display()
        );
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", &script]);

        let world = World::of(run);

        assert_eq!((world.get("cwd"), world.get("pid")), ("/sub".into(), 1.into()));
        assert_eq!(world.mounts().last().unwrap(), "/proc proc");
    }

    #[test]
    fn an_interpreter_that_is_fixed_is_one_of_the_old_root() {
        need!("root");
        let started = |flags: &str| {
            let script = format!(
                "cp '{probe}' i; mkdir -p r/proc; printf bmtest >r/t; chmod +x r/t
                exec '{ns_run}' -pf -r --load-interp \":bm:M::bmtest::$PWD/i:{flags}\" --root r /t",
                probe = tool("probe").display(),
                ns_run = tool("ns-run").display()
            );
            Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", &script])
        };
        if !std::fs::read_to_string("/proc/filesystems").unwrap().contains("binfmt_misc")
        {
            started("F").run().refused(125, expect![[r#"
                ns-run: cannot mount binfmt_misc on '/proc/sys/fs/binfmt_misc': No such device; this kernel has no binfmt_misc
            "#]]);
            return;
        }

        let world = World::of(started("F"));

        assert_eq!(world.get("argv")[1], "/t");
        assert_eq!(
            world.mounts().last().unwrap(),
            "/proc/sys/fs/binfmt_misc binfmt_misc"
        );
        // Without the flag it is looked for when it is needed, in the new root.
        let _ = started("").run().code(127);
    }

    #[test]
    fn an_interpreter_is_registered_in_the_namespace_alone() {
        need!("root");
        let line = ":bm:M::bmtest::/bin/echo:";
        let out = shell(
            &["-pf", "-r", "--load-interp", line],
            "printf bmtest >t; chmod +x t; ./t; :",
        )
        .run();

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        // Where the kernel has no binfmt_misc, that is what is told.
        assert!(
            out.stdout == b"./t\n" || said.contains("this kernel has no binfmt_misc"),
            "{said}"
        );
    }
}
