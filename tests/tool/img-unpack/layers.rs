//! What entries of layers become: whiteouts, links, times.

use std::fs;
use std::os::unix::fs::MetadataExt;

use kit::expect;
use kit::image::{Image, Layer};

use super::look::{layers, listing};
use super::{base, unpack};

/// Unpacks an image for anybody and shows each layer.
fn shown(image: &Image) -> String {
    let run = unpack(&image.oci("x"), &["image.tar", "box", "--", "sh", "-c", "exit 0"]);
    let out = run.run().code(0);
    let printed = String::from_utf8(out.stdout.clone()).unwrap();
    let all = layers(out.tmp(), &printed);
    assert!(out.stderr.is_empty());
    all.iter().fold(String::new(), |text, layer| text + "---\n" + &listing(layer))
}

#[test]
fn a_whiteout_hides_what_is_below_and_nothing_of_its_own_layer() {
    let upper = Layer::default()
        .file("d/new", 0o644, "3")
        .whiteout("d/a")
        .whiteout("d/new")
        .whiteout("d/never")
        .whiteout("nowhere/x");

    expect![[r#"
        ---
        d 750/
        d/a 644 "1"
        d/b 644 "2"
        ---
        d 750/
        d/a whiteout
        d/new 644 "3"
    "#]]
    .assert_eq(&shown(&Image::default().layer(base()).layer(upper)));
}

#[test]
fn a_directory_that_is_hidden_and_made_again_is_opaque_in_either_order() {
    let before = Layer::default().whiteout("d").file("d/new", 0o644, "3");
    let after = Layer::default().dir("d", 0o711).file("d/new", 0o644, "3").whiteout("d");
    let marked = Layer::default().file("d/new", 0o644, "3").opaque("d").whiteout("d/a");

    expect![[r#"
        ---
        d 750/
        d/a 644 "1"
        d/b 644 "2"
        ---
        d 755/ opaque
        d/new 644 "3"
        ---
        d 711/ opaque
        d/new 644 "3"
        ---
        d 711/ opaque
        d/new 644 "3"
    "#]]
    .assert_eq(&shown(
        &Image::default().layer(base()).layer(before).layer(after).layer(marked),
    ));
}

#[test]
fn a_root_that_is_opaque_hides_each_name() {
    let lower = base().file("f", 0o644, "");
    let upper = Layer::default().file(".wh..wh..opq", 0o644, "").dir("d", 0o755);

    expect![[r#"
        ---
        d 750/
        d/a 644 "1"
        d/b 644 "2"
        f 644 ""
        ---
        d 755/ opaque
        f whiteout
    "#]]
    .assert_eq(&shown(&Image::default().layer(lower).layer(upper)));
}

#[test]
fn what_an_upper_layer_leaves_out_is_taken_from_below() {
    let lower = Layer::default()
        .dir("usr", 0o755)
        .dir("usr/bin", 0o711)
        .symlink("bin", "usr/bin")
        .file("usr/bin/sh", 0o755, "sh");
    let upper =
        Layer::default().file("bin/tool", 0o755, "t").hardlink("bin/ash", "bin/sh");

    expect![[r#"
        ---
        bin -> usr/bin
        usr 755/
        usr/bin 711/
        usr/bin/sh 755 "sh"
        ---
        usr 755/
        usr/bin 711/
        usr/bin/ash 755 "sh"
        usr/bin/sh 755 "sh"
        usr/bin/tool 755 "t"
    "#]]
    .assert_eq(&shown(&Image::default().layer(lower).layer(upper)));
}

#[test]
fn a_link_of_a_lower_layer_is_never_followed_out_of_the_root() {
    let run = unpack(&[], &["image.tar", "box"]);
    let host = run.tmp().join("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("secret"), "host").unwrap();
    let lower = Layer::default().symlink("out", host.to_str().unwrap());
    let upper = Layer::default()
        .file("out/secret", 0o644, "image")
        .whiteout("out/other")
        .opaque("out")
        .hardlink("stolen", "out/secret");
    let image = Image::default().layer(lower).layer(upper).oci("x");
    fs::write(run.tmp().join("image.tar"), image).unwrap();

    let out = run.run().code(0);

    assert_eq!(listing(&out.tmp().join("host")), "secret 644 \"host\"\n");
}

#[test]
fn times_have_nanoseconds_and_directories_keep_theirs() {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, mtime) in [
        ("d/", tar::EntryType::Directory, &b"-1.5"[..]),
        ("d/f", tar::EntryType::Regular, b"1.123456789"),
    ] {
        builder.append_pax_extensions([("mtime", mtime)]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(0);
        builder.append_data(&mut header, name, &[][..]).unwrap();
    }
    let image = Image::default().layer_tar(builder.into_inner().unwrap()).oci("x");

    let out = unpack(&image, &["image.tar", "box"]).run().code(0);

    let printed = String::from_utf8(out.stdout.clone()).unwrap();
    let layer = &layers(out.tmp(), &printed)[0];
    let time = |name: &str| {
        let meta = fs::metadata(layer.join(name)).unwrap();
        (meta.mtime(), meta.mtime_nsec())
    };
    assert_eq!(time("d"), (-2, 500_000_000));
    assert_eq!(time("d/f"), (1, 123_456_789));
}

#[test]
fn a_path_longer_than_the_kernel_takes_at_once_is_made() {
    let path = vec!["d".repeat(200); 24].join("/");
    let layer = Layer::default().file(&format!("{path}/f"), 0o644, "x");
    let layer = layer.hardlink("near", &format!("{path}/f"));

    let image = Image::default().layer(layer).oci("x");
    let out = unpack(&image, &["--print=none", "image.tar", "box"]).run().code(0);

    let near = out.tmp().join("box/layers");
    let near = fs::read_dir(near).unwrap().map(|e| e.unwrap().path().join("near"));
    assert_eq!(
        near.filter(|p| p.is_file()).map(|p| fs::read(p).unwrap()).collect::<Vec<_>>(),
        [b"x"]
    );
}

#[test]
fn a_path_that_would_fill_the_memory_is_refused() {
    let layer = Layer::default().file(&format!("{}f", "a/".repeat(15_000)), 0o644, "x");
    let image = Image::default().layer(layer).oci("x");

    let out = unpack(&image, &["image.tar", "box"]).timeout(60).run();

    assert!(!out.tmp().join("box").exists());
    out.refused(125, expect![[r#"
        img-unpack: cannot unpack the layer: to remember its directories would take more than 40 MiB
    "#]]);
}
