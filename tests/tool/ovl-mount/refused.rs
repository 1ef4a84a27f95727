//! What the kernel refuses: why, in which way it is told, and that nothing is left.

use std::fs;
use std::path::Path;

use kit::fault::{each_call, injected};
use kit::{Run, expect, need, tool};

use super::{USERNS, in_userns, layers, unlocked};

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
    let out = unlocked(run.run());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&out.stdout), text(&out.stderr))
}

#[test]
fn a_command_that_is_not_there_leaves_nothing() {
    need!("userns");
    for way in [&["--tmpfs"][..], &["--rw", "rw"], &["--ro"]] {
        let args = [&["--lower", "a", "--lower", "b"], way, &["root", "/nope"]].concat();

        let (stdout, stderr) = leftovers(&args, |_| ());

        assert_eq!(stderr, "ovl-mount: cannot run '/nope': No such file or directory\n");
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
    let args = [ab.as_slice(), &["--upper", "u", "--work", "w", "root", "true"]].concat();
    let (_, stderr) = leftovers(&args, |tmp| {
        for dir in ["u", "w", "w/work", "w/work/incompat", "w/work/incompat/volatile"] {
            fs::create_dir(tmp.join(dir)).unwrap();
        }
    });
    assert_eq!(
        stderr,
        "ovl-mount: cannot mount overlay on 'root': Invalid argument; 'w' is what a volatile overlay left, whose last changes may be lost: --reset-work goes on with what is there\n"
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

/// The same two layers below strace, which makes calls fail.
pub(crate) fn below_strace(inject: &str, args: &[&str]) -> Run {
    let run = injected(inject, USERNS, "ovl-mount").args(args);
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
            let args = ["--lower", "a", "--lower", "b", way, "root", "sh", "-ec", script];

            let text = unlocked(below_strace(&inject, &args).run()).ok();

            assert_eq!(text, format!("ax\n$TMP\n{key}\n"), "{way} {inject}");
        }
    }
}

#[test]
fn five_hundred_layers_fit_into_a_page() {
    need!("userns", "program:strace");
    let names: Vec<String> = (0..500).map(|n| format!("{n:-<40}")).collect();
    let script = "ls t | wc -l; ls t | sort -n | head -n 1";
    let run = Run::program("strace");
    let run = run.args(["-f", "-o", "/dev/null", "-e", "inject=fsconfig:error=EINVAL"]);
    let run = run.arg(tool("sandbox")).args(USERNS).arg("--").arg(tool("ovl-mount"));
    let run = run.args(["--layers", "-", "--rw", "rw", "t", "sh", "-c", script]);
    for name in &names {
        fs::create_dir(run.tmp().join(name)).unwrap();
        fs::write(run.tmp().join(name).join(name), "").unwrap();
    }

    let text = unlocked(run.stdin(names.join("\n")).run()).ok();

    assert_eq!(text, format!("500\n{}\n", names[0]));
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
        let start = |inject: &str| {
            let args = ["--lower", "a", "--lower", "b", "--tmpfs", "root", "echo", "ran"];
            below_strace(inject, &args)
        };

        each_call(call, "EPERM", start, |inject, out| {
            let stderr = String::from_utf8_lossy(&out.stderr);
            assert!(stderr.starts_with("ovl-mount: cannot "), "{inject}: {stderr}");
            assert!(!out.tmp().join("root").exists(), "{inject}");
        });
    }
}

#[test]
fn changes_that_are_kept_are_given_up_as_well() {
    need!("userns", "program:strace");
    for call in ["flock", "mkdirat", "fchmod", "fsetxattr", "fsmount", "move_mount"] {
        let start = |inject: &str| {
            let args =
                ["--lower", "a", "--rw", "rw", "--reset-work", "root", "echo", "ran"];
            below_strace(inject, &args)
        };

        each_call(call, "ENOMEM", start, |inject, out| {
            for name in ["root", "rw"] {
                assert!(!out.tmp().join(name).exists(), "{inject}: {name}");
            }
        });
    }
}
