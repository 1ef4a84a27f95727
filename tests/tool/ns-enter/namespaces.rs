//! Which namespaces are entered, and what else changes for COMMAND.

use kit::world::NAMESPACES;
use kit::{Run, World, expect, need, tool};

use crate::Target;

pub(crate) const EVERY: &str = "-UrmnpuiCT";

mod userns {
    use super::*;

    #[test]
    fn a_namespace_is_entered_by_its_id_alone() {
        need!("userns");
        let target = Target::new(&["-Urm"]);
        let file = std::fs::File::open(format!("/proc/{}/ns/mnt", target.pid)).unwrap();
        // The id of a mount namespace is told by an older ioctl too.
        let Ok(id) = common::sys::mount_namespace_number(std::os::fd::AsFd::as_fd(&file))
        else {
            return;
        };
        let user = format!("-U/proc/{}/ns/user", target.pid);

        let mount = format!("-m:{id}");
        let out = target.enter(&[&user, &mount]).arg(tool("probe")).run();
        let other = target.enter(&[&user, &format!("-u:{id}"), "true"]).run();

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        if said.ends_with("Bad file descriptor; it takes Linux 6.18\n") {
            return;
        }
        let world = World(serde_json::from_slice(&out.stdout).expect(&said));
        assert_eq!(world.get("ns.mnt"), target.ns["mnt"]);
        let said = String::from_utf8_lossy(&other.code(125).stderr).into_owned();
        assert!(
            said.contains("it is no uts namespace") || said.ends_with("there is none\n")
        );
    }

    #[test]
    fn all_enters_every_namespace_and_makes_root() {
        need!("userns");
        let target = Target::new(&[EVERY]);

        let world = target.world(&["-a"]);

        assert_eq!(world.get("ns"), target.ns);
        assert_eq!(
            (world.get("uid"), world.get("gid")),
            ("0\t0\t0\t0".into(), "0\t0\t0\t0".into())
        );
        assert_eq!(world.get("caps.eff"), world.get("caps.bnd"));
        assert_eq!((world.get("cwd"), world.get("ppid")), ("/".into(), 0.into()));
    }

    #[test]
    fn all_enters_only_what_is_foreign() {
        need!("userns");
        let target = Target::new(&["-rnu"]);

        let world = target.world(&["--all"]);

        assert_eq!(target.entered(&world), ["net", "user", "uts"]);
        let changed = world.changed_from(&World::here());
        let mut topics = [
            "ns",
            "hostname",
            "uid-map",
            "gid-map",
            "setgroups",
            "uid",
            "gid",
            "groups",
            "caps",
        ]
        .iter();
        assert!(
            changed.iter().all(|c| topics.any(|t| t == c) || c == "ns"),
            "{changed:?}"
        );
        // It did not enter the mount namespace, so the directory stays.
        assert_ne!(world.get("cwd"), "/");
    }

    #[test]
    fn each_option_enters_its_namespace_and_no_other() {
        need!("userns");
        let target = Target::new(&[EVERY]);
        for (option, kind) in NAMESPACES.into_iter().chain([("--pid", "pid")]) {
            let world = target.world(&["-U", option]);

            let mut expected = [kind, "user"];
            expected.sort_unstable();
            assert_eq!(target.entered(&world), expected);
        }
    }

    #[test]
    fn command_has_no_descriptor_and_no_variable_of_ours() {
        need!("userns");
        let target = Target::new(&[EVERY]);

        let world = target.world(&["-a"]);

        assert_eq!(world.get("fds"), World::here().get("fds"));
        assert_eq!(world.get("env"), World::here().get("env"));
        assert_eq!(world.get("signals"), World::here().get("signals"));
        assert_eq!(world.get("umask"), World::here().get("umask"));
    }

