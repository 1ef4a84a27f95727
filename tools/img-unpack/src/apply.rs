//! Fills a layer's directory from its tar, entry by entry.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use common::Fail;
use common::fail::{Hint, quote};
use nix::errno::Errno;
use nix::unistd::linkat;

use crate::entry::{Entry, Kind, Meta};
use crate::files::{Attributes, create, make};
use crate::finish;
use crate::gauge::Gauge;
use crate::layer::{Op, aufs_links, clean, decide, is_foreign_xattr, join, split};
use crate::lower::{Below, look};
use crate::policy::Devices;
use crate::tar::{Input, Reader};
use crate::tree::{Dir, Tree, cannot};
use crate::write;

/// A layer on its way from entries to files.
pub(crate) struct Work<'a> {
    pub(crate) tree: Tree<'a>,
    pub(crate) attributes: Attributes<'a>,
    /// Hard links whose target had not come yet: name and target.
    later: Vec<(Vec<u8>, Vec<u8>)>,
    /// What was copied from a lower layer for the sake of a hard link.
    pub(crate) copied: BTreeSet<Vec<u8>>,
    /// Where AUFS kept link targets.
    pub(crate) aufs: BTreeSet<Vec<u8>>,
    /// Directories that hide what is below.
    pub(crate) opaque: Vec<Vec<u8>>,
    /// Entries read.
    pub(crate) entries: u64,
}

impl<'a> Work<'a> {
    pub(crate) fn new(tree: Tree<'a>, attributes: Attributes<'a>) -> Self {
        let (later, copied) = (Vec::new(), BTreeSet::new());
        let (aufs, opaque) = (BTreeSet::new(), Vec::new());
        Self { tree, attributes, later, copied, aufs, opaque, entries: 0 }
    }

    /// Takes all entries, then does what had to wait for the last one.
    pub(crate) fn all<I: Input>(
        &mut self,
        layer: &str,
        input: I,
        gauge: &Gauge,
    ) -> Result<(), Fail> {
        let broken = |e: std::io::Error| {
            common::Context::cannot(Err::<(), _>(e), "read layer", layer)
        };
        let mut reader = Reader::new(input);
        loop {
            match reader.next() {
                Ok(Some(entry)) => {
                    self.entries = self.entries.saturating_add(1);
                    if !gauge.take_entry() {
                        let reason = "it has more entries than --max-files";
                        return Err(Fail::cannot("read layer", layer, reason));
                    }
                    self.one(layer, entry, &mut reader)?;
                }
                Ok(None) => break,
                Err(e) => return broken(e),
            }
        }
        for (path, target) in std::mem::take(&mut self.later) {
            if !self.hard_link(&path, &target)? {
                let reason = format!("{} is not there", quote_path(&target));
                return Err(Fail::cannot("link", os(&path), reason));
            }
        }
        finish::layer(self)
    }

    fn one<I: Input>(
        &mut self,
        layer: &str,
        mut entry: Entry,
        reader: &mut Reader<I>,
    ) -> Result<(), Fail> {
        let refuse = |why: String| {
            let reason = format!("it has {why}: {}", quote_path(&entry.path));
            Fail::cannot("unpack layer", layer, reason)
        };
        let (op, path) = decide(&entry, self.attributes.policy.strip).map_err(refuse)?;
        let before = entry.meta.xattrs.len();
        entry.meta.xattrs.retain(|(name, _)| !is_foreign_xattr(name.as_bytes()));
        let dropped = before.saturating_sub(entry.meta.xattrs.len());
        let skipped = &mut self.attributes.skipped.xattrs;
        *skipped = skipped.saturating_add(u64::try_from(dropped).unwrap_or(0));
        match op {
            Op::Root => {
                let dir = Dir { meta: entry.meta, implied: false };
                self.tree.dirs.insert(Vec::new(), dir);
            }
            Op::Nothing => {}
            Op::Whiteout => {
                self.tree.remember(&path, &[])?;
                self.tree.whiteouts.insert(path);
            }
            Op::Opaque => {
                self.tree.remember(&path, &[])?;
                self.tree.opaques.insert(path);
            }
            Op::Put => {
                let (dir, name) = split(&path);
                let at = join(&self.tree.place(dir)?, name);
                if let Some(links) = aufs_links(&at)
                    && self.aufs.insert(links.to_vec())
                {
                    self.tree.remember(links, &[])?;
                }
                self.put(&at, entry, reader)?;
            }
        }
        Ok(())
    }

