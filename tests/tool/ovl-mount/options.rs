//! Options of overlayfs, other ids, a mount without a place.

use std::fs;
use std::path::Path;

use kit::{Run, expect, need, tool};

use super::{USERNS, in_userns, layers, unlocked};

/// The options that the kernel shows of the topmost overlay.
const SHOW: &str = "sed -n 's/.* - overlay root //p' /proc/self/mountinfo | tail -n 1";

/// ovl-mount as real root over layers `a` and `b`, with a script as COMMAND.
fn as_root(args: &[&str], script: &str) -> Run {
    let run = Run::sandboxed(&["--mount"], "ovl-mount").args(args);
    layers(run.tmp(), &["a", "b"]);
    run.args(["--", "sh", "-ec", script])
}

#[test]
fn a_mount_without_a_place_takes_a_command_and_a_free_number() {
    let refusal = |args: &[&str]| {
        let out =
            Run::tool("ovl-mount").args(["--lower", "."]).args(args).run().code(125);
        String::from_utf8_lossy(&out.stderr).into_owned()
    };

    assert_eq!(
        refusal(&["--fd", "5"]),
        "ovl-mount: cannot hand a mount over without COMMAND\n"
    );
    assert_eq!(
        refusal(&["--fd", "1", "--", "true"]),
        "ovl-mount: cannot hand a mount over as '1': Device or resource busy; that descriptor is open already\n"
    );
}

