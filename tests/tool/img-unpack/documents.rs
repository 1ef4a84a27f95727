//! Manifests and indexes that mean no good.

use kit::expect;
use kit::image::{Image, Layer, describe, path};
use serde_json::{Value, json};

use super::{base, refused, unpack};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn index(manifests: &[Value]) -> Vec<u8> {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
        .to_string()
        .into_bytes()
}

fn layout(blobs: &[Vec<u8>], top: &[u8]) -> Vec<u8> {
    let files = blobs
        .iter()
        .fold(Layer::default(), |tar, blob| tar.file(&path(blob), 0o644, blob));
    files.file("index.json", 0o644, top).tar()
}

#[test]
fn indexes_that_list_each_other_a_thousand_times_come_to_an_end() {
    let mut blobs = vec![index(&[])];
    for _ in 0..7 {
        let below = describe(blobs.last().unwrap(), INDEX);
        blobs.push(index(&vec![below; 1000]));
    }
    let top = index(&vec![describe(blobs.last().unwrap(), INDEX); 1000]);

    refused(
        &layout(&blobs, &top),
        expect![[r#"
        img-unpack: cannot find an image in 'image.tar': there is none
    "#]],
    );
}

#[test]
fn an_index_of_too_many_manifests_is_refused() {
    let image = describe(b"x", "application/vnd.oci.image.manifest.v1+json");
    let below = index(&vec![image; 100]);
    let top = index(&vec![describe(&below, INDEX); 100]);

    refused(
        &layout(&[below, b"x".to_vec()], &top),
        expect![[r#"
        img-unpack: cannot read 'index.json': it has more than 4096 manifests
    "#]],
    );
}

#[test]
fn indexes_nine_deep_are_refused() {
    let mut blobs = vec![index(&[])];
    for _ in 0..9 {
        let below = describe(blobs.last().unwrap(), INDEX);
        blobs.push(index(&[below]));
    }
    let top = blobs.pop().unwrap();

    refused(
        &layout(&blobs, &top),
        expect![[r#"
        img-unpack: cannot read 'blobs/sha256/dff9de10919148711140d349bf03f1a99eb06f94b03e51715ccebfa7cdc518e2': more than 8 indexes in each other
    "#]],
    );
}

#[test]
fn a_document_of_more_than_four_megabytes_is_refused() {
    let top = [index(&[]), vec![b' '; 4 << 20]].concat();

    refused(
        &layout(&[], &top),
        expect![[r#"
        img-unpack: cannot read 'index.json': it has 4194392 bytes, more than 4194304
    "#]],
    );
}

#[test]
fn a_digest_that_climbs_is_refused_before_it_is_a_path() {
    let mut top = describe(b"x", "application/vnd.oci.image.manifest.v1+json");
    top["digest"] = json!("sha256:../../../../etc/passwd");
    refused(
        &layout(&[], &index(&[top])),
        expect![[r#"
        img-unpack: cannot read 'index.json': 'sha256:../../../../etc/passwd': not a digest
    "#]],
    );

    let layer = [("sha256:/etc/passwd", 1), ("sha512:00", 1), ("sha256", 1), ("", 1)];
    for (digest, size) in layer {
        let archive = with_layer(|layer| {
            layer["digest"] = json!(digest);
            layer["size"] = json!(size);
        });
        let out = unpack(&archive, &["image.tar", "box"]).run().code(125);
        let said = String::from_utf8(out.stderr.clone()).unwrap();
        assert!(said.contains("not a digest") || said.contains("only sha256"), "{said}");
        assert!(!out.tmp().join("box").exists());
    }
}

/// An image of one layer, whose descriptor is changed.
fn with_layer(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let config = Image::default().layer(base()).config_json();
    let mut layer = describe(&base().tar(), "application/vnd.oci.image.layer.v1.tar");
    change(&mut layer);
    let manifest = json!({
        "schemaVersion": 2,
        "config": describe(&config, "application/vnd.oci.image.config.v1+json"),
        "layers": [layer],
    });
    let manifest = manifest.to_string().into_bytes();
    let top = index(&[describe(&manifest, "application/vnd.oci.image.manifest.v1+json")]);
    layout(&[manifest, config, base().tar()], &top)
}

#[test]
fn a_layer_that_is_not_what_its_descriptor_says_is_refused() {
    refused(
        &with_layer(|layer| layer["size"] = json!(-1)),
        expect![[r#"
        img-unpack: cannot read 'blobs/sha256/744bb539ae5d1c1280bdffe03cee5b647d8bdf295f14e78678a18787e4296b47': 'size' is not what it should be
    "#]],
    );
    refused(
        &with_layer(|layer| layer["size"] = json!(5)),
        expect![[r#"
        img-unpack: cannot read layer 'blobs/sha256/199569a436a99d22d33870c7ead7f8c948d177543c9a27b682a5be868a573efd': its size is another than the descriptor says
    "#]],
    );
    refused(
        &with_layer(|layer| {
            layer["mediaType"] =
                json!("application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
        }),
        expect![[r#"
            img-unpack: cannot read layer 'blobs/sha256/199569a436a99d22d33870c7ead7f8c948d177543c9a27b682a5be868a573efd': it is encrypted
        "#]],
    );
    refused(
        &with_layer(|layer| {
            layer["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
            layer["urls"] = json!(["http://localhost:1/blob"]);
            layer["mediaType"] =
                json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
        }),
        expect![[r#"
            img-unpack: cannot read layer 'blobs/sha256/0000000000000000000000000000000000000000000000000000000000000000': it is not in the archive; it may not be distributed, and is never fetched
        "#]],
    );
}

/// A docker-archive with this manifest.json beside a layer and its config.
fn docker(manifest: &str) -> Vec<u8> {
    let config = Image::default().layer(base()).config_json();
    Layer::default()
        .file("config.json", 0o644, config)
        .file("layer.tar", 0o644, base().tar())
        .file("manifest.json", 0o644, manifest)
        .tar()
}

#[test]
fn a_manifest_that_names_no_image_is_refused() {
    refused(
        &docker("null"),
        expect![[r#"
        img-unpack: cannot read 'manifest.json': not a list of images
    "#]],
    );
    refused(
        &docker("[]"),
        expect![[r#"
        img-unpack: cannot find an image in 'image.tar': there is none
    "#]],
    );
    refused(
        &docker("[null]"),
        expect![[r#"
        img-unpack: cannot read 'manifest.json': not an object
    "#]],
    );
    refused(
        &docker("[{}]"),
        expect![[r#"
        img-unpack: cannot read 'manifest.json': 'Config' is not what it should be
    "#]],
    );
    refused(
        &docker(r#"[{"Config": "../config.json", "Layers": ["layer.tar"]}]"#),
        expect![[r#"
            img-unpack: cannot read '../config.json': not a name
        "#]],
    );
    refused(
        &docker(r#"[{"Config": "config.json", "Layers": []}]"#),
        expect![[r#"
        img-unpack: cannot read 'config.json': it has 1 diff_ids for 0 layers
    "#]],
    );
    refused(
        &docker(r#"[{"Config": "config.json", "config": "c", "Layers": ["layer.tar"]}]"#),
        expect![[r#"
            img-unpack: cannot read 'manifest.json': it has 'Config' twice
        "#]],
    );
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    refused(
        &docker(
            r#"[{"Config": "config.json", "Layers": ["x"], "Layers": ["layer.tar"]}]"#,
        ),
        expect![[r#"
            img-unpack: cannot read 'manifest.json': it has 'Layers' twice at line 1 column 68
        "#]],
    );
}
