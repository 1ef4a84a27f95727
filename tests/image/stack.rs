//! Random stacks of well-formed layers, with what the model makes of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use arbtest::arbitrary::{Result, Unstructured};
use kit::image::Image;
use kit::tree::Tree;
use tar::{Builder, EntryType, Header};

use crate::model::{Entry, Kind, Model, Node, apply, implied, is_below, parent, tree};

/// A stack of layers, and what it must become.
pub(crate) struct Stack {
    pub(crate) image: Vec<u8>,
    pub(crate) expected: Tree,
    /// Its entries, for a failure.
    pub(crate) told: String,
}

const NAMES: [&str; 4] = ["a", "b", "c", "dir"];

fn path(u: &mut Unstructured<'_>) -> Result<String> {
    let mut parts = vec![*u.choose(&NAMES)?];
    while parts.len() < 4 && u.ratio(3, 5)? {
        parts.push(*u.choose(&NAMES)?);
    }
    Ok(parts.join("/"))
}

fn attributes(u: &mut Unstructured<'_>, path: String, kind: Kind) -> Result<Entry> {
    let modes: &[u32] = match kind {
        Kind::Dir => &[0o755, 0o700, 0o1777, 0o2750],
        Kind::Symlink(_) => &[0o777],
        Kind::File(_) | Kind::Fifo | Kind::Link(_) | Kind::Whiteout | Kind::Opaque => {
            &[0o644, 0o600, 0o4755, 0o2711]
        }
    };
    let mode = *u.choose(modes)?;
    let uid = u.int_in_range(0..=3)?;
    let mtime = (u.int_in_range(-1..=1_500_000_000)?, *u.choose(&[0, 0, 123_456_789])?);
    let may_have = matches!(kind, Kind::Dir | Kind::File(_));
    let xattr = if may_have && u.ratio(1, 4)? { Some(u.arbitrary()?) } else { None };
    Ok(Entry { path, kind, mode, uid, mtime, xattr })
}

/// A layer upon a model: no path twice, nothing below what is no directory in it.
fn layer(u: &mut Unstructured<'_>, model: &Model, files: &mut u64) -> Result<Vec<Entry>> {
    let mut all: BTreeMap<String, Entry> = BTreeMap::new();
    let mut hidden = Vec::new();
    for _ in 0..u.int_in_range(1..=12)? {
        let path = path(u)?;
        if u.ratio(1, 5)? {
            let kind = if u.ratio(1, 3)? { Kind::Opaque } else { Kind::Whiteout };
            hidden.push(attributes(u, path, kind)?);
            continue;
        }
        *files += 1;
        let target = all.values().filter(|e| matches!(e.kind, Kind::File(_)));
        let target: Vec<String> = target.map(|entry| entry.path.clone()).collect();
        let kind = match u.int_in_range(0..=9)? {
            0..=3 => Kind::Dir,
            4..=6 => Kind::File(*files),
            7 => Kind::Symlink((*u.choose(&["a", "/dir/b", "../nowhere"])?).to_owned()),
            8 if !target.is_empty() => Kind::Link(u.choose(&target)?.clone()),
            _ => Kind::Fifo,
        };
        let is_dir = kind == Kind::Dir;
        let is_in_the_way = |other: &Entry| {
            let other_is_dir = other.kind == Kind::Dir;
            other.path == path
                || (!other_is_dir && is_below(&path, &other.path))
                || (!is_dir && is_below(&other.path, &path))
        };
        if !is_below_link(model, &path) && !all.values().any(is_in_the_way) {
            all.insert(path.clone(), attributes(u, path, kind)?);
        }
    }
    if u.ratio(1, 3)? {
        all.insert(String::new(), attributes(u, String::new(), Kind::Dir)?);
    }
    hidden.retain(|hidden| {
        // The mark lies in the directory.
        let is_inside = hidden.kind == Kind::Opaque;
        let mark = hidden.path.clone() + if is_inside { "/mark" } else { "" };
        let is_in_the_way = |e: &Entry| e.kind != Kind::Dir && is_below(&mark, &e.path);
        !is_below_link(model, &mark) && !all.values().any(is_in_the_way)
    });
    let mut all: Vec<Entry> = all.into_values().chain(hidden).collect();
    links_below(u, model, &mut all)?;
    for i in (1..all.len()).rev() {
        all.swap(i, u.int_in_range(0..=i)?);
    }
    // In front of its target a link would be to what is there below.
    all.sort_by_key(
        |e| matches!(&e.kind, Kind::Link(target) if model.contains_key(target)),
    );
    Ok(all)
}