    /// Makes the file; `at` is its path without links in front of the last part.
    fn put<I: Input>(
        &mut self,
        at: &[u8],
        entry: Entry,
        reader: &mut Reader<I>,
    ) -> Result<(), Fail> {
        match entry.kind {
            Kind::Directory => {
                self.tree.make_dir(at, Dir { meta: entry.meta, implied: false })
            }
            Kind::File => {
                let (dir, name) = split(at);
                let fd = self.fresh(at, "make file", |work| {
                    create(work.tree.dir(dir)?, name, entry.meta.mode)
                })?;
                let max = self.attributes.policy.max_size;
                write::content(fd.as_fd(), at, &entry, max, reader)?;
                self.attributes.file(fd.as_fd(), &entry.meta).map_err(|r| r.fail(at))
            }
            Kind::HardLink => {
                let strip = self.attributes.policy.strip;
                let target = clean(&entry.link, strip)
                    .and_then(|path| path.ok_or_else(|| "too few parts".to_owned()))
                    .map_err(|why| {
                        let reason = format!("its target has {why}");
                        Fail::cannot("link", os(at), reason)
                    })?;
                if !self.hard_link(at, &target)? {
                    // Its target may come later: pax -o, some builders.
                    self.tree.remember(at, &[])?;
                    self.tree.remember(&target, &[])?;
                    self.later.push((at.to_vec(), target));
                }
                Ok(())
            }
            Kind::Char(..) | Kind::Block(..) => match self.attributes.policy.devices {
                Devices::Make => self.node(at, entry.kind, &entry.link, &entry.meta),
                Devices::Skip => {
                    let skipped = &mut self.attributes.skipped.devices;
                    *skipped = skipped.saturating_add(1);
                    self.tree.remove(at)
                }
                Devices::Refuse => {
                    let fail = Fail::cannot("make device", os(at), Errno::EPERM.desc());
                    Err(fail.hint(
                        "use --skip-devices, or be root outside of user namespaces",
                    ))
                }
            },
            Kind::Symlink | Kind::Fifo => {
                self.node(at, entry.kind, &entry.link, &entry.meta)
            }
        }
    }

    pub(crate) fn node(
        &mut self,
        at: &[u8],
        kind: Kind,
        link: &[u8],
        meta: &Meta,
    ) -> Result<(), Fail> {
        let (dir, name) = split(at);
        let verb = if kind == Kind::Symlink { "make link" } else { "make node" };
        self.fresh(at, verb, |work| make(work.tree.dir(dir)?, name, kind, link))?;
        let dir = cannot(self.tree.dir(dir), "open directory", dir)?;
        self.attributes.node(dir, name, kind, meta).map_err(|r| r.fail(at))
    }

    /// Makes something under a name that may be taken: what is there goes first.
    fn fresh<T>(
        &mut self,
        at: &[u8],
        verb: &str,
        call: impl Fn(&mut Self) -> nix::Result<T>,
    ) -> Result<T, Fail> {
        match call(self) {
            Err(Errno::EEXIST) => {
                self.tree.remove(at)?;
                cannot(call(self), verb, at)
            }
            other => cannot(other, verb, at),
        }
    }

    /// Links a name to a file of this layer, or to a copy of one of a lower layer; false
    /// where there is no such file.
    fn hard_link(&mut self, at: &[u8], target: &[u8]) -> Result<bool, Fail> {
        let (dir, target_name) = split(target);
        let Some(target_dir) = self.tree.existing(dir)? else { return Ok(false) };
        let target = join(&target_dir, target_name);
        if target == at {
            return Err(Fail::cannot("link", os(at), "it is its own target"));
        }
        let here = match self.tree.dir(&target_dir) {
            Ok(dir) => cannot(look(dir, target_name), "look at", &target)?,
            Err(_) => None,
        };
        if here.is_none() && !self.copy_up(&target)? {
            return Ok(false);
        }
        let open = |tree: &mut Tree<'_>, dir: &[u8]| {
            let fd = cannot(tree.dir(dir), "open directory", dir)?;
            cannot(
                fd.try_clone_to_owned().map_err(|_| Errno::EMFILE),
                "open directory",
                dir,
            )
        };
        let from = open(&mut self.tree, &target_dir)?;
        let (dir, name) = split(at);
        self.fresh(at, "link", |work| {
            let to = work.tree.dir(dir)?;
            linkat(&from, target_name, to, name, nix::fcntl::AtFlags::empty())
        })
        .hint_on(Errno::EPERM, "its target is a directory, or not ours to link")?;
        Ok(true)
    }

    /// Brings a file of a lower layer into this one.
    fn copy_up(&mut self, path: &[u8]) -> Result<bool, Fail> {
        let found = self.tree.below(path)?;
        let (dir, name) = split(path);
        if matches!(found, Below::Nothing | Below::Directory(_)) {
            return Ok(false);
        }
        self.tree.looked_below = true;
        self.tree.place(dir)?;
        self.tree.remember(path, &[])?;
        self.copied.insert(path.to_vec());
        let from = match found {
            Below::Symlink(to, meta) => {
                let link = std::os::unix::ffi::OsStrExt::as_bytes(to.as_os_str());
                return self.node(path, Kind::Symlink, link, &meta).map(|()| true);
            }
            Below::Other(from) => from,
            Below::Nothing | Below::Directory(_) => return Ok(false),
        };
        write::copy(self, from.as_fd(), name, path)?;
        Ok(true)
    }

    /// Makes a file for a copy.
    pub(crate) fn fresh_file(
        &mut self,
        at: &[u8],
        mode: u32,
    ) -> Result<std::os::fd::OwnedFd, Fail> {
        let (dir, name) = split(at);
        self.fresh(at, "make file", |work| create(work.tree.dir(dir)?, name, mode))
    }
}

/// A path for a message.
pub(crate) fn os(path: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(path)
}

fn quote_path(path: &[u8]) -> String {
    quote(os(path))
}
