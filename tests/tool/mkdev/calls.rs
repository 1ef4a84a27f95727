//! The system calls from start to exec: a list, so that none comes in unseen.

use kit::{Run, calls, expect, need, tool};

fn below_strace(flags: &[&str], args: &[&str]) -> Run {
    let run = Run::tool("sandbox").args(flags).args(["--", "strace", "-o", "log"]);
    run.arg(tool("mkdev")).args(args).arg("dev").arg(tool("noop"))
}

mod userns {
    use super::*;

    #[test]
    fn the_hosts_devices_bound() {
        need!("userns", "program:strace");
        let run = below_strace(&["--user", "--mount"], &[]);

        expect![[r#"
            poll stat open fstat 3 read fsopen 4 fsconfig fsmount openat mkdirat openat move_mount
            umask openat fstat openat open_tree mount_setattr move_mount
            5 times: openat fstat openat open_tree mount_setattr move_mount
            6 symlinkat mkdirat openat fsopen 4 fsconfig fsmount move_mount
            mkdirat openat fsopen 4 fsconfig fsmount move_mount
            mount_setattr umask
        "#]].assert_eq(&calls::to_command(run));
    }
}

mod root {
    use super::*;

    #[test]
    fn devices_of_its_own() {
        need!("root", "program:strace");
        let run = below_strace(&["--mount"], &[]);

        expect![[r#"
            poll stat capget open fstat 3 read fsopen 4 fsconfig fsmount openat mkdirat openat move_mount
            umask mknodat openat open_tree mount_setattr move_mount
            5 times: mknodat openat open_tree mount_setattr move_mount
            6 symlinkat mkdirat openat fsopen 5 fsconfig fsmount move_mount
            mkdirat openat fsopen 4 fsconfig fsmount move_mount
            mount_setattr umask
        "#]].assert_eq(&calls::to_command(run));
    }
}