/// A link of a lower layer would be followed, which is another test's matter.
fn is_below_link(model: &Model, path: &str) -> bool {
    let is_link = |node: &Node| matches!(node.entry.kind, Kind::Symlink(_));
    model.iter().any(|(other, node)| is_link(node) && is_below(path, other))
}

/// Sometimes a link to a file of a lower layer that nothing here hides or replaces, and
/// that has one name: the others would stay with the lower file.
fn links_below(
    u: &mut Unstructured<'_>,
    model: &Model,
    all: &mut Vec<Entry>,
) -> Result<()> {
    let names = |inode| model.values().filter(|node| node.inode == inode).count();
    let is_touched = |path: &str| {
        all.iter().any(|e| {
            let hides =
                e.kind != Kind::Dir && (e.path.is_empty() || is_below(path, &e.path));
            e.path == path || hides || is_below(&e.path, path)
        })
    };
    let fit = |(path, node): &(&String, &Node)| {
        matches!(node.entry.kind, Kind::File(_))
            && path.as_str() != "link"
            && names(node.inode) == 1
            && !is_touched(path)
    };
    let files: Vec<_> = model.iter().filter(fit).map(|(path, _)| path.clone()).collect();
    if !files.is_empty() && u.ratio(1, 2)? {
        let kind = Kind::Link(u.choose(&files)?.clone());
        all.push(attributes(u, "link".to_owned(), kind)?);
    }
    Ok(())
}

fn tar(layer: &[Entry]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for entry in layer {
        let mtime = format!("{}.{:09}", entry.mtime.0, entry.mtime.1);
        // A second before 1970 and some ns are -(1 - ns) to pax.
        let mtime = if entry.mtime.0 < 0 && entry.mtime.1 > 0 {
            format!("-0.{:09}", 1_000_000_000 - entry.mtime.1)
        } else {
            mtime
        };
        let value = [entry.xattr.unwrap_or(0)];
        let mut records = vec![("mtime", mtime.as_bytes())];
        if entry.xattr.is_some() {
            records.push(("SCHILY.xattr.user.x", &value));
        }
        builder.append_pax_extensions(records).unwrap();
        append(&mut builder, entry);
    }
    builder.into_inner().unwrap()
}

fn append(builder: &mut Builder<Vec<u8>>, entry: &Entry) {
    let mut header = Header::new_ustar();
    header.set_mode(entry.mode);
    header.set_uid(entry.uid);
    header.set_gid(entry.uid);
    let (dir, name) = (parent(&entry.path), entry.path.rsplit('/').next().unwrap());
    let slash = if dir.is_empty() { "" } else { "/" };
    let path = match &entry.kind {
        Kind::Whiteout => format!("{dir}{slash}.wh.{name}"),
        Kind::Opaque => format!("{}/.wh..wh..opq", entry.path),
        Kind::Dir => format!("./{}", entry.path),
        Kind::File(_) | Kind::Symlink(_) | Kind::Fifo | Kind::Link(_) => {
            entry.path.clone()
        }
    };
    let (kind, size) = match &entry.kind {
        Kind::Dir => (EntryType::Directory, 0),
        Kind::Symlink(_) => (EntryType::Symlink, 0),
        Kind::Link(_) => (EntryType::Link, 0),
        Kind::Fifo => (EntryType::Fifo, 0),
        Kind::File(size) => (EntryType::Regular, *size),
        Kind::Whiteout | Kind::Opaque => (EntryType::Regular, 0),
    };
    header.set_entry_type(kind);
    header.set_size(size);
    if let Kind::Symlink(to) | Kind::Link(to) = &entry.kind {
        builder.append_link(&mut header, path, to).unwrap();
    } else {
        let content = vec![7; usize::try_from(size).unwrap()];
        builder.append_data(&mut header, path, content.as_slice()).unwrap();
    }
}

pub(crate) fn stack(u: &mut Unstructured<'_>) -> Result<Stack> {
    let (mut inodes, mut files) = (0, 0);
    let mut model = Model::from([(String::new(), Node { entry: implied(""), inode: 0 })]);
    let (mut image, mut told) = (Image::default(), String::new());
    for _ in 0..u.int_in_range(1..=4)? {
        let layer = layer(u, &model, &mut files)?;
        for entry in &layer {
            let Entry { path, kind, mode, .. } = entry;
            writeln!(told, "{path:?} {kind:?} {mode:o}").unwrap();
        }
        told += "---\n";
        apply(&mut model, &layer, &mut inodes);
        image = image.layer_tar(tar(&layer));
    }
    Ok(Stack { image: image.oci("x"), expected: tree(&model), told })
}
