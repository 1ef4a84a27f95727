//! Another process puts links to a canary in the place of directories and files while they
//! are made and removed: nothing of the canary changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kit::Run;
use kit::image::{Image, Layer};
use kit::tree::{differences, parse, raw};
use tar::EntryType;

/// Many directories, which are filled, replaced, hidden and linked to.
fn image() -> Image {
    let (mut lower, mut upper) = (Layer::default(), Layer::default());
    for i in 0..40 {
        let d = format!("d{i}");
        lower = lower
            .dir(&d, 0o700)
            .file(&format!("{d}/file"), 0o777, "image")
            .dir(&format!("{d}/sub"), 0o711)
            .file(&format!("{d}/sub/file"), 0o777, "image")
            .entry(&format!("{d}/fifo"), EntryType::Fifo, 0o777, &[])
            // A tree goes away.
            .file(&format!("{d}/sub"), 0o644, "image")
            .hardlink(&format!("{d}/link"), &format!("{d}/file"));
        upper = upper
            .whiteout(&format!("{d}/file"))
            .file(&format!("{d}/sub/file"), 0o777, "image")
            .opaque(&format!("{d}/sub"));
    }
    Image::default().layer(lower).layer(upper)
}

/// What an attacker would like to have changed, by the names that the image has.
fn canary(at: &Path) {
    for dir in [".", "d0", "sub", "layers"] {
        let dir = at.join(dir);
        fs::create_dir_all(dir.join("sub")).unwrap();
        for file in ["file", "fifo", "link", "sub/file"] {
            fs::write(dir.join(file), "host").unwrap();
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(dir.join(file), mode).unwrap();
        }
    }
}

/// Unpacks over and over while it is attacked.
fn attacked(output: &[&str], times: usize) {
    let run = Run::tool("swap");
    let tmp = run.tmp().to_owned();
    let [dir, link, target] = ["box", "link", "canary"].map(|name| tmp.join(name));
    let (top_link, top_target) = (tmp.join("link.dir"), tmp.join("canary.dir"));
    for (link, target) in [(&link, &target), (&top_link, &top_target)] {
        canary(target);
        symlink(target, link).unwrap();
    }
    fs::write(tmp.join("image.tar"), image().docker_save("x:1")).unwrap();
    let before = [&target, &top_target].map(|canary| parse(&raw(canary)));
    let swapper = run.arg(&dir).arg(&link).arg(&target);
    let _swapper = swapper.start();
    let mut ends = BTreeMap::new();

    for _ in 0..times {
        let unpack = Run::tool("img-unpack").arg("--squash-ids").args(output);
        let out = unpack.args(["image.tar", "box"]).cwd(&tmp).run();

        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let lines = said.lines().count();
        assert!(
            matches!((out.status.code(), lines), (Some(0), 0) | (Some(125), 1)),
            "{said}"
        );
        assert_eq!(differences(&parse(&raw(&target)), &before[0]), [""; 0], "{said}");
        let [new, mut now] = [&before[1], &parse(&raw(&top_target))].map(Clone::clone);
        // It is where DIR was for a moment: to make an image there is what was asked for.
        now.retain(|name, _| new.contains_key(name));
        let changed = differences(&now, &new).into_iter();
        let own = ["/ mtime", "/layers mtime"];
        let changed: Vec<_> =
            changed.filter(|line| !own.iter().any(|own| line.starts_with(own))).collect();
        assert_eq!(changed, [""; 0], "{said}");
        *ends.entry(out.status.code()).or_insert(0) += 1;
        let _ = fs::remove_dir_all(&dir);
    }

    assert!(ends.contains_key(&Some(125)), "nothing came in the way: {ends:?}");
}

#[test]
fn nothing_outside_changes_while_another_process_swaps_links_in() {
    attacked(&[], 40);
}

#[test]
fn nothing_outside_changes_while_a_flat_root_is_made() {
    attacked(&["--flat"], 40);
}
