//! A tree of files as text: all that two trees can differ in, to be compared and shown.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use common::sys;
use nix::sys::stat::{major, minor};
use nix::unistd::{Whence, lseek};
use sha2::{Digest, Sha256};

/// What a file is compared by at a time.
const BLOCK: usize = 1 << 16;

/// All paths below a directory, by their name from there.
///
/// # Panics
/// When a directory cannot be read.
pub fn paths(root: &Path) -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                todo.push(path.clone());
            }
            let name = escape(path.strip_prefix(root).unwrap().as_os_str().as_bytes());
            all.insert(name, path);
        }
    }
    all
}

/// Bytes as text, as Python's surrogateescape would, in spirit.
fn escape(bytes: &[u8]) -> String {
    bytes.utf8_chunks().fold(String::new(), |text, chunk| {
        let bad = chunk.invalid().iter().map(|b| format!("\\x{b:02x}"));
        text + chunk.valid() + &bad.collect::<String>()
    })
}

/// Whether it is how overlayfs hides a name.
///
/// # Panics
/// When it is not there.
pub fn is_whiteout(path: &Path) -> bool {
    let meta = fs::symlink_metadata(path).unwrap();
    meta.file_type().is_char_device() && meta.rdev() == 0
}

/// Whether overlayfs shows nothing of what is below a directory.
pub fn is_opaque(path: &Path) -> bool {
    // A fifo would be waited for.
    if !fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) {
        return false;
    }
    let Ok(dir) = fs::File::open(path) else { return false };
    let mut value = [0; 2];
    let names = [c"user.overlay.opaque", c"trusted.overlay.opaque"];
    names.iter().any(|name| {
        sys::fgetxattr(dir.as_fd(), name, &mut value) == Ok(1) && value[0] == b'y'
    })
}

