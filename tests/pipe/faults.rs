//! Every system call of a link made to fail once: it says one line and runs nothing.

use std::collections::BTreeMap;
use std::path::Path;

use kit::{Out, Run, need, tool};

use crate::{image_with, unpack};

/// What must never be shrugged off: whoever survives its failure has not done its job.
const ESSENTIAL: [&str; 17] = [
    "capset",
    "clone3",
    "fsconfig",
    "fsmount",
    "fsopen",
    "mkdirat",
    "mknodat",
    "move_mount",
    "open_tree",
    "pivot_root",
    "setgroups",
    "setns",
    "setresgid",
    "setresuid",
    "symlinkat",
    "umount2",
    "unshare",
];

/// What the C library does before main, what cannot fail (whatever close(2) says, the
/// descriptor is gone), and what waits while COMMAND may have run already.
const LEFT_OUT: [&str; 8] = [
    "arch_prctl",
    "close",
    "getpid",
    "getppid",
    "rt_sigtimedwait",
    "set_tid_address",
    "umask",
    "waitid",
];

/// A link on its own, below a sandbox that gives it what it needs. `TARGET` in its
/// arguments is a process in namespaces of its own.
struct Case {
    sandbox: &'static [&'static str],
    tool: &'static str,
    args: &'static [&'static str],
    /// Calls that have another way when they fail.
    tolerates: &'static [&'static str],
}

const USERNS: &[&str] = &["--user", "--mount", "--pid", "--net"];

const CASES: [Case; 10] = [
    Case { sandbox: USERNS, tool: "mkdev", args: &["root/dev"], tolerates: &[] },
    Case {
        sandbox: USERNS,
        tool: "mkdev",
        args: &["--in-place", "--device=/dev/full:sub/full", "root/place"],
        tolerates: &[],
    },
    Case {
        sandbox: USERNS,
        tool: "ovl-mount",
        args: &["--lower=box", "--lower=root", "--tmpfs", "--fd=7", "-oindex=off"],
        tolerates: &["fsconfig"],
    },
    Case {
        sandbox: USERNS,
        tool: "ovl-mount",
        args: &["--image", "box", "--tmpfs", "root"],
        tolerates: &["fsconfig", "open_tree"],
    },
    Case {
        sandbox: USERNS,
        tool: "root-pivot",
        args: &["--std", "root"],
        // A directory that is there already is taken.
        tolerates: &["mkdirat", "open_tree"],
    },
    Case {
        sandbox: &["--user"],
        tool: "cap-drop",
        args: &["--profile", "docker", "--no-new-privs"],
        tolerates: &[],
    },
    Case {
        sandbox: &["--user"],
        tool: "cap-drop",
        args: &[
            "--keep=kill,setpcap",
            "--ambient=kill",
            "--securebits=noroot",
            "--rlimit=core=0",
            "--pdeathsig=TERM",
            "--nice=19",
            "--oom-score-adj=1000",
            "--reset-env",
        ],
        tolerates: &[],
    },
    Case {
        sandbox: &["--user"],
        tool: "img-exec",
        args: &["--config", "box"],
        // Asked whether it is allowed here at all.
        tolerates: &["setgroups"],
    },
    Case {
        sandbox: &[],
        tool: "ns-run",
        args: &["-U", "-r", "--mount", "--uts", "--hostname", "x"],
        tolerates: &["open_tree"],
    },
    Case {
        sandbox: &[],
        tool: "ns-run",
        args: &["-rmT", "-S0", "-G0", "--keep-caps", "--die-with-parent", "--pid-file=p"],
        // Groups that nobody may shed stay.
        tolerates: &["setgroups"],
    },
];

/// What only real root can do.
const ROOT_CASES: [Case; 3] = [
    Case {
        sandbox: &["--mount"],
        tool: "ns-run",
        args: &["--net=f", "--persist=d", "-uT", "--pid-file=p"],
        // An older clone serves.
        tolerates: &["clone3"],
    },
    Case {
        sandbox: &["--mount"],
        tool: "mkdev",
        args: &["--device=/dev/full:sub/full", "root/dev"],
        tolerates: &[],
    },
    Case {
        sandbox: &["--mount"],
        tool: "ovl-mount",
        args: &["--lower=box", "--lower=root/bin", "--idmap=0:1000:9", "--tmpfs", "root"],
        tolerates: &["fsconfig", "clone3"],
    },
];

/// With a target.
const ENTER: [Case; 2] = [
    Case {
        sandbox: &[],
        tool: "ns-enter",
        args: &["-t", "TARGET", "-a"],
        // Groups that nobody may shed stay.
        tolerates: &["setgroups"],
    },
    Case {
        sandbox: &[],
        tool: "ns-enter",
        args: &["-t", "TARGET", "-Umnp", "-S0", "-Gfollow", "--keep-caps", "-W/", "-e"],
        tolerates: &["setgroups"],
    },
];

