//! What the tutorials on containers without docker do, with our tools under the old names.
//!
//! The command lines are the tutorials' own, as far as a machine without a network and a
//! second terminal lets them be.

use std::os::unix::fs::symlink;

use kit::{Out, Run, need, tool};

/// The old names of ours.
const OLD_NAMES: [(&str, &str); 2] = [("unshare", "ns-run"), ("nsenter", "ns-enter")];

/// A shell script in mount and network namespaces of its own, with ours first in PATH and
/// the root file system of a real image in `rootfs`.
fn lesson(script: &str) -> Out {
    let image = need::shared().unwrap().join("images/trivy-alpine-310.tar.gz");
    let run = Run::tool("sandbox")
        .args(["--mount", "--net", "--", "sh", "-ec"])
        .arg(format!(
            "img-unpack --flat '{}' box >/dev/null; mv box/rootfs .; {script}",
            image.display()
        ))
        .timeout(60);
    let names = run.tmp().join("names");
    std::fs::create_dir(&names).unwrap();
    for (old, ours) in OLD_NAMES {
        symlink(tool(ours), names.join(old)).unwrap();
    }
    let ours = tool("ns-run").parent().unwrap().display().to_string();
    let path = format!("{}:{ours}:/usr/sbin:/usr/bin:/sbin:/bin", names.display());
    run.env("PATH", path).run()
}

mod root {
    use super::*;

    #[test]
    fn a_pid_namespace_is_kept_in_a_file_and_hides_the_processes_of_the_host() {
        need!("root", "shared");

        let text = lesson(
            r#"cd rootfs
            touch ../pid_namespace
            unshare --pid="$PWD/../pid_namespace" --fork --mount-proc="$PWD/proc" \
                chroot . /bin/sh -c 'echo $$; ls -d /proc/[0-9]*; readlink /proc/self/ns/pid >ns'
            [ "pid:[$(stat -c %i ../pid_namespace)]" = "$(cat ns)" ]
            ls proc | grep -c . || true"#,
        )
        .ok();

        assert_eq!(text, "1\n/proc/1\n0\n");
    }

    #[test]
    fn nsenter_gets_into_the_pid_namespace_of_a_chroot() {
        need!("root", "shared");

        let text = lesson(
            r#"mkfifo up
            unshare -p -f --mount-proc="$PWD/rootfs/proc" \
                chroot rootfs /bin/sh -c 'echo up; exec sleep 60' >up &
            read -r _ <up
            pid=$(cat /proc/$!/task/$!/children) && pid=${pid% }
            trap 'kill -9 $pid' EXIT
            nsenter --pid=/proc/$pid/ns/pid unshare -f --mount-proc="$PWD/rootfs/proc" \
                chroot rootfs /bin/sh -c 'ps -o pid,comm | grep -v " ps$"; kill -9 1; exit 3' || echo $?
            nsenter -t $pid -p -m --wdns="$PWD" chroot rootfs /bin/sh -c 'kill -0 1; ps | grep -c "[s]leep 60"'"#,
        )
        .ok();

        let rows: Vec<Vec<&str>> =
            text.lines().map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[..2], [vec!["PID", "COMMAND"], vec!["1", "sleep"]], "{text}");
        assert_eq!(rows.last().unwrap(), &["1"], "{text}");
    }

    #[test]
    fn a_shell_isolated_by_root_has_a_host_name_and_mounts_of_its_own() {
        need!("root", "shared");

        let text = lesson(
            r#"before=$(hostname)
            unshare --uts sh -c 'hostname inside; hostname'
            [ "$(hostname)" = "$before" ]
            unshare --mount sh -c 'mount -o bind rootfs /mnt; ls /mnt/etc/alpine-release'
            [ ! -e /mnt/etc/alpine-release ]
            unshare --fork --pid sh -c 'echo $$; [ "$(readlink /proc/self)" != $$ ]'
            unshare --fork --pid --mount-proc sh -c 'echo $$; ls -d /proc/[0-9]*'"#,
        )
        .ok();

        assert_eq!(text, "inside\n/mnt/etc/alpine-release\n1\n1\n/proc/1\n");
    }

    #[test]
    fn a_veth_leads_into_the_network_namespace_of_a_shell() {
        need!("root", "shared", "program:ip");

        let text = lesson(
            r#"mkfifo up go
            unshare -r -n sh -ec 'ip -o link | cut -d: -f2; echo up >up; read -r _ <go
                ip addr add 10.1.1.2/24 dev eth0; ip link set eth0 up; echo up >up
                exec chroot rootfs nc -l -p 8000 -e echo served' &
            read -r _ <up
            ip link add veth0 type veth peer name eth0 netns $!
            ip addr add 10.1.1.1/24 dev veth0; ip link set veth0 up
            echo go >go; read -r _ <up
            i=0; until chroot rootfs nc 10.1.1.2 8000 </dev/null 2>/dev/null; do
                i=$((i + 1)); [ $i -lt 100 ]; sleep 0.1
            done
            wait $!"#,
        )
        .ok();

        assert_eq!(text, " lo\nserved\n");
    }

    #[test]
    fn what_a_chroot_lets_through_is_shut_by_root_pivot() {
        need!("root", "shared");

        let text = lesson(
            r#"sleep 60 & victim=$!
            chroot rootfs sh -ec "mount -t proc proc /proc; kill -0 $victim; umount /proc; echo seen"
            ns-run --mount --pid --net --ipc --uts --fork -- mkdev rootfs/dev -- root-pivot --std rootfs -- \
                cap-drop --profile docker --no-new-privs -- \
                sh -c "kill -0 $victim 2>/dev/null || echo unseen; cd ..; pwd; ls -d /proc/[0-9]*; ls /dev/[vsh]d? /dev/mem 2>/dev/null
                    mount -t proc proc /mnt 2>/dev/null || echo refused"
            kill $victim"#,
        )
        .ok();

        assert_eq!(text, "seen\nunseen\n/\n/proc/1\nrefused\n");
    }
}

mod userns {
    use super::*;

    #[test]
    fn a_completely_isolated_shell_and_a_root_of_ones_own_need_no_root() {
        need!("userns", "shared");

        let names = Run::tool("img-unpack").arg("--squash-ids").arg("--skip-devices");
        let image = need::shared().unwrap().join("images/trivy-alpine-310.tar.gz");
        let box_dir = names.tmp().join("box");
        let out = names.arg("--flat").args([&image, &box_dir]).run().code(0);
        let dir = out.tmp();
        symlink(tool("ns-run"), dir.join("unshare")).unwrap();

        let text = Run::program("sh")
            .arg("-ec")
            .arg(
                r#"./unshare --mount --uts --ipc --net --pid --fork --user --map-root-user \
                    sh -c 'id -u; echo $$'
                ./unshare -r chroot box/rootfs sh -c 'id -u; cat /etc/alpine-release'
                ./unshare -r -n sh -c 'tail -n +3 /proc/net/dev | cut -d: -f1'"#,
            )
            .cwd(dir)
            .run()
            .ok();

        assert_eq!(text, "0\n1\n0\n3.10.4\n    lo\n");
    }
}