/// The image as overlayfs would show it, from layers bottom first; the root is `""`.
pub fn merged(layers: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let mut all: BTreeMap<String, PathBuf> = BTreeMap::new();
    for layer in layers {
        let new = paths(layer);
        for (name, path) in &new {
            let is_dir = fs::symlink_metadata(path).unwrap().is_dir();
            if !is_dir || is_opaque(path) {
                // All that starts with "NAME/", '0' being what follows '/'.
                let below = format!("{name}/")..format!("{name}0");
                let hidden: Vec<_> =
                    all.range(below).map(|(name, _)| name.clone()).collect();
                for name in hidden {
                    all.remove(&name);
                }
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

/// Each file's attributes by name, as [`describe`] prints them.
pub type Tree = BTreeMap<String, BTreeMap<String, String>>;

/// What layers show together: one line a file, sorted, its name and its attributes,
/// `KEY=VALUE`, tabs between them.
///
/// # Panics
/// When a file cannot be looked at.
pub fn describe(layers: &[PathBuf]) -> String {
    lines(&merged(layers), false)
}

/// A layer's directory in the same form as it is, overlayfs's marks too.
///
/// # Panics
/// When a file cannot be looked at.
pub fn raw(layer: &Path) -> String {
    let mut all = paths(layer);
    all.insert(String::new(), layer.to_owned());
    lines(&all, true)
}

fn lines(all: &BTreeMap<String, PathBuf>, marks: bool) -> String {
    let mut groups: BTreeMap<(u64, u64), Vec<&str>> = BTreeMap::new();
    for (name, path) in all {
        let meta = fs::symlink_metadata(path).unwrap();
        if !meta.is_dir() {
            groups.entry((meta.dev(), meta.ino())).or_default().push(name);
        }
    }
    let mut text = String::new();
    for (name, path) in all {
        let meta = fs::symlink_metadata(path).unwrap();
        let group = groups.get(&(meta.dev(), meta.ino())).filter(|g| g.len() > 1);
        write!(text, "/{}", name.escape_debug()).unwrap();
        if is_whiteout(path) {
            text.push_str("\ttype=whiteout\n");
            continue;
        }
        for (key, value) in attributes(path, &meta) {
            write!(text, "\t{key}={value}").unwrap();
        }
        if marks && is_opaque(path) {
            text.push_str("\topaque=y");
        }
        if let Some(group) = group {
            write!(text, "\tlinked=/{}", group[0].escape_debug()).unwrap();
        }
        text.push('\n');
    }
    text
}

fn attributes(path: &Path, meta: &fs::Metadata) -> Vec<(String, String)> {
    let kind = meta.file_type();
    let mut all = vec![
        ("type", letter(kind).to_owned()),
        ("mode", format!("{:o}", meta.mode() & 0o7777)),
        ("uid", meta.uid().to_string()),
        ("gid", meta.gid().to_string()),
        ("mtime", format!("{}.{:09}", meta.mtime(), meta.mtime_nsec())),
    ];
    if kind.is_file() {
        all.push(("size", meta.size().to_string()));
        all.push(("content", digest(path)));
    }
    if kind.is_symlink() {
        let target = fs::read_link(path).unwrap();
        all.push(("target", escape(target.as_os_str().as_bytes())));
    }
    if kind.is_char_device() || kind.is_block_device() {
        all.push(("rdev", format!("{}:{}", major(meta.rdev()), minor(meta.rdev()))));
    }
    let mut all: Vec<_> = all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    if kind.is_file() || kind.is_dir() {
        all.extend(xattrs(path));
    }
    all
}

/// The type as find(1) has it.
pub fn letter(kind: fs::FileType) -> &'static str {
    let all = [
        (kind.is_dir(), "d"),
        (kind.is_symlink(), "l"),
        (kind.is_file(), "f"),
        (kind.is_char_device(), "c"),
        (kind.is_block_device(), "b"),
    ];
    all.iter().find(|(is, _)| *is).map_or("p", |(_, letter)| letter)
}

/// Of all blocks that are not zeros, with their places: a file of terabytes that are a
/// hole is as quick as another.
fn digest(path: &Path) -> String {
    let Ok(file) = fs::File::open(path) else { return "unreadable".to_owned() };
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    // ENXIO after the last data.
    while let Ok(data) = lseek(&file, at, Whence::SeekData) {
        at = data - data % i64::try_from(BLOCK).unwrap();
        let from = u64::try_from(at).unwrap();
        let mut size = 0;
        while let Ok(n @ 1..) =
            file.read_at(&mut block[size..], from + u64::try_from(size).unwrap())
        {
            size += n;
        }
        if block[..size].iter().any(|byte| *byte != 0) {
            hasher.update(from.to_le_bytes());
            hasher.update(&block[..size]);
        }
        at += i64::try_from(BLOCK).unwrap();
    }
    hex(&hasher.finalize())
}

/// What is not overlayfs's own; its marks say how a tree is stored, not what is in it.
fn xattrs(path: &Path) -> Vec<(String, String)> {
    let Ok(file) = fs::File::open(path) else { return Vec::new() };
    let mut names = vec![0; 1 << 16];
    let size = sys::flistxattr(file.as_fd(), &mut names).unwrap_or(0);
    let mut all = Vec::new();
    for name in names[..size].split(|b| *b == 0) {
        let is_mark =
            name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
        if name.is_empty() || is_mark {
            continue;
        }
        let mut value = vec![0; 1 << 16];
        let name = std::ffi::CString::new(name).unwrap();
        let size = sys::fgetxattr(file.as_fd(), &name, &mut value).unwrap();
        all.push((escape(name.as_bytes()), hex(&value[..size])));
    }
    all.sort();
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Reads what [`describe`] printed.
///
/// # Panics
/// When it is something else.
pub fn parse(text: &str) -> Tree {
    let line = |line: &str| {
        let mut words = line.split('\t');
        let name = words.next().unwrap().to_owned();
        let pairs = words.map(|word| {
            let (key, value) = word.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        });
        (name, pairs.collect())
    };
    text.lines().map(line).collect()
}

/// Where two trees differ: `NAME KEY: ONE, not OTHER`, the key being `file` where it is
/// missing on one side.
pub fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    let mut all = Vec::new();
    let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    for name in names {
        let (Some(mine), Some(theirs)) = (one.get(name), other.get(name)) else {
            let word =
                |tree: &Tree| if tree.contains_key(name) { "there" } else { "missing" };
            all.push(format!("{name} file: {}, not {}", word(one), word(other)));
            continue;
        };
        let keys: std::collections::BTreeSet<_> =
            mine.keys().chain(theirs.keys()).collect();
        for key in keys {
            let word = |of: &BTreeMap<String, String>| {
                of.get(key).cloned().unwrap_or_else(|| "none".to_owned())
            };
            if mine.get(key) != theirs.get(key) {
                all.push(format!("{name} {key}: {}, not {}", word(mine), word(theirs)));
            }
        }
    }
    all
}
