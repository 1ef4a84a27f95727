//! `--in-place`: a directory that somebody else has prepared, or changes meanwhile.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kit::tree::{differences, parse, raw};
use kit::{Run, expect, need, tool};

use super::{LIST, mkdev};

/// Everything that is in a directory and mounted below it, after mkdev as a child.
fn after(flags: &[&str], args: &str, prepare: impl Fn(&Path)) -> (String, String) {
    let script = format!(
        "{} {args}; echo $?; find dev | sort; grep -c \" $PWD/\" /proc/self/mountinfo",
        tool("mkdev").display()
    );
    let run = Run::tool("sandbox").args(flags).args(["--", "sh", "-c", &script]);
    fs::create_dir(run.tmp().join("dev")).unwrap();
    prepare(run.tmp());
    let out = run.run();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&out.stdout), text(&out.stderr))
}

mod userns {
    use super::*;

    const FLAGS: &[&str] = &["--user", "--mount"];

    #[test]
    fn devices_are_bound_on_empty_files_of_the_directory() {
        need!("userns");
        let run = mkdev(
            FLAGS,
            &["--in-place", "dev"],
            "echo x > dev/null; stat -c %t:%T dev/zero",
        );
        // As a container that had /dev on its root leaves them.
        for name in ["null", "console"] {
            fs::write(run.tmp().join("dev").join(name), "").unwrap();
        }

        let out = run.run();

        assert_eq!(fs::metadata(out.tmp().join("dev/null")).unwrap().len(), 0);
        assert_eq!(out.ok(), "1:5\n");
    }

    #[test]
    fn cve_2026_88264_what_is_in_the_way_is_told_and_left() {
        need!("userns");
        for (name, what) in [
            ("null", "a symbolic link is in its place"),
            ("zero", "a file is in its place"),
            ("tty", "a directory is in its place"),
        ] {
            let (stdout, stderr) = after(FLAGS, "--in-place dev true", |tmp| {
                fs::write(tmp.join("host"), "").unwrap();
                symlink("../host", tmp.join("link")).unwrap();
                let at = tmp.join("dev").join(name);
                match name {
                    "null" => symlink("../host", at).unwrap(),
                    "zero" => fs::write(at, "x").unwrap(),
                    _ => fs::create_dir(at).unwrap(),
                }
            });

            assert_eq!(
                stderr,
                format!(
                    "mkdev: cannot bind a device on '{name}': {what}; remove it, or leave out --in-place\n"
                )
            );
            assert_eq!(stdout, format!("125\ndev\ndev/{name}\n0\n"));
        }
    }

    #[test]
    fn cve_2026_88265_a_link_called_console_is_not_followed() {
        need!("userns");
        let pty = nix::pty::openpty(None, None).unwrap();
        let run = Run::sandboxed(FLAGS, "mkdev").args([
            "--in-place",
            "--console",
            "dev",
            "true",
        ]);
        fs::create_dir(run.tmp().join("dev")).unwrap();
        fs::write(run.tmp().join("host"), "").unwrap();
        symlink("../host", run.tmp().join("dev/console")).unwrap();

        let out = run.command().stdin(pty.slave).output().unwrap();

        assert_eq!(
            String::from_utf8_lossy(&out.stderr),
            "mkdev: cannot bind a device on 'console': a symbolic link is in its place; remove it, or leave out --in-place\n"
        );
        assert_eq!(fs::read_dir(run.tmp().join("dev")).unwrap().count(), 1);
    }

    #[test]
    fn links_and_directories_lead_nowhere() {
        need!("userns");
        for name in ["fd", "ptmx", "pts", "shm", "sub"] {
            let args = "--in-place --device /dev/full:sub/full dev true";
            let (stdout, stderr) = after(FLAGS, args, |tmp| {
                fs::create_dir(tmp.join("host")).unwrap();
                symlink("../host", tmp.join("dev").join(name)).unwrap();
            });

            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            assert!(stderr.starts_with("mkdev: cannot "), "{stderr}");
            assert_eq!(stdout, format!("125\ndev\ndev/{name}\n0\n"), "{stderr}");
        }
    }

    #[test]
    fn a_command_that_is_not_there_leaves_the_directory_as_it_was() {
        need!("userns");
        let args = "--in-place --device /dev/full:a/b/c dev /nope";
        let (stdout, stderr) = after(FLAGS, args, |_| ());

        assert_eq!(stderr, "mkdev: cannot run '/nope': No such file or directory\n");
        assert_eq!(stdout, "127\ndev\n0\n");
    }
}

mod root {
    use super::*;

    const FLAGS: &[&str] = &["--mount"];

