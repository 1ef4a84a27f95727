//! `--rootfs`: a tar that is a root file system and no image.

use super::*;

fn root() -> Layer {
    Layer::default()
        .dir("./", 0o711)
        .file("./etc/motd", 0o644, "hi")
        .hardlink("hello", "etc/motd")
}

fn rootfs(tar: &[u8], args: &[&str]) -> kit::Out {
    unpack(tar, &["--rootfs"]).args(args).args(["image.tar", "box"]).run()
}

#[test]
fn a_root_file_system_becomes_an_image_of_one_layer() {
    let tar = root().tar();

    let out = rootfs(&tar, &[]).code(0);

    let printed = String::from_utf8(out.stdout.clone()).unwrap();
    assert_eq!(printed, format!("box/layers/{}\n", kit::image::hex(&tar)));
    expect![[r#"
        etc 755/
        etc/motd 644 "hi"
        hello 644 "hi"
    "#]]
    .assert_eq(&listing(&layers(out.tmp(), &printed)[0]));
    let config = fs::read_to_string(out.tmp().join("box/config.json")).unwrap();
    assert!(config.contains(&kit::image::hex(&tar)), "{config}");
}

#[test]
fn it_may_be_compressed_come_through_a_pipe_and_lie_one_directory_down() {
    let tar = Layer::default()
        .dir("rootfs", 0o711)
        .file("rootfs/etc/motd", 0o644, "hi")
        .hardlink("rootfs/hello", "rootfs/etc/motd")
        .tar();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let run = Run::tool("img-unpack")
        .args(ANYBODY)
        .args(["--rootfs", "--strip-components=1", "--flat", "-", "box"])
        .stdin(gzip.finish().unwrap());

    let out = run.run().code(0);

    let place = out.tmp().join("box/rootfs");
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o711);
    expect![[r#"
        etc 755/
        etc/motd 644 "hi"
        hello 644 "hi"
    "#]]
    .assert_eq(&listing(&place));
}

#[test]
fn the_same_root_file_system_again_is_the_same_layer() {
    let tar = root().tar();
    let script = format!(
        "{} {} --rootfs image.tar box",
        kit::tool("img-unpack").display(),
        ANYBODY.join(" ")
    );
    let run = unpack(&tar, &["--rootfs", "image.tar", "box", "--", "sh", "-c", &script]);

    let out = run.run();

    let printed = out.ok();
    let [first, again] = printed.lines().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(first, again);
}

#[test]
fn an_image_and_a_directory_are_told_apart_from_a_root_file_system() {
    let image = Image::default().layer(base()).docker_save("x:1");
    let out = unpack(&image, &["--rootfs", "image.tar", "box"]).run();
    assert!(!out.tmp().join("box").exists());
    out.refused(
        125,
        expect![[r#"
            img-unpack: cannot unpack 'image.tar': it is an image and no root file system; leave out --rootfs
        "#]],
    );

    let out = unpack(&[], &["--rootfs", ".", "box"]).run();
    assert!(!out.tmp().join("box").exists());
    out.refused(
        125,
        expect![[r#"
            img-unpack: cannot read '.': Is a directory; --rootfs takes a tar archive
        "#]],
    );
}

#[test]
fn a_root_that_lies_one_directory_down_is_not_taken_for_one() {
    let tar =
        Layer::default().file("rootfs/etc/motd", 0o644, "hi").dir("rootfs/usr", 0o755);
    let out = rootfs(&tar.tar(), &[]);

    assert!(!out.tmp().join("box").exists());
    out.refused(
        125,
        expect![[r#"
            img-unpack: cannot unpack 'image.tar': all of it lies in 'rootfs'; use --strip-components=1
        "#]],
    );
}

#[test]
fn what_is_no_archive_is_refused() {
    let out = rootfs(&[7; 2000], &[]);

    assert!(!out.tmp().join("box").exists());
    out.refused(
        125,
        expect![[r#"
            img-unpack: cannot read layer 'image.tar': a malformed number
        "#]],
    );
}
