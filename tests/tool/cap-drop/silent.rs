//! What capsh and setpriv pass over in silence: here it is done, or it fails.
//!
//! The numbers are those of the list in the man page's COMPATIBILITY.

use kit::{Run, expect};

fn refused(args: &[&str], expected: kit::Expect) {
    Run::tool("cap-drop").args(args).args(["echo", "ran"]).run().refused(125, expected);
}

#[test]
fn an_id_that_does_not_fit_is_not_cut_to_one_that_does() {
    for (option, id) in [
        ("--uid", "4294967296"),
        ("--uid", "4294967295"),
        ("--gid", "4294967296"),
        ("--groups", "4294967296"),
        ("--groups", "0,4294967295"),
        ("--user", "4294967296"),
        ("--user", "0:4294967295"),
    ] {
        let out = Run::tool("cap-drop").args([option, id, "echo", "ran"]).run().code(125);

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains("not an id from 0 to 4294967294"), "{said}");
        assert!(out.stdout.is_empty());
    }
    refused(
        &["--uid=-1"],
        expect![[r#"
            cap-drop: cannot find user '-1': not in /etc/passwd; a number needs no line there
        "#]],
    );
    refused(
        &["--groups", "1x"],
        expect![[r#"
            cap-drop: cannot find group '1x': not in /etc/group; a number needs no line there
        "#]],
    );
}

#[test]
fn a_list_is_read_to_its_end() {
    refused(
        &["--drop", "cap_chown+ep"],
        expect![[r#"
            cap-drop: invalid value 'cap_chown+ep' for '--drop <LIST>': 'cap_chown+ep' is no capability, see capabilities(7); try 'cap-drop --help'
        "#]],
    );
    let has = |list: &str| Run::tool("cap-drop").args(["--has", list]).run();
    let _ = has("b:chown,63").code(1);
    has("b:chown,net_row").refused(
        125,
        expect![[r#"
            cap-drop: invalid value 'b:chown,net_row' for '--has <SET:LIST>': 'net_row' is no capability, see capabilities(7); try 'cap-drop --help'
        "#]],
    );
}

#[test]
fn a_mask_that_is_none_is_not_read_as_nothing() {
    for mask in ["zz", "", "0x", "1 2", "10000000000000000"] {
        let out = Run::tool("cap-drop").args(["--decode", mask]).run().code(125);
        assert!(out.stdout.is_empty(), "{mask}");
    }
}

#[test]
fn an_option_with_more_behind_it_is_no_option() {
    for option in ["--no-new-privsX", "--clear-groups-x", "--printjson"] {
        let out = Run::tool("cap-drop").args([option, "echo", "ran"]).run().code(125);
        assert!(out.stdout.is_empty(), "{option}");
    }
}

#[test]
fn a_program_is_run_as_it_is_and_not_by_a_shell() {
    let run = Run::tool("cap-drop").args(["--no-new-privs", "/bin/echo", "-c", "$0"]);

    assert_eq!(run.run().ok(), "-c $0\n");
}

mod root {
    use kit::{Run, World, expect, need};

    use super::refused;
    use crate::{NET_RAW, below, caps, own};

    #[test]
    fn what_is_ambient_becomes_inheritable_by_itself() {
        need!("root");
        let world = below(&["--uid", "65534", "--ambient", "net_raw"]);

        assert_eq!(caps(&world), [own(), NET_RAW, NET_RAW, NET_RAW, NET_RAW]);
    }

    #[test]
    fn ambient_lives_over_the_user_in_either_order() {
        need!("root");
        let one = below(&["--ambient", "net_raw", "--user", "65534:65534"]);
        let other = below(&["--user", "65534:65534", "--ambient", "net_raw"]);

        assert_eq!(caps(&one), caps(&other));
        assert_eq!(caps(&one)[4], NET_RAW);
    }

    #[test]
    fn a_bounding_set_that_cannot_be_changed_is_an_error() {
        need!("root");
        let run = Run::tool("cap-drop").args(["--drop", "setpcap", "--"]);
        let run = run.arg(kit::tool("cap-drop")).args(["--bounding", "none", "--"]);

        run.args(["echo", "ran"]).run().refused(
            125,
            expect![[r#"
                cap-drop: cannot drop 'cap_chown': Operation not permitted; it takes CAP_SETPCAP: run below ns-run --user, or use --no-new-privs alone
            "#]],
        );
    }

    #[test]
    fn what_is_not_in_the_bounding_set_cannot_be_put_there() {
        need!("root");
        let gone = Run::tool("cap-drop").args(["--drop", "net_raw", "--"]);
        let run =
            gone.arg(kit::tool("cap-drop")).args(["--bounding", "net_raw,kill", "--"]);
        run.args(["echo", "ran"]).run().refused(
            125,
            expect![[r#"
                cap-drop: cannot leave in the bounding set 'cap_net_raw': it is not there; no process gets it back
            "#]],
        );
        refused(
            &["--add", "63"],
            expect![[r#"
                cap-drop: cannot add '63': it is not in the bounding set; no process gets it back
            "#]],
        );
        refused(
            &["--ambient", "63"],
            expect![[r#"
                cap-drop: cannot make ambient '63': it is not permitted here; run as root, below ns-run --user, or from what has it
            "#]],
        );
        refused(
            &["--inh", "63"],
            expect![[r#"
                cap-drop: cannot make inheritable '63': it is not permitted here; it takes CAP_SETPCAP and the capability in the bounding set
            "#]],
        );
    }

    #[test]
    fn the_variables_of_the_user_are_set_all_of_them() {
        need!("root");
        let run = Run::tool("cap-drop").env("SHELL", "/caller").env("SECRET", "s");
        let run = run.args(["--user", "root", "--reset-env", "--"]);

        let world = World::of(run.arg(kit::tool("probe")));

        let mut env: Vec<_> = world.get("env").as_array().unwrap().clone();
        env.retain(|e| !e.as_str().unwrap().starts_with("SHELL="));
        assert_eq!(
            env,
            [
                "HOME=/root",
                "LOGNAME=root",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "USER=root"
            ]
        );
    }

    #[test]
    fn securebits_that_are_there_do_not_forbid_more_of_them() {
        need!("root");
        let first = "no_cap_ambient_raise,no_cap_ambient_raise_locked,keep_caps_locked";
        let run = Run::tool("cap-drop").args(["--securebits", first, "--"]);
        let run = run.arg(kit::tool("cap-drop")).args(["--securebits=+noroot", "--"]);

        assert_eq!(World::of(run.arg(kit::tool("probe"))).get("securebits"), 0xe1);
    }

    #[test]
    fn the_result_can_be_printed() {
        need!("root");
        let run =
            Run::tool("cap-drop").args(["--keep", "kill,net_raw", "--no-new-privs"]);
        let text = run.args(["--uid", "65534", "--print"]).run().ok();

        let line =
            |key: &str| text.lines().find(|l| l.starts_with(key)).unwrap().to_owned();
        assert_eq!(line("bounding"), "bounding: cap_kill,cap_net_raw");
        assert_eq!(line("permitted"), "permitted: none");
        assert_eq!(line("uid"), "uid: 65534,65534,65534");
        assert_eq!(line("no-new-privs"), "no-new-privs: yes");
        assert_eq!(line("after-exec"), "after-exec: none");
    }
}
