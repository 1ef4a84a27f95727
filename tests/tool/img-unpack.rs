//! img-unpack against the real kernel.

#![allow(
    clippy::format_push_string,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's errors are failed tests"
)]

#[path = "img-unpack/cases.rs"]
mod cases;
#[path = "img-unpack/documents.rs"]
mod documents;
#[path = "img-unpack/entries.rs"]
mod entries;
#[path = "img-unpack/flat.rs"]
mod flat;
#[path = "img-unpack/formats.rs"]
mod formats;
#[path = "img-unpack/hostile.rs"]
mod hostile;
#[path = "img-unpack/layers.rs"]
mod layers;
#[path = "img-unpack/look.rs"]
mod look;
#[path = "img-unpack/print.rs"]
mod print;
#[path = "img-unpack/report.rs"]
mod report;
#[path = "img-unpack/rootfs.rs"]
mod rootfs;
#[path = "img-unpack/shared.rs"]
mod shared;
#[path = "img-unpack/store.rs"]
mod store;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use kit::image::{Image, Layer, demo};
use kit::{Expect, Run, World, expect, need};

use look::{layers, listing};

/// What anybody can do, as root or not.
const ANYBODY: [&str; 2] = ["--squash-ids", "--skip-devices"];

/// A run in whose directory image.tar lies.
fn unpack(archive: &[u8], args: &[&str]) -> Run {
    let run = Run::tool("img-unpack").args(ANYBODY).args(args);
    fs::write(run.tmp().join("image.tar"), archive).unwrap();
    run
}

fn base() -> Layer {
    Layer::default().dir("d", 0o750).file("d/a", 0o644, "1").file("d/b", 0o644, "2")
}

fn refused(archive: &[u8], expected: Expect) {
    let out = unpack(archive, &["image.tar", "box"]).run();

    assert!(!out.tmp().join("box").exists(), "something is left");
    out.refused(125, expected);
}

