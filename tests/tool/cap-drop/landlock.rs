//! Landlock, in force.

use std::fs;
use std::net::TcpListener;

use kit::{Run, expect, need};

/// What a dynamic program needs to start.
const SYSTEM: [&str; 8] = [
    "--landlock=rx:/usr",
    "--landlock=rx:/bin",
    "--landlock=rx:/lib",
    "--landlock=rx:/lib64",
    "--landlock=rx:/etc",
    "--landlock=rw:/dev/null",
    "--landlock=rx:/opt",
    "--landlock=rx:/proc",
];

/// A shell under rules, which begins in the run's directory.
fn under(rules: &[&str], script: &str) -> Run {
    let run = Run::tool("cap-drop").arg("--no-new-privs");
    run.args(rules).args(["--", "/bin/sh", "-c", script])
}

fn system() -> Vec<&'static str> {
    let exists = |rule: &&&str| {
        rule.split_once(':').is_some_and(|(_, path)| fs::exists(path).unwrap())
    };
    SYSTEM.iter().filter(exists).copied().collect()
}

#[test]
fn what_no_rule_lets_pass_is_not_read_and_not_written() {
    need!("landlock");
    let script = "cat secret; echo x >new; mkdir dir; echo x >>open/file; cat open/file; rm secret; ls";
    let rules = [&system()[..], &["--landlock=rw:open"]].concat();
    let run = under(&rules, script);
    fs::write(run.tmp().join("secret"), "secret").unwrap();
    fs::create_dir(run.tmp().join("open")).unwrap();

    let _ = run
        .run()
        .stdout(expect![[r#"
            x
        "#]])
        .stderr(expect![[r#"
            cat: secret: Permission denied
            /bin/sh: 1: cannot create new: Permission denied
            mkdir: cannot create directory 'dir': Permission denied
            rm: cannot remove 'secret': Permission denied
            ls: cannot open directory '.': Permission denied
        "#]]);
}

#[test]
fn reading_alone_lets_nothing_be_run_or_changed() {
    need!("landlock");
    let rules = [&system()[..], &["--landlock=r:."]].concat();
    let run = under(&rules, "cat file; ./file; true >>file; mv file other; echo $?");
    fs::write(run.tmp().join("file"), "#!/bin/sh\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(run.tmp().join("file"), mode).unwrap();

    let _ = run
        .run()
        .stdout(expect![[r#"
            #!/bin/sh
            1
        "#]])
        .stderr(expect![[r#"
            /bin/sh: 1: ./file: Permission denied
            /bin/sh: 1: cannot create file: Permission denied
            mv: cannot move 'file' to 'other': Permission denied
        "#]]);
}

#[test]
fn a_rule_on_a_file_is_on_that_file() {
    need!("landlock");
    let rules = [&system()[..], &["--landlock=rw:one"]].concat();
    let run = under(&rules, "cat one two; echo more >one");
    for name in ["one", "two"] {
        fs::write(run.tmp().join(name), format!("{name}\n")).unwrap();
    }

    let out = run.run();

    assert_eq!(fs::read_to_string(out.tmp().join("one")).unwrap(), "more\n");
    let _ = out
        .stdout(expect![[r#"
        one
    "#]])
        .stderr(expect![[r#"
        cat: two: Permission denied
    "#]]);
}

#[test]
fn only_the_ports_of_rules_are_connected_to() {
    need!("landlock", "program:bash");
    let listeners = [0, 0].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, other] = listeners.each_ref().map(|l| l.local_addr().unwrap().port());
    let rule = format!("--landlock=connect:{one}");
    let script = format!(
        "for port in {one} {other}; do (: <>/dev/tcp/127.0.0.1/$port) 2>/dev/null; echo $?; done"
    );

    let run = Run::tool("cap-drop").args(["--no-new-privs", &rule]);
    let text = run.args(["bash", "-c", &script]).run().ok();

    assert_eq!(text, "0\n1\n");
}

#[test]
fn only_the_ports_of_rules_are_taken() {
    need!("landlock", "program:python3");
    let free = |_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let [one, other] = [0, 1].map(free);
    let script = format!(
        "import socket\nfor port in {one}, {other}:\n  print(socket.socket().bind(('127.0.0.1', port)))"
    );
    let rule = format!("--landlock=bind:{one}");

    let run = Run::tool("cap-drop").args(["--no-new-privs", &rule]);
    let out = run.args(["python3", "-c", &script]).run().code(1);

    assert_eq!(String::from_utf8_lossy(&out.stdout), "None\n");
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(
        error.ends_with("PermissionError: [Errno 13] Permission denied\n"),
        "{error}"
    );
}

#[test]
fn a_scope_keeps_signals_inside() {
    need!("landlock");
    let outside = std::process::id();
    let script = format!("sleep 9 & kill -0 $! && kill $! && kill -0 {outside}");

    let _ =
        under(&["--landlock=scope:signal"], &script).run().code(1).stderr(expect![[r#"
        /bin/sh: 1: kill: Operation not permitted

    "#]]);
    under(&["--landlock=net"], &script).run().ok();
}

#[test]
fn the_rules_of_a_file_are_as_good() {
    need!("landlock");
    let run = under(&["--landlock-profile=rules"], "cat file; echo x >>file");
    let mut rules = "# what a shell needs\n".to_owned();
    for rule in system() {
        rules.push_str(rule.strip_prefix("--landlock=").unwrap());
        rules.push('\n');
    }
    fs::write(run.tmp().join("rules"), rules + "\nr:file\n").unwrap();
    fs::write(run.tmp().join("file"), "read\n").unwrap();

    let _ = run
        .run()
        .stdout(expect![[r#"
            read
        "#]])
        .stderr(expect![[r#"
            /bin/sh: 1: cannot create file: Permission denied
        "#]]);
}

#[test]
fn a_rule_that_is_none_is_refused_with_its_line() {
    let run = Run::tool("cap-drop").args(["--landlock-profile=rules", "true"]);
    fs::write(run.tmp().join("rules"), "rx:/usr\nrz:/etc\n").unwrap();
    run.run().refused(
        125,
        expect![[r#"
            cap-drop: cannot read 'rules': line 2: 'rz:/etc' is no Landlock rule such as rx:/usr, connect:443 or scope
        "#]],
    );
    Run::tool("cap-drop").args(["--landlock", "/usr", "true"]).run().refused(
        125,
        expect![[r#"
            cap-drop: invalid value '/usr' for '--landlock <RULE>': '/usr' is no Landlock rule such as rx:/usr, connect:443 or scope; try 'cap-drop --help'
        "#]],
    );
}

#[test]
fn a_path_that_is_not_there_is_refused() {
    need!("landlock");
    Run::tool("cap-drop")
        .args(["--no-new-privs", "--landlock=rx:/usr", "--landlock=r:missing", "true"])
        .run()
        .refused(
            125,
            expect![[r#"
                cap-drop: cannot open 'missing': No such file or directory
            "#]],
        );
    let run = Run::tool("cap-drop").args([
        "--no-new-privs",
        "--landlock=make-dir:file",
        "true",
    ]);
    fs::write(run.tmp().join("file"), "").unwrap();
    run.run().refused(
        125,
        expect![[r#"
            cap-drop: cannot allow access to 'file': Invalid argument; some of these rights only a directory has
        "#]],
    );
}

/// A kernel without Landlock, made by a filter of ours.
#[test]
fn without_landlock_nothing_runs_unless_less_will_do() {
    let without = |options: &[&str]| {
        let run = Run::tool("cap-drop").args(["--no-new-privs", "--seccomp", "profile"]);
        let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action":
            "SCMP_ACT_ERRNO", "errnoRet": 38, "names": ["landlock_create_ruleset"]}]}"#;
        fs::write(run.tmp().join("profile"), profile).unwrap();
        run.arg(kit::tool("cap-drop")).args(["--landlock", "rx:/usr"]).args(options)
    };

    without(&["true"]).run().refused(
        125,
        expect![[r#"
            cap-drop: cannot restrict COMMAND: this kernel has no Landlock, or it is not in its lsm= list; Linux 6.2 can, --landlock-best-effort goes on without
        "#]],
    );
    without(&["--landlock-best-effort", "true"]).run().ok();
}
