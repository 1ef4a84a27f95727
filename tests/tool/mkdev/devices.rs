//! Devices beside the six: by name, by directory, of a specification; the terminal.

use std::path::Path;

use kit::{Run, expect, need, tool};

use super::mkdev;

/// A specification with one device `d` and these edits.
fn spec(dir: &Path, edits: &str) {
    let text = format!(
        r#"{{"cdiVersion":"0.8.0","kind":"x.com/y","devices":[{{"name":"d","containerEdits":{edits}}}]}}"#
    );
    std::fs::write(dir.join("spec.json"), text).unwrap();
}

fn with_spec(edits: &str, args: &[&str], script: &str) -> Run {
    let args = [&["--from-spec", "spec.json"], args, &["dev"]].concat();
    let run = mkdev(&["--user", "--mount"], &args, script);
    spec(run.tmp(), edits);
    run
}

#[test]
fn a_device_that_is_not_there_or_is_none_is_named() {
    let refused = |device: &str| {
        let run = Run::tool("mkdev").args(["--device", device, "dev"]);
        let out = run.run().code(125);
        assert!(!out.tmp().join("dev").exists());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };

    assert_eq!(
        refused("/dev/nope"),
        "mkdev: cannot use device '/dev/nope': No such file or directory; the kernel has it when its driver is there: modprobe\n"
    );
    assert_eq!(
        refused("/etc/passwd:/dev/x"),
        "mkdev: cannot use device '/etc/passwd': neither a device nor a directory\n"
    );
    assert_eq!(
        refused("/proc/self/task:/dev/x"),
        "mkdev: cannot use device '/proc/self/task': there is no device in it\n"
    );
    assert_eq!(
        refused("/dev/zero:/etc/zero"),
        "mkdev: invalid value '/dev/zero:/etc/zero' for '--device <HOST[:CONTAINER[:rwm]]>': a node can be made below /dev only: HOST:/dev/NAME; try 'mkdev --help'\n"
    );
    assert_eq!(
        refused("/dev/zero:/dev/pts/0"),
        "mkdev: cannot make device '/dev/pts/0': mkdev makes something else of that name\n"
    );
}

