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

use kit::{Out, Run, World, expect, need, tool};

#[path = "ovl-mount/calls.rs"]
mod calls;
#[path = "ovl-mount/diagnosis.rs"]
mod diagnosis;
#[path = "ovl-mount/examples.rs"]
mod examples;
#[path = "ovl-mount/options.rs"]
mod options;
#[path = "ovl-mount/root.rs"]
mod root;
#[path = "ovl-mount/refused.rs"]
mod userns_refused;

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

/// Lets its user remove what the kernel made in a work directory, with no permissions.
fn unlocked(out: Out) -> Out {
    fn unlock(dir: &Path) {
        // What was removed meanwhile or is no directory is in nobody's way.
        let _ = fs::set_permissions(dir, PermissionsExt::from_mode(0o700));
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                unlock(&entry.path());
            }
        }
    }
    unlock(out.tmp());
    out
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
                ovl-mount: cannot mount an overlay of 501 layers; the kernel's limit is 500: img-unpack --flat makes one of all
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

        let out = unlocked(run.run());

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

        let out = unlocked(
            in_userns(&["--lower", "a", "--lower", "b", "--rw", "rw", "root"], script)
                .run(),
        );

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

            assert_eq!(unlocked(run.run()).ok(), "751\n0077\n", "{way:?}");
        }
    }

    #[test]
    fn only_mounts_change_for_the_command() {
        need!("userns");
        let before = World::sandboxed(USERNS);
        let run = Run::sandboxed(USERNS, "ovl-mount")
            .args(["--image", "box", "--tmpfs", "root", "--"])
            .arg(tool("probe"));
        image(&run.tmp().join("box"), &["1", "22"]);

        let after = World::of(run);

        let mut changed = after.changed_from(&before);
        // Each run has namespaces of its own.
        changed.retain(|topic| topic != "ns");
        assert_eq!(changed, ["mounts"]);
        let added = after.mounts().len().checked_sub(before.mounts().len());
        assert_eq!(added, Some(1));
    }
}
