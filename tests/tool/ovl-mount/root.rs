//! What only real root can show.

use std::fs;

use kit::{Run, expect, need, tool};

use super::{USERNS, layers};

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
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", script, "sh"]);
        let run = run.arg(tool("ovl-mount")).args(["--lower", "a", way, "root", "--"]);
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
    let run = run.args(["--lower", "a", "--upper", "u", "--work", "w", "root", "true"]);
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
