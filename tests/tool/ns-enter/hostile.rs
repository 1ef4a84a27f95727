//! What a process that is entered cannot do to the one that enters.

use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use kit::{Run, World, need, tool};

use crate::Target;

/// A directory with copies of the tools that their caller could write to.
fn own_tools() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["ns-enter", "cap-drop"] {
        std::fs::copy(tool(name), dir.path().join(name)).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path().join(name), mode).unwrap();
    }
    dir
}

/// A process in a root of its own, where `sh` leads the kernel back to whatever runs it: a
/// script whose interpreter is /proc/self/exe. It takes this option, and itself for COMMAND.
fn hostile(option: &str) -> Target {
    let script = "mkdir r; mount -t tmpfs none r; mkdir r/proc r/bin; \
        cp \"$PAUSE\" \"$PROBE\" r/bin; echo \"#!/proc/self/exe $OPTION\" >r/bin/sh; \
        chmod 755 r/bin/sh; mount -t proc none r/proc; exec chroot r /bin/pause";
    let run = Run::tool("ns-run").args(["-Urmpf", "--status-fd=1"]);
    let run = run.args(["--", "sh", "-ec", script]).env("OPTION", option);
    Target::of(run.env("PAUSE", tool("pause")).env("PROBE", tool("probe")))
}

/// Opens the executables of this name that a command line becomes inside, as a process
/// there could, and tries to write to them when they run no more. Tells where they were
/// and what came of it.
fn attack(target: &Target, run: &Run, tool: &str) -> Vec<(String, i32)> {
    let started = run.start();
    let mut open = Vec::new();
    let mut names = Vec::new();
    let start = std::time::Instant::now();
    while names.is_empty() && start.elapsed().as_secs() < 5 {
        for pid in started.children().split_whitespace() {
            let (exe, mnt) = (format!("/proc/{pid}/exe"), format!("/proc/{pid}/ns/mnt"));
            // Not the helper that seals the binary, which nobody inside sees.
            if !std::fs::metadata(mnt).is_ok_and(|mnt| target.ns["mnt"] == mnt.ino()) {
                continue;
            }
            let Ok(name) = std::fs::read_link(&exe) else { continue };
            let Ok(file) = std::fs::File::open(&exe) else { continue };
            if name.ends_with(tool) && !names.contains(&name) {
                names.push(name);
                open.push(file);
            }
        }
    }
    drop(started);
    let write = |file: &std::fs::File| {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        for _ in 0..1000 {
            match std::fs::OpenOptions::new().write(true).open(&path) {
                Err(e) if e.raw_os_error() == Some(nix::libc::ETXTBSY) => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                other => return other.err().and_then(|e| e.raw_os_error()).unwrap_or(0),
            }
        }
        nix::libc::ETXTBSY
    };
    let name = |path: &std::path::PathBuf| path.display().to_string();
    names.iter().map(name).zip(open.iter().map(write)).collect()
}

mod userns {
    use super::*;

    #[test]
    fn the_binary_cannot_be_overwritten_by_what_leads_back_to_it() {
        need!("userns");
        let (target, tools) = (hostile("--no-fork"), own_tools());
        let run = Run::program(tools.path().join("ns-enter"));

        let tried = attack(
            &target,
            &run.args(["-t", &target.pid, "-a", "-r", "--", "/bin/sh"]),
            "ns-enter",
        );

        assert_eq!(tried, [("/ns-enter".to_owned(), nix::libc::EROFS)]);
    }

    #[test]
    fn neither_can_a_link_behind_it() {
        need!("userns");
        let (target, tools) = (hostile("--no-new-privs"), own_tools());
        let run = Run::program(tools.path().join("ns-enter"));
        let run = run.args(["-t", &target.pid, "-a", "-r", "--", "cap-drop"]);

        let tried = attack(
            &target,
            &run.args(["--profile", "docker", "--", "/bin/sh"]),
            "cap-drop",
        );

        assert_eq!(tried, [("/cap-drop".to_owned(), nix::libc::EROFS)]);
    }

    #[test]
    fn an_environment_cannot_pass_itself_off_as_one_of_our_links() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rf", "--status-fd=1", "sh", "-c"]);
        let script = "BORDMITTEL=tools=0,status=1 exec \"$0\"";
        let target = Target::of(run.arg(script).arg(tool("pause")));
        // What ns-run was given it takes for its own; a shell gives it to anybody.
        let environ = std::fs::read(format!("/proc/{}/environ", target.pid)).unwrap();
        assert!(String::from_utf8_lossy(&environ).contains("BORDMITTEL"));

        let link = target.enter(&["-a", "-e", "--", "cap-drop", "--"]).arg(tool("probe"));
        let worlds = [target.world(&["-a", "-e"]), World::of(link)];

        for world in worlds {
            assert!(!world.get("env").to_string().contains("BORDMITTEL"));
        }
    }

    #[test]
    fn command_is_not_one_of_the_processs_where_it_is_called_like_a_link() {
        need!("userns");
        let target = hostile("--no-fork");
        let fake = format!("/proc/{}/root/bin/cap-drop", target.pid);
        std::fs::copy(tool("pause"), &fake).unwrap();

        let run =
            target.enter(&["-a", "-r", "--", "cap-drop", "--profile", "docker", "--"]);
        let world = World::of(run.arg("/bin/probe").env("PATH", "/bin"));

        assert_eq!(world.get("caps.bnd"), "00000000a80425fb");
        assert_eq!(world.get("cwd"), "/");
    }

    #[test]
    fn what_waits_outside_cannot_be_looked_into_from_inside() {
        need!("userns");
        // It has a pid namespace of its own, but our /proc.
        let target = Target::new(&["-Urmp"]);
        let mut ns_enter = target.enter(&["-a"]).arg(tool("pause")).start();
        assert_eq!(ns_enter.line(), "ready\n");
        let pid = ns_enter.pid();

        // As root of the container, of the same user.
        let script =
            format!("readlink /proc/{pid}/exe /proc/{pid}/fd/0; cat /proc/{pid}/environ");
        let out = target.enter(&["-a", "sh", "-c", &script]).run();

        assert!(out.stdout.is_empty(), "{}", String::from_utf8_lossy(&out.stdout));
        drop(ns_enter);
    }
}
