//! img-exec against the real kernel.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's errors are failed tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use kit::{Run, World, expect, need};
use nix::unistd::{getegid, geteuid, gethostname};

#[path = "img-exec/given.rs"]
mod given;
#[path = "img-exec/hostile.rs"]
mod hostile;
#[path = "img-exec/program.rs"]
mod program;

/// A run with this config object as ./config.json.
fn image(config: &str) -> Run {
    let run = Run::tool("img-exec").args(["--config", "config.json"]);
    write_config(&run, config);
    run
}

fn write_config(run: &Run, config: &str) {
    let text = format!("{{\"config\": {config}}}");
    fs::write(run.tmp().join("config.json"), text).unwrap();
}

/// Who runs the test, so that there is no user to change to.
fn me() -> String {
    format!("--user={}:{}", geteuid(), getegid())
}

fn hostname() -> String {
    format!("HOSTNAME={}", gethostname().unwrap().display())
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[test]
fn an_option_that_is_not_known_is_refused_in_one_line() {
    Run::tool("img-exec").arg("--nope").run().refused(
        125,
        expect![[r#"
            img-exec: unexpected argument '--nope' found; try 'img-exec --help'
        "#]],
    );
}

#[test]
fn without_a_config_it_says_where_one_comes_from() {
    Run::tool("img-exec").args(["echo", "ran"]).run().refused(
        125,
        expect![[r#"
            img-exec: cannot find the image's config: no link before handed one on; name it by --config, or mount the image by ovl-mount --image
        "#]],
    );
}

#[test]
fn a_config_that_is_no_config_is_refused() {
    image(r#"{"Env": {"A": "1"}}"#).args(["echo", "ran"]).run().refused(
        125,
        expect![[r#"
            img-exec: cannot read config 'config.json': 'Env' is not a list of strings
        "#]],
    );
}

#[test]
fn a_config_without_end_is_refused() {
    let run = Run::tool("img-exec").args(["--config", "/dev/zero", "echo", "ran"]);

    run.run().refused(
        125,
        expect![[r#"
            img-exec: cannot read config '/dev/zero': larger than 4 MiB
        "#]],
    );
}

#[test]
fn a_directory_of_img_unpack_is_a_config() {
    let run = Run::tool("img-exec").args(["--config", "box/", &me(), "echo", "hello"]);
    fs::create_dir(run.tmp().join("box")).unwrap();
    fs::write(run.tmp().join("box/config.json"), "{}").unwrap();

    assert_eq!(run.run().ok(), "hello\n");
}

#[test]
fn the_plan_is_printed_and_nothing_is_done() {
    let run = image(
        r#"{"WorkingDir": "/no/such", "Env": ["HOME=/"], "Cmd": ["a b", "\u001b"]}"#,
    );
    let text = run.args(["--explain", &me()]).run().ok();

    let lines: Vec<_> = text.lines().collect();
    let dir = "openat2('/', '/no/such', RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS); fchdir()";
    assert_eq!(lines[0], format!("{dir} # made where it is missing"));
    let env = format!("['{PATH}', '{}', 'HOME=/']", hostname());
    assert_eq!(
        *lines.last().unwrap(),
        format!(r"execve('a b', ['a b', '\x1b'], {env}) # become the image's process")
    );
    assert!(!std::path::Path::new("/no/such").exists());
}

#[test]
fn the_program_gets_the_images_words_and_environment_and_nothing_of_the_callers() {
    let run = image(&format!(
        r#"{{"Entrypoint": ["{}", "it's"], "Cmd": ["a b", "", "*", "$(id)"],
            "Env": ["HOME=/h", "A=$(id)", "F", "LD_PRELOAD=/evil.so"]}}"#,
        kit::tool("probe").display()
    ));
    let world = World::of(run.env("SECRET", "caller's").arg(me()));

    // Where they can be set, the groups are the user's own, whatever the caller's are.
    let mut changed = world.changed_from(&World::here());
    changed.retain(|topic| topic != "groups");
    assert_eq!(changed, ["env"]);
    let words = world.get("argv");
    let words: Vec<_> = words.as_array().unwrap().iter().skip(1).collect();
    assert_eq!(words, ["it's", "a b", "", "*", "$(id)"]);
    let mut env = vec!["A=$(id)".to_owned(), "HOME=/h".into(), hostname()];
    env.extend(["LD_PRELOAD=/evil.so".into(), PATH.into()]);
    assert_eq!(world.get("env"), serde_json::json!(env));
    assert_eq!(world.get("cwd"), "/");
}

#[test]
fn a_program_called_like_a_link_is_the_images_own() {
    let run = image(r#"{"Cmd": ["mkdev"]}"#).arg(me());
    let path = format!("PATH={}:/bin:/usr/bin", run.tmp().display());
    let own = run.tmp().join("mkdev");
    fs::write(&own, "#!/bin/sh\necho of the image\n").unwrap();
    fs::set_permissions(&own, PermissionsExt::from_mode(0o755)).unwrap();

    assert_eq!(run.args(["--env", &path]).run().ok(), "of the image\n");
}

#[test]
fn a_config_that_was_handed_on_is_used_and_the_descriptor_goes_no_further() {
    let script = "exec env BORDMITTEL=image=9 \"$@\" 9<config.json";
    let run = Run::program("sh").args(["-ec", script, "sh"]).arg(kit::tool("img-exec"));
    write_config(
        &run,
        &format!(r#"{{"Cmd": ["{}"], "Env": ["HOME=/"]}}"#, kit::tool("probe").display()),
    );

    let world = World::of(run.arg(me()));

    assert_eq!(world.get("fds"), World::here().get("fds"));
    assert_eq!(world.get("env"), serde_json::json!(["HOME=/", hostname(), PATH]));
}

#[test]
fn a_working_directory_is_made_with_its_parents_whatever_the_umask() {
    let run = Run::program("sh").args(["-c", "umask 077; exec \"$@\"", "sh"]);
    let run = run.arg(kit::tool("img-exec")).args(["--config", "config.json", &me()]);
    write_config(&run, "{}");
    let dir = run.tmp().join("new/my dir");

    let run = run.arg("--workdir").arg(&dir);
    let out = run.args(["--", "sh", "-c", "pwd; stat -c %a . ..; umask"]).run();

    let _ = out.code(0).stdout(expect![[r#"
        $TMP/new/my dir
        755
        755
        0077
    "#]]);
}

#[test]
fn a_working_directory_that_is_a_magic_link_is_refused() {
    let run = image(r#"{"WorkingDir": "/proc/self/fd/0/x"}"#).arg(me());

    run.args(["echo", "ran"]).run().refused(
        125,
        expect![[r#"
            img-exec: cannot start in '/proc/self/fd/0/x': Too many symbolic links encountered; it leads out of the root or in a circle
        "#]],
    );
}

#[test]
fn a_link_to_a_magic_link_is_no_way_round() {
    let run = image("{}").arg(me());
    symlink("/proc/self/cwd", run.tmp().join("link")).unwrap();
    let dir = run.tmp().join("link");

    run.arg("--workdir").arg(dir).args(["echo", "ran"]).run().refused(
        125,
        expect![[r#"
            img-exec: cannot start in '$TMP/link': Too many symbolic links encountered; it leads out of the root or in a circle
        "#]],
    );
}

#[test]
fn a_program_that_is_not_there_is_127() {
    image(r#"{"Cmd": ["no-such-program"]}"#).arg(me()).run().refused(
        127,
        expect![[r#"
            img-exec: cannot run 'no-such-program': No such file or directory
        "#]],
    );
}

#[test]
fn a_word_with_a_nul_byte_is_refused() {
    image(r#"{"Env": ["A=a\u0000b"]}"#).args([&me(), "echo"]).run().refused(
        125,
        expect![[r#"
            img-exec: cannot set variable 'A=a\x00b': it has a NUL byte
        "#]],
    );
}

#[test]
fn an_ordinary_user_cannot_become_the_images_root() {
    need!("user");
    image("{}").args(["--user", "0:0", "echo", "ran"]).run().refused(
        125,
        expect![[r#"
            img-exec: cannot set gid 0: Operation not permitted; it takes CAP_SETGID and a user namespace that allows it: ns-run --map-auto
        "#]],
    );
}

/// img-exec as it stands in an image's root: a chroot with /proc, users and the probe.
fn chrooted(flags: &[&str], config: &str, before: &str) -> Run {
    let script = format!(
        "mkdir root root/bin root/etc root/proc; cp \"$0\" \"$1\" root/bin; shift
        cp config.json root
        echo 'root:x:0:0::/root:/bin/sh' >root/etc/passwd
        echo 'web:x:33:34::/srv/web:' >>root/etc/passwd
        printf 'bin:x:1:root\\nweb:x:34:\\nadm:x:4:web,root\\n' >root/etc/group
        mount --rbind /proc root/proc
        {before}
        exec chroot root /bin/img-exec --config /config.json \"$@\""
    );
    let run = Run::tool("sandbox").args(flags).args(["--", "sh", "-ec", &script]);
    let run = run.arg(kit::tool("img-exec")).arg(kit::tool("probe"));
    write_config(&run, config);
    run
}

mod userns {
    use super::*;

    #[test]
    fn root_in_a_namespace_of_one_id_is_root_of_the_image() {
        need!("userns");
        for user in [r#"{}"#, r#"{"User": "root"}"#, r#"{"User": "0:0"}"#] {
            let world =
                World::of(chrooted(&["--user", "--mount"], user, "").arg("/bin/probe"));

            assert_eq!(world.get("uid"), "0\t0\t0\t0", "{user}");
            assert!(world.get("env").as_array().unwrap().contains(&"HOME=/root".into()));
        }
    }

    #[test]
    fn a_user_that_is_not_mapped_is_refused_with_what_would_map_it() {
        need!("userns");
        let run = chrooted(&["--user", "--mount"], r#"{"User": "33:0"}"#, "");

        run.arg("/bin/probe").run().refused(
            125,
            expect![[r#"
                img-exec: cannot set uid 33: Invalid argument; uid 33 is not mapped here: ns-run --map-auto
            "#]],
        );
    }

    #[test]
    fn a_passwd_that_never_ends_or_leads_out_is_not_read() {
        need!("userns");
        let with = |before: &str| {
            chrooted(&["--user", "--mount"], r#"{"User": "web"}"#, before)
                .arg("/bin/probe")
                .run()
        };

        with("rm root/etc/passwd; mkfifo root/etc/passwd").refused(
            125,
            expect![[r#"
                img-exec: cannot read '/etc/passwd': not a regular file
            "#]],
        );
        with("rm root/etc/group; ln -s ../../../../../proc/self/root/etc/group root/etc/group")
            .refused(
                125,
                expect![[r#"
                    img-exec: cannot read '/etc/group': Too many symbolic links encountered
                "#]],
            );
        with("truncate -s 5M root/etc/group").refused(
            125,
            expect![[r#"
                img-exec: cannot read '/etc/group': larger than 4 MiB
            "#]],
        );
    }
}

mod root {
    use super::*;

    fn who(config: &str, args: &[&str]) -> (String, String, String, String) {
        let run = chrooted(&["--mount"], config, "").args(args).arg("/bin/probe");
        let world = World::of(run);
        let get = |path| world.get(path).as_str().unwrap().to_owned();
        let first = |path| get(path).split('\t').next().unwrap().to_owned();
        (first("uid"), first("gid"), get("groups"), get("caps.prm"))
    }

    #[test]
    fn the_user_is_looked_up_in_the_image_and_loses_the_capabilities() {
        need!("root");
        let none = "0000000000000000";
        for (config, args, uid, gid, groups) in [
            (r#"{"User": "web"}"#, &[][..], "33", "34", "4 34"),
            (r#"{"User": "33"}"#, &[], "33", "34", "4 34"),
            (r#"{"User": "web:bin"}"#, &[], "33", "1", "1"),
            (r#"{"User": "77:78"}"#, &[], "77", "78", "78"),
            (r#"{}"#, &["--user", "web"], "33", "34", "4 34"),
        ] {
            let expected = [uid, gid, groups, none].map(str::to_owned).into();
            assert_eq!(who(config, args), expected, "{config} {args:?}");
        }
    }

    #[test]
    fn root_keeps_its_capabilities_and_gets_its_groups() {
        need!("root");
        let own = World::here().get("caps.prm").as_str().unwrap().to_owned();

        let expected = ["0", "0", "0 1 4", &own].map(str::to_owned).into();
        assert_eq!(who("{}", &[]), expected);
    }

    #[test]
    fn a_user_that_is_in_no_file_is_refused_and_is_never_root() {
        need!("root");
        chrooted(&["--mount"], r#"{"User": "www-data"}"#, "").arg("/bin/probe").run().refused(
            125,
            expect![[r#"
                img-exec: cannot find user 'www-data': not in /etc/passwd; a number needs no line there
            "#]],
        );
    }

    #[test]
    fn a_kernel_that_lies_is_found_out() {
        need!("root", "program:strace");
        let lie = ["-qq", "-o", "/dev/null", "-e", "inject=setresuid:retval=0"];
        let run = Run::program("strace").args(lie).arg(kit::tool("img-exec"));
        let run = run.args(["--config", "config.json", "--user", "5:5", "echo", "ran"]);
        write_config(&run, "{}");

        run.run().refused(
            125,
            expect![[r#"
                img-exec: cannot set uid 5: the kernel did not do it
            "#]],
        );
    }

    #[test]
    fn the_parent_death_signal_survives_the_change_of_ids() {
        need!("root", "program:setpriv");
        let run = Run::program("setpriv").args(["--pdeathsig", "KILL"]);
        let run = run.arg(kit::tool("img-exec")).args([
            "--config",
            "config.json",
            "--user",
            "5:5",
        ]);
        write_config(&run, "{}");

        assert_eq!(World::of(run.arg(kit::tool("probe"))).get("pdeathsig"), 9);
    }
}