/// How often each call is made from the tool's start to the exec of COMMAND.
fn calls(log: &str, command: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines().skip(1) {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let Some((name, rest)) = call.split_once('(') else { continue };
        // ns-enter may start itself again first, with COMMAND among its arguments.
        let program = rest.split('[').next().unwrap();
        if name.starts_with("exec") && program.contains(command) {
            break;
        }
        // With two processes, a call may be told in two lines.
        let is_first = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_first
            && !LEFT_OUT.contains(&name)
            && !name.starts_with("exec")
            && !name.starts_with("exit")
        {
            *counts.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

fn prepare(dir: &Path) {
    let image = image_with(&["guest"])
        .set("Entrypoint", serde_json::json!(["/bin/guest", "ran"]));
    unpack(&image, dir);
    std::fs::create_dir_all(dir.join("root/bin")).unwrap();
    std::fs::copy(tool("guest"), dir.join("root/bin/guest")).unwrap();
    std::fs::copy(tool("guest"), dir.join("guest")).unwrap();
}

fn strace(case: &Case, target: &str, dir: &Path, options: &[&str]) -> Run {
    let run = Run::tool("sandbox").cwd(dir).args(case.sandbox);
    let run = run.args(["--", "strace", "-f", "-qq"]).args(options);
    let args = case.args.iter().map(|arg| if *arg == "TARGET" { target } else { arg });
    let run = run.arg(tool(case.tool)).args(args);
    // img-exec has its command in the image; the root of the others is where they start.
    match case.tool {
        "img-exec" => {
            run.arg("--entrypoint").arg(dir.join("root/bin/guest")).args(["--", "ran"])
        }
        "root-pivot" => run.args(["--", "/bin/guest", "ran"]),
        "ns-enter" => run.arg("--").arg(dir.join("guest")).arg("ran"),
        _ => run.args(["--", "./guest", "ran"]),
    }
}

fn sweep(case: &Case) {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let holder = Run::tool("ns-run").args(["-Urmnpuf", "--status-fd=1"]);
    let mut holder = holder.arg(tool("pause")).start();
    let status: serde_json::Value = serde_json::from_str(&holder.line()).unwrap();
    assert_eq!(holder.line(), "ready\n");
    let target = status["pid"].to_string();
    let strace = |options: &[&str]| strace(case, &target, dir.path(), options);
    let baseline = strace(&["-o", "log"]).run();
    let said = String::from_utf8_lossy(&baseline.stderr).into_owned();
    assert_eq!(
        String::from_utf8_lossy(&baseline.stdout),
        "ran\n",
        "{}: {said}",
        case.tool
    );
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    for (name, times) in calls(&log, "guest") {
        for n in 1..=times {
            let inject = format!("inject={name}:error=EPERM:when={n}");
            let out = strace(&["-o", "/dev/null", "-e", &inject]).run();
            judge(case, &name, &inject, &out);
        }
    }
}

/// One line and nothing run; or, where there is another way, as if nothing had been.
fn judge(case: &Case, name: &str, inject: &str, out: &Out) {
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let story = format!("{} {inject}: {} {said}", case.tool, out.status);
    if out.stdout == b"ran\n" {
        let must_fail = ESSENTIAL.contains(&name) && !case.tolerates.contains(&name);
        assert!(!must_fail, "went on without: {story}");
        assert!(out.status.success() && said.is_empty(), "{story}");
        return;
    }
    assert_eq!(out.status.code(), Some(125), "{story}");
    let is_line =
        said.starts_with(&format!("{}: ", case.tool)) && said.lines().count() == 1;
    // Standard error itself may be what fails.
    assert!(is_line || name == "write", "{story}");
}

mod userns {
    use super::*;

    #[test]
    fn a_link_whose_system_call_fails_says_so_and_runs_nothing() {
        need!("userns", "program:strace");
        for case in &CASES {
            sweep(case);
        }
    }

    #[test]
    fn ns_enter_says_so_too() {
        need!("userns", "program:strace");
        for case in &ENTER {
            sweep(case);
        }
    }
}

mod root {
    use super::*;

    /// Lets each call of the chain fail in turn, and each time looks at the mounts of the
    /// caller, which are shared: what a link made outside its namespace would stay.
    const SCRIPT: &str = r#"
        before=$(cat /proc/self/mountinfo)
        for call in unshare mount fsopen fsmount move_mount open_tree mount_setattr \
            openat2 pivot_root umount2 fchdir chdir; do
            n=1
            while :; do
                status=0
                strace -f -qq -o log -e "inject=$call:error=EPERM:when=$n" \
                    "$@" >out 2>err || status=$?
                test "$(cat /proc/self/mountinfo)" = "$before" || echo "$call $n: a mount is left"
                case $status:$(wc -l <err) in
                    125:1) test ! -s out || echo "$call $n: something was run" ;;
                    0:0) grep -q INJECTED log || break ;;
                    *) echo "$call $n: $status, $(cat err)" ;;
                esac
                n=$((n + 1))
            done
            echo "$call $n" >>calls
        done"#;

    #[test]
    fn a_chain_that_fails_anywhere_leaves_no_mount_outside() {
        need!("root", "program:strace");
        let words = crate::CHAIN.replace("--user --map-root-user ", "");
        let script = format!("{SCRIPT}; test $(wc -l <calls) = 12");
        let run = Run::shared_mounts(&script).arg("sh").tools_in_path().timeout(60);
        let run = run.arg(tool("ns-run")).args(words.split_whitespace().skip(1));
        prepare(run.tmp());

        assert_eq!(run.run().ok(), "");
    }

    #[test]
    fn what_root_alone_does_fails_in_one_line_too() {
        need!("root", "program:strace");
        for case in &ROOT_CASES {
            sweep(case);
        }
    }
}