    #[test]
    fn our_tools_go_along() {
        need!("userns");
        let target = Target::new(&[EVERY]);
        let run = target.enter(&["-a", "--", "ns-run", "-f", "--"]);

        let world = World::of(run.arg(tool("probe")).env("PATH", "/nonexistent"));

        assert_eq!(world.get("fds"), World::here().get("fds"));
        assert!(!world.get("env").to_string().contains("BORDMITTEL"));
        assert_eq!(target.entered(&world).len(), 8);
    }

    #[test]
    fn no_fork_stays_outside_the_pid_namespace() {
        need!("userns");
        let target = Target::new(&["-rp"]);

        assert_eq!(target.entered(&target.world(&["-a"])), ["pid", "user"]);
        assert_eq!(target.entered(&target.world(&["-a", "-F"])), ["user"]);
    }

    #[test]
    fn a_user_namespace_that_is_ours_is_told() {
        need!("userns");
        let target = Target::new(&[]);

        let out = target.enter(&["-U", "true"]).run().code(125);

        let text = String::from_utf8_lossy(&out.stderr).replace(&target.pid, "PID");
        expect![[r#"
            ns-enter: cannot enter the user namespace of process PID: Invalid argument; it is ours already: leave --user away
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn the_world_is_the_one_that_nsenter_makes() {
        need!("userns", "program:nsenter");
        let target = Target::new(&["-UrmnpuiC", "--mount-proc"]);
        for args in [
            &["-U", "-m"][..],
            &["-U", "-n", "-u", "-i"],
            &["-U", "-C"],
            &["-U", "-m", "-p"],
            &["-U", "-p", "-F"],
        ] {
            // Without, nsenter fails for an ordinary user: setgroups is denied there.
            let args = [args, &["--preserve-credentials"]].concat();
            let peer = Run::program("nsenter").args(["-t", &target.pid]).args(&args);

            let ours = target.world(&args);
            let theirs = World::of(peer.arg("--").arg(tool("probe")));

            // The bond is ours by default.
            let mut differs = ours.changed_from(&theirs);
            differs.retain(|topic| topic != "pdeathsig");
            assert_eq!(differs, [""; 0], "{args:?}");
        }
    }
}

mod root {
    use super::*;

    #[test]
    fn root_enters_one_namespace_and_stays_who_it_is() {
        need!("root");
        let target = Target::new(&["-nu"]);

        let world = target.world(&["-n"]);

        assert_eq!(target.entered(&world), ["net"]);
        assert_eq!(world.changed_from(&World::here()), ["ns"]);
    }

    #[test]
    fn the_root_directory_of_the_process_can_be_taken() {
        need!("root", "program:chroot");
        let script = "mkdir -p r; cp \"$PAUSE\" \"$PROBE\" r; echo hi >r/hi; \
            exec \"$NS_RUN\" -f --status-fd 1 chroot r /pause";
        let run = Run::program("sh").args(["-ec", script]);
        let run = run.env("PAUSE", tool("pause")).env("PROBE", tool("probe"));
        let target = Target::of(run.env("NS_RUN", tool("ns-run")));

        let world = World::of(target.enter(&["-r", "/probe"]));

        assert_eq!(world.get("cwd"), "/");
        // It has no /proc there.
        assert!(world.mounts().is_empty());
    }

    #[test]
    fn the_world_is_the_one_that_nsenter_makes_for_root() {
        need!("root", "program:nsenter");
        let target = Target::new(&["-UrmnpuiC", "--mount-proc"]);
        for args in [
            &["-a"][..],
            &["-m"],
            &["-n", "-u"],
            &["-p"],
            &["-a", "-F"],
            &["-U", "-S0"],
            &["-U", "-m", "-p"],
        ] {
            let peer = Run::program("nsenter").args(["-t", &target.pid]).args(args);

            let ours = target.world(args);
            let theirs = World::of(peer.arg("--").arg(tool("probe")));

            let mut differs = ours.changed_from(&theirs);
            differs.retain(|topic| topic != "pdeathsig");
            assert_eq!(differs, [""; 0], "{args:?}");
        }
    }
}
