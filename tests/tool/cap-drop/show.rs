//! What is printed: states, trees, masks, descriptions.

use kit::{Run, expect};
use serde_json::Value;

fn cap_drop(args: &[&str]) -> Run {
    Run::tool("cap-drop").args(args)
}

#[test]
fn a_mask_is_told_as_capsh_tells_it() {
    assert_eq!(
        cap_drop(&["--decode", "0000020000003000"]).run().ok(),
        "0x0000020000003000=cap_net_admin,cap_net_raw,41\n"
    );
}

#[test]
fn a_capability_is_described() {
    let text = cap_drop(&["--describe", "net_bind_service,63"]).run().ok();

    assert!(text.starts_with("cap_net_bind_service (10)\n    "), "{text}");
    assert!(text.contains("1024") && text.contains("\n\n63 (63)\n"), "{text}");
    let all = cap_drop(&["--describe", "all"]).run().ok();
    assert_eq!(all.lines().filter(|line| line.starts_with("cap_")).count(), 41);
}

#[test]
fn json_is_one_object_with_the_keys_of_the_text() {
    let text = cap_drop(&["--print"]).run().ok();
    let json: Value =
        serde_json::from_str(&cap_drop(&["--print=json"]).run().ok()).unwrap();

    let keys: Vec<_> = text.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    assert!(json["bounding"].is_array() && json["no-new-privs"].is_boolean());
    assert_eq!(json["uid"].as_array().unwrap().len(), 3);
}

#[test]
fn the_state_is_printed_and_then_the_command_is_run() {
    let text = cap_drop(&["--no-new-privs", "--print", "echo", "ran"]).run().ok();

    assert!(
        text.ends_with("\nran\n") && text.contains("\nno-new-privs: yes\n"),
        "{text}"
    );
}

#[test]
fn the_shell_is_not_run_where_something_is_printed() {
    assert_eq!(
        cap_drop(&["--print"]).stdin("echo ran\n").run().ok().matches("ran\n").count(),
        0
    );
}

#[test]
fn another_process_is_looked_at() {
    let own = std::process::id().to_string();
    let text = cap_drop(&["--pid", &own]).run().ok();
    let two = cap_drop(&["--pid", &format!("{own},{own}"), "--print=json"]).run().ok();

    assert!(text.starts_with(&format!("pid: {own}\nname: ")), "{text}");
    assert!(!text.contains("securebits"), "no file tells them");
    assert_eq!(two.lines().count(), 2);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = common::proc::status_field(&status, "CapBnd").unwrap();
    let names = cap_drop(&["--decode", bounding]).run().ok();
    let names = names.trim().split_once('=').unwrap().1;
    let names = if names.is_empty() { "none" } else { names };
    assert!(text.contains(&format!("\nbounding: {names}\n")), "{text}");
}

#[test]
fn a_process_that_is_not_there_is_told() {
    cap_drop(&["--pid", "4194305"]).run().refused(
        125,
        expect![[r#"
            cap-drop: cannot look at process '4194305': there is none
        "#]],
    );
}

#[test]
fn a_tree_has_each_process_below_its_parent() {
    let own = std::process::id();
    let text = cap_drop(&["--tree", "--pid", &own.to_string()]).run().ok();

    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with(&format!("{own} '")), "{text}");
    assert!(lines[0].contains(" uid=") && lines[0].contains(" permitted="), "{text}");
    assert!(lines[1..].iter().any(|line| line.contains("'cap-drop'")), "{text}");
    assert!(lines[1..].iter().all(|line| line.starts_with("  ")), "{text}");
    let all = cap_drop(&["--tree"]).run().ok();
    assert!(all.lines().any(|line| line.trim_start().starts_with(&format!("{own} "))));
}

#[test]
fn whether_a_capability_is_there_is_the_status() {
    let has = |args: &[&str]| {
        let out = cap_drop(args).run();
        assert!(out.stdout.is_empty() && out.stderr.is_empty());
        out.status.code().unwrap()
    };
    let own = std::process::id().to_string();

    assert_eq!(has(&["--has", "a:63"]), 1);
    assert_eq!(has(&["--has", "b:63,b:62", "--pid", &own]), 1);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = common::proc::status_mask(&status, "CapBnd").unwrap();
    let expected = i32::from(mask & 1 << 5 == 0);
    assert_eq!(has(&["--has", "b:kill"]), expected);
    assert_eq!(has(&["--has", "bounding:5", "--pid", &own]), expected);
}

#[test]
fn what_only_looks_changes_nothing_and_runs_nothing() {
    for (args, text) in [
        (
            &["--tree", "true"][..],
            "cannot run 'true': --has, --pid and --tree run nothing",
        ),
        (
            &["--has", "p:kill", "--drop", "kill"],
            "the argument '--has <SET:LIST>' cannot be used with --drop <LIST>, --keep <LIST>, --add <LIST> and others; try 'cap-drop --help'",
        ),
        (
            &["--pid", "1", "--no-new-privs"],
            "the argument '--pid <PIDS>' cannot be used with --drop <LIST>, --keep <LIST>, --add <LIST> and others; try 'cap-drop --help'",
        ),
    ] {
        let out = cap_drop(args).run().code(125);
        assert_eq!(String::from_utf8_lossy(&out.stderr), format!("cap-drop: {text}\n"));
    }
}

mod root {
    use kit::{Run, need};

    #[test]
    fn what_a_command_will_have_is_told_before_it_runs() {
        need!("root");
        let after = |options: &[&str]| {
            let run =
                Run::tool("cap-drop").args(["--drop", "sys_resource"]).args(options);
            let text = run.args(["--print", "--"]).arg(kit::tool("cap-drop"));
            let text = text.args(["--print"]).run().ok();
            let line = |key: &str, nth: usize| {
                let mut all = text.lines().filter_map(|l| l.strip_prefix(key));
                all.nth(nth).unwrap().to_owned()
            };
            assert_eq!(line("after-exec: ", 0), line("permitted: ", 1), "{options:?}");
            line("after-exec: ", 0)
        };

        for bits in ["none", "noroot", "no_setuid_fixup", "0xef"] {
            for uid in ["0", "65534"] {
                for ambient in ["none", "kill"] {
                    let options =
                        ["--securebits", bits, "--uid", uid, "--ambient", ambient];
                    let has = after(&options);
                    let is_root = uid == "0" && !["noroot", "0xef"].contains(&bits);
                    let expected = if ambient == "kill" { "cap_kill" } else { "none" };
                    assert!(is_root || has == expected, "{options:?}: {has}");
                }
            }
        }
        assert_eq!(after(&["--keep", "kill"]), "cap_kill");
        assert_eq!(after(&["--uid", "65534"]), "none");
        assert_eq!(after(&["--uid", "65534", "--ambient", "kill"]), "cap_kill");
        assert_eq!(after(&["--securebits", "noroot"]), "none");
        assert_eq!(after(&["--securebits", "noroot", "--ambient", "kill"]), "cap_kill");
        assert_eq!(after(&["--bounding", "none", "--inh", "kill"]), "cap_kill");
    }
}