#[test]
fn an_option_that_is_not_known_is_refused_in_one_line() {
    Run::tool("img-unpack").args(["--nope", "i", "d"]).run().refused(
        125,
        expect![[r#"
            img-unpack: unexpected argument '--nope' found; try 'img-unpack --help'
        "#]],
    );
}

#[test]
fn the_plan_is_printed_and_nothing_is_done() {
    let archive = Image::default().layer(base()).docker_save("x:1");
    let run = unpack(&archive, &["--explain", "image.tar", "box", "--", "true"]);

    let out = run.run();

    assert!(!out.tmp().join("box").exists());
    expect![[r#"
        mkdir('box', 0700); flock('box', LOCK_EX)                      # one run at a time
        mkdirat('.tmp-…'); …; renameat('.tmp-…', 'layers/199569a436a9…') # layer 1 of 1, 3584 bytes in '4c31d2ed9a3e6e206d5473ecdd8c3a9828990e688afae384436fa5d023738073/layer.tar', unless it is there
        renameat('config.json'); renameat('image.json')                # the config as it is, and what the layers are
        execve('true', …)                                              # become COMMAND
    "#]]
    .assert_eq(&out.ok());
}

#[test]
fn all_layouts_of_one_image_unpack_to_the_same() {
    let image = demo(b"guest");
    let archives =
        [image.docker_save("x:1"), image.docker_save_25("x:1"), image.oci("x:1")];

    let results = archives.map(|archive| {
        let out = unpack(&archive, &["image.tar", "box"]).run().code(0);
        let printed = String::from_utf8(out.stdout.clone()).unwrap();
        let all = layers(out.tmp(), &printed);
        let config = fs::read(out.tmp().join("box/config.json")).unwrap();
        assert_eq!(config, image.config_json());
        let trees: Vec<_> = all.iter().map(|layer| listing(layer)).collect();
        (printed, trees, fs::read_to_string(out.tmp().join("box/image.json")).unwrap())
    });

    assert_eq!(results[0], results[1]);
    assert_eq!(results[1], results[2]);
    assert_eq!(results[0].0.lines().count(), 3);
}

#[test]
fn image_json_tells_what_the_layers_are() {
    let image = Image::default().layer(base()).set("Cmd", serde_json::json!(["sh"]));
    let archive = image.docker_save("x:1");

    let out = unpack(&archive, &["--print", "none", "image.tar", "box"]).run().code(0);

    assert!(out.stdout.is_empty());
    expect![[r#"
        {
          "format-version": 1,
          "config-digest": "sha256:6339c0e6dceffabfae9e03cdc32d7739d1f9fb85dd43016beb72d1f4da0a51b1",
          "names": [
            "x:1"
          ],
          "platform": "linux/amd64",
          "layers": [
            {
              "diff-id": "sha256:199569a436a99d22d33870c7ead7f8c948d177543c9a27b682a5be868a573efd",
              "directory": "layers/199569a436a99d22d33870c7ead7f8c948d177543c9a27b682a5be868a573efd",
              "size": 3584,
              "entries": 3,
              "skipped-devices": 0,
              "skipped-xattrs": 0
            }
          ],
          "config": {
            "env": [],
            "entrypoint": [],
            "cmd": [
              "sh"
            ],
            "working-dir": "",
            "user": "",
            "labels": {},
            "exposed-ports": [],
            "volumes": [],
            "stop-signal": "",
            "healthcheck": null
          }
        }
    "#]]
    .assert_eq(&fs::read_to_string(out.tmp().join("box/image.json")).unwrap());
}

#[test]
fn a_pipe_is_read_whatever_comes_first_in_it() {
    let archive = Image::default().layer(base()).docker_save("x:1");
    let run = Run::tool("img-unpack").args(ANYBODY).args(["-", "box"]).stdin(archive);

    let out = run.run().code(0);

    let printed = String::from_utf8(out.stdout.clone()).unwrap();
    let box_dir: Vec<_> = fs::read_dir(out.tmp()).unwrap().collect();
    assert_eq!(box_dir.len(), 1, "a temporary file is left");
    expect![[r#"
        d 750/
        d/a 644 "1"
        d/b 644 "2"
    "#]]
    .assert_eq(&listing(&layers(out.tmp(), &printed)[0]));
}

#[test]
fn an_archive_that_is_compressed_as_a_whole_is_read() {
    let archive = Image::default().layer(base()).docker_save("x:1");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive).unwrap();

    let out = unpack(&gzip.finish().unwrap(), &["image.tar", "box"]).run().code(0);

    assert!(out.tmp().join("box/image.json").is_file());
}

#[test]
fn an_archive_in_a_compression_that_is_not_supported_is_refused_with_the_way_round() {
    refused(
        b"\x04\x22\x4d\x18\x64\x40",
        expect![[r#"
            img-unpack: cannot read 'image.tar': compressed with lz4; lz4 -dc 'image.tar' | img-unpack - DIR
        "#]],
    );
}

#[test]
fn the_command_gets_what_the_caller_gave() {
    let archive = Image::default().layer(base()).oci("x");
    let probe = kit::tool("probe");
    let run =
        unpack(&archive, &["--print=none", "image.tar", "box"]).arg("--").arg(probe);

    let world = World::of(run);

    assert_eq!(world.changed_from(&World::here()), [""; 0]);
}

#[test]
fn names_are_ended_with_nul_for_xargs() {
    let archive = Image::default().layer(base()).oci("x");

    let out = unpack(&archive, &["-0", "image.tar", "box"]).run().code(0);

    assert!(out.stdout.ends_with(b"\0") && !out.stdout.contains(&b'\n'));
}

#[test]
fn limits_end_an_image_that_has_too_much() {
    let archive =
        Image::default().layer(base().file("big", 0o644, vec![0; 1 << 20])).oci("x");
    let with = |args: &[&str]| {
        let out = unpack(&archive, args).args(["image.tar", "box"]).run();
        assert!(!out.tmp().join("box").exists());
        String::from_utf8(out.stderr).unwrap()
    };

    expect![[r#"
        img-unpack: cannot write 'big': it has 1048576 bytes, more than --max-size
    "#]]
    .assert_eq(&with(&["--max-size=64K"]));
    assert!(with(&["--max-files=3"]).ends_with("it has more entries than --max-files\n"));
}

#[test]
fn one_of_several_images_is_chosen_by_name() {
    need!("shared");
    let image = need::shared().unwrap().join("evil/open/multi-unchosen.tar");
    let choose = |args: &[&str]| {
        Run::tool("img-unpack").args(ANYBODY).args(args).arg(&image).arg("box").run()
    };

    assert_eq!(choose(&["--ref", "two:1"]).code(0).stderr, b"");
    assert_eq!(choose(&["--ref", "docker.io/library/one:1"]).code(0).stderr, b"");
    assert_eq!(choose(&["--ref", "three"]).status.code(), Some(125));
}

#[test]
fn an_ordinary_user_is_told_how_owners_can_be_kept() {
    need!("user");
    let archive = Image::default().layer(base()).oci("x");
    let run = Run::tool("img-unpack").args(["image.tar", "box"]);
    fs::write(run.tmp().join("image.tar"), archive).unwrap();

    run.run().refused(
        125,
        expect![[r#"
            img-unpack: cannot keep the owners of files: Operation not permitted; ns-run --user --map-auto --map-root-user -- img-unpack …, or --squash-ids
        "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn overlayfs_shows_the_image() {
        need!("userns");
        let lower = base().dir("o", 0o755).file("o/old", 0o644, "");
        let upper =
            Layer::default().whiteout("d/a").opaque("o").file("o/new", 0o644, "n");
        let archive = Image::default().layer(lower).layer(upper).oci("x");
        let script = "set -- $(cat) && mkdir m && \
             mount -t overlay none -o userxattr,lowerdir=$2:$1 m && find m/* | sort";
        let chain = format!(
            "{} image.tar box | sh -c '{script}'",
            kit::tool("img-unpack").display()
        );
        let run =
            Run::tool("sandbox").args(["--user", "--mount", "--", "sh", "-c", &chain]);
        fs::write(run.tmp().join("image.tar"), archive).unwrap();

        expect![[r#"
            m/d
            m/d/b
            m/o
            m/o/new
        "#]]
        .assert_eq(&run.run().ok());
    }

    #[test]
    fn an_owner_that_is_not_mapped_is_refused_with_the_way_round() {
        need!("userns");
        let mut header = tar::Header::new_gnu();
        header.set_path("f").unwrap();
        header.set_uid(4_000_000);
        header.set_mode(0o644);
        header.set_size(0);
        header.set_cksum();
        let archive = Image::default().layer(Layer::default().raw(&header, &[])).oci("x");
        let run = Run::sandboxed(&["--user"], "img-unpack").args(["image.tar", "box"]);
        fs::write(run.tmp().join("image.tar"), archive).unwrap();

        let out = run.run();

        assert!(!out.tmp().join("box").exists());
        out.refused(
            125,
            expect![[r#"
                img-unpack: cannot set owner of 'f': id 4000000 is not mapped here; ns-run --user --map-auto --map-root-user -- img-unpack …, or --squash-ids
            "#]],
        );
    }

    #[test]
    fn a_device_is_refused_with_the_way_round() {
        need!("userns");
        let mut header = tar::Header::new_ustar();
        header.set_path("null").unwrap();
        header.set_entry_type(tar::EntryType::Char);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        header.set_mode(0o666);
        header.set_size(0);
        header.set_cksum();
        let archive = Image::default().layer(Layer::default().raw(&header, &[])).oci("x");
        let run = Run::sandboxed(&["--user"], "img-unpack").args(["image.tar", "box"]);
        fs::write(run.tmp().join("image.tar"), archive).unwrap();

        run.run().refused(
            125,
            expect![[r#"
                img-unpack: cannot make device 'null': Operation not permitted; use --skip-devices, or be root outside of user namespaces
            "#]],
        );
    }

    #[test]
    fn a_file_system_that_is_full_is_left_as_it_was() {
        need!("userns");
        let layer = base().file("big", 0o644, vec![1; 1 << 20]);
        let archive = Image::default().layer(layer).oci("x");
        let script = format!(
            "mkdir small && mount -t tmpfs -o size=256k none small && \
             {} image.tar small/box; echo $?; ls -A small",
            kit::tool("img-unpack").display()
        );
        let run =
            Run::tool("sandbox").args(["--user", "--mount", "--", "sh", "-c", &script]);
        fs::write(run.tmp().join("image.tar"), archive).unwrap();

        let out = run.run().code(0).stdout(expect![[r#"
            125
        "#]]);

        let _ = out.stderr(expect![[r#"
            img-unpack: cannot write 'big': No space left on device
        "#]]);
    }
}

mod root {
    use super::*;

    #[test]
    fn the_tree_is_what_umoci_makes() {
        need!("root", "program:umoci");
        let archive = demo(b"guest").oci("one");
        let script = format!(
            "mkdir layout m && tar -xf image.tar -C layout && \
             umoci unpack --image layout:one u >/dev/null 2>&1 && \
             set -- $({} layout box) && mount -t overlay none -o ro,lowerdir=$3:$2:$1 m && \
             cd m && find . -printf '%P %y %m %U %G %T@ %l %s\\n' | sort >../ours; \
             cd ../u/rootfs && find . -printf '%P %y %m %U %G %T@ %l %s\\n' | sort >../../theirs; \
             cd ../..; sed -i '/ d /s/ [0-9]*$//' ours theirs; diff ours theirs && wc -l <ours",
            kit::tool("img-unpack").display()
        );
        let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-c", &script]);
        fs::write(run.tmp().join("image.tar"), archive).unwrap();

        expect![[r#"
            15
        "#]]
        .assert_eq(&run.run().ok());
    }
}
