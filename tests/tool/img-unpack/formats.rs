//! Compressions: of layers and of archives, in pieces, cut off, too large, and not as told.

use std::fs;

use kit::image::{Image, describe, hex};
use kit::{Run, expect, need};
use serde_json::json;

use super::look::{layers, listing};
use super::{ANYBODY, base, refused, unpack};

/// What [`base`] becomes.
const TREE: &str = "d 750/\nd/a 644 \"1\"\nd/b 644 \"2\"\n";

/// What skopeo writes of a docker-archive, each as `place`.
const SKOPEO: [&str; 8] = [
    "docker-archive:place:x:1",
    "oci-archive:place:x",
    "oci:place:x",
    "dir:place",
    "--dest-compress dir:place",
    "--dest-compress-format gzip oci-archive:place",
    "--dest-compress-format zstd oci:place:x",
    "--dest-compress-format zstd:chunked oci-archive:place",
];

#[test]
fn whatever_skopeo_writes_is_read() {
    need!("program:skopeo");
    let archive = Image::default().layer(base()).docker_save("x:1");
    for format in SKOPEO {
        let copy = "skopeo --insecure-policy copy -q docker-archive:image.tar";
        let script = format!("HOME=$PWD {copy} {format} && exec \"$@\" place box");
        let run = Run::program("sh").args(["-c", &script, "sh"]);
        let run = run.arg(kit::tool("img-unpack")).args(ANYBODY);
        fs::write(run.tmp().join("image.tar"), &archive).unwrap();

        let out = run.run();

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{format}: {said}");
        let printed = String::from_utf8(out.stdout.clone()).unwrap();
        let tree = listing(&layers(out.tmp(), &printed)[0]);
        assert_eq!(tree, TREE, "{format}");
    }
}

#[test]
fn a_layout_without_directories_is_read_and_checked() {
    let image = Image::default().layer(base());
    let (config, layer) = (image.config_json(), base().tar());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": describe(&config, "application/vnd.docker.container.image.v1+json"),
        "layers": [describe(&layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
    });
    let run = |blob: &[u8]| {
        let run = Run::tool("img-unpack").args(ANYBODY).args(["dir", "box"]);
        let dir = run.tmp().join("dir");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("version"), "Directory Transport Version: 1.1\n").unwrap();
        fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
        fs::write(dir.join(hex(&config)), &config).unwrap();
        fs::write(dir.join(hex(&layer)), blob).unwrap();
        run.run()
    };
    let mut other = layer.clone();
    other[513] ^= 1;

    assert!(run(&layer).status.success());
    run(&other).refused(125, expect![[r#"
        img-unpack: cannot read layer 'sha256:199569a436a99d22d33870c7ead7f8c948d177543c9a27b682a5be868a573efd': a header with a wrong checksum
    "#]]);
}

const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What a filter makes of bytes.
fn filter(command: &str, data: &[u8]) -> Vec<u8> {
    Run::program("sh").args(["-c", command]).stdin(data).run().code(0).stdout
}

/// An image of one layer, stored as a filter leaves it.
fn packed(command: &str, media_type: &str) -> Vec<u8> {
    let tar = base().tar();
    Image::default().blob(&hex(&tar), filter(command, &tar), media_type).oci("x")
}

fn is_unpacked(archive: &[u8], what: &str) {
    let out = unpack(archive, &["image.tar", "box"]).run();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{what}: {said}");
    let printed = String::from_utf8(out.stdout.clone()).unwrap();
    let tree = listing(&layers(out.tmp(), &printed)[0]);
    assert_eq!(tree, TREE, "{what}");
}

/// Each with a way to write it in pieces.
const FILTERS: [&str; 9] = [
    "gzip",
    "head -c 700 >a; { gzip <a; gzip; }",
    "bzip2",
    "head -c 700 >a; { bzip2 <a; bzip2 -1; }",
    "xz",
    // Stream padding is a multiple of four.
    "head -c 700 >a; { xz --check=sha256 <a; printf '\\0\\0\\0\\0'; xz --block-size=600; }",
    "xz --x86 --lzma2=preset=9",
    "zstd",
    // A skippable frame in front, between and behind, as in zstd:chunked.
    "s() { printf '\\120*M\\030\\003\\0\\0\\0xyz'; }; \
     head -c 700 >a; { s; zstd <a; s; zstd --ultra -22; s; }",
];

#[test]
fn layers_are_read_in_every_compression_and_in_any_number_of_pieces() {
    need!("program:xz", "program:bzip2", "program:zstd");
    for filter in FILTERS {
        is_unpacked(&packed(filter, PLAIN), filter);
    }
}

#[test]
fn archives_are_read_in_every_compression() {
    need!("program:xz", "program:bzip2", "program:zstd");
    let archive = Image::default().layer(base()).docker_save("x:1");
    for command in FILTERS {
        is_unpacked(&filter(command, &archive), command);
    }
}

#[test]
fn a_stream_that_is_cut_off_is_refused_wherever() {
    need!("program:xz", "program:bzip2", "program:zstd");
    let archive = Image::default().layer(base()).docker_save("x:1");
    for command in ["gzip", "bzip2", "xz", "zstd"] {
        let whole = filter(command, &archive);
        for cut in [9, whole.len() / 2, whole.len() - 1] {
            let out = unpack(&whole[..cut], &["image.tar", "box"]).run();

            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            let reason =
                format!("cannot read 'image.tar': the {command} stream is cut off\n");
            assert_eq!(said, format!("img-unpack: {reason}"), "cut at {cut}");
            assert!(!out.tmp().join("box").exists());
        }
    }
}

#[test]
fn a_stream_with_something_else_behind_it_is_refused() {
    need!("program:xz", "program:bzip2", "program:zstd");
    for command in ["gzip", "bzip2", "xz", "zstd"] {
        let archive = packed(&format!("{command}; printf 'garbage behind it'"), PLAIN);

        let out = unpack(&archive, &["image.tar", "box"]).run().code(125);

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.ends_with(&format!("the {command} stream is broken\n")), "{said}");
    }
}

#[test]
fn a_stream_that_needs_too_much_memory_is_refused() {
    need!("program:xz", "program:zstd");
    let archive = Image::default().layer(base()).docker_save("x:1");

    refused(
        &filter("xz --lzma2=dict=65MiB", &archive),
        expect![[r#"
            img-unpack: cannot read 'image.tar': the xz stream needs a dictionary above 64 MiB, more than 'xz -9'
        "#]],
    );
    refused(
        &filter("zstd --long=28 --no-check", &archive),
        expect![[r#"
            img-unpack: cannot read 'image.tar': the zstd stream needs a window above 128 MiB
        "#]],
    );
    is_unpacked(&filter("xz -9", &archive), "xz -9");
    is_unpacked(&filter("zstd --long=27", &archive), "zstd --long");
}

#[test]
fn a_media_type_that_tells_another_compression_is_not_believed() {
    need!("program:zstd");
    is_unpacked(&packed("cat", GZIP), "plain for gzip");
    is_unpacked(&packed("gzip", PLAIN), "gzip for plain");
    is_unpacked(&packed("zstd", GZIP), "zstd for gzip");
}

#[test]
fn a_layer_in_a_compression_that_is_not_read_is_refused_by_name() {
    need!("program:lz4");
    refused(
        &packed("lz4 -c", PLAIN),
        expect![[r#"
            img-unpack: cannot read layer 'sha256:199569a436a99d22d33870c7ead7f8c948d177543c9a27b682a5be868a573efd': compressed with lz4; gzip, zstd, bzip2 and xz are read
        "#]],
    );
}
