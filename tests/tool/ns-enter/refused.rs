//! Which namespace is refused and by which rule.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use kit::started::has_ended;
use kit::{Run, expect, need, tool};

use crate::Target;

fn told(target: &Target, run: Run) -> String {
    let out = run.run().code(125);
    assert!(out.stdout.is_empty());
    String::from_utf8_lossy(&out.stderr).replace(&target.pid, "PID")
}

/// A copy of a binary that every user can run.
pub(crate) struct Copied {
    _dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Copied {
    pub(crate) fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), all).unwrap();
        let path = dir.path().join(name);
        std::fs::copy(tool(name), &path).unwrap();
        Self { _dir: dir, path }
    }
}

/// ns-enter without a capability, as an ordinary user has none.
fn powerless() -> Run {
    if nix::unistd::geteuid().is_root() {
        Run::tool("cap-drop").args(["--keep", "none", "--"]).arg(tool("ns-enter"))
    } else {
        Run::tool("ns-enter")
    }
}

mod userns {
    use super::*;

    #[test]
    fn a_namespace_of_another_user_namespace_is_told_apart() {
        need!("userns");
        let target = Target::new(&["-Urn"]);

        let text = told(&target, powerless().args(["-t", &target.pid, "-n", "true"]));

        expect![[r#"
            ns-enter: cannot enter the net namespace of process PID: Operation not permitted; another user namespace owns it: add --user
        "#]].assert_eq(&text);
    }

    #[test]
    fn the_namespace_that_is_refused_is_named_among_others() {
        need!("userns");
        // Its uts namespace is ours, which takes a right that nobody has any more.
        let target = Target::new(&["-Urn"]);

        let text = told(
            &target,
            powerless().args(["-t", &target.pid, "-U", "-n", "-u", "true"]),
        );

        expect![[r#"
            ns-enter: cannot enter the uts namespace of process PID: Operation not permitted; our own user namespace owns it, which takes CAP_SYS_ADMIN: be root
        "#]].assert_eq(&text);
    }

    #[test]
    fn a_pid_namespace_that_is_not_below_is_told() {
        need!("userns");
        let target = Target::new(&["-Urp"]);
        let file = format!("/proc/{}/ns/pid", std::process::id());
        let run =
            target.enter(&["-a", "--", "ns-enter", &format!("--pid={file}"), "true"]);

        let text =
            told(&target, run.cwd("/")).replace(&std::process::id().to_string(), "OWN");

        expect![[r#"
            ns-enter: cannot open '/proc/OWN/ns/pid': Permission denied; it takes its user, or CAP_SYS_PTRACE over it
        "#]].assert_eq(&text);
    }
}

mod root {
    use super::*;

    #[test]
    fn a_namespace_of_the_first_user_namespace_takes_root() {
        need!("root", "program:setpriv");
        let target = Target::new(&["-n"]);
        let run = Run::program("setpriv").args(["--reuid=65534", "--clear-groups", "--"]);
        let copy = Copied::new("ns-enter");

        let text =
            told(&target, run.arg(&copy.path).args(["-t", &target.pid, "-n", "true"]));

        expect![[r#"
            ns-enter: cannot enter the net namespace of process PID: Operation not permitted; it takes CAP_SYS_ADMIN: be root, or add --user
        "#]].assert_eq(&text);
    }

    #[test]
    fn a_pid_namespace_whose_init_has_ended_is_told() {
        need!("root");
        let target = Target::new(&["-p"]);
        let file = std::fs::File::open(format!("/proc/{}/ns/pid", target.pid)).unwrap();
        let path = format!("--pid=/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        let init = common::sys::pidfd_open(target.pid.parse().unwrap()).unwrap();
        drop(target);
        assert!(has_ended(init.as_fd()));

        Run::tool("ns-enter").args([&path, "true"]).run().refused(125, expect![[r#"
            ns-enter: cannot fork into the pid namespace: Out of memory; its init process has ended
        "#]]);
    }

    #[test]
    fn a_user_namespace_of_another_users_is_told_with_its_owner() {
        need!("root", "program:setpriv");
        let target = Target::new(&["-U"]);
        let file = format!("--user=/proc/{}/ns/user", target.pid);
        let script =
            "exec 7<\"$1\"; shift; exec setpriv --reuid=65534 --clear-groups \"$@\"";
        let run = Run::program("sh").args([
            "-c",
            script,
            "sh",
            file.strip_prefix("--user=").unwrap(),
        ]);
        let copy = Copied::new("ns-enter");

        let text =
            told(&target, run.arg(&copy.path).args(["--user=/proc/self/fd/7", "true"]));

        expect![[r#"
            ns-enter: cannot enter the user namespace: Operation not permitted; it takes root, or uid 0 who made it
        "#]].assert_eq(&text);
    }
}
