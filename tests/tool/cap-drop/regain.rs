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
        let raw = u32::try_from(NET_RAW).unwrap();
        let words = [0x0200_0001_u32, 0, raw, 0, 0];
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
}
