//! What a layer's directory holds, and what a stack of them would show.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(crate) use kit::tree::{is_opaque, is_whiteout, merged, paths};

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

pub(crate) fn layers(dir: &Path, printed: &str) -> Vec<PathBuf> {
    printed.lines().map(|line| dir.join(line)).collect()
}

/// The type as open.json has it.
pub(crate) fn letter(path: &Path) -> &'static str {
    kit::tree::letter(fs::symlink_metadata(path).unwrap().file_type())
}