#[test]
fn a_console_takes_a_terminal() {
    Run::tool("mkdev").args(["--console", "dev"]).run().refused(
        125,
        expect![[r#"
            mkdev: cannot bind the terminal on 'console': no standard descriptor is a terminal
        "#]],
    );
}

mod userns {
    use super::*;

    const FLAGS: &[&str] = &["--user", "--mount"];

    #[test]
    fn a_device_is_bound_under_any_name() {
        need!("userns");
        let args = ["--device", "/dev/full:a/b/full", "--device=/dev/zero", "dev"];
        let script =
            "stat -c '%n %t:%T' dev/a/b/full; ! echo x 2>/dev/null > dev/a/b/full";

        assert_eq!(mkdev(FLAGS, &args, script).run().ok(), "dev/a/b/full 1:7\n");
    }

    #[test]
    fn a_bound_device_cannot_be_limited() {
        need!("userns");
        mkdev(FLAGS, &["--device", "/dev/full:/dev/f:r", "dev"], "echo ran").run().refused(
            125,
            expect![[r#"
                mkdev: cannot limit device '/dev/full': a bound one has the host's permissions; --mknod makes one of its own
            "#]],
        );
    }

    #[test]
    fn a_specifications_nodes_are_made_and_proved() {
        need!("userns");
        let node = r#"{"deviceNodes":[{"path":"/dev/v/full","hostPath":"/dev/full","type":"c",
            "major":1,"minor":7},{"path":"/dev/z","hostPath":"/dev/zero"}]}"#;
        let script = "stat -c '%n %t:%T' dev/v/full dev/z";

        let text = with_spec(node, &["--spec-device", "d"], script).run().ok();

        assert_eq!(text, "dev/v/full 1:7\ndev/z 1:5\n");
        with_spec(&node.replace(":7", ":9"), &[], script).run().refused(
            125,
            expect![[r#"
                mkdev: cannot use device '/dev/full': not the character device 1:9
            "#]],
        );
    }

    #[test]
    fn what_mkdev_does_not_do_of_a_specification_is_refused_or_left_out() {
        need!("userns");
        let edits = r#"{"deviceNodes":[{"path":"/dev/full2","hostPath":"/dev/full"}],"env":["A=1"],
            "hooks":[{"hookName":"createContainer","path":"/bin/x"}],"mounts":[]}"#;

        with_spec(edits, &[], "echo ran").run().refused(
            125,
            expect![[r#"
                mkdev: cannot use 'spec.json': it asks for 'env', 'hooks' too, which mkdev does not do; --nodes-only leaves that out
            "#]],
        );
        let some =
            with_spec(edits, &["--nodes-only"], "ls dev/full2; echo $A").run().ok();
        assert_eq!(some, "dev/full2\n\n");
    }

    #[test]
    fn the_minimal_set_has_no_mounts() {
        need!("userns");
        let text = mkdev(FLAGS, &["--minimal", "dev"], "ls dev").run().ok();

        let names: Vec<_> = text.lines().collect();
        assert_eq!(
            names.join(" "),
            "core fd full null random stderr stdin stdout tty urandom zero"
        );
    }

    #[test]
    fn queues_take_an_ipc_namespace() {
        need!("userns");
        let args = ["--mqueue", "dev"];
        let script = "stat -fc %T dev/mqueue";

        let own = mkdev(&["--user", "--mount", "--ipc"], &args, script).run().ok();

        assert_eq!(own, "mqueue\n");
        mkdev(FLAGS, &args, script).run().refused(
            125,
            expect![[r#"
                mkdev: cannot mount mqueue on 'mqueue': Operation not permitted; it takes an IPC namespace of its own: ns-run --ipc
            "#]],
        );
    }

    #[test]
    fn the_console_is_the_terminal_itself() {
        need!("userns");
        let pty = nix::pty::openpty(None, None).unwrap();
        let script = "stat -Lc %t:%T:%i dev/console; stat -Lc %t:%T:%i /proc/self/fd/0; \
             echo seen > dev/console; chmod 666 dev/console 2>&1 | sed 's/.*: //'";
        let run = mkdev(FLAGS, &["--console", "dev"], script);

        let out = run.command().stdin(pty.slave).output().unwrap();

        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines[0], lines[2]), (lines[1], "Read-only file system"), "{text}");
        let mut seen = [0; 64];
        let len = nix::unistd::read(&pty.master, &mut seen).unwrap();
        assert_eq!(&seen[..len], b"seen\r\n");
    }

    #[test]
    fn a_terminal_whose_name_is_another_files_is_not_bound() {
        need!("userns");
        let pty = nix::pty::openpty(None, None).unwrap();
        // The namespace has a devpts of its own, where the name may be another's.
        let script = format!(
            "mount -t devpts x /dev/pts; exec {} --console dev true",
            tool("mkdev").display()
        );
        let run = Run::tool("sandbox").args(FLAGS).args(["--", "sh", "-c", &script]);

        let out = run.command().stdin(pty.slave).output().unwrap();

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(125), "{said}");
        assert!(!run.tmp().join("dev").exists());
        assert!(
            said.starts_with("mkdev: cannot ") && said.lines().count() == 1,
            "{said}"
        );
    }
}

mod root {
    use super::*;

    #[test]
    fn a_node_has_the_owner_and_permissions_of_the_hosts() {
        need!("root");
        let script = format!(
            "mount -t tmpfs x hosts; mkdir hosts/sub; mknod hosts/a c 10 229; \
             mknod hosts/sub/b b 7 0; chown 3:4 hosts/a; chmod 640 hosts/a; chmod 606 hosts/sub/b; \
             ln -s a hosts/link; touch hosts/file; umask 077; \
             exec {} --device $PWD/hosts:/dev/all --device $PWD/hosts/a:one:r dev -- \
             find dev/all dev/one ! -type d -printf '%P %y %m %U:%G\\n'",
            tool("mkdev").display()
        );
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", &script]);
        for dir in ["dev", "hosts"] {
            std::fs::create_dir(run.tmp().join(dir)).unwrap();
        }

        let text = run.run().ok();

        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, [" c 440 3:4", "a c 640 3:4", "sub/b b 606 0:0"]);
    }

    #[test]
    fn a_specification_says_owner_and_permissions_itself() {
        need!("root");
        let edits = r#"{"deviceNodes":[{"path":"/dev/z","hostPath":"/dev/zero","fileMode":432,
            "uid":7,"gid":8,"permissions":"r"}]}"#;
        let script = "stat -c '%t:%T %a %u:%g' dev/z";
        let run = mkdev(&["--mount"], &["--from-spec", "spec.json", "dev"], script);
        spec(run.tmp(), edits);

        assert_eq!(run.run().ok(), "1:5 440 7:8\n");
    }
}
