//! Programs of others that call unshare and nsenter, once with those and once with ours in
//! their place: the end and the output are the same.

use std::path::{Path, PathBuf};

use kit::replay::{Known, Replay, Seen, see};
use kit::{Run, need, tool};

/// What a program of somebody else's is made to do, and which of the old names it calls.
struct Script {
    name: &'static str,
    calls: &'static [(&'static str, &'static str)],
    text: &'static str,
}

const UNSHARE: (&str, &str) = ("unshare", "ns-run");
const NSENTER: (&str, &str) = ("nsenter", "ns-enter");

/// What is another, and meant.
const KNOWN: [Known; 3] = [
    Known {
        topic: "pdeathsig",
        words: &["arch-chroot"],
        why: "COMMAND does not outlive the one that waits for it",
    },
    Known {
        topic: "uid-map",
        words: &["-N"],
        why: "2.38 loses the last id of a range with a hole, 2.43 does not",
    },
    Known { topic: "gid-map", words: &["-N"], why: "the same" },
];

/// The root file system that they are given.
const ROOT: &str =
    "mkdir -p root/bin root/dev root/proc root/sys root/tmp root/run root/etc
    : >root/etc/resolv.conf; cp \"$PROBE\" root/bin/probe; chmod -R a+rwX root";

const ARCH_CHROOT: Script = Script {
    name: "arch-chroot",
    calls: &[UNSHARE],
    text: "arch-chroot \"$PWD/root\" /bin/probe 2>/dev/null",
};

const ARCH_CHROOT_USER: Script = Script {
    name: "arch-chroot -N",
    calls: &[UNSHARE],
    text: "$AS_USER arch-chroot -N \"$PWD/root\" /bin/probe 2>/dev/null",
};

/// A mirror without a package gives a root without a file.
const MMDEBSTRAP: Script = Script {
    name: "mmdebstrap --mode=root",
    calls: &[UNSHARE],
    text: "mkdir repo; : >repo/Packages
        mmdebstrap --mode=root --variant=custom --skip=update,cleanup/apt '' all.tar \
            \"deb [trusted=yes] copy:$PWD/repo ./\" 2>/dev/null
        echo $?; tar tf all.tar",
};

/// Needs sudo only to be root, which this is.
const REPROTEST: Script = Script {
    name: "reprotest --vary=+domain_host",
    calls: &[UNSHARE, NSENTER],
    text: "cat >bin/sudo <<'END'
#!/bin/sh
while :; do case $1 in -h | -u | -g) shift 2 ;; -*) shift ;; *) exec \"$@\" ;; esac done
END
        chmod 755 bin/sudo; mkdir src
        reprotest --min-cpus=1 --vary=-all,+domain_host,domain_host.use_sudo=1 \
            -s src 'hostname >out; domainname >>out' out 2>/dev/null | grep '^[-+][^-+]'",
};

const AUTOPKGTEST: Script = Script {
    name: "autopkgtest-virt-unshare",
    calls: &[UNSHARE],
    text: "mkdir root/home; echo 'root:x:0:0::/:/bin/sh' >root/etc/passwd
        echo 'root:x:0:' >root/etc/group; cp \"$(command -v busybox)\" root/bin/busybox
        for name in sh cat chmod id mkdir mktemp rm test; do ln -s busybox root/bin/$name; done
        tar -C root -cf root.tar .; chmod 644 root.tar
        mkfifo in; exec 3<>in
        $AS_USER autopkgtest-virt-unshare -t \"$PWD/root.tar\" <in >out 2>err &
        ok() { until [ \"$(grep -c ^ok out)\" -ge \"$1\" ]; do kill -0 $!; sleep 0.05; done; }
        ok 1; echo open >&3; ok 2; echo print-execute-command >&3; ok 3
        cmd=\"$AS_USER $(sed -n '3s/^ok //p' out | tr , ' ')\"
        set +e
        $cmd sh -c 'id -u; cat /proc/1/comm; exit 7'; echo $?
        echo from outside | $cmd cat; echo $?
        $cmd sh -c 'kill -9 $$' 2>/dev/null; echo $?
        $cmd nothere 2>/dev/null; echo $?
        echo close >&3; echo quit >&3; wait $!; echo $?",
};

/// Runs it in a mount namespace where the user has subordinate ids, with one of these
/// programs behind each of the names that it calls.
fn run(script: &Script, program: impl Fn(&str, &str) -> PathBuf) -> Seen {
    let put = script.calls.iter().map(|(old, ours)| {
        let program = program(old, ours);
        format!("put {old} '{}'\n", program.display())
    });
    let is_called = |(old, _): &(&str, &str)| format!("[ -e bin/{old}.called ]\n");
    let called = script.calls.iter().map(is_called);
    let text = [WORLD.to_owned(), put.collect(), ROOT.to_owned(), script.text.to_owned()];
    let text = format!("{}\n{}", text.join("\n"), called.collect::<String>());
    let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", &text]);
    let user = "setpriv --reuid=65534 --regid=65534 --clear-groups --";
    let path = "/mnt/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let run = run.env("PATH", path).env("PROBE", tool("probe")).env("AS_USER", user);
    see(run.env("HOME", "/tmp").timeout(60))
}

/// Who calls a program leaves a trace, a user too.
const WORLD: &str = r#"mount --make-rshared /
mount -t tmpfs none /mnt; cd /mnt; chmod 1777 .; mkdir -m 777 bin; unset OLDPWD
for file in subuid subgid; do
    printf 'root:100000:65536\n65534:200000:65536\n' >$file
    mount --bind $file /etc/$file
done
put() {
    mkdir -p behind; cp "$2" behind/$1
    printf '#!/bin/sh\n: >>/mnt/bin/%s.called\nexec /mnt/behind/%s "$@"\n' $1 $1 >bin/$1
    chmod 755 bin/$1
}
"#;

fn same(script: &Script) {
    let mut all = Replay::new(&KNOWN);

    let ours = run(script, |_, ours| tool(ours));
    let theirs = run(script, |old, _| Path::new("/usr/bin").join(old));

    assert_eq!(theirs.code, Some(0), "{}: {}", script.name, theirs.said);
    all.compare(script.name, &ours, &theirs);
    all.finish(false);
}

mod root {
    use super::*;

    #[test]
    fn arch_chroot_sees_the_same_world() {
        need!("root", "program:unshare", "program:arch-chroot");
        same(&ARCH_CHROOT);
    }

    #[test]
    fn arch_chroot_of_an_ordinary_user_sees_the_same_world() {
        need!(
            "root",
            "program:unshare",
            "program:setpriv",
            "program:newuidmap",
            "program:arch-chroot"
        );
        same(&ARCH_CHROOT_USER);
    }

    #[test]
    fn mmdebstrap_makes_the_same_root() {
        need!("root", "program:unshare", "program:mmdebstrap");
        same(&MMDEBSTRAP);
    }

    #[test]
    fn reprotest_keeps_a_uts_namespace_and_enters_it() {
        need!("root", "program:unshare", "program:nsenter", "program:reprotest");
        same(&REPROTEST);
    }

    #[test]
    fn autopkgtest_runs_the_same_testbed() {
        need!(
            "root",
            "program:unshare",
            "program:setpriv",
            "program:newuidmap",
            "program:busybox",
            "program:autopkgtest-virt-unshare"
        );
        same(&AUTOPKGTEST);
    }
}
