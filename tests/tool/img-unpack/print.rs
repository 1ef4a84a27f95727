//! What is printed: layers, image.json, assignments for a shell, and lists of images.

use std::fs;

use arbtest::arbitrary::{Result, Unstructured};
use kit::image::{Image, Layer};
use kit::{Run, expect, need};
use serde_json::json;

use super::{ANYBODY, base, unpack};

#[test]
fn json_is_what_stands_in_image_json() {
    let archive = Image::default().layer(base()).docker_save("x:1");

    let out = unpack(&archive, &["--print", "json", "image.tar", "box"]).run().code(0);

    assert_eq!(out.stdout, fs::read(out.tmp().join("box/image.json")).unwrap());
}

#[test]
fn a_shell_gets_plain_words_plain_and_the_rest_in_quotes() {
    let image = Image::default()
        .layer(base())
        .set("Env", json!(["PATH=/usr/bin:/bin", "GREETING=it's a $ sign"]))
        .set("Entrypoint", json!(["/bin/sh", "-c"]))
        .set("Cmd", json!(["echo $HOME", ""]))
        .set("WorkingDir", json!("/srv/my dir"))
        .set("User", json!("www-data"))
        .set("Labels", json!({ "a": "$(reboot)" }))
        .set("ExposedPorts", json!({ "80/tcp": {}, "443/tcp": {} }))
        .set("StopSignal", json!("SIGQUIT"));

    let out = unpack(&image.oci("x"), &["--print=sh", "image.tar", "box"]).run();

    expect![[r#"
        unset LAYERS ENV ENTRYPOINT CMD LABEL EXPOSE VOLUME WORKDIR USER STOPSIGNAL
        LAYERS=box/layers/199569a436a99d22d33870c7ead7f8c948d177543c9a27b682a5be868a573efd
        ENV='PATH=/usr/bin:/bin '\''GREETING=it'\''\'\'''\''s a $ sign'\'''
        ENTRYPOINT='/bin/sh -c'
        CMD=''\''echo $HOME'\'' '\'''\'''
        LABEL=''\''a=$(reboot)'\'''
        EXPOSE='80/tcp 443/tcp'
        VOLUME=''
        WORKDIR='/srv/my dir'
        USER=www-data
        STOPSIGNAL=SIGQUIT
    "#]]
    .assert_eq(&out.ok());
}

/// A word that some shell might take for more than a word.
fn word(u: &mut Unstructured<'_>) -> Result<String> {
    const PIECES: [&str; 28] = [
        "'",
        "\"",
        "\n",
        "\\",
        "$(touch ran)",
        "`touch ran`",
        "${x}",
        "$",
        " ",
        "\t",
        "*",
        "~",
        "!",
        "#",
        ";touch ran;",
        "&",
        "|",
        ">ran",
        "(",
        ")",
        "{a,b}",
        "=",
        "-",
        "\r",
        "ü",
        "\u{81}\u{88}",
        "\u{1}\u{7f}",
        "a",
    ];
    let mut word = String::new();
    for _ in 0..u.int_in_range(0..=8)? {
        word += u.choose(&PIECES)?;
        if u.ratio(1, 4)? {
            word.extend(u.arbitrary::<char>().ok().filter(|c| *c != '\0'));
        }
    }
    Ok(word)
}

fn words(u: &mut Unstructured<'_>) -> Result<Vec<String>> {
    (0..u.int_in_range(0..=12)?).map(|_| word(u)).collect()
}

/// Prints each word with a NUL behind it, lists with their number first.
const SCRIPT: &str = r#"
eval "$("$@")"
list() { printf '%s\0' "$#" "$@"; }
eval "list $ENV; list $ENTRYPOINT; list $CMD; list $VOLUME; list $LAYERS"
printf '%s\0' "$WORKDIR" "$USER" "$STOPSIGNAL"
env | grep -e '^USER=' -e '^ENV=' -e '^CMD=' >exported
"#;

#[test]
fn hostile_words_come_back_from_a_real_shell_and_nothing_is_run() {
    need!("program:dash", "program:bash");
    arbtest::arbtest(|u| {
        let lists = [words(u)?, words(u)?, words(u)?];
        let mut volumes = words(u)?;
        volumes.sort();
        volumes.dedup();
        let one = [word(u)?, word(u)?, word(u)?];
        let keys: serde_json::Map<_, _> =
            volumes.iter().map(|v| (v.clone(), json!({}))).collect();
        let image = Image::default()
            .layer(base())
            .set("Env", json!(lists[0]))
            .set("Entrypoint", json!(lists[1]))
            .set("Cmd", json!(lists[2]))
            .set("Volumes", json!(keys))
            .set("WorkingDir", json!(one[0]))
            .set("User", json!(one[1]))
            .set("StopSignal", json!(one[2]));
        // The place is hostile as well.
        let place = format!("box{}", word(u)?.replace('/', ":"));
        let archive = image.oci("x");
        for shell in ["dash", "bash"] {
            let run = Run::program(shell)
                .args(["-c", SCRIPT, shell])
                .arg(kit::tool("img-unpack"))
                .args(ANYBODY)
                .args(["--print=sh", "image.tar", &place])
                .env("USER", "caller")
                .env("ENV", "caller");
            fs::write(run.tmp().join("image.tar"), &archive).unwrap();

            let out = run.run();

            let printed = String::from_utf8(out.stdout.clone()).unwrap();
            let layer = format!("{place}/layers/{}", kit::image::hex(&base().tar()));
            let mut expected = Vec::new();
            for list in [&lists[0], &lists[1], &lists[2], &volumes, &vec![layer]] {
                expected.push(list.len().to_string());
                expected.extend(list.clone());
            }
            expected.extend(one.clone());
            let got: Vec<_> = printed.split_terminator('\0').collect();
            assert_eq!(
                got,
                expected,
                "{shell}: {:?}",
                String::from_utf8_lossy(&out.stderr)
            );
            assert!(!out.tmp().join("ran").exists(), "{shell} ran a word");
            let exported = fs::read_to_string(out.tmp().join("exported")).unwrap();
            assert_eq!(exported, "", "{shell} exports it");
        }
        Ok(())
    })
    .budget_ms(3000);
}

#[test]
fn a_word_that_no_shell_can_hold_is_refused_and_nothing_is_done() {
    let image = Image::default().layer(base()).set("Cmd", json!(["a\0b"]));

    let out = unpack(&image.oci("x"), &["--print=sh", "image.tar", "box"]).run();

    assert!(!out.tmp().join("box").exists());
    out.refused(
        125,
        expect![[r#"
        img-unpack: cannot print 'CMD': it has a NUL, which no shell can hold
    "#]],
    );
}

/// Two images, one of them for two machines.
fn several() -> Vec<u8> {
    Image::default().layer(base()).bundle(&[
        ("one:1", "amd64", ""),
        ("two:2\u{1b}[2J", "amd64", ""),
        ("two:2", "arm", "v6"),
    ])
}

fn listed(archive: &[u8], args: &[&str]) -> String {
    let run = Run::tool("img-unpack").arg("--list").args(args).arg("image.tar");
    fs::write(run.tmp().join("image.tar"), archive).unwrap();
    let out = run.run();
    assert_eq!(fs::read_dir(out.tmp()).unwrap().count(), 1, "something is written");
    out.ok()
}

#[test]
fn a_list_tells_what_is_in_an_archive() {
    let image = Image::default().layer(base()).layer(Layer::default());

    expect![[r#"
        REF  NAME  PLATFORM     LAYERS  SIZE  CONFIG
        @0   x:1   linux/amd64  2       4.5K  5696f5c7720b
    "#]]
    .assert_eq(&listed(&image.docker_save("x:1"), &[]));
    expect![[r#"
        REF  NAME          PLATFORM      LAYERS  SIZE  CONFIG
        @0   one:1         linux/amd64   1       3.5K  56024d609f92
        @1   two:2\x1b[2J  linux/amd64   1       3.5K  12074182d953
        @2   two:2         linux/arm/v6  1       3.5K  649608de4e47
    "#]]
    .assert_eq(&listed(&several(), &[]));
    expect![[r#"
        REF  NAME   PLATFORM      LAYERS  SIZE  CONFIG
        @2   two:2  linux/arm/v6  1       3.5K  649608de4e47
    "#]]
    .assert_eq(&listed(&several(), &["--ref", "two:2", "--platform", "arm"]));
}

#[test]
fn a_list_is_json_for_scripts() {
    let image = Image::default().layer(base());

    expect![[r#"
        {
          "format-version": 1,
          "images": [
            {
              "ref": "@0",
              "names": [
                "x:1"
              ],
              "platform": "linux/amd64",
              "config-digest": "sha256:487c8d02837adf2440aa17e120fe10405d4dd3847a30f47ebccdb8d35990750b",
              "layers": [
                {
                  "diff-id": "sha256:199569a436a99d22d33870c7ead7f8c948d177543c9a27b682a5be868a573efd",
                  "stored-size": 3584
                }
              ],
              "stored-size": 3584
            }
          ]
        }
    "#]].assert_eq(&listed(&image.docker_save("x:1"), &["--print=json"]));
}

#[test]
fn a_pipe_and_a_directory_are_listed_as_well() {
    let archive = Image::default().layer(base()).oci("x");
    let list = ["--list", "-"];
    let piped = Run::tool("img-unpack").args(list).stdin(archive.clone()).run();
    let script =
        "mkdir layout && tar -xf image.tar -C layout && rm image.tar && exec \"$@\"";
    let run = Run::program("sh").args(["-c", script, "sh"]).arg(kit::tool("img-unpack"));
    let run = run.args(["--list", "layout"]);
    fs::write(run.tmp().join("image.tar"), &archive).unwrap();

    let directory = run.run().ok();

    assert_eq!(piped.ok(), directory);
    assert_eq!(directory, listed(&archive, &[]));
}

#[test]
fn a_list_takes_no_directory() {
    Run::tool("img-unpack")
        .args(["--list", "image.tar", "box"])
        .run()
        .refused(125, expect![[r#"
            img-unpack: the argument '--list' cannot be used with '[DIR]'; try 'img-unpack --help'
        "#]]);
    Run::tool("img-unpack").args(["image.tar"]).run().refused(
        125,
        expect![[r#"
        img-unpack: missing <DIR>; try 'img-unpack --help'
    "#]],
    );
}

#[test]
fn an_image_is_chosen_by_name_place_digest_or_platform() {
    let archive = several();
    let named = |args: &[&str]| {
        let args = [args, &["--print=json", "image.tar", "box"]].concat();
        let out = unpack(&archive, &args).run().code(0);
        let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        format!("{} {}", json["names"][0].as_str().unwrap(), json["platform"])
    };

    assert_eq!(named(&["--ref", "one:1"]), "one:1 \"linux/amd64\"");
    assert_eq!(named(&["--ref", "@0"]), "one:1 \"linux/amd64\"");
    assert_eq!(named(&["--ref", "@2"]), "two:2 \"linux/arm/v6\"");
    assert_eq!(named(&["--platform", "linux/arm/v7"]), "two:2 \"linux/arm/v6\"");
}

#[test]
fn what_cannot_be_chosen_is_refused_with_the_choices() {
    for (args, expected) in [
        (
            &["--platform=amd64"][..],
            expect![[r#"
            img-unpack: cannot choose an image for linux/amd64 in 'image.tar': there are 'one:1' (linux/amd64), 'two:2\x1b[2J' (linux/amd64); use --ref or --platform
        "#]],
        ),
        (
            &["--ref=three"],
            expect![[r#"
            img-unpack: cannot find 'three' in 'image.tar': there are 'one:1' (linux/amd64), 'two:2\x1b[2J' (linux/amd64), 'two:2' (linux/arm/v6)
        "#]],
        ),
        (
            &["--ref=one:1", "--platform=arm64"],
            expect![[r#"
            img-unpack: cannot find 'one:1' for linux/arm64 in 'image.tar': there are 'one:1' (linux/amd64), 'two:2\x1b[2J' (linux/amd64), 'two:2' (linux/arm/v6)
        "#]],
        ),
        (
            &["--platform=s390x"],
            expect![[r#"
            img-unpack: cannot find an image for linux/s390x in 'image.tar': there are 'one:1' (linux/amd64), 'two:2\x1b[2J' (linux/amd64), 'two:2' (linux/arm/v6)
        "#]],
        ),
        (
            &["--ref=@3"],
            expect![[r#"
            img-unpack: cannot find '@3' in 'image.tar': there are 'one:1' (linux/amd64), 'two:2\x1b[2J' (linux/amd64), 'two:2' (linux/arm/v6)
        "#]],
        ),
    ] {
        let args = [args, &["image.tar", "box"]].concat();
        unpack(&several(), &args).run().refused(125, expected);
    }
}