#[test]
fn what_our_own_options_are_for_is_refused_as_an_option_of_the_kernels() {
    Run::tool("ovl-mount").args(["--lower", "a", "-o", "lowerdir=b", "t"]).run().refused(
        125,
        expect![[r#"
            ovl-mount: invalid value 'lowerdir=b' for '--option <KEY=VALUE>': lowerdir is what --lower is for; try 'ovl-mount --help'
        "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn a_volatile_overlay_is_not_mounted_again_but_by_order() {
        need!("userns");
        let ovl = format!("{} --lower a --rw rw", tool("ovl-mount").display());
        let script = format!(
            "{ovl} --volatile t sh -c 'echo kept > t/new; grep -ow volatile /proc/self/mountinfo'
             umount t
             {ovl} t true || echo $?
             {ovl} --reset-work t cat t/new
             umount t
             {ovl} t cat t/new"
        );
        let run = Run::tool("sandbox").args(USERNS).args(["--", "sh", "-c", &script]);
        layers(run.tmp(), &["a"]);

        let out = unlocked(run.run()).code(0).stdout(expect![[r#"
            volatile
            125
            kept
            kept
        "#]]);

        let _ = out.stderr(expect![[r#"
            ovl-mount: cannot mount overlay on 't': Invalid argument; 'rw/work' is what a volatile overlay left, whose last changes may be lost: --reset-work goes on with what is there
        "#]]);
    }

    #[test]
    fn what_no_overlay_made_is_not_cleared() {
        need!("userns");
        let args = ["--lower", "a", "--upper", "u", "--work", "w", "--reset-work", "t"];
        let run = in_userns(&args, "true");
        let left = |tmp: &Path| tmp.join("w").join("work/left/there");
        for dir in [run.tmp().join("u"), left(run.tmp()), run.tmp().join("w/mine")] {
            fs::create_dir_all(dir).unwrap();
        }

        let out = run.run();

        assert!(left(out.tmp()).exists());
        out.refused(
            125,
            expect![[r#"
                ovl-mount: cannot clear work directory 'w': it has 'mine'; that is no work of an overlay's: is it the right directory?
            "#]],
        );
    }

    #[test]
    fn a_link_in_a_work_directory_is_removed_and_not_followed() {
        need!("userns");
        let args = ["--lower", "a", "--upper", "u", "--work", "w", "--reset-work", "t"];
        let run = in_userns(&args, "true");
        for dir in ["u", "w/index", "host"] {
            fs::create_dir_all(run.tmp().join(dir)).unwrap();
        }
        fs::write(run.tmp().join("host/kept"), "").unwrap();
        std::os::unix::fs::symlink("../host", run.tmp().join("w/work")).unwrap();
        std::os::unix::fs::symlink("../../host", run.tmp().join("w/index/x")).unwrap();

        let out = unlocked(run.run());

        assert!(out.tmp().join("host/kept").exists());
        assert!(out.tmp().join("w/work").symlink_metadata().unwrap().is_dir());
        assert_eq!(out.ok(), "");
    }

    #[test]
    fn changes_in_use_are_not_used_twice() {
        need!("userns");
        let ovl = tool("ovl-mount").display().to_string();
        let script = format!(
            "mkdir w2
             {ovl} --lower b --rw rw t2 true
             {ovl} --lower b --upper rw/upper --work w2 t2 true
             mkdir u2; {ovl} --lower b --upper u2 --work rw/work t2 true
             umount t
             {ovl} --lower b --rw rw t2 true && echo free again"
        );
        let run = in_userns(
            &["--lower", "a", "--rw", "rw", "t"],
            &script.replace('\n', " || :\n"),
        );

        let out = unlocked(run.run()).code(0).stdout(expect![[r#"
            free again
        "#]]);

        let _ = out.stderr(expect![[r#"
            ovl-mount: cannot use 'rw/work': Device or resource busy; another overlay is mounted with it
            ovl-mount: cannot use 'rw/upper': Device or resource busy; another overlay is mounted with it
            ovl-mount: cannot use 'rw/work': Device or resource busy; another overlay is mounted with it
        "#]]);
    }

    #[test]
    fn two_cannot_begin_with_the_same_changes_at_a_time() {
        need!("userns", "program:flock");
        let script = format!(
            "mkdir u w; exec flock w {} --lower a --upper u --work w t true",
            tool("ovl-mount").display()
        );
        let run = Run::tool("sandbox").args(USERNS).args(["--", "sh", "-ec", &script]);
        layers(run.tmp(), &["a"]);

        run.run().refused(
            125,
            expect![[r#"
                ovl-mount: cannot use 'w': Try again; another ovl-mount is about to mount it
            "#]],
        );
    }

    #[test]
    fn an_option_that_the_kernel_does_not_know_is_named_in_its_words() {
        need!("userns");
        let out =
            in_userns(&["--lower", "a", "--tmpfs", "-o", "bogus=1", "t"], "true").run();

        assert!(!out.tmp().join("t").exists());
        out.refused(
            125,
            expect![[r#"
                ovl-mount: cannot mount overlay on 't': Invalid argument; the kernel says 'overlay: Unknown parameter \x27bogus\x27'
            "#]],
        );
    }

    #[test]
    fn what_takes_trusted_attributes_is_refused_in_a_user_namespace() {
        need!("userns");
        in_userns(&["--lower", "a", "--tmpfs", "--metacopy", "t"], "true").run().refused(
            125,
            expect![[r#"
                ovl-mount: cannot use 'metacopy=on': it excludes 'userxattr'; which overlays take in a user namespace: only root outside can have it
            "#]],
        );
    }

    #[test]
    fn other_ids_take_root_outside() {
        need!("userns");
        let args = ["--lower", "a", "--lower", "b", "--idmap", "/proc/self/ns/user", "t"];
        let out = in_userns(&args, "true").run().code(125);

        let said = String::from_utf8_lossy(&out.stderr);
        assert!(
            said.starts_with("ovl-mount: cannot map the ids of layer 'a': "),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1);
        let map = ["--lower", "a", "--idmap", "0:5:1", "t"];
        let out = in_userns(&map, "true").run().code(125);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(
            said.ends_with("that takes root in the first user namespace\n"),
            "{said}"
        );
    }

    #[test]
    fn a_mount_without_a_place_is_the_commands_alone() {
        need!("userns");
        let script = "ls /proc/self/fd/7/; echo x > /proc/self/fd/7/new; \
             grep -c overlay /proc/self/mountinfo || true; ls -A; cd /proc/self/fd/7; cat new which";
        for (args, which) in [
            (&["--lower", "a", "--lower", "b", "--tmpfs", "--fd", "7"][..], "a"),
            (&["--lower", "b", "--tmpfs", "--fd=7"], "b"),
        ] {
            let text = in_userns(args, script).run().ok();

            let end = format!("0\na\nb\nx\n{which}");
            assert!(text.ends_with(&end), "{text}");
        }
    }

    #[test]
    fn one_layer_is_handed_over_read_only() {
        need!("userns");
        let script = "cat /proc/self/fd/9/which; ! touch /proc/self/fd/9/x 2>/dev/null";

        assert_eq!(in_userns(&["--lower", "a", "--fd", "9"], script).run().ok(), "a");
    }

    #[test]
    fn without_fsopen_there_is_mount() {
        need!("userns", "program:strace");
        let inject = "inject=fsopen:error=ENOSYS";
        let run = super::super::userns_refused::below_strace(
            inject,
            &["--lower", "a", "--lower", "b", "--rw", "rw", "-o", "index=off", "t"],
        );
        let script =
            format!("cat t/which; echo new > t/which; pwd; {SHOW} | grep -o userxattr");
        let out = unlocked(run.args(["--", "sh", "-ec", &script]).run());

        assert_eq!(out.ok(), "a$TMP\nuserxattr\n");
        super::super::userns_refused::below_strace(inject, &["--lower", "a", "--tmpfs", "t", "true"])
            .run()
            .refused(
                125,
                expect![[r#"
                    ovl-mount: cannot mount a tmpfs for the changes: Function not implemented; fsopen(2) is missing or hidden by a filter: use --rw
                "#]],
            );
    }

    #[test]
    fn more_options_than_an_old_kernel_takes_are_never_cut_off() {
        need!("userns", "program:strace");
        let long = format!("o{{}}={}", "x".repeat(250));
        let options: Vec<_> =
            (0..17).map(|n| long.replace("{}", &n.to_string())).collect();
        let run = super::super::userns_refused::below_strace(
            "inject=fsopen:error=ENOSYS",
            &["--lower", "a", "--lower", "b", "-o", &options.join(","), "t", "true"],
        );

        run.run().refused(
            125,
            expect![[r#"
                ovl-mount: cannot mount an overlay of 2 layers: its options take 4347 bytes; this kernel takes 4095, Linux 6.7 any number
            "#]],
        );
    }

    #[test]
    fn fuse_serves_where_the_kernel_takes_no_changes() {
        need!("userns", "program:fuse-overlayfs", "fuse");
        let script = format!(
            "exec {} --fuse --lower a --lower b --rw t/rw again -- \
             sh -ec 'cat again/which; echo new > again/new; rm again/only-b; ls again; \
             stat -fc %T again; umount again; cat t/rw/upper/new'",
            tool("ovl-mount").display()
        );
        let out = in_userns(&["--lower", "a", "--tmpfs", "t"], &script).run();

        assert_eq!(out.ok(), "anew\nonly-a\nwhich\nfuseblk\nnew\n");
    }

    #[test]
    fn where_the_kernel_mounts_fuse_does_not() {
        need!("userns");
        let script = "stat -fc %T t";

        assert_eq!(
            in_userns(&["--fuse", "--lower", "a", "--tmpfs", "t"], script).run().ok(),
            "overlayfs\n"
        );
    }

    #[test]
    fn where_fuse_fails_too_it_is_told_why() {
        need!("userns");
        let script = format!(
            "PATH=/nowhere exec {} --fuse --lower a --lower b --rw t/rw again true",
            tool("ovl-mount").display()
        );

        in_userns(&["--lower", "a", "--tmpfs", "t"], &script).run().refused(
            125,
            expect![[r#"
                ovl-mount: cannot mount with fuse-overlayfs on 'again': there is no fuse-overlayfs; install the package of that name
            "#]],
        );
    }
}

mod root {
    use super::*;

    #[test]
    fn options_reach_the_kernel_and_stay() {
        need!("root");
        let args = [
            "--lower",
            "a",
            "--rw",
            "rw",
            "--metacopy",
            "--redirect-dir",
            "--index",
            "--xino=auto",
            "--verity=off",
            "-o",
            "uuid=off,nfs_export=off",
            "t",
        ];
        let text = as_root(&args, SHOW).run().ok();

        for option in ["redirect_dir=on", "index=on", "uuid=off", "metacopy=on"] {
            assert!(
                text.trim().split(',').any(|shown| shown == option),
                "{option}: {text}"
            );
        }
    }

    #[test]
    fn an_option_that_the_kernel_turns_off_silently_is_a_failure() {
        need!("root");
        // An overlay has no file handles, which an index takes.
        let script = format!(
            "exec {} --lower t --rw rw --index again true",
            tool("ovl-mount").display()
        );
        let out = as_root(&["--lower", "a", "--lower", "b", "--ro", "t"], &script).run();

        assert!(!out.tmp().join("again").exists() && !out.tmp().join("rw").exists());
        out.refused(
            125,
            expect![[r#"
                ovl-mount: cannot use 'index=on': the kernel has turned it off; a file system below lacks what it takes, see dmesg(1)
            "#]],
        );
    }

    #[test]
    fn contents_only_show_no_names() {
        need!("root");
        let args = ["--lower", "a", "--data-only", "b", "--ro", "t"];
        let text = as_root(&args, &format!("ls t; {SHOW} | grep -o datadir")).run().ok();

        assert_eq!(text, "only-a\nwhich\ndatadir\n");
    }

    #[test]
    fn layers_show_other_ids_and_the_disk_keeps_its_own() {
        need!("root");
        let script = "stat -c %u:%g t/which a/which";
        for way in [&["--lower", "b", "--ro"][..], &["--tmpfs"], &[]] {
            let args =
                [&["--lower", "a", "--idmap", "0:100000:65536"], way, &["t"]].concat();

            assert_eq!(
                as_root(&args, script).run().ok(),
                "100000:100000\n0:0\n",
                "{way:?}"
            );
        }
        let users = "--idmap=0:7:1+1:100000:9";
        let args = ["--lower", "a", "--lower", "b", users, "t"];
        assert_eq!(as_root(&args, script).run().ok(), "7:7\n0:0\n");
    }

    #[test]
    fn the_ids_of_a_namespace_are_those_of_its_map() {
        need!("root");
        let inner = format!(
            "{} --lower a --idmap /proc/$1/ns/user t stat -c %u:%g t/which",
            tool("ovl-mount").display()
        );
        let script = "unshare -U sleep 60 & while ! echo 0 3000 9 2>/dev/null > /proc/$!/uid_map; \
             do sleep 0.01; done; echo 0 4000 9 > /proc/$!/gid_map; \
             sh -c \"$0\" sh $!; kill $!";
        let run =
            Run::tool("sandbox").args(["--mount", "--", "sh", "-c", script, &inner]);
        layers(run.tmp(), &["a"]);

        assert_eq!(run.run().ok(), "3000:4000\n");
    }

    #[test]
    fn a_user_attribute_may_be_roots_wish() {
        need!("root");
        let args = ["--lower", "a", "--rw", "rw", "-o", "userxattr", "t"];

        assert_eq!(
            as_root(&args, &format!("{SHOW} | grep -o userxattr")).run().ok(),
            "userxattr\n"
        );
    }

    /// Every pair of the table, as options of mount(8).
    fn excluding() -> Vec<String> {
        let options = |(key, values): (&str, &[&str])| -> Vec<String> {
            let one = |value: &&str| format!("{key}={value}");
            if values.is_empty() {
                vec![key.to_owned()]
            } else {
                values.iter().map(one).collect()
            }
        };
        let pairs = |(one, other)| {
            let others = options(other);
            let with =
                |a: String| others.iter().map(|b| format!("{a},{b}")).collect::<Vec<_>>();
            options(one).into_iter().flat_map(with).collect::<Vec<_>>()
        };
        ovl_mount::option::CONFLICTS.into_iter().flat_map(pairs).collect()
    }

    #[test]
    fn what_excludes_each_other_the_kernel_refuses_too() {
        need!("root");
        let script = "mount -t tmpfs x t; mkdir t/u t/w t/m; for pair; do \
             mount -t overlay o -o lowerdir=a,upperdir=t/u,workdir=t/w,$pair t/m 2>/dev/null && \
             echo $pair && umount t/m; done; true";
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-c", script, "sh"]);
        layers(run.tmp(), &["a", "t"]);
        let pairs = excluding();

        assert!(pairs.len() > 8, "{pairs:?}");
        assert_eq!(run.args(pairs).run().ok(), "");
    }
}
