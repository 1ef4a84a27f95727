//! Sources of a mount, and what is removed, that become something else in between.

use std::fs;
use std::os::unix::fs::symlink;

use kit::{Run, need, tool};

use super::{Arena, PRIVATE};

mod userns {
    use super::*;

    #[test]
    fn cve_2024_1753_a_source_is_looked_up_a_second_time() {
        need!("userns");
        let arena = Arena::new();
        fs::create_dir(arena.path("src")).unwrap();
        fs::write(arena.path("src/own"), "").unwrap();
        let naive = "mkdir root/mnt; test ! -L src; mv src was; ln -s host src; \
             mount --bind src root/mnt; test -e root/mnt/file; mv was own";
        // What was looked at is what is bound, whatever has its name by then.
        let ours = "exec 7<src; test ! -L src; mv src was; ln -s host src; exec \"$@\"";
        let run =
            Run::tool("sandbox").args(PRIVATE).args(["--", "sh", "-ec", ours, "sh"]);
        let run = run.arg(tool("root-pivot")).args(["--bind", "/proc/self/fd/7:/mnt"]);
        let run = run.args(["--bind=/bin:/bin", "--bind=/lib:/lib", "--bind=/usr:/usr"]);
        let run = run.args(["--bind=/lib64:/lib64", "root", "/bin/ls", "/mnt"]);

        assert_eq!(run.cwd(arena.path("")).run().ok(), "own\n");

        fs::remove_file(arena.path("src")).unwrap();
        fs::rename(arena.path("was"), arena.path("src")).unwrap();
        fs::remove_dir(arena.path("root/mnt")).unwrap();
        let _ = arena.naive(naive).code(0);
    }

    #[test]
    fn cve_2024_42472_what_was_kept_of_the_last_run_is_a_link() {
        need!("userns");
        let arena = Arena::new().dir("mnt");
        fs::create_dir(arena.path("vol")).unwrap();
        symlink("../host", arena.path("vol/data")).unwrap();
        arena.fools(
            "mount --bind vol/data root/mnt; test -e root/mnt/file",
            |arena| arena.run("root-pivot --volume vol/data:/mnt root /probe").run(),
            Some("root-pivot: cannot read 'vol/data': Not a directory"),
        );
    }

    #[test]
    fn cve_2024_23652_what_is_cleaned_up_is_a_link() {
        need!("userns");
        let arena = Arena::new().dir("mnt");
        fs::create_dir_all(arena.path("vol/.data.unfinished")).unwrap();
        symlink("../../host", arena.path("vol/.data.unfinished/mnt")).unwrap();
        symlink("../host", arena.path("vol/.other.unfinished")).unwrap();
        arena.fools(
            "mkdir vol/.x; ln -s ../../host vol/.x/mnt; find -L vol/.x -type f -delete; \
             test ! -e host/file",
            |arena| {
                let volumes = "--volume data:/mnt --volume other:/mnt/x";
                arena.pivot(&format!("--volumes vol {volumes}"), ":")
            },
            None,
        );
    }

    #[test]
    fn cve_2026_87766_the_old_root_is_within_reach_while_the_new_one_is_filled() {
        need!("userns", "program:bwrap");
        let arena = Arena::new();
        let host = arena.path("host").display().to_string();
        let version = Run::program("bwrap").arg("--version").run().ok();
        let minor = version.split('.').nth(1).and_then(|n| n.trim().parse::<u32>().ok());
        for old in ["/oldroot", "/newroot/../oldroot", ""] {
            let link = arena.path("root/opt");
            let _ = fs::remove_file(&link);
            symlink(format!("{old}{host}"), &link).unwrap();
            let before = arena.host();

            let out =
                arena.run("root-pivot --tmpfs /opt/x --file /opt/f=x root /probe").run();

            let _ = out.code(125);
            assert_eq!(arena.host(), before);
        }
        // Fixed in bubblewrap 0.12.
        if minor.is_some_and(|minor| minor < 12) {
            let before = arena.host();
            let link = arena.path("root/opt");
            fs::remove_file(&link).unwrap();
            symlink(format!("/oldroot{host}"), &link).unwrap();
            let bwrap = Run::program("bwrap").arg("--bind").arg(arena.path("root"));
            let _ = bwrap.args(["/", "--dir", "/opt/x", "/probe"]).run().code(0);
            assert_ne!(arena.host(), before);
        }
    }
}
