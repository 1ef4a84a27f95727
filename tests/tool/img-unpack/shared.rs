//! `--store`: layers that several images use, and `--gc`, which removes the others.

use super::*;

/// `img-unpack` for anybody, as a word of a shell script.
fn tool() -> String {
    format!("{} {}", kit::tool("img-unpack").display(), ANYBODY.join(" "))
}

/// Runs a script beside a.tar and b.tar, two images on one base.
fn script(text: &str) -> kit::Out {
    let run = Run::program("sh").args(["-euc", text]).timeout(60);
    let image = |name: &str| {
        let own =
            Layer::default().dir("d", 0o750).file(&format!("d/{name}"), 0o644, name);
        Image::default().layer(base()).layer(own)
    };
    for name in ["a", "b"] {
        fs::write(run.tmp().join(format!("{name}.tar")), image(name).oci(name)).unwrap();
    }
    run.run()
}

#[test]
fn images_on_one_base_have_it_once() {
    let out = script(&format!(
        "mkdir store; {0} --store store a.tar a >one; {0} --store store b.tar b >two; \
         test \"$(head -n1 one)\" = \"$(head -n1 two)\"; \
         ls -d store/layers/*[0-9a-f] | wc -l; ls a b; cut -c-13 one",
        tool()
    ));

    expect![[r#"
        3
        a:
        config.json
        image.json

        b:
        config.json
        image.json
        store/layers/
        store/layers/
    "#]]
    .assert_eq(&out.ok());
}

#[test]
fn layers_that_no_image_uses_any_more_are_collected() {
    let out = script(&format!(
        "{0} --store store --print none a.tar a; {0} --store store --print none b.tar b; \
         img() {{ {0} --store store --gc \"$@\"; }}; \
         img | wc -l; rm -r b; img --explain | wc -l; img | cut -c-13; img | wc -l; \
         ls -d store/layers/*[0-9a-f] | wc -l; ls store/images | wc -l; \
         {0} --store store --print none b.tar b; ls -d store/layers/*[0-9a-f] | wc -l",
        tool()
    ));

    expect![[r#"
        0
        1
        store/layers/
        0
        2
        1
        3
    "#]]
    .assert_eq(&out.ok());
}

#[test]
fn an_images_own_directory_can_be_collected_too() {
    let out = script(&format!(
        "{0} --print none a.tar box; {0} --print none b.tar box; \
         {0} --gc box | wc -l; ls -d box/layers/*[0-9a-f] | wc -l",
        tool()
    ));

    assert_eq!(out.ok(), "1\n2\n");
}

#[test]
fn an_image_whose_record_cannot_be_read_keeps_its_layers() {
    let out = script(&format!(
        "{0} --store store --print none a.tar a; echo x >a/image.json; {0} --store store --gc",
        tool()
    ));

    let said = String::from_utf8(out.stderr.clone()).unwrap();
    assert_eq!(out.status.code(), Some(125));
    assert!(said.ends_with(
        "/a/image.json': not JSON; remove it if the image is not wanted any more\n"
    ));
    assert_eq!(fs::read_dir(out.tmp().join("store/layers")).unwrap().count(), 4);
}

#[test]
fn many_runs_on_one_store_at_a_time_make_each_layer_once() {
    let out = script(&format!(
        "for i in 1 2 3 4 5 6; do \
         {0} --store store --print none a.tar a$i & {0} --store store --print none b.tar b$i & \
         done; wait; for i in 1 2 3 4 5 6; do ls -d a$i/image.json b$i/image.json; done | wc -l; \
         ls -A store/layers | wc -l; ls -A store",
        tool()
    ));

    expect![[r#"
        12
        6
        images
        layers
        lock
    "#]]
    .assert_eq(&out.ok());
}

#[test]
fn a_layer_that_depends_on_those_below_is_made_for_each_of_them() {
    let upper = || Layer::default().file("d/new", 0o644, "3");
    let first = Image::default().layer(base()).layer(upper());
    let other = Image::default().layer(Layer::default().dir("d", 0o700)).layer(upper());
    let run = Run::program("sh").args([
        "-euc",
        &format!(
            "for i in a b a; do {0} --store store $i.tar $i; done | sort -u | wc -l; \
             stat -c %a $({0} --store store a.tar a | tail -n1)/d \
                $({0} --store store b.tar b | tail -n1)/d",
            tool()
        ),
    ]);
    fs::write(run.tmp().join("a.tar"), first.oci("a")).unwrap();
    fs::write(run.tmp().join("b.tar"), other.oci("b")).unwrap();

    assert_eq!(run.run().ok(), "4\n750\n700\n");
}

#[test]
fn a_failed_run_leaves_verified_layers_for_others_and_no_image() {
    let top = Layer::default().file("x", 0o644, "x");
    let mut archive = Image::default().layer(base()).layer(top).docker_save("x:1");
    let content = |w: &[u8]| w[0] == b'x' && w[1..].iter().all(|b| *b == 0);
    let at = archive.windows(512).rposition(content).unwrap();
    archive[at] = b'y';

    let out = unpack(&archive, &["--store", "store", "image.tar", "box"]).run().code(125);

    assert!(!out.tmp().join("box").exists());
    // The lower layer and its record, if it was done by then; else no store either.
    let layers = fs::read_dir(out.tmp().join("store/layers")).map(Iterator::count);
    assert!(matches!(layers, Ok(2) | Err(_)), "{layers:?}");
}
