//! The system calls from start to exec, each with its number: none comes in unseen.

use kit::{Expect, Run, expect, need, tool};

use super::{USERNS, root};

/// What the C library does before main is no decision of ours, nor what std asserts of a
/// descriptor where it is built for debugging.
const NOT_OURS: [&str; 3] = ["arch_prctl", "set_tid_address", "fcntl"];

fn are(options: &[&str], expected: &Expect) {
    let run =
        Run::tool("sandbox").args(USERNS).args(["--", "strace", "-qq", "-o", "log"]);
    let run = run.arg(tool("root-pivot")).args(options).args(["root", "/probe"]);
    root(run.tmp());
    let out = run.run().code(0);
    let log = std::fs::read_to_string(out.tmp().join("log")).unwrap();
    let names = log.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name);
    // The first is its own start, the next that of COMMAND.
    let names = names.skip(1).take_while(|name| !name.starts_with("exec"));
    let names: Vec<_> = names.filter(|name| !NOT_OURS.contains(name)).collect();
    let count = |name: &&str| names.iter().filter(|other| *other == name).count();
    let is_first =
        |at: usize, name: &&str| names.iter().position(|n| n == name) == Some(at);
    let firsts = names.iter().enumerate().filter(|(at, name)| is_first(*at, name));
    let lines: Vec<_> =
        firsts.map(|(_, name)| format!("{name} {}\n", count(name))).collect();
    expected.assert_eq(&lines.concat());
}

mod userns {
    use super::*;

    #[test]
    fn a_change_of_the_root_takes_no_more_than_these() {
        need!("userns", "program:strace");
        are(
            &[],
            &expect![[r#"
            poll 1
            stat 2
            openat 1
            open 1
            mount_setattr 1
            close 3
            umask 2
            statx 4
            open_tree 1
            move_mount 1
            fchdir 1
            pivot_root 1
            umount2 1
            chdir 1
        "#]],
        );
    }

    #[test]
    fn each_mount_takes_a_few_more() {
        need!("userns", "program:strace");
        are(
            &["--proc", "--sys", "--run", "--tmp"],
            &expect![[r#"
            poll 1
            stat 2
            openat 5
            open 1
            mount_setattr 1
            close 13
            fsopen 4
            fsconfig 10
            fsmount 4
            umask 2
            statx 4
            open_tree 1
            move_mount 5
            mkdirat 4
            openat2 4
            fstatfs 2
            fchdir 1
            pivot_root 1
            umount2 1
            chdir 1
        "#]],
        );
        are(
            &["--bind", "/etc:/etc:ro", "--file", "/x=y"],
            &expect![[r#"
                poll 1
                stat 2
                openat 4
                open 1
                mount_setattr 2
                close 11
                open_tree 3
                fstatfs 4
                umask 2
                statx 4
                move_mount 3
                fstat 1
                openat2 5
                mkdirat 1
                fsopen 1
                fsconfig 4
                fsmount 1
                write 1
                fchmod 1
                fchdir 1
                pivot_root 1
                umount2 1
                chdir 1
            "#]],
        );
    }
}
