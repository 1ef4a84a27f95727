//! What is wrong in unshare(1), and right here: one test each.

use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;

use common::sys;
use kit::run::SIGHUP;
use kit::started::has_ended;
use kit::{Run, World, expect, need, tool};

use crate::signals::outlives_nothing;
use crate::{foreign, shell, world};

#[test]
fn a_hangup_ends_command_too() {
    let run = Run::tool("ns-run").args(["-f", "--status-fd=1"]).arg(tool("pause"));
    let mut ns_run = run.start();
    let status: serde_json::Value = serde_json::from_str(&ns_run.line()).unwrap();
    let pid = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
    let command = sys::pidfd_open(pid).unwrap();
    assert_eq!(ns_run.line(), "ready\n");

    ns_run.signal(SIGHUP);

    assert!(has_ended(command.as_fd()));
    assert_eq!(ns_run.child.wait().unwrap().signal(), Some(SIGHUP));
}

#[test]
fn under_the_peers_name_a_failure_is_the_peers() {
    let dir = tempfile::tempdir().unwrap();
    let unshare = dir.path().join("unshare");
    std::os::unix::fs::symlink(tool("ns-run"), &unshare).unwrap();

    Run::program(&unshare).args(["--join", "net=/none", "true"]).run().refused(
        1,
        expect![[r#"
            unshare: cannot open '/none': No such file or directory
        "#]],
    );
    Run::program(&unshare).args(["-f", "/none"]).run().refused(
        127,
        expect![[r#"
            unshare: cannot run '/none': No such file or directory
        "#]],
    );
    Run::program(&unshare).arg("--nope").run().refused(
        1,
        expect![[r#"
        unshare: unexpected argument '--nope' found; try 'unshare --help'
    "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn nothing_stays_behind_that_holds_the_output_when_a_file_cannot_keep_a_namespace() {
        need!("userns");
        // A helper that waits on would keep the substitution from its end.
        let script = format!(
            "touch f; out=$('{}' -r --net=f --mount=f --fork true 2>&1); echo \"$? $out\"",
            tool("ns-run").display()
        );

        let out = Run::tool("sandbox").args(["--user", "--", "sh", "-c", &script]).run();

        let _ = out.code(0).stdout(expect![[r#"
            125 ns-run: cannot keep the mnt namespace by 'f': Operation not permitted; it takes CAP_SYS_ADMIN outside, see mount_namespaces(7)
        "#]]);
    }

    #[test]
    fn under_the_peers_name_what_a_helper_refuses_is_the_peers_failure() {
        need!("userns");
        let dir = tempfile::tempdir().unwrap();
        let unshare = dir.path().join("unshare");
        std::os::unix::fs::symlink(tool("ns-run"), &unshare).unwrap();

        Run::program(&unshare).args(["-r", "--net=/none/x", "-f", "true"]).run().refused(
            1,
            expect![[r#"
                unshare: cannot make '/none/x': No such file or directory
            "#]],
        );
    }

    #[test]
    fn a_gid_can_be_set_where_no_group_can_be_shed() {
        need!("userns");
        let world = world(&["-r", "-G", "0", "-S", "0"]);

        assert_eq!(
            (world.get("uid"), world.get("gid")),
            ("0\t0\t0\t0".into(), "0\t0\t0\t0".into())
        );
    }

    #[test]
    fn setgroups_can_be_denied_where_it_is_denied_anyway() {
        need!("userns");
        assert_eq!(world(&["-r", "--setgroups", "deny"]).get("setgroups"), "deny\n");
    }

    #[test]
    fn the_id_of_the_one_that_waits_leads_into_the_namespaces() {
        need!("userns");
        let run =
            Run::tool("ns-run").args(["-rmuinCpf", "--status-fd=1"]).arg(tool("pause"));
        let mut ns_run = run.start();
        let status: serde_json::Value = serde_json::from_str(&ns_run.line()).unwrap();
        assert_eq!(ns_run.line(), "ready\n");

        let of = |kind: &str| {
            let path = format!("/proc/{}/ns/{kind}", ns_run.pid());
            std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap())
        };
        for kind in ["user", "mnt", "uts", "ipc", "net", "cgroup"] {
            assert_eq!(status["ns"][kind], of(kind), "{kind}");
        }
        assert_eq!(status["ns"]["pid"], of("pid_for_children"));
    }

    #[test]
    fn a_root_that_is_no_mount_is_told_with_what_helps() {
        need!("userns", "program:chroot");
        // / is no mount in a chroot; only unchanged helps there.
        let script = format!(
            "mkdir -p r/bin; cp '{}' r/bin/ns-run; cp '{}' r/bin/true; \
             chroot r /bin/ns-run -m true; chroot r /bin/ns-run -m --propagation unchanged true",
            tool("ns-run").display(),
            tool("noop").display(),
        );

        let run =
            Run::tool("sandbox").args(["--user", "--mount", "--", "sh", "-c", &script]);

        let _ = run.run().code(0).stderr(expect![[r#"
            ns-run: cannot set propagation of '/': Invalid argument; / is no mount here: --propagation unchanged
        "#]]);
    }
}

mod root {
    use super::*;

    #[test]
    fn the_bond_survives_a_change_of_the_user() {
        need!("root");
        for options in [&["-f", "--kill-child"][..], &["-pf", "--kill-child=KILL"]] {
            let run =
                Run::tool("ns-run").args(options).args(["-S", "4711", "-G", "4711"]);

            outlives_nothing(&run.arg("--status-fd=1").arg(tool("pause")));
        }
    }

    #[test]
    fn no_descriptor_of_ours_reaches_command() {
        need!("root");
        let script = format!(
            "touch u n; exec '{}' --user=u --net=n --fork --map-users all --map-groups all '{}'",
            tool("ns-run").display(),
            tool("probe").display()
        );
        let world =
            World::of(Run::tool("sandbox").args(["--mount", "--", "sh", "-c", &script]));

        assert_eq!(world.get("fds"), World::here().get("fds"));
        assert_eq!(foreign(&world), ["user", "mnt", "net"]);
    }

    #[test]
    fn a_mount_namespace_can_be_kept_where_mounts_are_shared() {
        need!("root", "program:nsenter");
        // The first namespace is the peer that a mount would have to be copied to.
        let script = format!(
            "'{ns_run}' -m --propagation unchanged sh -ec \"\
             '{ns_run}' --mount=kept sh -c 'mount -t tmpfs marker /mnt'; \
             nsenter --mount=kept grep -c marker /proc/self/mountinfo; \
             umount kept kept; rm kept\"; :",
            ns_run = tool("ns-run").display(),
        );
        assert_eq!(Run::shared_mounts(&script).run().ok(), "1\n");
    }

    #[test]
    fn a_signal_reaches_a_command_that_became_another_user() {
        need!("root");
        let run = shell(
            &["-f", "-S", "4711", "-G", "4711"],
            "trap 'exit 3' TERM; echo ready; while :; do read x; done",
        );
        let mut ns_run = run.start();
        assert_eq!(ns_run.line(), "ready\n");

        ns_run.signal(kit::run::SIGTERM);

        assert_eq!(ns_run.child.wait().unwrap().code(), Some(3));
    }
}
