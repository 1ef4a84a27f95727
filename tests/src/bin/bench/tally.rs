//! How many paths a right result has, by what the layers say: a run that leaves something
//! out must not be a fast one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{Context, Fail};

/// How many paths there must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// In all layers' directories.
    pub(crate) layers: u64,
    /// Whiteouts and the directories made for them: there or not, by what lies below.
    pub(crate) marks: u64,
    /// In one root.
    pub(crate) flat: u64,
}

impl Tally {
    /// Reads layers that are not compressed, bottom first.
    pub(crate) fn read<P: AsRef<Path>>(layers: &[P]) -> Result<Self, Fail> {
        let mut tally = Self::default();
        let mut flat = BTreeMap::new();
        for path in layers {
            let path = path.as_ref();
            let layer = Layer::read(path).cannot("read layer", path)?;
            let mut own = BTreeSet::new();
            for path in layer.files.keys() {
                with_parents(path, &mut own);
            }
            let mut marks = own.clone();
            for mark in layer.hidden.iter().chain(&layer.opaque) {
                with_parents(mark, &mut marks);
            }
            let (own, marks) = (count(own.len()), count(marks.len()));
            tally.layers = tally.layers.saturating_add(own);
            tally.marks = tally.marks.saturating_add(marks.saturating_sub(own));
            layer.upon(&mut flat);
        }
        tally.flat = count(flat.len());
        Ok(tally)
    }
}

/// All paths below a directory.
pub(crate) fn found(dir: &Path) -> std::io::Result<u64> {
    let mut number = 0_u64;
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            number = number.saturating_add(1);
            if entry.file_type()?.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    Ok(number)
}

/// What a layer has: paths without slashes at the ends.
#[derive(Default)]
struct Layer {
    /// Whether it is a directory.
    files: BTreeMap<Vec<u8>, bool>,
    hidden: BTreeSet<Vec<u8>>,
    opaque: BTreeSet<Vec<u8>>,
}

impl Layer {
    fn read(path: &Path) -> std::io::Result<Self> {
        let mut layer = Self::default();
        let mut archive = tar::Archive::new(std::fs::File::open(path)?);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let path = entry.path_bytes();
            let parts = path.split(|b| *b == b'/').filter(|p| !matches!(*p, b"" | b"."));
            let parts: Vec<&[u8]> = parts.collect();
            let Some((name, dir)) = parts.split_last() else { continue };
            if *name == b".wh..wh..opq" {
                layer.opaque.insert(dir.join(&b'/'));
            } else if let Some(name) = name.strip_prefix(b".wh.") {
                layer.hidden.insert([dir, &[name]].concat().join(&b'/'));
            } else {
                let is_dir = entry.header().entry_type().is_dir();
                layer.files.insert(parts.join(&b'/'), is_dir);
            }
        }
        Ok(layer)
    }

    /// Puts the layer upon what is there.
    fn upon(self, flat: &mut BTreeMap<Vec<u8>, bool>) {
        for path in &self.opaque {
            below(flat, path);
        }
        for path in &self.hidden {
            flat.remove(path);
            below(flat, path);
        }
        for (path, is_dir) in self.files {
            if !is_dir {
                below(flat, &path);
            }
            let mut dirs = BTreeSet::new();
            with_parents(&path, &mut dirs);
            dirs.remove(&path);
            flat.extend(dirs.into_iter().map(|dir| (dir, true)));
            flat.insert(path, is_dir);
        }
    }
}

/// Takes away all that lies below a path.
fn below(flat: &mut BTreeMap<Vec<u8>, bool>, path: &[u8]) {
    if path.is_empty() {
        return flat.clear();
    }
    let start = [path, b"/"].concat();
    let inside = flat.range(start.clone()..).take_while(|(p, _)| p.starts_with(&start));
    let inside: Vec<Vec<u8>> = inside.map(|(path, _)| path.clone()).collect();
    for path in inside {
        flat.remove(&path);
    }
}

fn with_parents(path: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    let mut rest = path;
    while !rest.is_empty() && all.insert(rest.to_vec()) {
        let end = rest.iter().rposition(|b| *b == b'/').unwrap_or(0);
        rest = rest.get(..end).unwrap_or_default();
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
