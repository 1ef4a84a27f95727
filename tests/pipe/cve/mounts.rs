//! Places to mount on that lead out of the image.

use kit::{Run, need, tool};

use super::Arena;

mod userns {
    use super::*;

    #[test]
    fn cve_2019_16884_nothing_but_proc_hides_what_is_in_proc() {
        need!("userns");
        // A program that sets its label this way believes that it has one.
        let naive = "mkdir -p root/proc fake/self/attr; mount -t proc proc root/proc; \
             mount --bind fake root/proc; \
             echo label > root/proc/self/attr/exec; grep -q label fake/self/attr/exec";
        for option in [
            "--bind host:/proc",
            "--bind host:/link/self",
            "--bind host/file:/link/self/attr/exec",
            "--volume ./host:/link/self/attr",
            "--tmpfs /link/self/attr",
            "--file /link/self/comm=fake",
        ] {
            Arena::new().link("link", "/proc").fools(
                naive,
                |arena| {
                    arena.run(&format!("root-pivot --proc {option} root /probe")).run()
                },
                Some("root-pivot: cannot mount "),
            );
        }
    }

    #[test]
    fn cve_2023_27561_and_28642_and_2019_19921_proc_or_sys_is_a_link() {
        need!("userns");
        for (name, fstype, sign) in
            [("proc", "proc", "version"), ("sys", "sysfs", "kernel")]
        {
            let naive = format!(
                "mount -t {fstype} x root/{name} || mount --rbind /{name} root/{name}; \
                 test -e host/{sign}"
            );
            let refusal = format!("root-pivot: cannot mount {fstype} on '/{name}': ");
            Arena::new().link(name, "../host").fools(
                &naive,
                |arena| arena.run("root-pivot --std root /probe").run(),
                Some(&refusal),
            );
        }
    }

    #[test]
    fn cve_2024_45310_directories_are_made_through_a_link() {
        need!("userns");
        let naive = "mkdir -p root/data/x/y; test -d host/x/y";
        for (option, refusal) in [
            ("--tmpfs /data/x/y", "root-pivot: cannot mount tmpfs on '/data/x/y': "),
            ("--bind host:/data/x/y", "root-pivot: cannot mount on '/data/x/y': "),
            ("--bind host/file:/data/x/y", "root-pivot: cannot mount on '/data/x/y': "),
            ("--volume ./root:/data/x/y", "root-pivot: cannot mount on '/data/x/y': "),
            ("--file /data/x/y=text", "root-pivot: cannot mount on '/data/x/y': "),
        ] {
            Arena::new().link("data", "../host").fools(
                naive,
                |arena| arena.run(&format!("root-pivot {option} root /probe")).run(),
                Some(refusal),
            );
        }
    }

    #[test]
    fn cve_2025_31133_what_hides_a_file_is_the_images_own_null() {
        need!("userns");
        let naive = "mount --bind root/dev/null root/probe; \
             echo overwritten > root/probe; grep -q overwritten host/file";
        Arena::new().link("dev/null", "../../host/file").fools(
            naive,
            |arena| arena.pivot("--mask /probe", "echo overwritten > /probe; cat /probe"),
            None,
        );
    }
}

mod root {
    use super::*;

    #[test]
    fn cve_2023_25809_the_cgroups_of_others_can_be_written_to() {
        need!("root");
        let shown = |words: &str| {
            let run = Run::tool("ns-run").args(["-Urmnpf", "--cgroup", "--"]);
            run.args(words.split_whitespace())
        };
        // Who runs it owns the group, and a hierarchy of its own shows it writable.
        let naive =
            shown("sh -ec").arg("mount -t cgroup2 x /mnt; test -w /mnt/cgroup.procs");
        let _ = naive.run().code(0);
        let arena = Arena::new();
        let ours = shown("").arg(tool("root-pivot"));
        let ours = ours.args([
            "--std",
            "--cgroup",
            "--bind",
            "/bin:/bin",
            "--bind",
            "/lib:/lib",
        ]);
        let ours = ours.args(["--bind", "/lib64:/lib64", "--bind", "/usr:/usr"]);
        let ours = ours.arg(arena.path("root")).args(["/bin/sh", "-c"]);

        let out = ours.arg("mkdir /sys/fs/cgroup/x || echo refused").run();

        assert_eq!(String::from_utf8_lossy(&out.stdout), "refused\n");
    }
}
