//! `--flat`: one root that looks as a mount of the layers would.

use std::os::unix::fs::MetadataExt;

use super::*;

/// A root that an image becomes, with what was printed.
fn flat(image: &Image) -> (kit::Out, String) {
    let run = unpack(&image.oci("x"), &["--flat", "image.tar", "box"]);
    let out = run.run().code(0);
    let printed = String::from_utf8(out.stdout.clone()).unwrap();
    assert!(out.stderr.is_empty());
    assert_eq!(printed, "box/rootfs\n");
    let text = listing(&out.tmp().join("box/rootfs"));
    (out, text)
}

#[test]
fn layers_become_one_root_with_whiteouts_applied() {
    let lower = base()
        .file("d/sub/deep", 0o600, "deep")
        .dir("gone", 0o755)
        .file("gone/x", 0o644, "x")
        .dir("again", 0o700)
        .file("again/old", 0o644, "")
        .symlink("l", "d");
    let upper = Layer::default()
        .dir("d", 0o711)
        .file("d/a", 0o640, "new")
        .whiteout("d/b")
        .whiteout("gone")
        .dir("again", 0o755)
        .opaque("again")
        .file("again/new", 0o644, "n")
        .file("l", 0o644, "was a link");

    expect![[r#"
        again 755/
        again/new 644 "n"
        d 711/
        d/a 640 "new"
        d/sub 755/
        d/sub/deep 600 "deep"
        l 644 "was a link"
    "#]]
    .assert_eq(&flat(&Image::default().layer(lower).layer(upper)).1);
}

#[test]
fn every_change_of_type_between_layers_is_made() {
    let lower = Layer::default()
        .dir("dir-file", 0o755)
        .file("dir-file/x", 0o644, "")
        .dir("dir-link", 0o755)
        .file("dir-link/x", 0o644, "")
        .file("file-dir", 0o644, "")
        .symlink("link-dir", "dir-file")
        .symlink("link-file", "file-dir");
    let upper = Layer::default()
        .file("dir-file", 0o644, "f")
        .symlink("dir-link", "/nowhere")
        .dir("file-dir", 0o700)
        .file("file-dir/in", 0o644, "in")
        .dir("link-dir", 0o711)
        .file("link-file", 0o600, "f");

    expect![[r#"
        dir-file 644 "f"
        dir-link -> /nowhere
        file-dir 700/
        file-dir/in 644 "in"
        link-dir 711/
        link-file 600 "f"
    "#]]
    .assert_eq(&flat(&Image::default().layer(lower).layer(upper)).1);
}

#[test]
fn directories_keep_the_time_and_mode_of_the_layer_that_names_them_last() {
    let lower = base().dir("ro", 0o555).file("ro/x", 0o444, "x");
    let upper = Layer::default().file("ro/y", 0o444, "y").file("d/new", 0o644, "");

    let (out, text) = flat(&Image::default().layer(lower).layer(upper));

    assert!(text.contains("ro 555/\n"), "{text}");
    for dir in ["d", "ro"] {
        let meta = fs::metadata(out.tmp().join("box/rootfs").join(dir)).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_700_000_000, 0), "{dir}");
    }
}

#[test]
fn hard_links_across_layers_are_one_file_and_no_mark_of_overlayfs_is_left() {
    let lower = base();
    let middle = Layer::default().hardlink("d/link", "d/a").dir("o", 0o755).opaque("o");
    let upper = Layer::default().dir("d", 0o750).opaque("d").file("d/only", 0o644, "");
    let root = |layers: Vec<Layer>| {
        let image = layers.into_iter().fold(Image::default(), Image::layer);
        flat(&image).0
    };

    let linked = root(vec![base(), middle]);
    let hidden = root(vec![lower, upper]);

    let inode = |name: &str| {
        fs::metadata(linked.tmp().join("box/rootfs").join(name)).unwrap().ino()
    };
    assert_eq!(inode("d/a"), inode("d/link"));
    for (out, dir) in [(&linked, "o"), (&hidden, "d")] {
        assert!(!look::is_opaque(&out.tmp().join("box/rootfs").join(dir)), "{dir}");
    }
    assert_eq!(fs::read_dir(linked.tmp().join("box")).unwrap().count(), 3);
}

#[test]
fn a_root_that_is_there_is_not_touched() {
    let run =
        unpack(&Image::default().layer(base()).oci("x"), &["--flat", "image.tar", "box"]);
    fs::create_dir_all(run.tmp().join("box/rootfs")).unwrap();
    fs::write(run.tmp().join("box/rootfs/mine"), "").unwrap();

    let out = run.run();

    assert!(out.tmp().join("box/rootfs/mine").exists());
    out.refused(
        125,
        expect![[r#"
            img-unpack: cannot unpack to 'box/rootfs': File exists; remove it, or name another directory
        "#]],
    );
}

#[test]
fn a_layer_that_is_not_what_it_should_be_leaves_no_root() {
    let good =
        Image::default().layer(base()).layer(Layer::default().file("x", 0o644, ""));
    let archive = good.docker_save("x:1");
    let cut = &archive[..archive.len() - 4096];
    let run = unpack(cut, &["--flat", "image.tar", "box"]);

    let out = run.run().code(125);

    assert!(!out.tmp().join("box").exists());
}

#[test]
fn an_image_without_layers_is_an_empty_root() {
    let (out, text) = flat(&Image::default());

    assert_eq!(text, "");
    let record = fs::read_to_string(out.tmp().join("box/image.json")).unwrap();
    assert!(record.contains("\"rootfs\": \"rootfs\""), "{record}");
}

#[test]
fn the_plan_says_that_one_root_is_made() {
    let archive = Image::default().layer(base()).oci("x");

    let out = unpack(&archive, &["--flat", "--explain", "image.tar", "box"]).run();

    expect![[r#"
        mkdir('box', 0700); flock('box', LOCK_EX)                      # one run at a time
        mkdirat('.tmp-…'); …                                           # layer 1 of 1, 3584 bytes in 'blobs/sha256/199569a436a99d22d33870c7ead7f8c948d177543c9a27b682a5be868a573efd'
        renameat('.tmp-…', …); renameat('.tmp-…', 'rootfs')            # one root, as a mount of the layers would show it
        renameat('config.json'); renameat('image.json')                # the config as it is, and what the layers are
    "#]]
    .assert_eq(&out.ok());
}

mod root {
    use super::*;

    #[test]
    fn a_directory_of_two_layers_has_the_owner_of_the_upper_one() {
        need!("root");
        let owned = |uid: u64| {
            let mut header = tar::Header::new_ustar();
            header.set_path("d").unwrap();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_uid(uid);
            header.set_gid(uid);
            header.set_size(0);
            header.set_cksum();
            Layer::default().raw(&header, &[])
        };
        let image = Image::default().layer(owned(7)).layer(owned(0));
        let run = Run::tool("img-unpack").args(["--flat", "image.tar", "box"]);
        fs::write(run.tmp().join("image.tar"), image.oci("x")).unwrap();

        let out = run.run().code(0);

        let dir = fs::metadata(out.tmp().join("box/rootfs/d")).unwrap();
        assert_eq!((dir.uid(), dir.gid()), (0, 0));
    }
}
