//! The same mounts as root, as an ordinary user in a namespace, and in a container that is
//! in a container.

use std::os::unix::fs::symlink;

use kit::{Run, need, tool};

/// Stacks of each size, changed and not, and what comes out of them.
const LAYERS: &str = r#"
    mkdir l; i=0
    while [ $i -lt 501 ]; do mkdir l/$i; : > l/$i/f$i; i=$((i + 1)); done
    for n in 1 2 128 500; do
        seq 0 $((n - 1)) | sed 's,^,l/,' > list
        ovl-mount --layers list ro -- sh -ec 'ls ro | wc -l; ! touch ro/x 2>/dev/null'
        ovl-mount --layers list --tmpfs rw -- \
            sh -ec 'echo x > rw/new; rm rw/f0; mkdir rw/d; rmdir rw/d; ls rw | wc -l'
    done
    seq 0 500 | sed 's,^,l/,' > list
    ! ovl-mount --layers list ro true 2>&1
"#;

const STACKED: &str = "1\n1\n2\n2\n128\n128\n500\n500\n\
    ovl-mount: cannot mount an overlay of 501 layers; the kernel's limit is 500: img-unpack --flat makes one of all\n";

/// Devices that work, those of the caller's, a terminal to open, a /dev/shm to write to.
const DEVICES: &str = r#"
    mkdev --device /dev/full:/dev/sub/full dev -- sh -ec '
        echo x > dev/null; head -c 2 dev/zero | od -An -tx1; ! echo x 2>/dev/null > dev/sub/full
        stat -fc %T dev dev/pts dev/shm; stat -c %t:%T dev/urandom dev/tty dev/ptmx -L
        echo x > dev/shm/x; ! mknod dev/sda b 8 0 2>/dev/null || ! head -c 1 dev/sda 2>/dev/null'
"#;

const POPULATED: &str = " 00 00\ntmpfs\ndevpts\ntmpfs\n1:9\n5:0\n5:2\n";

fn of_root(script: &str) -> Run {
    Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", script]).tools_in_path()
}

fn of_a_user(script: &str) -> Run {
    Run::tool("ns-run").args(["-Urm", "--", "sh", "-ec", script]).tools_in_path()
}

/// A container with the system's programs, and another user namespace in that.
fn nested(script: &str) -> Run {
    let tools = format!("--bind={}:/tools", tool("ns-run").parent().unwrap().display());
    let inside = "PATH=/tools:$PATH; cd /tmp; exec ns-run -Urm -- sh -ec \"$0\"";
    let outer =
        ["-Urmpnuif", "--", "ovl-mount", "--lower", "base", "--tmpfs", "root", "--"];
    let devices = ["mkdev", "root/dev", "--", "root-pivot", "--std", &tools];
    let run = Run::tool("ns-run").tools_in_path().args(outer).args(devices);
    let base = run.tmp().join("base");
    std::fs::create_dir(&base).unwrap();
    let mut binds = vec!["--bind=/usr:/usr".to_owned()];
    for name in ["bin", "lib", "lib64", "sbin"] {
        let path = std::path::Path::new("/").join(name);
        match std::fs::read_link(&path) {
            Ok(target) => symlink(target, base.join(name)).unwrap(),
            Err(_) if path.exists() => binds.push(format!("--bind=/{name}:/{name}")),
            Err(_) => {}
        }
    }
    run.args(binds).args(["root/", "--", "sh", "-ec", inside, script])
}

mod userns {
    use super::*;

    #[test]
    fn a_users_namespace_stacks_any_number_of_layers() {
        need!("userns");
        assert_eq!(of_a_user(LAYERS).timeout(60).run().ok(), STACKED);
        assert_eq!(of_a_user(DEVICES).run().ok(), POPULATED);
    }

    #[test]
    fn a_container_in_a_container_does_too() {
        need!("userns");
        assert_eq!(nested(LAYERS).timeout(60).run().ok(), STACKED);
        assert_eq!(nested(DEVICES).run().ok(), POPULATED);
    }
}

mod root {
    use super::*;

    #[test]
    fn root_stacks_any_number_of_layers() {
        need!("root");
        assert_eq!(of_root(LAYERS).timeout(60).run().ok(), STACKED);
        assert_eq!(of_root(DEVICES).run().ok(), POPULATED);
    }
}
