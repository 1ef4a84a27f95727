//! The bytes of two layers, really unpacked, to layers or to one root: nothing outside
//! changes, nothing is left of what is refused.
#![no_main]

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use kit::image::Image;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    static PLACE: RefCell<TempDir> = RefCell::new(place());
}

/// In memory, with a canary where `../../../canary` from a layer's root is.
fn place() -> TempDir {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::create_dir(dir.path().join("canary")).unwrap();
    fs::write(dir.path().join("canary/file"), "host").unwrap();
    dir
}

/// All that is outside of the image, as text.
fn outside(dir: &Path) -> String {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<OsString> = names.filter(|name| name != "box").collect();
    names.sort();
    format!("{names:?} {}", kit::tree::describe(&[dir.join("canary")]))
}

fn unpack(options: &[&str], image: &Path, dir: &Path) -> u8 {
    let fixed = ["--squash-ids", "--skip-devices", "--max-size=4M", "--max-files=300"];
    let words =
        ["img-unpack", "--quiet", "--print=none"].iter().chain(&fixed).chain(options);
    let mut args: Vec<OsString> = words.map(OsString::from).collect();
    args.extend([image.into(), dir.into()]);
    let Err(end) = img_unpack::run(args);
    if end.status != 0 {
        fuzz::is_one_line(&end.text);
    }
    end.status
}

fuzz_target!(|data: &[u8]| {
    let [kind, at, tar @ ..] = data else { return };
    let tar = fuzz::with_checksums(tar);
    let (lower, upper) = tar.split_at(tar.len().min(usize::from(*at) * 512));
    let image =
        Image::default().layer_tar(lower.to_vec()).layer_tar(upper.to_vec()).oci("x");
    PLACE.with_borrow(|place| {
        let [file, dir]: [PathBuf; 2] =
            ["image", "box"].map(|name| place.path().join(name));
        fs::write(&file, image).unwrap();
        let before = outside(place.path());
        let options: &[&str] = if kind & 1 == 0 { &[] } else { &["--flat"] };
        let status = unpack(options, &file, &dir);
        assert_eq!(outside(place.path()), before);
        assert_eq!(dir.exists(), status == 0);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
    });
});
