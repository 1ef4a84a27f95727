//! Files that are given to the new root.

use std::fs;
use std::os::unix::fs::symlink;

use kit::{Run, expect, need, tool};

use super::{USERNS, shell, with_host_programs};

mod userns {
    use super::*;

    #[test]
    fn a_file_is_shown_and_what_the_root_has_there_stays_as_it_is() {
        need!("userns");
        let args = ["--file", "/etc/motd=welcome", "--file", "/etc/deep/new:600=x\n"];
        let script = "cat /etc/motd /etc/deep/new; stat -c %a /etc/motd /etc/deep/new; \
             echo changed > /etc/motd; cat /etc/motd";
        let run = shell(USERNS, &args, script);
        let etc = run.tmp().join("root/etc");
        fs::create_dir(&etc).unwrap();
        fs::write(etc.join("motd"), "the image's").unwrap();

        let out = run.run();

        assert_eq!(fs::read(etc.join("motd")).unwrap(), b"the image's");
        assert_eq!(fs::read(etc.join("deep/new")).unwrap(), b"");
        assert_eq!(out.ok(), "welcomex\n644\n600\nchanged\n");
    }

    #[test]
    fn a_file_is_read_from_a_descriptor_that_the_command_does_not_get() {
        need!("userns");
        let script = "\"$@\" 7<secret";
        let run = Run::program("sh").args(["-c", script, "sh"]).arg(tool("sandbox"));
        let run = run.args(USERNS).arg("--").arg(tool("root-pivot"));
        let run = run.args(["--proc", "--file", "/s:400=fd:7", "--file", "/in=fd:0"]);
        let run = with_host_programs(run).args(["root", "/bin/sh", "-c"]);
        let run = run.arg("cat /s /in; test -e /proc/self/fd/7 || echo closed");
        let run = run.stdin("input\n");
        fs::create_dir(run.tmp().join("root")).unwrap();
        fs::write(run.tmp().join("secret"), "s3cr3t\n").unwrap();

        assert_eq!(run.run().ok(), "s3cr3t\ninput\nclosed\n");
    }

    #[test]
    fn a_file_from_a_closed_descriptor_is_refused() {
        need!("userns");
        shell(USERNS, &["--file", "/s=fd:9"], "cat /s").run().refused(
            125,
            expect![[r#"
                root-pivot: cannot read descriptor '9': Bad file number
            "#]],
        );
    }

    #[test]
    fn the_names_of_machines_are_given_as_docker_gives_them() {
        need!("userns");
        let run = Run::tool("ns-run").args(["-Urmnpuf", "--hostname", "box", "--"]);
        let run = run.arg(tool("root-pivot"));
        let run =
            run.args(["--hostname-file", "--hosts", "new", "--add-host", "db:10.1.1.3"]);
        let run = run.args(["--add-host", "six=::2", "--resolv", "servers"]);
        let run = with_host_programs(run).args(["root", "/bin/sh", "-c"]);
        let run = run.arg("cd /etc; cat hostname; tail -n3 hosts; cat resolv.conf");
        fs::create_dir(run.tmp().join("root")).unwrap();
        fs::write(run.tmp().join("servers"), "nameserver 9.9.9.9\n").unwrap();

        let text = run.run().ok();

        expect![[r#"
            box
            127.0.1.1	box
            10.1.1.3	db
            ::2	six
            nameserver 9.9.9.9
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn a_copy_of_the_callers_files_is_a_copy() {
        need!("userns");
        let script = "cat /etc/hosts; echo bad >> /etc/hosts";
        let run = shell(USERNS, &["--hosts", "hosts"], script);
        let hosts = run.tmp().join("hosts");
        fs::write(&hosts, "1.2.3.4 a").unwrap();

        let out = run.run();

        assert_eq!(fs::read_to_string(hosts).unwrap(), "1.2.3.4 a");
        assert_eq!(out.ok(), "1.2.3.4 a\n");
    }

    #[test]
    fn a_link_to_nowhere_leads_to_nowhere_inside_the_root() {
        need!("userns");
        let script = "cat /etc/resolv.conf /run/x/resolv.conf";
        let run = shell(USERNS, &["--resolv", "servers"], script);
        let root = run.tmp().join("root");
        fs::create_dir_all(root.join("run/x")).unwrap();
        fs::create_dir(root.join("etc")).unwrap();
        symlink("../run/x/resolv.conf", root.join("etc/resolv.conf")).unwrap();
        fs::write(run.tmp().join("servers"), "nameserver ::1\n").unwrap();

        assert_eq!(run.run().ok(), "nameserver ::1\nnameserver ::1\n");

        let run = shell(USERNS, &["--resolv", "/dev/null"], ":");
        let etc = run.tmp().join("root/etc");
        fs::create_dir(&etc).unwrap();
        symlink("/not/there", etc.join("resolv.conf")).unwrap();
        run.run().refused(
            125,
            expect![[r#"
                root-pivot: cannot mount on '/etc/resolv.conf': No such file or directory; a file or a link to nowhere is in the way
            "#]],
        );
    }

    #[test]
    fn a_file_without_end_is_refused() {
        need!("userns");
        shell(USERNS, &["--resolv", "/dev/zero"], "true").run().refused(
            125,
            expect![[r#"
                root-pivot: cannot read '/dev/zero': it is more than 16 MiB
            "#]],
        );
    }
}
