//! root-pivot against the real kernel, alone and behind ovl-mount and mkdev.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's errors are failed tests"
)]

use std::fs;
use std::path::{Path, PathBuf};

use kit::fault::{each_call, injected};
use kit::{Run, World, expect, need, tool};

#[path = "root-pivot/calls.rs"]
mod calls;
#[path = "root-pivot/chain.rs"]
mod chain;
#[path = "root-pivot/files.rs"]
mod files;
#[path = "root-pivot/mounts.rs"]
mod mounts;
#[path = "root-pivot/root.rs"]
mod root;
#[path = "root-pivot/volumes.rs"]
mod volumes;

const USERNS: &[&str] = &["--user", "--mount", "--pid", "--net"];

/// A root that contains the probe and nothing else.
fn root(top: &Path) -> PathBuf {
    let root = top.join("root");
    fs::create_dir_all(&root).unwrap();
    fs::copy(tool("probe"), root.join("probe")).unwrap();
    root
}

/// root-pivot into that root, with the probe as COMMAND.
fn pivot(flags: &[&str], args: &[&str]) -> Run {
    let run = Run::sandboxed(flags, "root-pivot").args(args).args(["root", "/probe"]);
    root(run.tmp());
    run
}

/// The same with a shell of the host's as COMMAND, from directories bound into the root.
fn shell(flags: &[&str], args: &[&str], script: &str) -> Run {
    let run = Run::sandboxed(flags, "root-pivot").args(args);
    let run = with_host_programs(run).args(["root", "--", "/bin/sh", "-c", script]);
    fs::create_dir(run.tmp().join("root")).unwrap();
    run
}

fn with_host_programs(run: Run) -> Run {
    let dirs = ["/bin", "/lib", "/lib64", "/usr"].into_iter();
    dirs.filter(|dir| Path::new(dir).exists())
        .fold(run, |run, dir| run.arg("--bind").arg(format!("{dir}:{dir}:ro")))
}

/// Everything below a directory, with sizes: what must be the same afterwards.
fn listing(dir: &Path) -> String {
    let out = Run::program("find").arg(dir).args(["-printf", "%P %y %s\\n"]).run();
    out.ok()
}

