//! Directories that outlive the container.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kit::{Run, expect, need};

use super::{USERNS, listing, shell};

/// A container whose image has something at /data, with a volume there.
fn container(volume: &str, script: &str) -> Run {
    let run = shell(USERNS, &["--volumes", "vol", "--volume", volume], script);
    let data = run.tmp().join("root/data");
    fs::create_dir_all(data.join("sub")).unwrap();
    fs::write(data.join("sub/file"), "the image's").unwrap();
    fs::set_permissions(data.join("sub/file"), fs::Permissions::from_mode(0o4751))
        .unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o2770)).unwrap();
    symlink("/etc/passwd", data.join("link")).unwrap();
    run
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

mod userns {
    use super::*;

    #[test]
    fn an_empty_volume_gets_what_the_image_has_there() {
        need!("userns");
        let out = container("db:/data", "cat /data/sub/file; echo new > /data/x").run();

        let db = out.tmp().join("vol/db");
        assert_eq!(mode(&db), 0o2770);
        assert_eq!(mode(&db.join("sub/file")), 0o4751);
        assert_eq!(fs::read_link(db.join("link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(fs::read(db.join("x")).unwrap(), b"new\n");
        assert!(!out.tmp().join("root/data/x").exists());
        assert_eq!(fs::read_dir(out.tmp().join("vol")).unwrap().count(), 1);
        assert_eq!(out.ok(), "the image's");
    }

    #[test]
    fn a_volume_that_has_something_is_left_as_it_is() {
        need!("userns");
        let run = container("./v:/data:ro", "ls /data; echo > /data/y");
        fs::create_dir(run.tmp().join("v")).unwrap();
        fs::write(run.tmp().join("v/kept"), "").unwrap();

        let out = run.run().code(2).stdout(expect![[r#"
            kept
        "#]]);

        let _ = out.stderr(expect![[r#"
            /bin/sh: 1: cannot create /data/y: Read-only file system
        "#]]);
    }

    #[test]
    fn nocopy_leaves_an_empty_volume_empty() {
        need!("userns");
        assert_eq!(container("db:/data:nocopy", "ls /data").run().ok(), "");
    }

    #[test]
    fn a_copy_that_was_cut_off_is_made_again() {
        need!("userns");
        let run = container("db:/data", "ls /data");
        let part = run.tmp().join("vol/.db.unfinished/sub");
        fs::create_dir_all(&part).unwrap();
        fs::write(part.join("half"), "").unwrap();
        fs::create_dir(run.tmp().join("vol/db")).unwrap();

        let out = run.run();

        let vol = listing(&out.tmp().join("vol"));
        assert!(!vol.contains("half") && vol.contains("db/sub/file f 11"), "{vol}");
        assert_eq!(out.ok(), "link\nsub\n");
    }

    #[test]
    fn a_volume_that_is_a_link_is_refused() {
        need!("userns");
        let run = container("./v:/data", "true");
        symlink("/etc", run.tmp().join("v")).unwrap();

        run.run().refused(
            125,
            expect![[r#"
                root-pivot: cannot read './v': Not a directory
            "#]],
        );
    }

    #[test]
    fn of_many_that_start_at_once_one_fills_the_volume() {
        need!("userns");
        let first = container("db:/data", "cat /data/sub/file");
        let tmp = first.tmp().to_owned();
        let all: Vec<_> = (0..8)
            .map(|_| container("db:/data", "cat /data/sub/file").cwd(&tmp))
            .map(|run| std::thread::spawn(move || run.run().ok()))
            .collect();

        for thread in all {
            assert_eq!(thread.join().unwrap(), "the image's");
        }
        assert_eq!(fs::read_dir(tmp.join("vol")).unwrap().count(), 1);
    }
}

#[test]
fn a_word_alone_is_no_volume() {
    Run::tool("root-pivot").args(["--volume", "db:/data", "root"]).run().refused(
        125,
        expect![[r#"
            root-pivot: cannot find volume 'db': no directory of volumes is named; --volumes DIR, or './db' for one here
        "#]],
    );
}
