//! What the caller gives: descriptors, variables, groups.

use super::*;

/// img-exec below a shell that opens `file` as descriptor 7 for it.
fn with_descriptor(file: &str, text: &str) -> Run {
    let script = format!("exec \"$@\" 7<{file}");
    let run = Run::program("sh").args(["-ec", &script, "sh"]).arg(kit::tool("img-exec"));
    write_config(&run, &format!(r#"{{"Entrypoint": ["{}"]}}"#, probe()));
    if !text.is_empty() {
        fs::write(run.tmp().join(file), text).unwrap();
    }
    run.arg(me())
}

fn probe() -> String {
    kit::tool("probe").display().to_string()
}

#[test]
fn a_descriptor_is_a_config_and_goes_no_further() {
    for file in ["config.json", "."] {
        let run = with_descriptor(file, "").args(["--config", "fd:7", "a"]);

        let world = World::of(run);

        assert_eq!(world.get("argv"), serde_json::json!([probe(), "a"]), "{file}");
        assert_eq!(world.get("fds"), World::here().get("fds"), "{file}");
    }
}

#[test]
fn standard_input_is_a_config_and_stays_open() {
    let run = Run::tool("img-exec").args(["--config", "fd:0", &me()]);
    let config = format!(r#"{{"config": {{"Entrypoint": ["{}"]}}}}"#, probe());

    let world = World::of(run.stdin(config));

    assert_eq!(world.get("fds"), World::here().get("fds"));
}

#[test]
fn a_descriptor_that_is_not_open_is_refused() {
    Run::tool("img-exec").args(["--config", "fd:7", "echo", "ran"]).run().refused(
        125,
        expect![[r#"
            img-exec: cannot open config 'fd:7': Bad file number
        "#]],
    );
    Run::tool("img-exec").args(["--config", "fd:1", "echo", "ran"]).run().refused(
        125,
        expect![[r#"
            img-exec: invalid value 'fd:1' for '--config <FILE>': standard output and error are the image's; try 'img-exec --help'
        "#]],
    );
}

#[test]
fn variables_come_from_a_file_from_options_and_from_the_caller() {
    let run = with_descriptor("web.env", "A=file\nB=file\nCALLER\n# no\n");
    let run = run.args(["--config", "config.json", "--env-file", "fd:7"]);
    let run = run.args(["-e", "B=option", "-e", "SECOND"]);

    let world = World::of(run.env("CALLER", "one").env("SECOND", "two"));

    let expected =
        ["A=file", "B=option", "CALLER=one", "HOME=/", &hostname(), PATH, "SECOND=two"];
    let mut env = world.get("env");
    // Whose HOME it is depends on who runs the test.
    let home = env.as_array_mut().unwrap();
    home.iter_mut()
        .filter(|e| e.as_str().unwrap().starts_with("HOME="))
        .for_each(|e| *e = "HOME=/".into());
    assert_eq!(env, serde_json::json!(expected));
    assert_eq!(world.get("fds"), World::here().get("fds"));
}

#[test]
fn a_file_of_variables_that_is_none_is_refused_with_the_line() {
    let run = image("{}").args(["--env-file", "web.env", "echo", "ran"]);
    fs::write(run.tmp().join("web.env"), "A=1\nexport B=2\n").unwrap();
    run.run().refused(
        125,
        expect![[r#"
            img-exec: cannot read variables from 'web.env': a blank in the name 'export B'
        "#]],
    );
    image("{}").args(["--env-file", "none", "echo", "ran"]).run().refused(
        125,
        expect![[r#"
            img-exec: cannot read variables from 'none': No such file or directory
        "#]],
    );
    image("{}").args(["--env-file", "/dev/zero", "echo", "ran"]).run().refused(
        125,
        expect![[r#"
            img-exec: cannot read variables from '/dev/zero': larger than 4 MiB
        "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn a_group_that_was_asked_for_and_is_not_mapped_is_refused() {
        need!("userns");
        let run = chrooted(&["--user", "--mount"], "{}", "");

        run.args(["--group-add", "adm", "/bin/probe"]).run().refused(
            125,
            expect![[r#"
                img-exec: cannot set gid 4: Invalid argument; gid 4 is not mapped here: ns-run --map-auto
            "#]],
        );
    }
}
