//! What the kernel tells its log only: each cause found, and the directory named.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::Path;

use common::idmap::{IdMap, Range};
use common::idmapped::IdMapped;
use common::mount::{Depth, Mount};
use kit::{Run, need, tool};

use super::{USERNS, layers, unlocked};

/// What stands on stderr, with status 125, after a script in which `ovl` is the tool.
fn refused(flags: &[&str], script: &str, prepare: impl Fn(&Path)) -> String {
    let script = format!("ovl() {{ {} \"$@\"; }}\n{script}", tool("ovl-mount").display());
    let run = Run::tool("sandbox").args(flags).args(["--", "sh", "-c", &script]);
    layers(run.tmp(), &["a", "b"]);
    prepare(run.tmp());
    let out = unlocked(run.run()).code(125);
    assert!(!out.tmp().join("t").exists(), "{script}");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    said.strip_prefix("ovl-mount: cannot ").unwrap_or(&said).to_owned()
}

mod userns {
    use super::*;

    fn refused(script: &str) -> String {
        super::refused(USERNS, script, |_| ())
    }

    #[test]
    fn a_file_system_without_attributes_takes_no_changes() {
        need!("userns");
        let script = "mkdir r; mount -t ramfs x r; ovl --lower a --rw r/rw t true";

        let text = refused(script);

        assert!(text.starts_with("keep user.* attributes in 'r/rw/work': "), "{text}");
        assert!(
            text.ends_with("; changes must be kept on a file system that has them (tmpfs: Linux 6.6)\n"),
            "{text}"
        );
    }

    #[test]
    fn a_read_only_file_system_takes_no_changes() {
        need!("userns");
        let script = "mkdir r; mount -t tmpfs x r; mkdir r/u r/w; mount -o remount,bind,ro r; \
             ovl --lower a --upper r/u --work r/w t true";

        assert_eq!(
            refused(script),
            "keep user.* attributes in 'r/w': Read-only file system; --tmpfs keeps changes in memory\n"
        );
    }

    #[test]
    fn a_third_overlay_above_another_is_too_deep() {
        need!("userns");
        let script = "ovl --lower a --lower b one; ovl --lower one --lower b two; \
             ovl --lower two --lower a t true";

        assert_eq!(
            refused(script),
            "mount overlay on 't': Invalid argument; 'two' is on an overlay, and overlays stack two deep only\n"
        );
    }

    #[test]
    fn what_a_mount_covers_stays_covered() {
        need!("userns");
        let inner = "ovl --lower a --lower b t true";
        let script = format!(
            "mkdir a/m; mount -t tmpfs x a/m; exec {} --user --mount -- sh -c '{}'",
            tool("sandbox").display(),
            inner.replace("ovl", &tool("ovl-mount").display().to_string())
        );

        assert_eq!(
            refused(&script),
            "mount overlay on 't': Invalid argument; 'a' has mounts in it, which a user namespace must not look behind: only root may\n"
        );
    }

    #[test]
    fn directories_inside_each_other_are_both_named() {
        need!("userns");
        for (args, cause) in [
            ("--lower u/x --upper u --work w", "'u/x' lies inside 'u'"),
            (
                "--lower a --upper u --work u/w",
                "'u' and 'u/w' must not lie inside each other",
            ),
            (
                "--lower a --upper w/u --work w",
                "'w/u' and 'w' must not lie inside each other",
            ),
            (
                "--lower a --upper u --work u",
                "'u' and 'u' must not lie inside each other",
            ),
        ] {
            let script = format!("mkdir -p u/x u/w w/u; ovl {args} t true");
            let text = refused(&script);
            assert!(text.contains(cause), "{args}: {text}");
        }
    }
}

mod root {
    use super::*;

    #[test]
    fn changes_over_other_layers_are_not_mixed() {
        need!("root");
        let script = "ovl --lower a --rw rw --index t sh -c 'echo x > t/which'; umount t; rmdir t; \
             ovl --lower b --rw rw --index t true";

        assert_eq!(
            refused(&["--mount"], script, |_| ()),
            "mount overlay on 't': Stale file handle; 'rw/upper' was changed over other layers: --reset-work, or --index=off\n"
        );
    }

    /// Another user's, and root's own ids are not mapped: it may note attributes there, and
    /// make nothing.
    fn of_another_user(dir: &Path) -> OwnedFd {
        for name in ["u", "w"] {
            fs::create_dir(dir.join(name)).unwrap();
            chown(dir.join(name), Some(1000), Some(1000)).unwrap();
        }
        let mount = Mount::clone_path(dir, Depth::One).unwrap();
        let map =
            IdMapped::Map(IdMap(vec![Range { inside: 1000, outside: 1000, count: 1 }]));
        mount.idmap(map.userns().unwrap().as_fd(), Depth::One).unwrap();
        mount.into()
    }

    #[test]
    fn a_silent_downgrade_is_a_failure_and_leaves_nothing() {
        need!("root");
        let dir = tempfile::tempdir().unwrap();
        let mount = of_another_user(dir.path());
        let fd = format!("/proc/{}/fd/{}", std::process::id(), mount.as_raw_fd());
        let script = format!("ovl --lower a --upper {fd}/u --work {fd}/w t true");

        let text = refused(&["--mount"], &script, |_| ());

        assert_eq!(
            text,
            format!(
                "mount overlay on 't': the kernel made it read-only; it cannot write to '{fd}/w' with the ids that are mapped here\n"
            )
        );
    }
}
