//! mkdev against the real kernel.

#![allow(clippy::unwrap_used, reason = "a test's errors are failed tests")]

use std::os::unix::fs::symlink;
use std::path::Path;

use kit::{Run, expect, need};

/// Lists a directory the way the tests compare it: name, type and mode.
const LIST: &str = "cd dev && find . -mindepth 1 -printf '%P %y %#m %l\\n' | sort";

fn mkdev(flags: &[&str], args: &[&str], script: &str) -> Run {
    let run = Run::sandboxed(flags, "mkdev").args(args).args(["--", "sh", "-ec", script]);
    std::fs::create_dir(run.tmp().join("dev")).unwrap();
    run
}

#[test]
fn an_option_that_is_not_known_is_refused_in_one_line() {
    Run::tool("mkdev").args(["--nope", "dev"]).run().refused(
        125,
        expect![[r#"
            mkdev: unexpected argument '--nope' found; try 'mkdev --help'
        "#]],
    );
}

#[test]
fn the_plan_is_printed_and_nothing_is_done() {
    let run = Run::tool("mkdev").args(["--explain", "--bind", "dev", "--", "true"]);

    let out = run.run();

    assert!(!out.tmp().join("dev").exists());
    let text = out.ok();
    assert!(text.starts_with("fsopen('tmpfs'); fsmount(); move_mount('dev')"), "{text}");
    assert!(text.ends_with("# become COMMAND\n"), "{text}");
}

#[test]
fn without_the_right_to_mount_it_says_so_and_runs_nothing() {
    need!("user");
    mkdev(&[], &["dev"], "echo ran").run().refused(
        125,
        expect![[r#"
            mkdev: cannot mount tmpfs on 'dev': Operation not permitted; mounting takes CAP_SYS_ADMIN: ns-run -U -r --mount
        "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn a_user_namespace_gets_the_hosts_devices_by_bind() {
        need!("userns");
        let script = "echo x > dev/null; head -c1 dev/zero | od -An -tx1; \
             stat -fc %T dev dev/pts dev/shm; grep -c ' - devtmpfs\\|/null ' /proc/self/mountinfo >/dev/null";
        let out = mkdev(&["--user", "--mount"], &["dev"], script).run();

        assert_eq!(out.ok(), " 00\ntmpfs\ndevpts\ntmpfs\n");
    }

    #[test]
    fn a_dev_that_is_a_link_out_of_the_image_is_not_followed() {
        need!("userns");
        let run = Run::sandboxed(&["--user", "--mount"], "mkdev").args([
            "root/dev/",
            "--",
            "true",
        ]);
        let (root, host) = (run.tmp().join("root"), run.tmp().join("host"));
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir(&host).unwrap();
        symlink("../host", root.join("dev")).unwrap();

        let out = run.run();

        assert_eq!(std::fs::read_dir(&host).unwrap().count(), 0);
        out.refused(
            125,
            expect![[r#"
                mkdev: cannot open directory 'root/dev/': Not a directory
            "#]],
        );
    }

    #[test]
    fn a_failure_half_way_takes_the_mount_away_again() {
        need!("userns");
        let script = format!(
            "{} --mknod dev true || grep -c \" $PWD/dev \" /proc/self/mountinfo",
            kit::tool("mkdev").display()
        );
        let run =
            Run::tool("sandbox").args(["--user", "--mount", "--", "sh", "-c", &script]);
        std::fs::create_dir(run.tmp().join("dev")).unwrap();

        let out = run.run().code(1).stdout(expect![[r#"
            0
        "#]]);

        let _ = out.stderr(expect![[r#"
            mkdev: cannot make device 'null': Operation not permitted; making nodes takes CAP_MKNOD in the first user namespace, use --bind
        "#]]);
    }
}

mod root {
    use super::*;

    #[test]
    fn root_gets_nodes_of_its_own_whatever_the_umask() {
        need!("root");
        let script = format!("umask; {LIST}");
        let run = Run::program("sh").args(["-c", "umask 077; exec \"$@\"", "sh"]);
        let run = run.arg(kit::tool("sandbox")).args(["--mount", "--"]);
        let run = run.arg(kit::tool("mkdev")).args(["dev", "--", "sh", "-ec", &script]);
        std::fs::create_dir(run.tmp().join("dev")).unwrap();

        let _ = run.run().code(0).stdout(expect![[r#"
            0077
            core l 0777 /proc/kcore
            fd l 0777 /proc/self/fd
            full c 0666 
            null c 0666 
            ptmx l 0777 pts/ptmx
            pts d 0755 
            pts/ptmx c 0666 
            random c 0666 
            shm d 01777 
            stderr l 0777 /proc/self/fd/2
            stdin l 0777 /proc/self/fd/0
            stdout l 0777 /proc/self/fd/1
            tty c 0666 
            urandom c 0666 
            zero c 0666 
        "#]]);
    }

    #[test]
    fn outside_its_mount_namespace_nothing_is_left() {
        need!("root");
        let out = mkdev(&["--mount"], &["dev"], "test -c dev/null").run().code(0);

        assert!(!Path::new(out.tmp()).join("dev/null").exists());
    }
}
