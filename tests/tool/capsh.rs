//! capsh against the real kernel: what the comparison with its peer does not show.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's errors are failed tests")]

use std::fs;
use std::path::PathBuf;

use kit::{Run, expect, need, tool};

fn capsh(args: &[&str]) -> Run {
    Run::tool("capsh").args(args)
}

/// What is said where it fails.
fn complaint(args: &[&str]) -> String {
    let out = capsh(args).run().code(1);
    let text = String::from_utf8(out.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

#[test]
fn help_is_told_and_is_a_mistake_where_it_is_not_the_first() {
    let text = capsh(&["--help"]).run().ok();

    assert!(text.lines().next().unwrap().starts_with("usage: "), "{text}");
    assert!(
        text.contains("\n  --drop=LIST        Drop from the bounding set\n"),
        "{text}"
    );
    assert!(capsh(&["--strict", "--help"]).run().code(1).stderr.is_empty());
    assert!(capsh(&["--nope"]).run().code(1).stderr.is_empty());
}

#[test]
fn a_mask_and_a_capability_are_explained() {
    let out =
        capsh(&["--decode=8000000000000401", "--explain=cap_net_raw", "--explain=63"]);

    expect![[r#"
        0x8000000000000401=cap_chown,cap_net_bind_service,63
        cap_net_raw (13) [/proc/self/status:CapXXX: 0x0000000000002000]

            Use raw and packet sockets: to see and to forge every packet of the
            network namespace; bind to any address for transparent proxying.
        <unsupported> (63) [/proc/self/status:CapXXX: 0x8000000000000000]
    "#]]
    .assert_eq(&out.run().ok());
    assert_eq!(complaint(&["--explain=nope"]), "unrecognised value 'nope'");
}

#[test]
fn suggestions_are_found_by_name_and_text_whatever_the_case() {
    let headings = |text: &str| -> Vec<String> {
        let out = capsh(&[&format!("--suggest={text}")]).run().ok();
        let names = out.lines().filter(|line| line.contains("[/proc/self/status"));
        names.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };

    assert_eq!(headings("MKNOD"), ["cap_mknod"]);
    assert_eq!(headings("hang a TERMINAL"), ["cap_sys_tty_config"]);
    assert_eq!(headings("no such thing"), [""; 0]);
}

#[test]
fn a_child_is_forked_and_killed_by_the_signal() {
    assert_eq!(capsh(&["--forkfor=60", "--killit=15"]).run().ok(), "");
    assert_eq!(complaint(&["--killit=15"]), "no forked process to kill");
    assert_eq!(
        complaint(&["--forkfor=60", "--killit=9", "--killit=9"]),
        "no forked process to kill"
    );
    assert_eq!(complaint(&["--forkfor=1", "--forkfor=1"]), "already forked");
    assert_eq!(
        complaint(&["--forkfor=1", "--killit=18"]),
        "child terminated with odd signal (18 != 0)"
    );
}

#[test]
fn what_runs_in_a_child_gives_its_status_and_tells_its_signal() {
    assert!(capsh(&["-+", "-c", "exit 7"]).run().code(7).stderr.is_empty());
    let died = complaint(&["-+", "-c", "kill -9 $$"]);

    assert!(
        died.starts_with("child PID=") && died.ends_with(" terminated by signo=9"),
        "{died}"
    );
}

#[test]
fn the_shell_is_what_was_said_last_and_its_lack_is_told() {
    let out = capsh(&["--shell=/bin/sh", "--", "-c", "echo $0 $1", "name", "a b"]);

    assert_eq!(out.run().ok(), "name a b\n");
    assert_eq!(
        complaint(&["--shell=/none", "--"]),
        "execve '/none' failed!: No such file or directory"
    );
}

#[test]
fn it_runs_itself_again_by_path_and_by_name() {
    assert_eq!(capsh(&["==", "=+", "--mode"]).run().ok(), "Mode: HYBRID\n");
    let run = Run::program("sh").args(["-c", "exec capsh --quiet == --modes"]);
    let bin = tool("capsh").parent().unwrap().display().to_string();
    assert_eq!(
        run.env("PATH", format!("{bin}:/bin:/usr/bin")).run().ok(),
        "Supported modes: NOPRIV PURE1E_INIT PURE1E HYBRID\n"
    );
}

#[test]
fn no_bytes_of_an_argument_reach_the_terminal_as_they_are() {
    assert_eq!(complaint(&["--caps=\x1b[2J"]), "unable to interpret [--caps=\\u{1b}[2J]");
}

#[test]
fn it_takes_few_system_calls_to_its_shell() {
    need!("program:strace");
    let run = Run::program("strace").args(["-qq", "-o", "log"]).arg(tool("capsh"));
    let shell = format!("--shell={}", tool("noop").display());

    let out = run.args(["--inh=", &shell, "--"]).run().code(0);

    let log = fs::read_to_string(out.tmp().join("log")).unwrap();
    let names = log.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name);
    let ours = |name: &&str| !matches!(*name, "arch_prctl" | "set_tid_address" | "fcntl");
    // The first is the start of it.
    let names = names.skip(1).take_while(|name| !name.starts_with("execve"));
    let names: Vec<_> = names.filter(ours).collect();
    let names = names.join(" ");
    if nix::unistd::geteuid().is_root() {
        expect![[r#"poll prctl capget capset"#]].assert_eq(&names);
    } else {
        // As the peer, it tries for CAP_SETPCAP first.
        expect![[r#"poll prctl capget capset capset"#]].assert_eq(&names);
    }
}

mod root {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::path::Path;

    use super::*;

    const NOBODY: [&str; 5] = [
        "/usr/bin/setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
    ];

    /// A copy that everybody can reach and that has this mode.
    fn copy(dir: &Path, mode: u32) -> PathBuf {
        fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
        let copy = dir.join("any-name");
        fs::copy(tool("capsh"), &copy).unwrap();
        chown(&copy, Some(0), Some(0)).unwrap();
        fs::set_permissions(&copy, PermissionsExt::from_mode(mode)).unwrap();
        copy
    }

    #[test]
    fn a_setuid_copy_is_root_and_hands_on_nothing_that_could_hijack_its_shell() {
        need!("root", "program:setpriv");
        let run = Run::program(NOBODY[0]).args(&NOBODY[1..]);
        let copy = copy(run.tmp(), 0o4755);
        let names = ["LD_PRELOAD", "BORDMITTEL", "TZDIR", "GCONV_PATH", "PLAIN"];
        let run = run.arg("/usr/bin/env").args(names.map(|name| format!("{name}=/x")));

        let text = run
            .arg(copy)
            .args(["--is-uid=65534", "--uid=0", "--shell=/usr/bin/env", "--"])
            .run()
            .ok();

        let has = |name: &str| text.lines().any(|line| line.starts_with(name));
        assert!(has("PLAIN=/x") && has("PATH="), "{text}");
        for name in ["LD_PRELOAD", "BORDMITTEL", "TZDIR", "GCONV_PATH"] {
            assert!(!has(name), "{text}");
        }
    }

    #[test]
    fn without_more_rights_than_the_caller_the_environment_is_the_callers() {
        let run = capsh(&["--shell=/usr/bin/env", "--"]).env("TZDIR", "/x");

        assert!(run.run().ok().contains("TZDIR=/x\n"));
    }

    #[test]
    fn a_copy_with_file_capabilities_has_them() {
        need!("root", "program:setpriv");
        let run = Run::program(NOBODY[0]).args(&NOBODY[1..]);
        let copy = copy(run.tmp(), 0o755);
        // Revision 2, effective: permitted CHOWN.
        let words = [0x0200_0001_u32, 1, 0, 0, 0];
        let value: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let file = fs::File::open(&copy).unwrap();
        let fd = std::os::fd::AsFd::as_fd(&file);
        common::sys::fsetxattr(fd, c"security.capability", &value).unwrap();
        drop(file);

        let text = run.arg(copy).args(["--has-p=cap_chown", "--current"]).run().ok();

        assert!(text.starts_with("Current: cap_chown=ep\n"), "{text}");
    }

    #[test]
    fn in_a_root_with_nothing_else_it_runs_itself_again() {
        need!("root");
        let run = Run::tool("capsh");
        let dir = run.tmp().join("root");
        fs::create_dir(&dir).unwrap();
        fs::copy(tool("capsh"), dir.join("again")).unwrap();
        let chroot = format!("--chroot={}", dir.display());

        let out = run.args([&chroot, "--drop=cap_sys_chroot", "--shell=/again", "--"]);

        let text = out.args(["--dropped=cap_sys_chroot", "--print"]).run().ok();
        assert!(text.contains("\nuid=0(???) euid=0(???)\ngid=0(???)\n"), "{text}");
    }

    #[test]
    fn a_user_has_its_home_and_name_unless_that_is_not_wanted() {
        need!("root");
        let env = |args: &[&str]| {
            let run =
                capsh(args).args(["--shell=/usr/bin/env", "--"]).env("HOME", "/here");
            let text = run.run().ok();
            let mut lines: Vec<_> = text
                .lines()
                .filter(|line| line.starts_with("HOME=") || line.starts_with("USER="))
                .collect();
            lines.sort_unstable();
            lines.join(" ")
        };

        assert_eq!(env(&["--user=root"]), "HOME=/root USER=root");
        assert_eq!(env(&["--noenv", "--user=root"]), "HOME=/here");
        assert_eq!(complaint(&["--user=0"]), "User [0] not known");
    }

    #[test]
    fn an_id_that_would_be_changed_in_part_is_refused() {
        need!("root", "program:setpriv");
        // The saved uid would stay 0, and with it the way back.
        let run = Run::program(NOBODY[0]).arg("--ruid=65534").arg(tool("capsh"));
        let out = run.args(["--caps=", "--uid=65534"]).run().code(1);

        let text = String::from_utf8_lossy(&out.stderr).trim_end().to_owned();
        assert_eq!(text, "Failed to set uid=65534: Operation not permitted");
    }
}
