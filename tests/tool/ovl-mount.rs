//! ovl-mount against the real kernel.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's errors are failed tests"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kit::{Run, World, expect, need, tool};

const USERNS: &[&str] = &["--user", "--mount"];

/// Makes directories that hold one file each, named and filled after the directory.
fn layers(top: &Path, names: &[&str]) {
    for name in names {
        let dir = top.join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("which"), name).unwrap();
        fs::write(dir.join(format!("only-{name}")), "").unwrap();
    }
}

/// ovl-mount in a user namespace over layers `a` and `b`, with a script as COMMAND.
fn in_userns(args: &[&str], script: &str) -> Run {
    let run = Run::sandboxed(USERNS, "ovl-mount").args(args);
    layers(run.tmp(), &["a", "b"]);
    run.args(["--", "sh", "-ec", script])
}

/// What img-unpack would have made of an image with these layers, the lowest first.
fn image(dir: &Path, layers: &[&str]) {
    let id = |name: &str| format!("{:0>64}", name.len());
    for name in layers {
        let layer = dir.join("layers").join(id(name));
        fs::create_dir_all(&layer).unwrap();
        fs::write(layer.join("which"), name).unwrap();
    }
    let list: Vec<_> =
        layers.iter().map(|l| format!(r#"{{"diff-id":"sha256:{}"}}"#, id(l))).collect();
    let record = format!(r#"{{"format-version":1,"layers":[{}]}}"#, list.join(","));
    fs::write(dir.join("image.json"), record).unwrap();
    fs::write(dir.join("config.json"), "the config").unwrap();
}

#[test]
fn layers_must_be_named() {
    Run::tool("ovl-mount").args(["root"]).run().refused(
        125,
        expect![[r#"
            ovl-mount: missing <--image <DIR>|--layers <FILE>|--lower <DIR>>; try 'ovl-mount --help'
        "#]],
    );
}

#[test]
fn the_plan_is_printed_and_nothing_is_done() {
    let args = ["--explain", "--lower", "a", "--rw", "rw", "root", "--", "sh"];

    let out = Run::tool("ovl-mount").args(args).run();

    assert_eq!(fs::read_dir(out.tmp()).unwrap().count(), 0);
    let text = out.ok();
    assert!(text.starts_with("open('a', O_PATH|O_DIRECTORY)"), "{text}");
    assert!(text.contains("mkdirat('rw/upper'); mkdirat('rw/work')"), "{text}");
}

#[test]
fn a_missing_layer_is_named_and_nothing_is_made() {
    let run = Run::tool("ovl-mount").args(["--lower", "a", "--lower", "x", "root"]);
    layers(run.tmp(), &["a"]);

    let out = run.run();

    assert!(!out.tmp().join("root").exists());
    out.refused(
        125,
        expect![[r#"
            ovl-mount: cannot open layer 'x': No such file or directory
        "#]],
    );
}

#[test]
fn a_layer_that_is_a_file_is_named() {
    let run = Run::tool("ovl-mount").args(["--lower", "a", "--lower", "a/which", "root"]);
    layers(run.tmp(), &["a"]);

    run.run().refused(
        125,
        expect![[r#"
            ovl-mount: cannot open layer 'a/which': Not a directory
        "#]],
    );
}

#[test]
fn more_layers_than_the_kernel_stacks_are_refused() {
    let list: Vec<_> = (0..501).map(|n| format!("l{n}")).collect();

    Run::tool("ovl-mount")
        .args(["--layers", "-", "root"])
        .stdin(list.join("\n"))
        .run()
        .refused(
            125,
            expect![[r#"
            ovl-mount: cannot mount an overlay of 501 layers; the kernel's limit is 500
        "#]],
        );
}

#[test]
fn a_record_that_names_a_path_is_refused() {
    let run = Run::tool("ovl-mount").args(["--image", "box", "root"]);
    image(&run.tmp().join("box"), &["a"]);
    let record = r#"{"format-version":1,"layers":[{"diff-id":"sha256:../../etc"}]}"#;
    fs::write(run.tmp().join("box/image.json"), record).unwrap();

    run.run().refused(
        125,
        expect![[r#"
            ovl-mount: cannot use 'box/image.json': 'sha256:../../etc' is no digest sha256:HEX
        "#]],
    );
}

#[test]
fn a_config_that_is_a_link_is_not_followed() {
    let run = Run::tool("ovl-mount").args(["--image", "box", "root"]);
    image(&run.tmp().join("box"), &["a"]);
    fs::remove_file(run.tmp().join("box/config.json")).unwrap();
    symlink("/etc/passwd", run.tmp().join("box/config.json")).unwrap();

    run.run().refused(
        125,
        expect![[r#"
            ovl-mount: cannot open 'box/config.json': Too many symbolic links encountered
        "#]],
    );
}

#[test]
fn a_directory_that_is_no_image_is_named() {
    Run::tool("ovl-mount").args(["--image", ".", "root"]).run().refused(
        125,
        expect![[r#"
            ovl-mount: cannot open './image.json': No such file or directory
        "#]],
    );
}

#[test]
fn without_the_right_to_mount_it_says_so_and_makes_nothing() {
    need!("user");
    let run =
        Run::tool("ovl-mount").args(["--lower", "a", "--lower", "b", "--rw", "rw", "r"]);
    layers(run.tmp(), &["a", "b"]);

    let out = run.run();

    assert!(!out.tmp().join("rw").exists() && !out.tmp().join("r").exists());
    out.refused(
        125,
        expect![[r#"
            ovl-mount: cannot mount an overlay: Operation not permitted; mounting takes CAP_SYS_ADMIN: ns-run --user --map-root-user --mount
        "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn directories_are_stacked_the_first_on_top() {
        need!("userns");
        let out = in_userns(
            &["--lower", "a", "--lower", "b", "root"],
            "cat root/which; ls root",
        );

        assert_eq!(out.run().ok(), "aonly-a\nonly-b\nwhich\n");
    }

    #[test]
    fn a_list_is_stacked_the_last_on_top() {
        need!("userns");
        let out = in_userns(&["--layers", "-", "root"], "cat root/which").stdin("a\nb\n");

        assert_eq!(out.run().ok(), "b");
    }

    #[test]
    fn an_image_is_stacked_as_it_was_built_and_its_config_is_handed_on() {
        need!("userns");
        // The lowest layer comes again in the middle, as builders make empty layers.
        let run = Run::sandboxed(USERNS, "ovl-mount")
            .args(["--image", "box", "--tmpfs", "root/", "--"])
            .args(["sh", "-ec", "cat root/which; test ! -e /proc/self/fd/3"]);
        image(&run.tmp().join("box"), &["1", "22", "1", "333"]);

        assert_eq!(run.run().ok(), "333");
    }

    #[test]
    fn any_byte_may_be_in_a_name() {
        need!("userns");
        let names: [&[u8]; 6] =
            [b"a,b", b"c:d", b"e\nf", b"g\\h", b"i j=k+\"l\"", b"caf\xe9"];
        let run = Run::sandboxed(USERNS, "ovl-mount")
            .args(["-0", "--layers", "-", "--rw", "u,p:p\\er", "t\n", "--"])
            .args(["sh", "-ec", "ls t*; cd t*; touch new"])
            .stdin(names.join(&b'\0'));
        for (n, name) in names.iter().enumerate() {
            let dir = run.tmp().join(OsStr::from_bytes(name));
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join(n.to_string()), "").unwrap();
        }

        let out = run.run();

        assert!(out.tmp().join("u,p:p\\er/upper/new").exists());
        assert_eq!(out.ok(), "0\n1\n2\n3\n4\n5\n");
    }

    #[test]
    fn five_hundred_layers_are_stacked() {
        need!("userns");
        let names: Vec<String> = (0..500).map(|n| format!("{n:-<40}")).collect();
        let run = Run::sandboxed(USERNS, "ovl-mount")
            .args(["--layers", "-", "--tmpfs", "t", "--", "sh", "-c", "ls t | wc -l"])
            .stdin(names.join("\n"));
        for name in &names {
            fs::create_dir(run.tmp().join(name)).unwrap();
            fs::write(run.tmp().join(name).join(name), "").unwrap();
        }

        assert_eq!(run.run().ok().trim(), "500");
    }

    #[test]
    fn changes_are_kept_beside_the_layers_and_not_in_them() {
        need!("userns");
        let script = "echo new > root/which; rm root/only-b; touch root/more";

        let out =
            in_userns(&["--lower", "a", "--lower", "b", "--rw", "rw", "root"], script)
                .run();

        let tmp = out.tmp();
        assert_eq!(fs::read_to_string(tmp.join("rw/upper/which")).unwrap(), "new\n");
        assert!(tmp.join("rw/upper/more").exists());
        assert_eq!(fs::read_to_string(tmp.join("a/which")).unwrap(), "a");
        assert!(tmp.join("b/only-b").exists() && !tmp.join("a/more").exists());
        assert_eq!(out.ok(), "");
    }

    #[test]
    fn changes_in_memory_are_gone_and_were_never_visible() {
        need!("userns");
        let script = "touch root/more; grep -c overlay /proc/self/mountinfo; \
             grep -c \"$PWD/root\" /proc/self/mountinfo";

        let out = in_userns(&["--lower", "a", "--tmpfs", "root"], script).run();

        let tmp = out.tmp();
        assert_eq!(fs::read_dir(tmp.join("root")).unwrap().count(), 0);
        assert!(!tmp.join("a/more").exists());
        let counts = out.ok();
        assert!(counts.ends_with("\n1\n"), "{counts}");
    }

    #[test]
    fn changes_in_memory_have_a_limit() {
        need!("userns");
        let script = "head -c 2M /dev/zero > root/x || stat -c %s root/x";
        let out = in_userns(&["--lower", "a", "--tmpfs=1M", "root"], script).run();

        let size = String::from_utf8_lossy(&out.stdout).trim().parse::<u32>().unwrap();
        assert!(size <= 1 << 20, "{size}");
    }

    #[test]
    fn a_directory_can_be_replaced_which_takes_user_attributes() {
        need!("userns");
        let script = "rm -r root/d; mkdir root/d; ls -A root/d";
        let run = in_userns(&["--lower", "a", "--tmpfs", "root"], script);
        fs::create_dir_all(run.tmp().join("a/d/e")).unwrap();

        assert_eq!(run.run().ok(), "");
    }

    #[test]
    fn without_a_place_for_changes_none_are_possible() {
        need!("userns");
        let script = "touch root/x 2>&1 || true";
        for args in [
            &["--lower", "a", "root"][..],
            &["--lower", "a", "--lower", "b", "root"],
            &["--ro", "--lower", "a", "--lower", "b", "root"],
        ] {
            let text = in_userns(args, script).run().ok();

            assert_eq!(text, "touch: cannot touch 'root/x': Read-only file system\n");
        }
    }

    #[test]
    fn the_root_has_the_mode_of_the_topmost_layer_whatever_the_umask() {
        need!("userns");
        for way in [&["--tmpfs"][..], &["--rw", "rw"]] {
            let run = Run::program("sh").args(["-c", "umask 077; exec \"$@\"", "sh"]);
            let run =
                run.arg(tool("sandbox")).args(USERNS).arg("--").arg(tool("ovl-mount"));
            let run = run.args(["--lower", "a", "--lower", "b"]).args(way);
            let run = run.args(["root", "--", "sh", "-c", "stat -c %a root; umask"]);
            layers(run.tmp(), &["a", "b"]);
            fs::set_permissions(run.tmp().join("a"), PermissionsExt::from_mode(0o751))
                .unwrap();

            assert_eq!(run.run().ok(), "751\n0077\n", "{way:?}");
        }
    }

    #[test]
    fn only_mounts_change_for_the_command() {
        need!("userns");
        let probe = tool("probe");
        let before = World::of(Run::tool("sandbox").args(USERNS).arg("--").arg(&probe));
        let run = Run::sandboxed(USERNS, "ovl-mount")
            .args(["--image", "box", "--tmpfs", "root", "--"])
            .arg(&probe);
        image(&run.tmp().join("box"), &["1", "22"]);

        let after = World::of(run);

        let mut changed = after.changed_from(&before);
        // Each run has namespaces of its own.
        changed.retain(|topic| topic != "ns");
        assert_eq!(changed, ["mounts"]);
        let added = after.mounts().len().checked_sub(before.mounts().len());
        assert_eq!(added, Some(1));
    }

    /// Runs in a shell, which looks for what is left in its namespace.
    fn leftovers(args: &[&str], prepare: impl Fn(&Path)) -> (String, String) {
        let script = format!(
            "{} \"$@\"; echo $? $(ls); grep -c \" $PWD/\" /proc/self/mountinfo",
            tool("ovl-mount").display()
        );
        let run = Run::tool("sandbox").args(USERNS);
        let run = run.args(["--", "sh", "-c", &script, "sh"]).args(args);
        layers(run.tmp(), &["a", "b"]);
        prepare(run.tmp());
        let out = run.run();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&out.stdout), text(&out.stderr))
    }

    #[test]
    fn a_command_that_is_not_there_leaves_nothing() {
        need!("userns");
        for way in [&["--tmpfs"][..], &["--rw", "rw"], &["--ro"]] {
            let args =
                [&["--lower", "a", "--lower", "b"], way, &["root", "/nope"]].concat();

            let (stdout, stderr) = leftovers(&args, |_| ());

            assert_eq!(
                stderr,
                "ovl-mount: cannot run '/nope': No such file or directory\n"
            );
            assert_eq!(stdout, "127 a b\n0\n", "{way:?}");
        }
    }

    #[test]
    fn without_a_command_the_mount_stays() {
        need!("userns");
        let (stdout, stderr) = leftovers(&["--lower", "a", "--tmpfs", "root"], |_| ());

        assert_eq!((stdout.as_str(), stderr.as_str()), ("0 a b root\n1\n", ""));
    }

    #[test]
    fn a_refused_overlay_is_explained_and_leaves_nothing() {
        need!("userns");
        let ab = ["--lower", "a", "--lower", "b"];
        for (args, cause) in [
            (
                &["--lower", "a", "--lower", "a"][..],
                "Too many symbolic links encountered; 'a' is named twice",
            ),
            (
                &["--lower", "a", "--lower", "./a"],
                "Too many symbolic links encountered; 'a' and './a' are the same directory",
            ),
            (
                &["--lower", "a", "--lower", "a/in"],
                "Too many symbolic links encountered; 'a/in' lies inside 'a'",
            ),
            (
                &["--lower", "a", "--upper", "a", "--work", "b"],
                "Too many symbolic links encountered; 'a' is named twice",
            ),
            (
                &["--lower", "a", "--upper", "b", "--work", "b/in"],
                "Invalid argument; 'b' and 'b/in' must not lie inside each other",
            ),
        ] {
            let args = [args, &["root", "true"]].concat();
            let (stdout, stderr) = leftovers(&args, |tmp| {
                for dir in ["a/in", "b/in"] {
                    fs::create_dir(tmp.join(dir)).unwrap();
                }
            });

            assert_eq!(
                stderr,
                format!("ovl-mount: cannot mount overlay on 'root': {cause}\n")
            );
            assert_eq!(stdout, "125 a b\n0\n", "{args:?}");
        }
        let args =
            [ab.as_slice(), &["--upper", "u", "--work", "w", "root", "true"]].concat();
        let (_, stderr) = leftovers(&args, |tmp| {
            for dir in ["u", "w", "w/work", "w/work/incompat", "w/work/incompat/volatile"]
            {
                fs::create_dir(tmp.join(dir)).unwrap();
            }
        });
        assert_eq!(
            stderr,
            "ovl-mount: cannot mount overlay on 'root': Invalid argument; 'u' is what a volatile overlay left after a crash: begin a new one\n"
        );
    }

    #[test]
    fn changes_cannot_be_kept_on_an_overlay() {
        need!("userns");
        let script = format!(
            "exec {} --lower a --lower b --rw root/rw again true",
            tool("ovl-mount").display()
        );
        let out = in_userns(&["--lower", "a", "--tmpfs", "root"], &script).run();

        out.refused(
            125,
            expect![[r#"
                ovl-mount: cannot mount overlay on 'again': Invalid argument; 'root/rw/upper' is on an overlay, which takes no changes of another: use --tmpfs
            "#]],
        );
    }

    #[test]
    fn upper_and_work_must_be_on_one_mount() {
        need!("userns");
        let script = format!(
            "mkdir u w; mount -t tmpfs x w; exec {} --lower a --upper u --work w t true",
            tool("ovl-mount").display()
        );
        let run = Run::tool("sandbox").args(USERNS).args(["--", "sh", "-ec", &script]);
        layers(run.tmp(), &["a"]);

        run.run().refused(
            125,
            expect![[r#"
                ovl-mount: cannot mount overlay on 't': Invalid argument; 'u' and 'w' must be on the same mount
            "#]],
        );
    }

    /// Runs below strace, which makes calls fail.
    fn injected(inject: &str, args: &[&str]) -> Run {
        let run = Run::program("strace").args(["-f", "-o", "/dev/null", "-e", inject]);
        let run = run.arg(tool("sandbox")).args(USERNS).arg("--").arg(tool("ovl-mount"));
        let run = run.args(args);
        layers(run.tmp(), &["a", "b"]);
        run
    }

    #[test]
    fn older_kernels_are_given_the_layers_in_the_way_they_know() {
        need!("userns", "program:strace");
        let script = "cat root/which; echo x > root/which; cat root/which; pwd; \
             sed -n 's/.* - overlay.*\\(lowerdir[+=]*\\).*/\\1/p' /proc/self/mountinfo | tail -n 1";
        for (way, tmpfs_calls) in [("--rw=rw", 0), ("--tmpfs", 1)] {
            for (count, key) in [("", "lowerdir+="), ("+", "lowerdir=")] {
                let first = tmpfs_calls + 1;
                let inject = format!("inject=fsconfig:error=EINVAL:when={first}{count}");
                let args =
                    ["--lower", "a", "--lower", "b", way, "root", "sh", "-ec", script];

                let text = injected(&inject, &args).run().ok();

                assert_eq!(text, format!("ax\n$TMP\n{key}\n"), "{way} {inject}");
            }
        }
    }

    #[test]
    fn more_layers_than_fit_into_a_page_are_never_cut_off() {
        need!("userns", "program:strace");
        let names: Vec<String> = (0..300).map(|n| format!("l{n}")).collect();
        let inject = "inject=fsconfig:error=EINVAL";
        let run = injected(inject, &["--layers", "-", "root", "true"]);
        for name in &names {
            fs::create_dir(run.tmp().join(name)).unwrap();
        }

        run.stdin(names.join("\n")).run().refused(
            125,
            expect![[r#"
                ovl-mount: cannot mount an overlay of 300 layers; more than this kernel takes, Linux 6.7 does
            "#]],
        );
    }

    #[test]
    fn every_call_that_fails_is_told_in_one_line_and_leaves_nothing() {
        need!("userns", "program:strace");
        for call in [
            "fsopen",
            "fsmount",
            "fsconfig",
            "move_mount",
            "mkdirat",
            "fsetxattr",
            "fremovexattr",
            "fchmod",
        ] {
            // Until there is no such call any more, and all goes well.
            for n in 1.. {
                let inject = format!("inject={call}:error=EPERM:when={n}");
                let args =
                    ["--lower", "a", "--lower", "b", "--tmpfs", "root", "echo", "ran"];

                let out = injected(&inject, &args).run();

                if out.status.success() {
                    assert!(n > 1, "{call} is not called");
                    break;
                }
                let out = out.code(125);
                let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
                assert_eq!(stderr.lines().count(), 1, "{inject}: {stderr}");
                assert!(stderr.starts_with("ovl-mount: cannot "), "{inject}: {stderr}");
                assert!(out.stdout.is_empty(), "{inject}");
                assert!(!out.tmp().join("root").exists(), "{inject}");
            }
        }
    }
}

mod root {
    use super::*;

    #[test]
    fn real_root_keeps_its_notes_in_trusted_attributes() {
        need!("root");
        let run = Run::sandboxed(&["--mount"], "ovl-mount")
            .args(["--lower", "a", "--lower", "b", "--rw", "rw", "root", "--"])
            .args(["sh", "-c", "grep -c userxattr /proc/self/mountinfo"]);
        layers(run.tmp(), &["a", "b"]);

        let _ = run.run().code(1).stdout(expect![[r#"
            0
        "#]]);
    }

    #[test]
    fn an_images_own_device_node_leads_nowhere() {
        need!("root");
        let script = "mknod a/null c 1 3; exec \"$@\"";
        for way in ["--tmpfs", "--ro"] {
            let run =
                Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", script, "sh"]);
            let run =
                run.arg(tool("ovl-mount")).args(["--lower", "a", way, "root", "--"]);
            let run = run.args(["cat", "root/null"]);
            layers(run.tmp(), &["a"]);

            let _ = run.run().code(1).stderr(expect![[r#"
                cat: root/null: Permission denied
            "#]]);
        }
    }

    #[test]
    fn a_work_directory_of_somebody_else_is_refused() {
        need!("root");
        let run = Run::sandboxed(USERNS, "ovl-mount");
        let run =
            run.args(["--lower", "a", "--upper", "u", "--work", "w", "root", "true"]);
        layers(run.tmp(), &["a"]);
        for dir in ["u", "w"] {
            fs::create_dir(run.tmp().join(dir)).unwrap();
        }
        std::os::unix::fs::chown(run.tmp().join("w"), Some(4242), Some(4242)).unwrap();

        let out = run.run();

        assert!(!out.tmp().join("root").exists());
        out.refused(
            125,
            expect![[r#"
            ovl-mount: cannot keep user.* attributes in 'w': Permission denied
        "#]],
        );
    }

    #[test]
    fn outside_its_mount_namespace_nothing_is_left() {
        need!("root");
        let run = Run::sandboxed(&["--mount"], "ovl-mount");
        let run = run.args(["--lower", "a", "--tmpfs", "root", "touch", "root/x"]);
        layers(run.tmp(), &["a"]);

        let out = run.run();

        let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!after.contains(&out.tmp().display().to_string()), "{after}");
        assert_eq!(fs::read_dir(out.tmp().join("root")).unwrap().count(), 0);
        assert_eq!(out.ok(), "");
    }
}
