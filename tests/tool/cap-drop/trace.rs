//! Which capabilities a program uses.

use kit::{Run, expect, need};

#[test]
fn an_ordinary_user_is_told_what_tracing_takes() {
    need!("user");
    let out = Run::tool("cap-drop").args(["--trace", "--", "true"]).run().code(125);

    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(text.starts_with("cap-drop: cannot trace COMMAND: "), "{text}");
    assert!(
        text.ends_with("; --trace=bisect runs COMMAND several times instead\n"),
        "{text}"
    );
}

#[test]
fn bisection_that_cannot_drop_anything_ends_at_once() {
    need!("user");

    let out = Run::tool("cap-drop").args(["--trace=bisect", "--", "echo", "ran"]).run();

    assert_eq!(String::from_utf8_lossy(&out.code(125).stdout), "ran\n");
}

mod userns {
    use super::*;

    fn sandboxed() -> Run {
        Run::sandboxed(&["--user", "--mount"], "cap-drop")
    }

    #[test]
    fn tracing_is_refused_and_bisection_is_not() {
        need!("userns");

        sandboxed().args(["--trace", "--", "true"]).run().refused(
            125,
            expect![[r#"
                cap-drop: cannot trace COMMAND: the kernel's tracing is for the first user namespace; --trace=bisect runs COMMAND several times instead
            "#]],
        );
        let out = sandboxed()
            .args(["--trace=bisect", "--", "mount", "-t", "tmpfs", "none", "/mnt"])
            .run()
            .code(0);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(text.ends_with("\ncap-drop: --keep cap_sys_admin\n"), "{text}");
    }

    #[test]
    fn who_has_no_capability_uses_none() {
        need!("userns");
        let run = sandboxed().args(["--keep=none", "--trace=bisect", "--"]);

        let _ = run.args(["sh", "-c", "exit 3"]).run().code(3).stderr(expect![[r#"
            cap-drop: --keep none
        "#]]);
    }

    #[test]
    fn a_command_that_is_not_there_is_tried_once() {
        need!("userns");

        sandboxed().args(["--trace=bisect", "--", "no-such-command"]).run().refused(
            127,
            expect![[r#"
                cap-drop: cannot run 'no-such-command': No such file or directory
            "#]],
        );
    }
}

mod root {
    use std::fs;

    use super::*;

    fn traced(options: &[&str], command: &[&str]) -> Run {
        let run = Run::tool("cap-drop").arg("--trace").args(options).arg("--");
        let run = run.args(command);
        fs::write(run.tmp().join("file"), "").unwrap();
        run
    }

    #[test]
    fn what_the_kernel_granted_is_told_behind_the_command() {
        need!("root", "cap-capable");

        let _ = traced(&[], &["sh", "-c", "echo out; chown 5 file; exit 7"])
            .run()
            .code(7)
            .stdout(expect![[r#"
                out
            "#]])
            .stderr(expect![[r#"
                cap-drop: --keep cap_chown
            "#]]);
    }

    #[test]
    fn what_children_use_counts_and_mapping_memory_does_not() {
        need!("root", "cap-capable");
        let script = "(chown 5 file & wait); sh -c 'kill -0 1'; hostname \"$(hostname)\"";
        let script = format!("unshare -u sh -c {}", shell_quote(script));

        let out = traced(&[], &["sh", "-c", &script]).run().code(0);

        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(text, "cap-drop: --keep cap_chown,cap_sys_admin\n");
        let _ = traced(&[], &["sh", "-c", "ls -R /usr/bin >/dev/null"]).run().stderr(
            expect![[r#"
            cap-drop: --keep none
        "#]],
        );
    }

    fn shell_quote(text: &str) -> String {
        format!("'{}'", text.replace('\'', r"'\''"))
    }

    #[test]
    fn what_is_used_in_a_user_namespace_of_its_own_is_no_use() {
        need!("root", "cap-capable", "program:unshare");

        let _ = traced(&[], &["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"])
            .run()
            .stderr(expect![[r#"
                cap-drop: --keep none
            "#]]);
    }

    #[test]
    fn it_is_traced_as_the_user_it_becomes() {
        need!("root", "cap-capable");

        let _ = traced(
            &["--uid", "65534", "--no-new-privs", "--seccomp", "docker"],
            &["cat", "/etc/passwd"],
        )
        .run()
        .stderr(expect![[r#"
                cap-drop: --keep none
            "#]]);
        traced(&["--keep=kill"], &["no-such-command"]).run().refused(
            127,
            expect![[r#"
                cap-drop: cannot run 'no-such-command': No such file or directory
            "#]],
        );
    }

    #[test]
    fn scripts_are_told_on_a_descriptor() {
        need!("root", "cap-capable");
        let tool = kit::tool("cap-drop");
        let script = format!(
            "touch file; exec 5>facts; {} --trace --status-fd 5 -- chown 5 file; cat facts",
            tool.display()
        );

        let text = Run::program("sh").args(["-c", &script]).run().ok();

        assert_eq!(text, "{\"used\":[\"cap_chown\"],\"keep\":\"cap_chown\"}\n");
    }

    #[test]
    fn nothing_stays_of_it() {
        need!("root", "cap-capable");
        // One that is killed cannot take its instance away: the next one does, once what read
        // from it is dead too.
        let tool = kit::tool("cap-drop");
        let script = format!(
            "mkdir t && mount -t tracefs none t || exit
            {tool} --trace -- sleep 9 & until [ -d t/instances/cap-drop.$! ]; do sleep 0.01; done
            kill -9 $!; wait
            for _ in 1 2 3 4 5 6 7 8 9; do
                {tool} --trace -- true
                [ -d t/instances/cap-drop.$! ] || exit 0
                sleep 0.1
            done
            echo stale",
            tool = tool.display()
        );

        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-c", &script]);
        let _ = run.run().code(0).stdout(expect![[""]]);
    }
}
