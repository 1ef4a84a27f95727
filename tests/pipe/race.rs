//! Another process puts links to a canary in the place of what the tools work on, over and
//! over, while they do: the canary stays as it is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kit::tree::{differences, parse, raw};
use kit::{Run, need, tool};

/// What an attacker would like to have changed, by the names that the tools use.
fn canary(at: &Path) {
    for dir in ["", "a", "dev", "proc", "run", "sub", "x"] {
        let dir = at.join(dir);
        fs::create_dir_all(dir.join("sub")).unwrap();
        for file in ["f", "null", "hosts", "file"] {
            fs::write(dir.join(file), "host").unwrap();
            fs::set_permissions(dir.join(file), fs::Permissions::from_mode(0o600))
                .unwrap();
        }
    }
}

/// The attacker's own image.
fn image(at: &Path) {
    for dir in
        ["a/sub", "a/x", "dev/pts", "etc", "run/x", "sys", "proc", "tmp", "data/sub"]
    {
        fs::create_dir_all(at.join(dir)).unwrap();
    }
    for file in ["a/f", "dev/null", "etc/hosts", "data/f", "data/sub/f"] {
        fs::write(at.join(file), "image").unwrap();
    }
    for guest in ["guest", "a/guest"] {
        fs::copy(tool("guest"), at.join(guest)).unwrap();
    }
}

/// Runs a command line over and over while `root/` is attacked, all but its own name.
///
/// It ends well, or with one line of ours; COMMAND may be what is out of place. Both come.
fn attacked(words: &str, times: usize) {
    let ends = under_attack(words, times);

    assert!(ends.len() > 1, "nothing came in the way, or nothing went well: {ends:?}");
}

/// How often it ended in which way.
fn under_attack(words: &str, times: usize) -> BTreeMap<Option<i32>, usize> {
    let run = Run::tool("swap");
    let tmp = run.tmp().to_owned();
    let [root, target] = ["root", "canary"].map(|name| tmp.join(name));
    image(&root);
    canary(&target);
    symlink(&target, tmp.join("link")).unwrap();
    let before = parse(&raw(&target));
    // `root/.` cannot be renamed, what is in it can.
    let swapper = run.args([root.join("."), tmp.join("link"), target.clone()]);
    let _swapper = swapper.start();
    let mut ends = BTreeMap::new();

    for n in 0..times {
        let flags = ["--user", "--mount", "--pid", "--net", "--"];
        let mut words = words.split_whitespace();
        let run = Run::tool("sandbox").args(flags).arg(tool(words.next().unwrap()));
        let run = run.args(words.map(|w| w.replace('#', &n.to_string()))).cwd(&tmp);

        let out = run.run();

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let status = out.status.code();
        assert!(
            matches!((status, said.lines().count()), (Some(0), 0) | (Some(125..=127), 1)),
            "{status:?} {said}"
        );
        assert_eq!(differences(&parse(&raw(&target)), &before), [""; 0], "{said}");
        *ends.entry(status).or_insert(0) += 1;
    }
    ends
}

mod userns {
    use super::*;

    #[test]
    fn cve_2021_30465_what_was_a_directory_is_a_link_when_it_is_mounted_on() {
        need!("userns");
        // What a shell would do, and what comes in between.
        let naive = "mkdir -p root/data host; test ! -L root/data; \
             rmdir root/data; ln -s ../host root/data; \
             mount -t tmpfs x root/data; mountpoint -q host";
        let run =
            Run::tool("sandbox").args(["--user", "--mount", "--", "sh", "-ec", naive]);
        let _ = run.run().code(0);

        attacked(
            "root-pivot --proc --tmpfs /a/x/y --bind canary/f:/a/f --bind canary/a:/data/sub/n \
             --mask /data/f --ro-path /a/sub root /guest hello",
            60,
        );
    }

    #[test]
    fn files_and_volumes_are_put_where_they_were_found() {
        need!("userns");
        attacked(
            "root-pivot --std --hosts new --file /a/sub/new=text --volume ./v#:/data \
             --file /run/x/y=text --mask /dev/null root /guest hello",
            60,
        );
    }

    #[test]
    fn a_dev_is_made_where_it_was_found() {
        need!("userns");
        attacked("mkdev root/dev -- root-pivot --std root /guest hello", 60);
    }

    #[test]
    fn layers_are_attacked_while_they_are_mounted() {
        need!("userns");
        // A layer is opened once, and seldom just when it is away.
        let ends = under_attack(
            "ovl-mount --lower root/a --lower root/data --tmpfs merged -- mkdev merged/dev -- \
             root-pivot --std merged -- cap-drop --profile docker -- /guest hello",
            60,
        );

        assert!(ends.contains_key(&Some(0)), "nothing went well: {ends:?}");
    }
}
