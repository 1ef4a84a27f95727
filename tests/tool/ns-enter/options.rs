//! What the options change for COMMAND beside the namespaces.

use std::path::Path;

use kit::{Run, World, expect, need, tool};

use crate::Target;
use crate::refused::Copied;
use crate::targets::Cgroup;

mod userns {
    use super::*;

    #[test]
    fn the_environment_of_the_process_can_be_taken() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rf", "--status-fd=1"]);
        let target =
            Target::of(run.arg(tool("pause")).env("THEIRS", "x=y\n").env("SHELL", "/x"));

        let world = target.world(&["-a", "-e"]);

        let env = world.get("env");
        assert!(env.as_array().unwrap().contains(&"THEIRS=x=y\n".into()), "{env}");
        assert!(!target.world(&["-a"]).get("env").to_string().contains("THEIRS"));
    }

    #[test]
    fn the_shell_is_the_one_of_the_environment_that_is_taken() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-rf", "--status-fd=1"]);
        let target = Target::of(run.arg(tool("pause")).env("SHELL", tool("probe")));

        let world =
            World::of(target.enter(&["-a", "--env"]).env("SHELL", "/nonexistent"));

        assert_eq!(world.get("argv").to_string(), r#"["-probe"]"#);
    }

    #[test]
    fn the_working_directory_inside_is_looked_for_inside() {
        need!("userns");
        let script = "mount -t tmpfs none /mnt; mkdir /mnt/in; exec \"$@\"";
        let run = Run::tool("ns-run").args([
            "-rmf",
            "--status-fd=1",
            "sh",
            "-ec",
            script,
            "sh",
        ]);
        let target = Target::of(run.arg(tool("pause")));

        assert_eq!(target.world(&["-a", "-W/mnt/in"]).get("cwd"), "/mnt/in");
        assert_eq!(target.world(&["-a", "--wdns=/mnt"]).get("cwd"), "/mnt");
        assert_eq!(target.world(&["-a", "-W"]).get("cwd"), "/");
        target.enter(&["-U", "-W/mnt/in", "true"]).run().refused(
            125,
            expect![[r#"
            ns-enter: cannot change to '/mnt/in': No such file or directory
        "#]],
        );
    }

    #[test]
    fn a_working_directory_of_outside_stays_reachable_inside() {
        need!("userns");
        let target = Target::new(&["-rm"]);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("here"), "").unwrap();
        let real = dir.path().canonicalize().unwrap();
        let real = real.to_str().unwrap();

        let out = target.enter(&["-a", &format!("--wd={real}"), "ls"]).run().ok();

        assert_eq!(out, "here\n");
        let short = format!("-w{real}");
        assert_eq!(target.world(&["-U", &short]).get("cwd"), real);
    }

    #[test]
    fn a_proc_for_command_alone_shows_the_pid_namespace() {
        need!("userns");
        let target = Target::new(&["-Urpm"]);

        let world = target.world(&["-U", "-p", "--mount-proc"]);

        assert_eq!(world.get("ppid"), 0);
        let proc = world.mounts().into_iter().filter(|m| m == "/proc proc").count();
        assert!(proc >= 1);
        // Its status was found under its id in there.
        assert_ne!(world.get("comm"), "?");
        assert_ne!(world.get("ns.mnt"), World::here().get("ns.mnt"));
        assert_ne!(world.get("ns.mnt"), target.ns["mnt"]);
        // The process itself sees nothing of it.
        let before = std::fs::read(format!("/proc/{}/mountinfo", target.pid)).unwrap();
        let _ = target.world(&["-U", "-p", "-m", "--mount-proc"]);
        let after = std::fs::read(format!("/proc/{}/mountinfo", target.pid)).unwrap();
        assert_eq!(before, after);
    }

    #[test]
    fn capabilities_are_kept_over_the_exec_also_of_another_user() {
        need!("userns");
        let target = Target::new(&["-U"]);

        let world = target.world(&["-U", "--preserve-credentials", "--keep-caps"]);
        let without = target.world(&["-U", "--preserve-credentials"]);

        assert_eq!(world.get("caps.eff"), world.get("caps.bnd"));
        assert_eq!(world.get("caps.amb"), world.get("caps.bnd"));
        assert_eq!(without.get("caps.eff"), "0000000000000000");
    }

    #[test]
    fn an_id_is_followed_to_what_it_is_called_inside() {
        need!("userns");
        let target = Target::new(&["-c"]);
        let own = nix::unistd::geteuid().to_string();

        let world = target.world(&["-U", "-S", "follow", "-G", "follow"]);

        assert_eq!(world.get("uid").as_str().unwrap().split('\t').next(), Some(&*own));
        let unmapped = Target::new(&["-U"]);
        let out = unmapped.enter(&["-U", "-Sfollow", "true"]).run().code(125);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(text.ends_with("its user namespace does not map it\n"), "{text}");
    }

    #[test]
    fn a_security_context_is_no_matter_without_selinux() {
        need!("userns");
        if Path::new("/sys/fs/selinux/enforce").exists() {
            return;
        }
        let target = Target::new(&["-rn"]);

        assert_eq!(target.entered(&target.world(&["-a", "-Z"])), ["net", "user"]);
    }

    #[test]
    fn explain_tells_the_plan_and_does_nothing() {
        need!("userns");
        let target = Target::new(&["-Urmpn"]);
        let args =
            ["-a", "-W/", "--keep-caps", "--mount-proc", "--explain", "cap-drop", "sh"];

        let text = target.enter(&args).run().ok();

        // The first line has the id; the groups are root's to leave.
        let rest = text.lines().skip(1).filter(|line| !line.starts_with("setgroups"));
        let rest: Vec<_> = rest.collect();
        expect![[r#"
            open_tree('.../', OPEN_TREE_CLONE); mount_setattr()            # a read-only clone of the tools' directory, for later links
            prctl(PR_SET_DUMPABLE, 0)                                      # nobody inside may trace this process or open its files
            setns(pidfd, CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWNET) # all at once
            chdir('/')                                                     # the working directory, by its path inside
            clone(CLONE_VM | CLONE_VFORK | CLONE_PIDFD)                    # only a child enters the pid namespace
            unshare(CLONE_NEWNS); mount(proc, '/proc')                     # a proc of the pid namespace, for COMMAND alone
            setresgid(0, 0, 0)                                             # before the uid, with which the right to would go
            prctl(PR_SET_KEEPCAPS, 1)                                      # the uid takes no capability away
            setresuid(0, 0, 0)                                             # real, effective and saved
            capset(); prctl(PR_CAP_AMBIENT_RAISE)                          # the exec takes no capability away
            execve('cap-drop', …)                                          # become COMMAND"#]].assert_eq(&rest.join("\n"));
    }
}

mod root {
    use super::*;

    #[test]
    fn users_and_groups_have_the_names_that_the_process_knows() {
        need!("root");
        let script = "mkdir -p r/etc r/proc; cp \"$PAUSE\" \"$PROBE\" r; \
            echo web:x:77:78:::/ >r/etc/passwd; echo web:x:79: >r/etc/group; \
            mount --bind r r; mount -t proc none r/proc; \
            exec \"$NS_RUN\" -f --status-fd 1 chroot r /pause";
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", script]);
        let run = run.env("PAUSE", tool("pause")).env("PROBE", tool("probe"));
        let target = Target::of(run.env("NS_RUN", tool("ns-run")));

        let world =
            World::of(target.enter(&["-m", "-r", "-S", "web", "-G", "web", "/probe"]));

        assert_eq!(world.get("uid"), "77\t77\t77\t77");
        assert_eq!(world.get("gid"), "79\t79\t79\t79");
        target
            .enter(&["-m", "-r", "-S", "daemon", "/probe"])
            .run()
            .refused(125, expect![[r#"
                ns-enter: cannot find user 'daemon': not in /etc/passwd there; name a number
            "#]]);
        // Without, it is the caller's own.
        let own = target.world(&["-S", "root"]);
        assert_eq!(own.get("uid"), "0\t0\t0\t0");
    }

    #[test]
    fn the_id_that_a_process_has_now_is_followed() {
        need!("root", "program:setpriv");
        let run =
            Run::program("setpriv").args(["--reuid=5", "--regid=6", "--clear-groups"]);
        let pause = Copied::new("pause");
        let mut process = run.arg(&pause.path).start();
        assert_eq!(process.line(), "ready\n");
        let pid = process.pid().to_string();

        let run =
            Run::tool("ns-enter").args(["-t", &pid, "-S", "follow", "-G", "follow"]);
        let probe = Copied::new("probe");
        let world = World::of(run.arg(&probe.path));

        assert_eq!(world.get("uid"), "5\t5\t5\t5");
        assert_eq!(world.get("gid"), "6\t6\t6\t6");
    }

    #[test]
    fn capabilities_of_a_user_namespace_survive_another_uid() {
        need!("root");
        let target = Target::new(&["-U", "--map-users=0:0:100", "--map-groups=0:0:100"]);

        let world = target.world(&["-U", "-S", "5", "-G", "5", "--keep-caps"]);

        assert_eq!(world.get("uid"), "5\t5\t5\t5");
        assert_eq!(world.get("caps.eff"), world.get("caps.bnd"));
    }

    #[test]
    fn the_cgroups_of_every_hierarchy_are_joined_and_only_by_command() {
        need!("root");
        let mounts =
            common::proc::mountinfo(&std::fs::read("/proc/self/mountinfo").unwrap());
        let tops = mounts.iter().filter(|m| m.fstype.starts_with("cgroup"));
        // cpuset takes no process before it is told its processors.
        let tops = tops.filter(|m| !m.super_options.contains("cpuset"));
        let groups: Vec<_> = tops.map(|m| Cgroup::below(&m.target, "join")).collect();
        let target = Target::new(&["-p"]);
        for group in &groups {
            std::fs::write(group.dir.join("cgroup.procs"), &target.pid).unwrap();
        }
        let of =
            |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();

        let world = target.world(&["-p", "-c"]);
        let mut ns_enter = target.enter(&["-p", "-c"]).arg(tool("pause")).start();
        assert_eq!(ns_enter.line(), "ready\n");

        assert_eq!(world.get("cgroup"), of(&target.pid));
        assert_eq!(of(&ns_enter.pid().to_string()), of("self"));
        assert_eq!(of(ns_enter.children().trim()), of(&target.pid));
        drop((ns_enter, target));
    }
}