#[test]
fn the_plan_is_printed_and_nothing_is_done() {
    let args = ["--explain", "--tmp", "--mask", "/x", "root", "--", "sh"];

    let text = Run::tool("root-pivot").args(args).run().ok();

    expect![[r#"
        mount_setattr('/', AT_RECURSIVE, propagation MS_PRIVATE)       # no mount of ours in another namespace
        open_tree('root', OPEN_TREE_CLONE|AT_RECURSIVE); move_mount('root') # a mount point, where it is none yet
        fsopen('tmpfs'); fsmount(MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV); move_mount('/tmp') # mode=1777
        openat2('/x', RESOLVE_IN_ROOT); move_mount('/x')               # hidden
        pivot_root('.', '.'); umount2('.', MNT_DETACH); chdir('/')     # the old root is gone
        execve('sh', …)                                                # become COMMAND
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_bind_that_climbs_is_refused() {
    Run::tool("root-pivot").args(["--bind", "/srv:/a/../..", "root"]).run().refused(
        125,
        expect![[r#"
            root-pivot: invalid value '/srv:/a/../..' for '--bind <SRC:DST[:OPTIONS]>': a path with '..'; try 'root-pivot --help'
        "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn the_root_is_a_directory_and_the_caller_keeps_its_own() {
        need!("userns");
        let run = pivot(USERNS, &["--proc"]);
        let before = listing(run.tmp());

        let out = run.run();

        assert!(out.tmp().join("root/proc").is_dir());
        assert_eq!(fs::read_dir(out.tmp().join("root/proc")).unwrap().count(), 0);
        let after = listing(out.tmp()).replace("root/proc d 4096\n", "");
        assert_eq!(after.lines().count(), before.lines().count());
        assert!(out.ok().contains("\"cwd\": \"/\""));
    }

    #[test]
    fn nothing_of_the_old_root_can_be_reached() {
        need!("userns");
        let script =
            "cd ..; pwd; ls -d /../* | sort; for f in /proc/1/root/*; do echo $f; done";
        let mut lines: Vec<_> = shell(USERNS, &["--proc"], script)
            .run()
            .ok()
            .lines()
            .map(|l| l.rsplit('/').next().unwrap().to_owned())
            .collect();

        lines.sort();
        lines.dedup();
        lines.retain(|l| {
            !["", "bin", "lib", "lib64", "usr", "proc"].contains(&l.as_str())
        });
        assert_eq!(lines, Vec::<String>::new());
    }

    #[test]
    fn what_is_bound_read_only_is_so_with_all_that_is_mounted_in_it() {
        need!("userns");
        let inner = "mkdir -p src/sub; mount -t tmpfs x src/sub; exec \"$@\"";
        let run =
            Run::tool("sandbox").args(USERNS).args(["--", "sh", "-ec", inner, "sh"]);
        let run = run.arg(tool("root-pivot")).args(["--bind", "src:/a/b:ro"]);
        let run = with_host_programs(run).args(["root", "/bin/sh", "-c"]);
        let run = run.arg("for f in /a/b/x /a/b/sub/x; do echo > $f; done; echo > /a/x");
        fs::create_dir(run.tmp().join("root")).unwrap();

        let out = run.run().code(0).stderr(expect![[r#"
            /bin/sh: 1: cannot create /a/b/x: Read-only file system
            /bin/sh: 1: cannot create /a/b/sub/x: Read-only file system
        "#]]);

        assert!(out.tmp().join("root/a/x").exists());
    }

    #[test]
    fn a_file_is_bound_onto_a_file_that_is_made_for_it() {
        need!("userns");
        let run = shell(USERNS, &["--bind", "note:/etc/deep/note"], "cat /etc/deep/note");
        fs::write(run.tmp().join("note"), "a file of the host's").unwrap();

        let out = run.run();

        assert_eq!(fs::read(out.tmp().join("root/etc/deep/note")).unwrap(), b"");
        assert_eq!(out.ok(), "a file of the host's");
    }

    #[test]
    fn directories_in_the_root_are_for_everybody_whatever_the_umask() {
        need!("userns");
        let run = Run::program("sh").args(["-c", "umask 077; exec \"$@\"", "sh"]);
        let run = run.arg(tool("sandbox")).args(USERNS).arg("--").arg(tool("root-pivot"));
        let run = run.args(["--tmpfs", "/a/b:mode=700,size=1M"]);
        let run = with_host_programs(run).args(["root", "/bin/sh", "-c"]);
        let run = run.arg("stat -c %a /a /a/b; stat -fc %b /a/b; umask");
        fs::create_dir(run.tmp().join("root")).unwrap();

        assert_eq!(run.run().ok(), "755\n700\n256\n0077\n");
    }

    #[test]
    fn what_is_masked_is_empty_and_what_is_protected_read_only() {
        need!("userns");
        let args =
            ["--tmp", "--mask", "/d", "--mask", "/f", "--ro-path", "/r", "--read-only"];
        let script =
            "ls -A /d; cat /f; echo x > /f; for f in /r/x /x /tmp/x; do echo > $f; done";
        let run = shell(USERNS, &args, script);
        for dir in ["d", "r"] {
            fs::create_dir(run.tmp().join("root").join(dir)).unwrap();
        }
        fs::write(run.tmp().join("root/d/secret"), "secret").unwrap();
        fs::write(run.tmp().join("root/f"), "secret").unwrap();
        // What it would have to make is there already: the root is not to be changed.
        for dir in ["bin", "lib", "lib64", "usr", "tmp"] {
            fs::create_dir(run.tmp().join("root").join(dir)).unwrap();
        }

        let _ = run.run().code(0).stdout(expect![[""]]).stderr(expect![[r#"
            /bin/sh: 1: cannot create /r/x: Read-only file system
            /bin/sh: 1: cannot create /x: Read-only file system
        "#]]);
    }

    #[test]
    fn a_mask_that_hides_nothing_is_refused() {
        need!("userns");
        pivot(USERNS, &["--mask", "/etc/shadwo"]).run().refused(
            125,
            expect![[r#"
                root-pivot: cannot hide '/etc/shadwo': No such file or directory
            "#]],
        );
    }

    #[test]
    fn proc_without_a_pid_namespace_is_refused_with_the_way_out() {
        need!("userns");
        pivot(&["--user", "--mount", "--net"], &["--proc"]).run().refused(
            125,
            expect![[r#"
                root-pivot: cannot mount proc on '/proc': Operation not permitted; it takes a pid namespace of its own: ns-run --pid --fork
            "#]],
        );
    }

    #[test]
    fn sysfs_without_a_network_namespace_is_refused_with_the_way_out() {
        need!("userns");
        pivot(&["--user", "--mount", "--pid"], &["--std"]).run().refused(
            125,
            expect![[r#"
                root-pivot: cannot mount sysfs on '/sys': Operation not permitted; it takes a network namespace of its own: ns-run --net, or --bind /sys:/sys:ro
            "#]],
        );
    }

    #[test]
    fn the_way_out_is_one() {
        need!("userns");
        let args = ["--std", "--bind", "/sys:/sys:ro", "--bind", "/proc:/proc"];

        let world = World::of(pivot(&["--user", "--mount"], &args));

        let mounts = world.mounts();
        assert!(mounts.contains(&"/sys sysfs".into()), "{mounts:?}");
        assert!(mounts.contains(&"/proc proc".into()), "{mounts:?}");
    }

    #[test]
    fn proc_that_would_show_what_is_hidden_is_refused_with_the_way_out() {
        need!("userns");
        let script = "mount --bind /dev/null /proc/version; exec \"$@\"";
        let nested =
            [&["--user", "--mount", "--pid"][..], &["--", "sh", "-ec", script, "sh"]];
        let run = Run::tool("sandbox").args(nested.concat()).arg(tool("sandbox"));
        let run = run.args(["--user", "--mount", "--pid", "--"]).arg(tool("root-pivot"));
        let run = run.args(["--proc", "root", "/probe"]);
        root(run.tmp());
        // The outer /proc must be the outer namespace's own to be hidden in.
        let out = run.run();

        out.refused(
            125,
            expect![[r#"
                root-pivot: cannot mount proc on '/proc': Operation not permitted; parts of /proc are hidden here and must stay so: --bind /proc:/proc shows the caller's
            "#]],
        );
    }

    #[test]
    fn namespaces_can_be_nested() {
        need!("userns");
        let run = Run::tool("sandbox").args(USERNS).arg("--").arg(tool("sandbox"));
        let run = run.args(USERNS).arg("--").arg(tool("root-pivot"));
        let run = run.args(["--std", "root", "/probe"]);
        root(run.tmp());

        assert!(World::of(run).mounts().contains(&"/sys sysfs".into()));
    }

    #[test]
    fn an_init_process_may_change_its_own_root_and_nobody_elses() {
        need!("userns");
        // The outer shell is the init process of the /proc that it mounts.
        let script = "mount -t proc proc /proc; \"$@\"; echo $?; exec \"$@\"";
        let run =
            Run::tool("sandbox").args(USERNS).args(["--", "sh", "-c", script, "sh"]);
        let run = run.arg(tool("root-pivot")).args(["root", "/probe"]);
        root(run.tmp());

        let out = run.run().code(0).stderr(expect![[r#"
            root-pivot: cannot change the root: this is the mount namespace of the system; put ns-run --mount -- before root-pivot
        "#]]);

        assert!(String::from_utf8_lossy(&out.stdout).starts_with("125\n{"));
    }

    #[test]
    fn an_inherited_mount_point_becomes_the_root() {
        need!("userns");
        let script = "mount -t tmpfs x root; cp \"$0\" root/probe; exec \"$@\"";
        let run =
            Run::tool("sandbox").args(["--user", "--mount", "--", "sh", "-ec", script]);
        let run = run.arg(tool("probe")).arg(tool("sandbox")).args(USERNS).arg("--");
        let run = run.arg(tool("root-pivot")).args(["--std", "root", "/probe"]);
        fs::create_dir(run.tmp().join("root")).unwrap();

        let mounts = World::of(run).mounts();

        assert!(mounts.contains(&"/ tmpfs".into()), "{mounts:?}");
    }

    #[test]
    fn the_root_itself_is_not_made_the_root() {
        need!("userns");
        Run::sandboxed(USERNS, "root-pivot").args(["/", "true"]).run().refused(
            125,
            expect![[r#"
                root-pivot: cannot change the root to '/': it is the root already
            "#]],
        );
    }

    #[test]
    fn a_failure_half_way_takes_the_mounts_away_again() {
        need!("userns");
        let script = format!(
            "{} \"$@\"; echo $?; grep -c \" $PWD/\" /proc/self/mountinfo; pwd; test -d /etc",
            tool("root-pivot").display()
        );
        let run =
            Run::tool("sandbox").args(USERNS).args(["--", "sh", "-c", &script, "sh"]);
        let run = run.args(["--std", "--mask", "/nope", "root", "/probe"]);
        root(run.tmp());

        let _ = run.run().code(0).stdout(expect![[r#"
            125
            0
            $TMP
        "#]]);
    }

    #[test]
    fn every_call_that_fails_is_told_in_one_line_and_nothing_is_run() {
        need!("userns", "program:strace");
        for call in [
            "mount_setattr",
            "fsopen",
            "fsconfig",
            "fsmount",
            "open_tree",
            "move_mount",
            "pivot_root",
            "umount2",
            "fchdir",
            "chdir",
        ] {
            let start = |inject: &str| {
                let run = injected(inject, USERNS, "root-pivot");
                let run = run.args(["--std", "root", "/probe"]);
                root(run.tmp());
                run
            };

            each_call(call, "EACCES", start, |_, _| ());
        }
    }
}
