//! mkdev against the real kernel.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's errors are failed tests"
)]

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kit::fault::{each_call, injected};
use kit::{Run, World, expect, need, tool};

#[path = "mkdev/calls.rs"]
mod calls;
#[path = "mkdev/devices.rs"]
mod devices;
#[path = "mkdev/examples.rs"]
mod examples;
#[path = "mkdev/prepared.rs"]
mod prepared;

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
            tool("mkdev").display()
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

    #[test]
    fn only_mounts_change_for_the_command() {
        need!("userns");
        let flags = ["--user", "--mount"];
        let before = World::sandboxed(&flags);

        let run = Run::sandboxed(&flags, "mkdev").args(["dev", "--"]).arg(tool("probe"));
        let after = World::of(run);

        let mut changed = after.changed_from(&before);
        // Each run has namespaces of its own.
        changed.retain(|topic| topic != "ns");
        assert_eq!(changed, ["mounts"]);
        assert_eq!(after.mounts().len().checked_sub(before.mounts().len()), Some(9));
    }

    #[test]
    fn a_command_that_is_not_there_leaves_nothing() {
        need!("userns");
        let script = format!(
            "{} dev /nope; ls; grep -c \" $PWD/\" /proc/self/mountinfo",
            tool("mkdev").display()
        );
        let run =
            Run::tool("sandbox").args(["--user", "--mount", "--", "sh", "-c", &script]);

        let _ = run.run().code(1).stdout(expect![[r#"
            0
        "#]]);
    }

    #[test]
    fn cve_2026_41579_links_in_the_images_dev_lead_nowhere() {
        need!("userns");
        let run = Run::sandboxed(&["--user", "--mount"], "mkdev").args(["dev", "--"]);
        let run = run.args(["sh", "-c", "test -c dev/null && echo x > dev/shm/x"]);
        let (dev, host) = (run.tmp().join("dev"), run.tmp().join("host"));
        for dir in [&dev, &host] {
            std::fs::create_dir(dir).unwrap();
        }
        for name in ["null", "ptmx", "fd", "shm", "pts"] {
            symlink("../host", dev.join(name)).unwrap();
        }

        let out = run.run();

        assert_eq!(std::fs::read_dir(host).unwrap().count(), 0);
        assert_eq!(out.ok(), "");
    }

    #[test]
    fn cve_2021_30465_a_dev_that_swaps_with_a_link_changes_no_host() {
        need!("userns");
        // Never run: its temporary directory is what is wanted.
        let kept = Run::program("true");
        let [link, dev, host] = ["link", "dev", "host"].map(|name| kept.tmp().join(name));
        for dir in [&dev, &host] {
            std::fs::create_dir(dir).unwrap();
        }
        symlink("host", &link).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let swapper = {
            let done = done.clone();
            let [link, dev] = [link, dev]
                .map(|path| CString::new(path.into_os_string().into_vec()).unwrap());
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let _ = common::sys::exchange(&link, &dev);
                }
            })
        };

        for _ in 0..100 {
            let run = Run::sandboxed(&["--user", "--mount"], "mkdev").cwd(kept.tmp());
            let script = "test ! -e host/null";
            let out = run.args(["dev", "--", "sh", "-c", script]).run();
            assert_ne!(out.status.code(), Some(1), "it is on the host's directory");
        }

        done.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
        assert_eq!(std::fs::read_dir(host).unwrap().count(), 0);
    }

    #[test]
    fn every_call_that_fails_is_told_in_one_line_and_leaves_nothing() {
        need!("userns", "program:strace");
        for call in [
            "fsopen",
            "fsconfig",
            "fsmount",
            "open_tree",
            "mount_setattr",
            "move_mount",
            "mkdirat",
            "symlinkat",
        ] {
            let start = |inject: &str| {
                let run = injected(inject, &["--user", "--mount"], "mkdev");
                run.args(["dev", "echo", "ran"])
            };

            each_call(call, "EACCES", start, |inject, out| {
                assert!(!out.tmp().join("dev").exists(), "{inject}");
            });
        }
    }
}

mod root {
    use super::*;

    #[test]
    fn root_gets_nodes_of_its_own_whatever_the_umask() {
        need!("root");
        let script = format!("umask; {LIST}");
        let run = Run::program("sh").args(["-c", "umask 077; exec \"$@\"", "sh"]);
        let run = run.arg(tool("sandbox")).args(["--mount", "--"]);
        let run = run.arg(tool("mkdev")).args(["dev", "--", "sh", "-ec", &script]);
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

    #[test]
    fn a_node_that_the_container_makes_leads_nowhere() {
        need!("root");
        let script = "mknod dev/other c 1 5; cat dev/other";

        let _ =
            mkdev(&["--mount"], &["dev"], script).run().code(1).stderr(expect![[r#"
                cat: dev/other: Permission denied
            "#]]);
    }

    #[test]
    fn the_hosts_nodes_cannot_be_changed_through_ours() {
        need!("root");
        let mode = || std::fs::metadata("/dev/full").unwrap().permissions().mode();
        let before = mode();

        let own = mkdev(&["--mount"], &["dev"], "chmod 600 dev/full").run();
        let script = "echo > dev/null; chmod 600 dev/full 2>&1 || true";
        let bound = mkdev(&["--mount"], &["--bind", "dev"], script).run();

        assert_eq!(own.ok(), "");
        let refusal =
            "chmod: changing permissions of 'dev/full': Read-only file system\n";
        assert_eq!(bound.ok(), refusal);
        assert_eq!(mode(), before);
    }

    #[test]
    fn root_without_the_right_to_make_nodes_binds_the_hosts() {
        need!("root", "program:setpriv");
        let run = Run::program("setpriv").arg("--bounding-set=-mknod");
        let run = run.arg(tool("sandbox")).args(["--mount", "--"]).arg(tool("mkdev"));
        let run = run.args(["--explain", "dev"]);

        let text = run.run().ok();

        assert!(text.contains("open_tree('/dev/null', OPEN_TREE_CLONE)"), "{text}");
        assert!(!text.contains("mknodat"), "{text}");
    }
}
