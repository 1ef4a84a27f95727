//! What a layer's directory holds, and what a stack of them would show.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Everything in a directory: `PATH TYPE MODE CONTENT`, overlayfs's marks as `whiteout`
/// and `opaque`.
pub(crate) fn listing(root: &Path) -> String {
    let mut lines: Vec<String> =
        paths(root).iter().map(|(name, path)| line(name, path)).collect();
    lines.sort();
    lines.concat()
}

pub(crate) fn line(name: &str, path: &Path) -> String {
    let meta = fs::symlink_metadata(path).unwrap();
    let mode = meta.permissions().mode() & 0o7777;
    let kind = meta.file_type();
    let what = if kind.is_symlink() {
        format!("-> {}", fs::read_link(path).unwrap().display())
    } else if is_whiteout(path) {
        "whiteout".to_owned()
    } else if kind.is_dir() {
        format!("{mode:o}/{}", if is_opaque(path) { " opaque" } else { "" })
    } else if kind.is_file() {
        format!("{mode:o} {:?}", fs::read_to_string(path).unwrap())
    } else {
        format!("{mode:o} {kind:?}")
    };
    format!("{name} {what}\n")
}

/// All paths below a directory, by their name from there.
pub(crate) fn paths(root: &Path) -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().as_os_str();
            let name =
                name.as_bytes().utf8_chunks().fold(String::new(), |text, chunk| {
                    // As Python's surrogateescape would, in spirit.
                    let bad = chunk.invalid().iter().map(|b| format!("\\x{b:02x}"));
                    text + chunk.valid() + &bad.collect::<String>()
                });
            if !path.is_symlink() && path.is_dir() {
                todo.push(path.clone());
            }
            all.insert(name, path);
        }
    }
    all
}

pub(crate) fn is_whiteout(path: &Path) -> bool {
    let meta = fs::symlink_metadata(path).unwrap();
    meta.file_type().is_char_device() && meta.rdev() == 0
}

pub(crate) fn is_opaque(path: &Path) -> bool {
    let Ok(dir) = fs::File::open(path) else { return false };
    let mut value = [0; 2];
    let names = [c"user.overlay.opaque", c"trusted.overlay.opaque"];
    names.iter().any(|name| {
        common::sys::fgetxattr(dir.as_fd(), name, &mut value) == Ok(1) && value[0] == b'y'
    })
}

/// The image as overlayfs would show it, from layers bottom first.
pub(crate) fn merged(layers: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let mut all: BTreeMap<String, PathBuf> = BTreeMap::new();
    for layer in layers {
        let new = paths(layer);
        for (name, path) in &new {
            let below = format!("{name}/");
            let is_dir = !path.is_symlink() && path.is_dir();
            if !is_dir || is_opaque(path) {
                all.retain(|old, _| !old.starts_with(&below));
            }
            if is_whiteout(path) {
                all.remove(name);
            }
        }
        all.extend(new.into_iter().filter(|(_, path)| !is_whiteout(path)));
        all.insert(String::new(), layer.clone());
    }
    all
}

pub(crate) fn layers(dir: &Path, printed: &str) -> Vec<PathBuf> {
    printed.lines().map(|line| dir.join(line)).collect()
}

/// The type as open.json has it.
pub(crate) fn letter(path: &Path) -> &'static str {
    let kind = fs::symlink_metadata(path).unwrap().file_type();
    let all = [
        (kind.is_dir(), "d"),
        (kind.is_symlink(), "l"),
        (kind.is_file(), "f"),
        (kind.is_char_device(), "c"),
        (kind.is_block_device(), "b"),
    ];
    all.iter().find(|(is, _)| *is).map_or("p", |(_, letter)| letter)
}
