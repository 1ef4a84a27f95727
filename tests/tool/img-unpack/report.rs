//! What is told of a run: records, a line on a terminal, and that all is on the disk.

use std::io::Read;
use std::process::Stdio;

use nix::pty::openpty;

use super::*;

#[test]
fn a_record_is_written_for_each_layer_and_for_the_image() {
    let image = Image::default().layer(base()).layer(Layer::default().dir("e", 0o755));
    let run = unpack(
        &image.docker_save("x:1"),
        &["--status-fd=2", "--print=none", "image.tar", "box"],
    );

    let out = run.run().code(0);

    let records: Vec<serde_json::Value> = String::from_utf8(out.stderr.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |key: &str| -> Vec<String> {
        records.iter().map(|record| record[key].to_string()).collect()
    };
    assert_eq!(told("event"), ["\"layer\"", "\"layer\"", "\"image\""]);
    assert_eq!(told("layer"), ["1", "2", "null"]);
    assert_eq!(told("layers"), ["2", "2", "2"]);
    assert_eq!(records[2]["directory"], "box");
    let name = records[0]["name"].as_str().unwrap();
    assert_eq!(records[0]["diff-id"], format!("sha256:{name}"));
    assert!(out.tmp().join("box/layers").join(name).is_dir());
}

#[test]
fn a_descriptor_that_is_not_open_is_refused_before_anything_is_made() {
    let archive = Image::default().layer(base()).oci("x");

    let out = unpack(&archive, &["--status-fd=9", "image.tar", "box"]).run();

    assert!(!out.tmp().join("box").exists());
    out.refused(
        125,
        expect![[r#"
            img-unpack: cannot use status descriptor '9': Bad file number
        "#]],
    );
}

#[test]
fn with_sync_a_layer_is_on_the_disk_before_it_gets_its_name() {
    need!("program:strace");
    let run = Run::program("strace")
        .args(["-f", "-qq", "-o", "log", "-e", "trace=syncfs,fsync,renameat"])
        .arg(kit::tool("img-unpack"))
        .args(ANYBODY)
        .args(["--sync", "--print=none", "image.tar", "box"]);
    let archive = Image::default().layer(base()).oci("x");
    fs::write(run.tmp().join("image.tar"), archive).unwrap();

    let out = run.run().code(0);

    let log = fs::read_to_string(out.tmp().join("log")).unwrap();
    let calls: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('))
        .map(|(name, _)| name)
        .collect();
    let names = calls.iter().skip_while(|name| **name == "renameat").skip(1);
    // The record and the layer; what was there of config.json and image.json, and these.
    let renames = names.take_while(|name| **name == "renameat").count();
    assert_eq!((calls[0], renames), ("syncfs", 6));
    assert_eq!(calls[7..], ["syncfs", "fsync"]);
}

/// What a terminal shows of a root file system that comes in slowly.
fn shown(options: &[&str]) -> String {
    let feed =
        "(head -c 1000 image.tar; sleep 1; tail -c +1001 image.tar) | \"$@\" - box";
    let run = Run::program("sh").args(["-c", feed, "sh"]).arg(kit::tool("img-unpack"));
    let run = run.args(ANYBODY).args(["--rootfs", "--print=none"]).args(options);
    fs::write(run.tmp().join("image.tar"), base().tar()).unwrap();
    let terminal = openpty(None, None).unwrap();

    let mut command = run.command();
    let status = command.stderr(Stdio::from(terminal.slave)).status().unwrap();

    assert!(status.success());
    drop(command);
    let mut text = Vec::new();
    // EIO is the end of a terminal that nobody writes to any more.
    let _ = fs::File::from(terminal.master).read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn a_terminal_shows_how_far_it_is_and_nothing_of_it_stays() {
    let text = shown(&[]);

    assert!(text.contains("\r\x1b[Kimg-unpack: 0 of 1 layers, 1000, "), "{text:?}");
    assert!(text.ends_with("\r\x1b[K"), "{text:?}");
    assert_eq!(shown(&["--quiet"]), "");
}
