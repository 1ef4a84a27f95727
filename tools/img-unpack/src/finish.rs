//! The end of a layer: what it hides of the layers below, and its directories'
//! attributes, which every file made in them would have changed again.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd};

use common::fail::Hint;
use common::inroot::kind;
use common::{Fail, sys};
use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, mknodat};

use crate::apply::{Work, os};
use crate::entry::Meta;
use crate::layer::{join, split};
use crate::lower::{Below, OPAQUE, list, look, open_dir};
use crate::tree::{Dir, cannot};

/// Does all that had to wait for the last entry.
///
/// Only here it is known what the layer itself has under a name that it hides: a
/// whiteout counts for lower layers only, wherever in the archive it stands.
pub(crate) fn layer(work: &mut Work<'_>) -> Result<(), Fail> {
    for links in std::mem::take(&mut work.aufs) {
        work.tree.remove(&links)?;
    }
    let mut opaque = BTreeSet::new();
    if work.tree.lowers.is_empty() {
        let hides = !work.tree.whiteouts.is_empty() || !work.tree.opaques.is_empty();
        work.tree.looked_below |= hides;
    } else {
        opaques(work, &mut opaque)?;
        whiteouts(work, &mut opaque)?;
    }
    if let Some(link) = work.tree.followed.iter().find(|path| work.tree.is_hidden(path)) {
        let reason = "it is a link of a lower layer that this one both follows and hides";
        return Err(Fail::cannot("hide", os(link), reason));
    }
    root(work)?;
    directories(work, &opaque)?;
    work.opaque.extend(opaque);
    Ok(())
}

/// The name behind another: there may be a million, and no second list of them.
fn after(names: &BTreeSet<Vec<u8>>, last: Option<&[u8]>) -> Option<Vec<u8>> {
    let from = last.map_or(Bound::Unbounded, Bound::Excluded);
    names.range::<[u8], _>((from, Bound::Unbounded)).next().cloned()
}

/// Directories of which nothing below shows through.
fn opaques(work: &mut Work<'_>, opaque: &mut BTreeSet<Vec<u8>>) -> Result<(), Fail> {
    let mut last = None;
    while let Some(path) = after(&work.tree.opaques, last.as_deref()) {
        last = Some(path.clone());
        if path.is_empty() {
            // overlayfs looks at no such attribute of a layer's root.
            hide_all(work)?;
            continue;
        }
        match work.tree.existing(&path)? {
            Some(found) => {
                let dir = work.tree.place(&found)?;
                work.tree.opaques.insert(dir.clone());
                opaque.insert(dir);
            }
            None => work.tree.looked_below = true,
        }
    }
    Ok(())
}

/// One whiteout for each name in the roots below.
fn hide_all(work: &mut Work<'_>) -> Result<(), Fail> {
    work.tree.looked_below = true;
    work.tree.opaques.remove(&b""[..]);
    let mut names = BTreeSet::new();
    for root in cannot(work.tree.lowers.roots(), "look below at", b"/")? {
        names.extend(cannot(list(root.as_fd()), "list", b"/")?);
    }
    work.tree.whiteouts.append(&mut names);
    Ok(())
}

fn whiteouts(work: &mut Work<'_>, opaque: &mut BTreeSet<Vec<u8>>) -> Result<(), Fail> {
    let mut last = None;
    while let Some(path) = after(&work.tree.whiteouts, last.as_deref()) {
        last = Some(path.clone());
        let (dir, name) = split(&path);
        let Some(dir) = work.tree.existing(dir)? else {
            // Hidden already, or never there.
            work.tree.looked_below = true;
            continue;
        };
        let at = join(&dir, name);
        // readdir(3) would show a whiteout in a directory that is opaque.
        if work.tree.is_hidden(&dir) || work.tree.opaques.contains(&dir) {
            continue;
        }
        if work.copied.remove(&at) {
            work.tree.remove(&at)?;
        }
        let here = match work.tree.dir(&dir) {
            Ok(dir) => cannot(look(dir, name), "look at", &at)?,
            Err(_) => None,
        };
        match here {
            Some(stat) if kind(&stat) == SFlag::S_IFDIR => {
                opaque.insert(at);
            }
            // A whiteout, or a file of the layer's own.
            Some(_) => {}
            None => whiteout(work, &dir, &at)?,
        }
    }
    Ok(())
}

/// Hides a name, if there is anything to hide.
fn whiteout(work: &mut Work<'_>, dir: &[u8], at: &[u8]) -> Result<(), Fail> {
    let below = cannot(work.tree.lowers.find(at), "look below at", at)?;
    if matches!(below, Below::Nothing) {
        work.tree.looked_below = true;
        return Ok(());
    }
    work.tree.place(dir)?;
    let (_, name) = split(at);
    let fd = cannot(work.tree.dir(dir), "open directory", dir)?;
    // Any user may make this one device since Linux 5.8.
    let made = mknodat(fd, name, SFlag::S_IFCHR, Mode::empty(), 0);
    cannot(made, "make whiteout", at)
        .hint_on(Errno::EPERM, "before Linux 5.8 only root can make whiteouts")
}

/// A layer without an entry for the root leaves it as it is below.
fn root(work: &mut Work<'_>) -> Result<(), Fail> {
    if work.tree.dirs.contains_key(&b""[..]) {
        return Ok(());
    }
    let plain = Meta { mode: 0o755, ..Meta::default() };
    let meta = match cannot(work.tree.lowers.find(b""), "look below at", b"/")? {
        Below::Directory(meta) => meta,
        Below::Nothing | Below::Symlink(..) | Below::Other(..) => plain.clone(),
    };
    work.tree.looked_below |= Meta { mtime: plain.mtime, ..meta.clone() } != plain;
    work.tree.dirs.insert(Vec::new(), Dir { meta, implied: true });
    Ok(())
}

/// The deepest first: a mode may shut us out of what is below.
fn directories(work: &mut Work<'_>, opaque: &BTreeSet<Vec<u8>>) -> Result<(), Fail> {
    for (path, mut dir) in std::mem::take(&mut work.tree.dirs).into_iter().rev() {
        if dir.implied && work.tree.is_hidden(&path) {
            // What it would look like below is gone.
            dir.meta = Meta { mode: 0o755, ..Meta::default() };
        }
        let place = cannot(work.tree.dir(&path), "open directory", &path)?;
        let fd = cannot(open_dir(place, b"."), "open directory", &path)?;
        if opaque.contains(&path) {
            hide_below(work, fd.as_fd(), &path)?;
        }
        let done = work.attributes.directory(fd.as_fd(), &dir.meta);
        done.map_err(|refused| refused.fail(&path))?;
    }
    Ok(())
}

/// By the name that overlayfs reads as root, and by the one it reads with `userxattr`.
fn hide_below(work: &Work<'_>, fd: BorrowedFd<'_>, path: &[u8]) -> Result<(), Fail> {
    let [trusted, user] = OPAQUE;
    let by_root = if work.attributes.policy.trusted {
        sys::fsetxattr(fd, trusted, b"y")
    } else {
        Err(Errno::EPERM)
    };
    // tmpfs has user.* since Linux 6.6.
    let by_user = sys::fsetxattr(fd, user, b"y");
    cannot(by_user.or(by_root), "set 'user.overlay.opaque' of", path)
}
