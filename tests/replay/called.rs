//! What a script sees of the old names themselves: statuses, versions, help.

use std::os::unix::fs::symlink;

use kit::{Out, Run, tool};

/// Runs a tool of ours under its old name.
fn called(old: &str, ours: &str, args: &[&str]) -> Out {
    let dir = tempfile::tempdir().unwrap();
    symlink(tool(ours), dir.path().join(old)).unwrap();
    Run::program(dir.path().join(old)).args(args).run()
}

const NAMES: [(&str, &str); 2] = [("unshare", "ns-run"), ("nsenter", "ns-enter")];

#[test]
fn a_script_that_asks_for_the_version_finds_the_peers_first() {
    for (old, ours) in NAMES {
        let text = called(old, ours, &["--version"]).ok();

        let own = concat!(" ", env!("CARGO_PKG_VERSION"));
        assert_eq!(text, format!("{old} like util-linux 2.43\n{ours}{own}\n"));
    }
}

#[test]
fn a_failure_of_ours_is_status_1_and_names_the_old_name_alone() {
    for (old, ours) in NAMES {
        let out = called(old, ours, &["--nope"]).code(1);

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let hint = format!("try '{old} --help'\n");
        assert!(said.starts_with(&format!("{old}: ")) && said.ends_with(&hint), "{said}");
    }
}

#[test]
fn help_that_cannot_be_written_is_status_1() {
    for (old, ours) in NAMES {
        let dir = tempfile::tempdir().unwrap();
        symlink(tool(ours), dir.path().join(old)).unwrap();
        let run = Run::program("sh").args(["-c", "\"$0\" --help >/dev/full"]);

        let out = run.arg(dir.path().join(old)).run().code(1);

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let reason = "cannot write to standard output: No space left on device";
        assert_eq!(said, format!("{old}: {reason}\n"));
    }
}

mod userns {
    use super::*;

    #[test]
    fn the_status_of_a_command_that_was_waited_for_is_its_own() {
        kit::need!("userns");
        for args in [&["-rpf"][..], &["-r", "--kill-child"], &["-rp", "--init"]] {
            for status in ["1", "2", "125", "126", "127", "255"] {
                let line = format!("exit {status}");
                let args = [args, &["--", "sh", "-c", &line]].concat();

                let _ = called("unshare", "ns-run", &args).code(status.parse().unwrap());
            }
        }
    }
}

mod root {
    use super::*;

    #[test]
    fn the_status_of_a_command_in_a_pid_namespace_is_its_own() {
        kit::need!("root");
        for status in ["1", "125", "126", "127"] {
            let line = format!("exit {status}");
            let args = ["--pid=/proc/self/ns/pid", "--", "sh", "-c", &line];

            let _ = called("nsenter", "ns-enter", &args).code(status.parse().unwrap());
        }
    }
}