    #[test]
    fn nodes_are_made_once_and_found_the_second_time() {
        need!("root");
        let mkdev = format!("{} --in-place --minimal dev", tool("mkdev").display());
        let script = format!("umask 077; {mkdev}; {mkdev}; {LIST}");
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", &script]);

        let _ = run.run().code(0).stdout(expect![[r#"
            core l 0777 /proc/kcore
            fd l 0777 /proc/self/fd
            full c 0666 
            null c 0666 
            random c 0666 
            stderr l 0777 /proc/self/fd/2
            stdin l 0777 /proc/self/fd/0
            stdout l 0777 /proc/self/fd/1
            tty c 0666 
            urandom c 0666 
            zero c 0666 
        "#]]);
    }

    #[test]
    fn a_wrong_device_is_not_taken() {
        need!("root");
        let script = "mknod dev/null c 1 5; mknod dev/zero c 1 3; exec \"$@\"";
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", script, "sh"]);
        let run = run.arg(tool("mkdev")).args(["--in-place", "--minimal", "dev", "true"]);
        fs::create_dir(run.tmp().join("dev")).unwrap();

        run.run().refused(
            125,
            expect![[r#"
                mkdev: cannot make device 'null': another device is in its place; remove it, or leave out --in-place
            "#]],
        );
    }

    #[test]
    fn a_mount_without_devices_is_told_and_left_empty() {
        need!("root");
        let script = format!(
            "mount -t tmpfs -o nodev x dev; {} --in-place dev true; ls dev",
            tool("mkdev").display()
        );
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-c", &script]);
        fs::create_dir(run.tmp().join("dev")).unwrap();

        let out = run.run().stdout(expect![[r#""#]]);

        let _ = out.stderr(expect![[r#"
            mkdev: cannot make device 'null': it lies on a mount that is nodev; leave out --in-place
        "#]]);
    }

    #[test]
    fn a_failure_half_way_removes_what_was_made() {
        need!("root", "program:strace");
        for call in ["symlinkat:error=EPERM:when=3", "move_mount:error=EPERM:when=2"] {
            let (stdout, stderr) = {
                let script = format!(
                    "strace -o /dev/null -e inject={call} {} --in-place dev true; echo $?; \
                     find dev; grep -c \" $PWD/\" /proc/self/mountinfo",
                    tool("mkdev").display()
                );
                let run =
                    Run::tool("sandbox").args(FLAGS).args(["--", "sh", "-c", &script]);
                fs::create_dir(run.tmp().join("dev")).unwrap();
                let out = run.run();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (text(&out.stdout), text(&out.stderr))
            };

            assert_eq!(stdout, "125\ndev\n0\n", "{call}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
    }
}

/// A directory with links in the places of all that mkdev makes, over and over.
fn attacked(flags: &[&str], args: &[&str], times: usize) {
    let run = Run::tool("swap");
    let tmp = run.tmp().to_owned();
    let [dir, link, target] = ["dev", "link", "canary"].map(|name| tmp.join(name));
    let (top_link, top_target) = (tmp.join("link.dir"), tmp.join("canary.dir"));
    fs::create_dir(&dir).unwrap();
    fs::write(&target, "host").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(top_target.join("pts")).unwrap();
    symlink(&target, &link).unwrap();
    symlink(&top_target, &top_link).unwrap();
    let look = |path: &Path| parse(&raw(path));
    let before = (look(&top_target), fs::read(&target).unwrap());
    let swapper = run.arg(&dir).arg(&link).arg(&target);
    let _swapper = swapper.start();
    let mut ends = std::collections::BTreeSet::new();

    for _ in 0..times {
        let script = "test ! -e canary.dir/null && test ! -c canary && test ! -b canary";
        let run = Run::sandboxed(flags, "mkdev").args(args);
        let out = run.args(["dev", "--", "sh", "-c", script]).cwd(&tmp).run();

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(matches!(out.status.code(), Some(0 | 125)), "on the host's: {said}");
        ends.insert(out.status.code());
        let changed = differences(&look(&top_target), &before.0);
        assert_eq!(changed, [""; 0], "{said}");
        assert_eq!(fs::read(&target).unwrap(), before.1, "{said}");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o600);
        let _ = fs::remove_dir_all(&dir);
        let _ = fs::create_dir(&dir);
    }

    assert!(ends.contains(&Some(125)), "nothing came in the way: {ends:?}");
}

mod race {
    use super::*;

    mod userns {
        use super::*;

        #[test]
        fn cve_2021_30465_nothing_is_bound_on_what_links_lead_to() {
            need!("userns");
            attacked(&["--user", "--mount"], &["--in-place"], 60);
        }
    }

    mod root {
        use super::*;

        #[test]
        fn cve_2026_41579_no_node_is_made_where_links_lead_to() {
            need!("root");
            attacked(&["--mount"], &["--in-place", "--device=/dev/full:sub/full"], 60);
            attacked(&["--mount"], &[], 40);
        }
    }
}
