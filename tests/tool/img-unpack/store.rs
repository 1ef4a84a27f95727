//! What is left in DIR by runs that succeed, fail or are killed.

use super::*;

#[test]
fn a_layer_that_is_there_is_not_made_again() {
    let out = unpack(
        &Image::default().layer(base()).docker_save("x:1"),
        &["image.tar", "box", "--", "sh", "-c", "cp -r . ../again-$$; echo ../again-$$"],
    );
    let script = format!(
        "first=$(stat -c %i box/layers/*[0-9a-f]) && {} {} image.tar box >/dev/null && \
         test \"$first\" = \"$(stat -c %i box/layers/*[0-9a-f])\" && echo same",
        kit::tool("img-unpack").display(),
        ANYBODY.join(" "),
    );
    let out = Run::tool("img-unpack")
        .args(ANYBODY)
        .args(["--print", "none", "image.tar", "box", "--", "sh", "-c", &script])
        .cwd(out.tmp())
        .run();

    assert_eq!(out.ok(), "same\n");
}

#[test]
fn a_layer_in_a_wrong_digest_leaves_nothing() {
    let image =
        Image::default().layer(base()).layer(Layer::default().file("x", 0o644, "x"));
    let archive = image.docker_save("x:1");
    let at = archive.windows(2).rposition(|w| w == b"x\0").unwrap();
    let mut broken = archive.clone();
    // The second layer's only content.
    let content =
        broken.windows(512).rposition(|w| w[0] == b'x' && w[1..].iter().all(|b| *b == 0));
    broken[content.unwrap_or(at)] = b'y';

    refused(
        &broken,
        expect![[r#"
            img-unpack: cannot unpack layer 'sha256:d774166a96fe77cb133e6fcabfed3f8c82401126fb33a8374c41469e1645e26f': its digest is another
        "#]],
    );
}

#[test]
fn a_failure_leaves_the_image_that_was_there() {
    let good = Image::default().layer(base()).docker_save("x:1");
    let run = unpack(&good, &["image.tar", "box"]);
    let header = {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..4].copy_from_slice(b"../x");
        header.set_size(0);
        header.set_mode(0o644);
        header.set_cksum();
        header
    };
    let bad = Image::default().layer(base()).layer(Layer::default().raw(&header, &[]));
    fs::write(run.tmp().join("bad.tar"), bad.docker_save("y:1")).unwrap();
    let script = format!(
        "find box | sort | xargs stat -c '%n %i' >before; {} {} bad.tar box; \
         find box | sort | xargs stat -c '%n %i' >after; cmp before after && echo unchanged",
        kit::tool("img-unpack").display(),
        ANYBODY.join(" "),
    );

    let out =
        run.args(["--print", "none"]).args(["--", "sh", "-c", &script]).run().code(0);

    let _ = out.stdout(expect![[r#"
        unchanged
    "#]]);
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let run = unpack(&Image::default().layer(base()).oci("x"), &["image.tar", "box"]);
    let left = run.tmp().join("box/layers/.tmp-1-0/a/b/c");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("file"), "").unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(left.parent().unwrap(), fs::Permissions::from_mode(0o500))
        .unwrap();

    let out = run.run().code(0);

    let names = fs::read_dir(out.tmp().join("box/layers")).unwrap();
    assert_eq!(names.count(), 2, "the layer and its record");
}
