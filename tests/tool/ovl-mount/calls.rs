//! The system calls from start to exec: a list, so that none comes in unseen.

use kit::{Run, calls, expect, need, tool};

use super::{image, layers};

fn below_strace(flags: &[&str], args: &[&str]) -> Run {
    let run = Run::tool("sandbox").args(flags).args(["--", "strace", "-o", "log"]);
    let run = run.arg(tool("ovl-mount")).args(args).arg(tool("noop"));
    layers(run.tmp(), &["a", "b"]);
    image(&run.tmp().join("box"), &["1", "22"]);
    run
}

mod userns {
    use super::*;

    #[test]
    fn an_image_with_changes_in_memory() {
        need!("userns", "program:strace");
        let run =
            below_strace(super::super::USERNS, &["--image", "box", "--tmpfs", "root"]);

        expect![[r#"
            poll openat 2 read getrandom stat open fstat 2 openat 2 fsopen fsconfig fsmount mkdirat openat mkdirat openat fstat fchmod fsetxattr fremovexattr 2 openat mkdirat openat 7 fsconfig fsmount fstatfs move_mount
        "#]].assert_eq(&calls::to_command(run));
    }

    #[test]
    fn one_layer_that_nobody_may_change() {
        need!("userns", "program:strace");
        let run = below_strace(super::super::USERNS, &["--lower", "a", "root"]);

        expect![[r#"
            poll stat openat open_tree mount_setattr fstatfs 2 openat mkdirat openat move_mount
        "#]].assert_eq(&calls::to_command(run));
    }

    #[test]
    fn changes_that_are_kept() {
        need!("userns", "program:strace");
        let run =
            below_strace(super::super::USERNS, &["--lower", "a", "--rw", "rw", "root"]);

        expect![[r#"
            poll stat openat fsopen 2 openat mkdirat openat mkdirat openat fstat fchmod mkdirat 2 openat flock fsetxattr fremovexattr 2 openat mkdirat openat 6 fsconfig fsmount fstatfs move_mount
        "#]].assert_eq(&calls::to_command(run));
    }
}
