//! `--flat`: layers that are complete become one root file system.
//!
//! Each was made as overlayfs wants it, so what the root shows is what a mount of the
//! layers would show. Whole directories that only one layer has are moved at once.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::inroot::kind;
use common::{Context, Fail, remove, sys};
use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat};
use nix::unistd::{Gid, Uid, fchown};

use crate::entry::Meta;
use crate::files::{Attributes, Skipped};
use crate::layer::{join, split};
use crate::lower::{
    OPAQUE, is_whiteout, list, look, meta, open_dir, open_in, own_xattrs,
};
use crate::policy::Policy;
use crate::tree::cannot;

/// A root that layers go to, and what goes there next.
pub(crate) struct Merge<'a> {
    /// Where both lie; what is replaced is moved there first.
    pub(crate) store: BorrowedFd<'a>,
    pub(crate) policy: &'a Policy,
    pub(crate) root: OwnedFd,
}

impl Merge<'_> {
    /// Moves all of a layer to its place in the root and removes the rest of it.
    pub(crate) fn layer(
        &self,
        name: &str,
        from: &OwnedFd,
        opaques: &[Vec<u8>],
    ) -> Result<(), Fail> {
        unmark(from.as_fd(), opaques)?;
        let opaques: BTreeSet<&[u8]> = opaques.iter().map(Vec::as_slice).collect();
        let mut both = vec![Vec::new()];
        let mut merged: Vec<(Vec<u8>, Meta)> = Vec::new();
        // Paths and no descriptors are kept: the tree may be deep.
        while let Some(path) = both.pop() {
            let (here, mode) = cannot(open(from.as_fd(), &path), "open", &path)?;
            let (to, _) = cannot(open(self.root.as_fd(), &path), "open", &path)?;
            let meta = cannot(meta(here.as_fd()), "look at", &path)?;
            merged.push((path.clone(), Meta { mode, ..meta }));
            self.directory(&here, &to, &path, (&opaques, &mut both))?;
        }
        for (path, meta) in merged.into_iter().rev() {
            self.attributes(&path, &meta)?;
        }
        cannot(remove::tree(self.store, name.as_bytes()), "remove", name.as_bytes())
    }

    /// Moves what is in a directory to where the same directory of the root is.
    fn directory(
        &self,
        from: &OwnedFd,
        to: &OwnedFd,
        path: &[u8],
        (opaques, both): (&BTreeSet<&[u8]>, &mut Vec<Vec<u8>>),
    ) -> Result<(), Fail> {
        for name in cannot(list(from.as_fd()), "list", path)? {
            let at = join(path, &name);
            let found = cannot(look(from.as_fd(), &name), "look at", &at)?;
            let Some(found) = found else { continue };
            let below = cannot(look(to.as_fd(), &name), "look at", &at)?;
            let is_dir = kind(&found) == SFlag::S_IFDIR;
            let onto_dir = below.is_some_and(|stat| kind(&stat) == SFlag::S_IFDIR);
            if is_dir && onto_dir && !opaques.contains(at.as_slice()) {
                both.push(at);
                continue;
            }
            // rename(2) takes the place of a file only.
            if let Some(below) = below
                && (onto_dir || is_dir || is_whiteout(&found))
            {
                let away = remove::name().into_bytes();
                let gone = shift((to.as_fd(), &name), (self.store, &away), &below)
                    .and_then(|()| remove::tree(self.store, &away));
                cannot(gone, "remove", &at)?;
            }
            if !is_whiteout(&found) {
                let moved = shift((from.as_fd(), &name), (to.as_fd(), &name), &found);
                cannot(moved, "move", &at)?;
            }
        }
        Ok(())
    }

    /// A directory that two layers have looks as the upper one has it.
    fn attributes(&self, path: &[u8], meta: &Meta) -> Result<(), Fail> {
        let (dir, _) = cannot(open(self.root.as_fd(), path), "open", path)?;
        for (name, _) in cannot(own_xattrs(dir.as_fd()), "look at", path)? {
            if meta.xattrs.iter().all(|(kept, _)| *kept != name) {
                let gone = sys::fremovexattr(dir.as_fd(), &name);
                cannot(gone, "replace an attribute of", path)?;
            }
        }
        // The lower layer's owner may be another than the one that new files have.
        let owner = (Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)));
        cannot(fchown(&dir, owner.0, owner.1), "set owner of", path)?;
        let policy = self.policy;
        let mut attributes = Attributes { policy, skipped: Skipped::default() };
        attributes.directory(dir.as_fd(), meta).map_err(|refused| refused.fail(path))
    }

    /// Gives the root its name.
    pub(crate) fn finish(&self, temporary: &str, name: &str) -> Result<(), Fail> {
        renameat(self.store, temporary, self.store, name)
            .cannot("give its name to the root", name)
    }
}

/// A root has no use for overlayfs's marks.
fn unmark(root: BorrowedFd<'_>, opaques: &[Vec<u8>]) -> Result<(), Fail> {
    for path in opaques {
        let (dir, mode) = cannot(open(root, path), "open", path)?;
        for name in OPAQUE {
            match sys::fremovexattr(dir.as_fd(), name) {
                Ok(()) | Err(Errno::ENODATA | Errno::EPERM | Errno::EOPNOTSUPP) => {}
                Err(e) => return cannot(Err(e), "clear a mark of", path),
            }
        }
        let kept = fchmod(dir, Mode::from_bits_truncate(mode));
        cannot(kept, "set mode of", path)?;
    }
    Ok(())
}

/// A directory that we may read and write, and the mode it had: it may be closed to its
/// owner, who is not always root.
fn open(root: BorrowedFd<'_>, path: &[u8]) -> nix::Result<(OwnedFd, u32)> {
    let (above, name) = split(path);
    let above = open_in(root, above)?;
    let name = if path.is_empty() { b"." } else { name };
    let Some(stat) = look(above.as_fd(), name)? else { return Err(Errno::ENOENT) };
    if stat.st_mode & 0o700 != 0o700 {
        fchmodat(&above, name, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)?;
    }
    Ok((open_dir(above.as_fd(), name)?, stat.st_mode & 0o7777))
}

/// Moves a file or a whole directory.
fn shift(
    (from, name): (BorrowedFd<'_>, &[u8]),
    (to, new_name): (BorrowedFd<'_>, &[u8]),
    stat: &FileStat,
) -> nix::Result<()> {
    match renameat(from, name, to, new_name) {
        // A directory is written to when its parent changes.
        Err(Errno::EACCES) if kind(stat) == SFlag::S_IFDIR => {
            let flag = FchmodatFlags::NoFollowSymlink;
            fchmodat(from, name, Mode::S_IRWXU, flag)?;
            renameat(from, name, to, new_name)?;
            let mode = Mode::from_bits_truncate(stat.st_mode);
            fchmodat(to, new_name, mode, flag)
        }
        other => other,
    }
}
