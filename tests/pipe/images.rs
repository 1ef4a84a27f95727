//! Real images, beside the project where they are there.

use std::path::{Path, PathBuf};

use common::proc::{MountInfo, mountinfo};
use kit::need;
use kit::world::CHAIN_TREE;

use crate::{CHAIN, chain, unpack_archive, unpacking};

/// The archives that contain a shell, found by trying the shell.
fn archives() -> Vec<PathBuf> {
    let dir = need::shared().unwrap().join("images");
    let mut all: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_string_lossy().contains(".tar"))
        .collect();
    all.sort();
    all
}

/// Unpacks an archive, where it is an image of this machine's that has a shell.
fn unpack_runnable(archive: &Path, dir: &Path) -> bool {
    let out = unpacking(archive, dir).run();
    let layers = dir.join("box/layers");
    let shells = ["bin/sh", "bin/busybox", "usr/bin/sh"];
    out.status.success()
        && std::fs::read_dir(layers).into_iter().flatten().flatten().any(|layer| {
            shells.iter().any(|sh| layer.path().join(sh).symlink_metadata().is_ok())
        })
}

mod userns {
    use super::*;

    #[test]
    fn a_shell_runs_in_every_image_that_has_one() {
        need!("shared", "userns");
        let mut ran = Vec::new();
        for archive in archives() {
            let script = "hostname; id -u; readlink /proc/self/ns/user >/dev/null; \
                 ls /proc | grep -c '^[0-9]' >/dev/null; cat /proc/self/status | grep NoNewPrivs; ls /dev | grep -c .";
            let run = chain(CHAIN).args(["--entrypoint", "sh", "--", "-c", script]);
            if !unpack_runnable(&archive, run.tmp()) {
                continue;
            }
            let name = archive.file_name().unwrap().to_string_lossy().into_owned();
            let text = run.run().ok();
            assert_eq!(text, "box\n0\nNoNewPrivs:\t1\n14\n", "{name}");
            ran.push(name);
        }
        assert!(ran.len() >= 3, "only {ran:?} have a shell");
    }
}

mod root {
    use super::*;

    #[test]
    fn the_nginx_image_serves_a_page_on_loopback_inside() {
        need!("root", "big-image");
        let archive = need::big_image().unwrap().join("debian-nginx.docker.tar");
        let chain_words = CHAIN.replace("--user --map-root-user ", "");
        // The image has had its only site removed.
        let script = "echo 'server { listen 80; root /var/www/html; }' >/etc/nginx/conf.d/a.conf; \
             nginx -g 'daemon off;' >/dev/null 2>&1 & i=0; \
             until curl -fsS http://127.0.0.1/ 2>/dev/null; do i=$((i+1)); [ $i -lt 50 ] || exit 1; sleep 0.1; done; kill $!";
        let run = chain(&chain_words).args([
            "--user",
            "0",
            "--entrypoint",
            "sh",
            "--",
            "-c",
            script,
        ]);
        unpack_archive(&archive, run.tmp());

        let text = run.timeout(60).run().code(0);

        assert_eq!(String::from_utf8_lossy(&text.stdout), "<h1>hello</h1>\n");
    }

    #[test]
    fn a_world_of_a_real_image_has_the_mounts_of_the_slides() {
        need!("root", "shared");
        let archive = need::shared().unwrap().join("images/dive-docker-image.tar");
        let run = chain(CHAIN);
        unpack_archive(&archive, run.tmp());
        let run = run.args(["--entrypoint", "/bin/cat", "--", "/proc/self/mountinfo"]);

        let text = run.run().ok();

        let mounts = mountinfo(text.as_bytes());
        let shown = |m: &MountInfo| format!("{} {}", m.target.display(), m.fstype);
        let hides = |m: &String| m.starts_with("/proc/") || m.starts_with("/sys/");
        let tree: Vec<_> = mounts.iter().map(shown).filter(|m| !hides(m)).collect();
        assert_eq!(tree.join("\n"), CHAIN_TREE);
    }
}
