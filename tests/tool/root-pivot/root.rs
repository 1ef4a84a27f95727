//! What only real root can show.

use std::fs;

use kit::{Run, World, expect, need};

use super::{pivot, root};

#[test]
fn the_mount_namespace_of_the_system_is_refused() {
    need!("root", "system-mounts");
    let run = Run::tool("root-pivot").args(["--std", "root", "/probe"]);
    root(run.tmp());

    let out = run.run();

    assert_eq!(fs::read_dir(out.tmp().join("root")).unwrap().count(), 1);
    out.refused(
        125,
        expect![[r#"
            root-pivot: cannot change the root: this is the mount namespace of the system; put ns-run --mount -- before root-pivot
        "#]],
    );
}

#[test]
fn a_new_pid_namespace_does_not_hide_that_the_mounts_are_the_systems() {
    need!("root", "system-mounts");
    let run = Run::sandboxed(&["--pid"], "root-pivot").args(["root", "/probe"]);
    root(run.tmp());

    let stderr = run.run().code(125).stderr;

    let text = String::from_utf8_lossy(&stderr).into_owned();
    assert!(text.contains("this is the mount namespace of the system"), "{text}");
}

#[test]
fn real_root_needs_no_namespaces_but_the_mounts() {
    need!("root");
    let world = World::of(pivot(&["--mount"], &["--std"]));

    let mounts = world.mounts();
    assert!(mounts.contains(&"/sys sysfs".into()), "{mounts:?}");
    let options = world.get("mounts");
    let top = options.as_array().unwrap().iter().find(|m| m["target"] == "/").unwrap();
    assert!(top["options"].as_str().unwrap().contains("nodev"), "{top}");
}

#[test]
fn outside_its_mount_namespace_nothing_is_left() {
    need!("root");
    let out = pivot(&["--mount"], &["--std", "--bind", "/etc:/etc"]).run().code(0);

    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&out.tmp().display().to_string()), "{mounts}");
    let left = fs::read_dir(out.tmp().join("root/proc")).unwrap().count();
    assert_eq!(left, 0);
}
