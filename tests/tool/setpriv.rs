//! cap-drop called setpriv: what the installed one is too old to be compared in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's errors are failed tests")]

use std::fs;
use std::os::unix::fs::symlink;

use kit::{Out, Run, expect, need, tool};

/// cap-drop by that name, in the run's directory.
fn setpriv() -> Run {
    let run = Run::program("./setpriv");
    symlink(tool("cap-drop"), run.tmp().join("setpriv")).unwrap();
    run
}

fn with(args: &[&str]) -> Out {
    setpriv().args(args).run()
}

/// What is said where it fails with status 1.
fn complaint(args: &[&str]) -> String {
    let out = with(args).code(1);
    let text = String::from_utf8(out.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

#[test]
fn mistakes_are_one_line_with_status_1_under_its_name() {
    with(&["--nope", "true"]).refused(
        1,
        expect![[r#"
            setpriv: unrecognized option '--nope'; try 'setpriv --help'
        "#]],
    );
    with(&["/none"]).refused(
        127,
        expect![[r#"
            setpriv: failed to execute /none: No such file or directory
        "#]],
    );
    assert!(with(&["--version"]).ok().starts_with("setpriv like util-linux 2.43\n"));
}

#[test]
fn every_option_is_in_the_help_text_and_nothing_is_run() {
    let text = with(&["--help", "--nope"]).ok();

    for option in cap_drop::setpriv::OPTIONS {
        assert!(text.contains(&format!("--{}", option.long)), "{}", option.long);
    }
}

#[test]
fn all_capabilities_of_the_kernel_are_listed_a_line_each() {
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
    let last: usize = last.trim().parse().unwrap();

    let text = with(&["--list-caps"]).ok();

    assert_eq!(text.lines().count(), last + 1);
    assert!(text.starts_with("chown\ndac_override\n"), "{text}");
    assert_eq!(
        complaint(&["--list-caps", "true"]),
        "setpriv: --list-caps must be specified alone"
    );
}

#[test]
fn a_tracer_means_nothing_where_no_module_asks() {
    assert_eq!(with(&["--ptracer", "any", "true"]).ok(), "");
    assert_eq!(complaint(&["--ptracer=x", "true"]), "setpriv: invalid PID argument: 'x'");
}

/// An instruction of classic BPF.
fn instruction(code: u16, k: u32) -> Vec<u8> {
    [&code.to_ne_bytes()[..], &[0, 0], &k.to_ne_bytes()].concat()
}

#[test]
fn a_filter_is_loaded_last_and_sets_no_new_privs() {
    let load = instruction(0x20, 0);
    let compare = [&0x15_u16.to_ne_bytes()[..], &[1, 0], &102_u32.to_ne_bytes()].concat();
    let allow = instruction(0x06, 0x7fff_0000);
    let fail = instruction(0x06, 0x0005_0026);
    // getuid(2), number 102 of x86-64, is not there, all else is allowed.
    let run = setpriv();
    let program = [load, compare, allow, fail].concat();
    fs::write(run.tmp().join("filter"), program).unwrap();

    let text = run
        .args(["--seccomp-filter", "filter", "grep", "-E", "^(NoNewPrivs|Seccomp):"])
        .arg("/proc/self/status")
        .run()
        .ok();

    assert_eq!(text, "NoNewPrivs:\t1\nSeccomp:\t2\n");
    let run = setpriv();
    fs::write(run.tmp().join("odd"), b"123").unwrap();
    run.args(["--seccomp-filter=odd", "true"]).run().refused(
        127,
        expect![[r#"
            setpriv: invalid filter
        "#]],
    );
    with(&["--seccomp-filter=none", "true"]).refused(
        127,
        expect![[r#"
            setpriv: cannot open none: No such file or directory
        "#]],
    );
}

#[test]
fn landlock_forbids_what_no_rule_allows() {
    need!("landlock");
    let run = setpriv();
    let dir = run.tmp().join("dir");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "").unwrap();
    fs::write(run.tmp().join("file"), "").unwrap();
    let rule = format!("path-beneath::{}", dir.display());

    let out = run
        .args(["--landlock-access", "fs:remove-file,write", "--landlock-rule", &rule])
        .args(["sh", "-c", "rm file; echo x 2>&1 >file; rm dir/file && echo allowed"])
        .run()
        .code(0);

    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(said.matches("Permission denied").count(), 1, "{said}");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        text.contains("Permission denied") || said.contains("cannot create"),
        "{text}{said}"
    );
    assert!(text.ends_with("allowed\n") && out.tmp().join("file").exists());
}

#[test]
fn a_right_that_could_be_two_is_refused() {
    need!("landlock");

    assert_eq!(
        complaint(&["--landlock-access", "fs:remove", "true"]),
        "setpriv: could not parse Landlock fs access: remove; 'remove' could be remove-dir, remove-file"
    );
    assert_eq!(
        complaint(&["--landlock-rule", "path-beneath::/", "true"]),
        "setpriv: Landlock path-beneath rule requires a filesystem access restriction (--landlock-access fs)"
    );
    assert_eq!(
        complaint(&[
            "--landlock-access=fs",
            "--landlock-rule",
            "path-beneath::/none",
            "true"
        ]),
        "setpriv: could not open file for Landlock: /none: No such file or directory"
    );
}

#[test]
fn it_takes_few_system_calls_to_its_program() {
    need!("program:strace");
    let run = Run::program("strace").args(["-qq", "-o", "log", "./setpriv"]);
    symlink(tool("cap-drop"), run.tmp().join("setpriv")).unwrap();

    let out = run.args(["--nnp", "--inh-caps=-all"]).arg(tool("noop")).run().code(0);

    let log = fs::read_to_string(out.tmp().join("log")).unwrap();
    let names = log.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name);
    let ours = |name: &&str| !matches!(*name, "arch_prctl" | "set_tid_address" | "fcntl");
    let names = names.skip(1).take_while(|name| !name.starts_with("execve"));
    let names: Vec<_> = names.filter(ours).collect();
    expect!["poll capget prctl prctl prctl capset"].assert_eq(&names.join(" "));
}
