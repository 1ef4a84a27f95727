//! Random stacks of well-formed layers come out as a model of the image-spec has them: as
//! layers, as one root, and by umoci.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use arbtest::arbitrary::Unstructured;
use kit::tree::{Tree, describe, differences, parse};
use kit::{Run, need};

use crate::stack::{Stack, stack};

/// What an entry makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir,
    /// So many bytes; no two files of a stack have the same number.
    File(u64),
    Symlink(String),
    Fifo,
    /// To a path of this layer, or of those below.
    Link(String),
    Whiteout,
    Opaque,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) mtime: (i64, u32),
    pub(crate) xattr: Option<u8>,
}

/// A file of the model; names of one inode are hard links.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) entry: Entry,
    pub(crate) inode: usize,
}

pub(crate) type Model = BTreeMap<String, Node>;

pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

pub(crate) fn is_below(path: &str, dir: &str) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

pub(crate) fn implied(path: &str) -> Entry {
    let (path, mode, mtime) = (path.to_owned(), 0o755, (0, 0));
    Entry { path, kind: Kind::Dir, mode, uid: 0, mtime, xattr: None }
}

/// image-spec, layer.md: what a layer hides is of lower layers only, and goes first.
pub(crate) fn apply(model: &mut Model, layer: &[Entry], inodes: &mut usize) {
    for entry in layer {
        match &entry.kind {
            Kind::Whiteout => {
                let gone = |path: &str| path == entry.path || is_below(path, &entry.path);
                model.retain(|path, _| !gone(path));
            }
            Kind::Opaque => {
                let is_dir =
                    model.get(&entry.path).is_some_and(|n| n.entry.kind == Kind::Dir);
                model.retain(|path, _| {
                    !is_dir || path.is_empty() || !is_below(path, &entry.path)
                });
            }
            Kind::Dir | Kind::File(_) | Kind::Symlink(_) | Kind::Fifo | Kind::Link(_) => {
            }
        }
    }
    let is_link = |entry: &&Entry| matches!(entry.kind, Kind::Link(_));
    let (links, others): (Vec<_>, Vec<_>) = layer.iter().partition(is_link);
    for entry in others.into_iter().chain(links) {
        if !matches!(entry.kind, Kind::Whiteout | Kind::Opaque) {
            put(model, entry, inodes);
        }
    }
}

fn put(model: &mut Model, entry: &Entry, inodes: &mut usize) {
    let mut above = parent(&entry.path);
    let mut missing = Vec::new();
    while !above.is_empty() {
        if model.get(above).is_none_or(|node| node.entry.kind != Kind::Dir) {
            missing.push(above);
        }
        above = parent(above);
    }
    for dir in missing.into_iter().rev() {
        model.retain(|path, _| !is_below(path, dir));
        *inodes += 1;
        model.insert(dir.to_owned(), Node { entry: implied(dir), inode: *inodes });
    }
    let is_dir = |kind: &Kind| *kind == Kind::Dir;
    let was_dir = model.get(&entry.path).is_some_and(|node| is_dir(&node.entry.kind));
    if !(is_dir(&entry.kind) && was_dir) {
        model.retain(|path, _| entry.path.is_empty() || !is_below(path, &entry.path));
    }
    let node = if let Kind::Link(target) = &entry.kind {
        model[target].clone()
    } else {
        *inodes += 1;
        Node { entry: entry.clone(), inode: *inodes }
    };
    model.insert(entry.path.clone(), node);
}

