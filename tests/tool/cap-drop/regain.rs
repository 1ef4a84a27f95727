//! What was dropped does not come back by any exec.

mod root {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use kit::{Run, need};

    use crate::{NET_RAW, own};

    /// A copy of grep in the run's directory, which every user can reach.
    fn grep(dir: &Path, mode: u32) -> PathBuf {
        let copy = dir.join("grep");
        fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
        fs::copy("/bin/grep", &copy).unwrap();
        fs::set_permissions(&copy, PermissionsExt::from_mode(mode)).unwrap();
        copy
    }

    /// security.capability of revision 2, effective, nothing but inheritable NET_RAW.
    fn give_inheritable_net_raw(file: &Path) {
        give(file, 1, [0, NET_RAW]);
    }

    /// security.capability of revision 2: flags, permitted, inheritable.
    fn give(file: &Path, flags: u32, sets: [u64; 2]) {
        let [permitted, inheritable] = sets.map(|set| u32::try_from(set).unwrap());
        let words = [0x0200_0000 | flags, permitted, inheritable, 0, 0];
        let value: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let file = fs::File::open(file).unwrap();
        let fd = std::os::fd::AsFd::as_fd(&file);
        common::sys::fsetxattr(fd, c"security.capability", &value).unwrap();
    }

    #[test]
    fn a_setuid_program_does_not_get_a_dropped_capability_back() {
        need!("root");
        let run = Run::tool("cap-drop")
            .args(["--drop", "net_raw", "--uid", "65534", "--gid", "65534"]);
        let copy = grep(run.tmp(), 0o4755);

        let text =
            run.arg("--").arg(copy).args(["CapEff", "/proc/self/status"]).run().ok();

        assert_eq!(text, format!("CapEff:\t{:016x}\n", own() & !NET_RAW));
    }

    #[test]
    fn with_no_new_privs_a_setuid_program_gets_nothing_at_all() {
        need!("root");
        let run = Run::tool("cap-drop").args(["--uid", "65534", "--no-new-privs"]);
        let copy = grep(run.tmp(), 0o4755);

        let text = run
            .arg("--")
            .arg(copy)
            .args(["-E", "^Uid|CapPrm", "/proc/self/status"])
            .run()
            .ok();

        assert_eq!(text, "Uid:\t65534\t65534\t65534\t65534\nCapPrm:\t0000000000000000\n");
    }

    #[test]
    fn an_inherited_capability_does_not_come_back_by_file_capabilities() {
        need!("root", "program:setpriv");
        // The inheritable set is not masked by the bounding set at exec: with setpriv,
        // whose bounding set lacks it too, the file's capability comes back.
        for (word, left) in [("setpriv", NET_RAW), ("cap-drop", 0)] {
            let run = Run::program("setpriv").args(["--inh-caps", "+net_raw"]);
            let copy = grep(run.tmp(), 0o755);
            give_inheritable_net_raw(&copy);
            let run = if word == "setpriv" {
                run.args(["setpriv", "--bounding-set", "-net_raw", "--reuid", "65534"])
            } else {
                let run =
                    run.arg(kit::tool("cap-drop")).args(["--drop", "net_raw", "--"]);
                run.args(["setpriv", "--reuid", "65534"])
            };

            let text = run.arg(copy).args(["CapPrm", "/proc/self/status"]).run().ok();

            assert_eq!(text, format!("CapPrm:\t{left:016x}\n"), "{word}");
        }
    }

    #[test]
    fn file_capabilities_do_not_give_what_the_bounding_set_lacks() {
        need!("root");
        let run = |flags: u32, options: &[&str]| {
            let run = Run::tool("cap-drop").args(["--uid", "65534"]).args(options);
            let copy = grep(run.tmp(), 0o755);
            give(&copy, flags, [NET_RAW, 0]);
            run.arg("--").arg(copy).args(["CapPrm", "/proc/self/status"]).run()
        };
        let has = |set: u64| format!("CapPrm:\t{set:016x}\n");

        // What it would have without us.
        assert_eq!(run(0, &[]).ok(), has(NET_RAW));
        assert_eq!(run(0, &["--drop", "net_raw"]).ok(), has(0));
        assert_eq!(run(0, &["--no-new-privs"]).ok(), has(0));
        // The kernel refuses to run a program that takes it to be effective.
        let out = run(1, &["--drop", "net_raw"]).code(126);
        assert!(out.stdout.is_empty());
    }

    #[test]
    fn a_user_namespace_gives_nothing_outside_of_it() {
        need!("root");
        let tries = |script: &str| {
            let run =
                Run::tool("cap-drop").args(["--keep", "none", "--uid", "65534", "--"]);
            let run = run.arg(kit::tool("sandbox")).args(["--user", "--", "sh", "-c"]);
            let out = run.arg(format!("grep CapEff /proc/self/status; {script}")).run();
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            // It is full in there, as in every new user namespace.
            assert!(text.starts_with("CapEff:\t000001f"), "{text}{said}");
            (out.status.success(), said)
        };

        for script in [
            "mount -t tmpfs none /mnt",
            "chown 0 /etc/passwd",
            "nsenter --user=/proc/1/ns/user true",
            "kill -0 1",
            "chroot / ls /root",
        ] {
            let (done, said) = tries(script);

            assert!(!done && !said.is_empty(), "{script}: {said}");
        }
    }

    #[test]
    fn the_parent_cannot_be_traced_nor_its_memory_be_read() {
        need!("root", "program:strace");
        let parent = |options: &str, what: &str| {
            let script = format!("\"$0\" {options} -- {what}; echo $?");
            let run = Run::program("sh").args(["-c", &script]).arg(kit::tool("cap-drop"));
            let out = run.run().code(0);
            let status = String::from_utf8_lossy(&out.stdout).trim().to_owned();
            status.lines().last().unwrap().to_owned()
        };
        let read = "sh -c 'exec 3</proc/$PPID/mem'";
        let trace = "sh -c 'exec timeout 5 strace -qq -o /dev/null -p $PPID'";

        assert_eq!(parent("", read), "0");
        for options in ["--keep none", "--keep none --no-new-privs", "--uid 65534"] {
            assert_ne!(parent(options, read), "0", "{options}");
            assert_eq!(parent(options, trace), "1", "{options}");
        }
    }

    #[test]
    fn root_without_capabilities_gets_none_by_an_exec_of_root() {
        need!("root");
        // no_new_privs would do nothing here: uid 0 needs no setuid bit.
        for mode in [0o755, 0o4755] {
            let run =
                Run::tool("cap-drop").args(["--securebits", "noroot,noroot_locked"]);
            let copy = grep(run.tmp(), mode);

            let text = run.arg("--").arg(copy).args(["CapEff", "/proc/self/status"]);

            assert_eq!(text.run().ok(), "CapEff:\t0000000000000000\n");
        }
    }
}