pub(crate) fn tree(model: &Model) -> Tree {
    let mut first: BTreeMap<usize, &str> = BTreeMap::new();
    let mut count: BTreeMap<usize, usize> = BTreeMap::new();
    for (path, node) in model {
        first.entry(node.inode).or_insert(path);
        *count.entry(node.inode).or_default() += 1;
    }
    let line = |(path, node): (&String, &Node)| {
        let entry = &node.entry;
        let mut all = vec![
            ("mode", format!("{:o}", entry.mode)),
            ("uid", entry.uid.to_string()),
            ("gid", entry.uid.to_string()),
            ("mtime", format!("{}.{:09}", entry.mtime.0, entry.mtime.1)),
        ];
        match &entry.kind {
            Kind::File(size) => {
                all.extend([("type", "f".into()), ("size", size.to_string())]);
            }
            Kind::Symlink(to) => {
                all.extend([("type", "l".into()), ("target", to.clone())]);
            }
            Kind::Fifo => all.push(("type", "p".into())),
            Kind::Dir | Kind::Link(_) | Kind::Whiteout | Kind::Opaque => {
                all.push(("type", "d".into()));
            }
        }
        if let Some(value) = entry.xattr {
            all.push(("user.x", format!("{value:02x}")));
        }
        if count[&node.inode] > 1 {
            all.push(("linked", format!("/{}", first[&node.inode])));
        }
        let all = all.into_iter().map(|(key, value)| (key.to_owned(), value));
        (format!("/{path}"), all.collect())
    };
    model.iter().map(line).collect()
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// What is there, without what the model has not.
fn found(text: &str) -> Tree {
    let mut tree = parse(text);
    for file in tree.values_mut() {
        file.remove("content");
        if !is_root() {
            file.retain(|key, _| !matches!(key.as_str(), "uid" | "gid"));
        }
    }
    tree
}

fn check(stack: &Stack) {
    let mut expected = stack.expected.clone();
    if !is_root() {
        for file in expected.values_mut() {
            file.retain(|key, _| !matches!(key.as_str(), "uid" | "gid"));
        }
    }
    let flags: &[&str] = if is_root() { &[] } else { &["--squash-ids"] };
    let run = Run::tool("img-unpack").args(flags);
    let tmp = run.tmp().to_owned();
    fs::write(tmp.join("image.tar"), &stack.image).unwrap();
    let out = run.args(["image.tar", "box"]).run();
    assert!(
        out.status.success(),
        "{}{}",
        stack.told,
        String::from_utf8_lossy(&out.stderr)
    );
    let layers = String::from_utf8(out.stdout.clone()).unwrap();
    let layers: Vec<PathBuf> = layers.lines().map(|line| tmp.join(line)).collect();

    let differ = differences(&found(&describe(&layers)), &expected);
    assert!(differ.is_empty(), "as layers: {}{differ:#?}", stack.told);

    let flat = Run::tool("img-unpack").args(flags).args(["--flat", "image.tar", "flat"]);
    let flat = flat.cwd(&tmp).run();
    assert!(flat.status.success(), "{}", String::from_utf8_lossy(&flat.stderr));
    let differ = differences(&found(&describe(&[tmp.join("flat/rootfs")])), &expected);
    assert!(differ.is_empty(), "as a root: {}{differ:#?}", stack.told);
}

#[test]
fn a_stack_of_layers_becomes_what_the_model_has() {
    arbtest::arbtest(|u| {
        check(&stack(u)?);
        Ok(())
    })
    .size_min(4096)
    .budget_ms(5000);
}

mod root {
    use super::*;

    /// By umoci, to see that the model itself is right.
    fn peer(stack: &Stack, dir: &Path) -> Option<Tree> {
        fs::write(dir.join("image.tar"), &stack.image).unwrap();
        let script = "mkdir layout && tar -xf image.tar -C layout && \
             skopeo --insecure-policy copy -q oci:layout:x oci:gzip:x && \
             umoci unpack --image gzip:x bundle >/dev/null && \"$TREE\" bundle/rootfs";
        let run = Run::program("sh").args(["-c", script]).cwd(dir);
        let out = run.env("TREE", kit::tool("tree")).run();
        out.status.success().then(|| found(&String::from_utf8_lossy(&out.stdout)))
    }

    /// umoci's implied directories have the time when they were made and the group of a
    /// set-group-ID directory above; where it hides something, the directory has the time.
    fn is_umocis_own(line: &str, expected: &Tree) -> bool {
        let (path, rest) = line.split_once(' ').unwrap();
        let is_implied = expected.get(path).is_some_and(|f| f["mtime"] == "0.000000000");
        let now = rest.strip_prefix("mtime: ").and_then(|times| times.split_once("not "));
        let is_now = now.is_some_and(|(_, time)| time.len() == 20 && time > "16");
        is_now || (is_implied && !rest.starts_with("file"))
    }

    #[test]
    fn the_model_is_what_umoci_has() {
        need!("root", "program:umoci", "program:skopeo");
        let mut seen = BTreeSet::new();
        for seed in 0_u32..20 {
            let bytes: String = (0..64)
                .map(|i| kit::image::hex(format!("{seed} {i}").as_bytes()))
                .collect();
            let bytes: Vec<u8> = bytes
                .as_bytes()
                .chunks(2)
                .map(|pair| {
                    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
                })
                .collect();
            let stack = stack(&mut Unstructured::new(&bytes)).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let Some(peer) = peer(&stack, dir.path()) else { continue };
            let mut differ = differences(&stack.expected, &peer);
            differ.retain(|line| !is_umocis_own(line, &stack.expected));
            assert!(differ.is_empty(), "{}{differ:#?}", stack.told);
            seen.insert(seed);
        }
        assert!(seen.len() > 10, "umoci takes only {seen:?}");
    }
}
