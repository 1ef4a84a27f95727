//! A layer's directory while it is filled: places are found by descriptor, inside it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use common::inroot::{child_dir, kind};
use common::{Context, Fail, remove};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::entry::{Meta, Xattr};
use crate::layer::{join, split};
use crate::lower::{Below, Lowers, look};

/// As many links as the kernel follows, path_resolution(7).
const MAX_LINKS: usize = 40;
/// Open directories that are kept, of each layer at work; RLIMIT_NOFILE is 1024 by
/// default, and 500 layers below may be open.
const MAX_CACHED: usize = 100;
/// openat2(2) takes less than PATH_MAX at a time.
const MAX_PATH: usize = 4000;
/// Some 300,000 directories, with all that a name takes.
const MAX_REMEMBERED: usize = 40 << 20;
/// What a name takes beside its bytes: the node of a tree, an allocation, attributes.
const NAME: usize = 100;

/// What a directory gets when all below it is done.
#[derive(Debug, Clone)]
pub(crate) struct Dir {
    pub(crate) meta: Meta,
    /// The layer has no entry for it: it looks as it does below.
    pub(crate) implied: bool,
}

/// A layer's directory that is not finished.
pub(crate) struct Tree<'a> {
    /// Its root.
    pub(crate) root: OwnedFd,
    /// Where it lies; what is replaced is moved there first.
    pub(crate) store: BorrowedFd<'a>,
    pub(crate) lowers: &'a Lowers<'a>,
    cache: HashMap<Vec<u8>, OwnedFd>,
    /// All directories, by path: a parent comes before its children.
    pub(crate) dirs: BTreeMap<Vec<u8>, Dir>,
    /// What the layer has hidden so far, as it names it.
    pub(crate) whiteouts: BTreeSet<Vec<u8>>,
    pub(crate) opaques: BTreeSet<Vec<u8>>,
    /// Links of lower layers that were followed.
    pub(crate) followed: BTreeSet<Vec<u8>>,
    /// The result depends on the layers below, so it serves on these only.
    pub(crate) looked_below: bool,
    /// Bytes of memory for names that are kept, and for what is kept with them.
    remembered: usize,
}

/// What is at a path, in this layer or through it.
enum Seen {
    Here(FileStat),
    Below(Below),
}

/// A failure about a name in the layer.
pub(crate) fn cannot<T>(
    result: Result<T, Errno>,
    verb: &str,
    path: &[u8],
) -> Result<T, Fail> {
    result.cannot(verb, OsStr::from_bytes(path))
}

impl<'a> Tree<'a> {
    pub(crate) fn new(
        root: OwnedFd,
        store: BorrowedFd<'a>,
        lowers: &'a Lowers<'a>,
    ) -> Self {
        Self {
            root,
            store,
            lowers,
            cache: HashMap::new(),
            dirs: BTreeMap::new(),
            whiteouts: BTreeSet::new(),
            opaques: BTreeSet::new(),
            followed: BTreeSet::new(),
            looked_below: false,
            remembered: 0,
        }
    }

    /// A directory of this layer by a path without links.
    pub(crate) fn dir(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>, Errno> {
        if path.is_empty() {
            return Ok(self.root.as_fd());
        }
        if !self.cache.contains_key(path) {
            let (above, name) = split(path);
            let fd = match self.cache.get(above) {
                Some(above) => child_dir(above.as_fd(), OsStr::from_bytes(name))?,
                None => open_beneath(self.root.as_fd(), path)?,
            };
            if self.cache.len() >= MAX_CACHED {
                self.cache.clear();
            }
            self.cache.insert(path.to_vec(), fd);
        }
        self.cache.get(path).map(AsFd::as_fd).ok_or(Errno::ENOENT)
    }

    /// The directory that an entry goes to, as a path without links; made where the
    /// layer left it out.
    pub(crate) fn place(&mut self, dir: &[u8]) -> Result<Vec<u8>, Fail> {
        match self.dir(dir) {
            Ok(_) => Ok(dir.to_vec()),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {
                let found = self.walk(dir, true)?;
                Ok(found.unwrap_or_default())
            }
            Err(e) => cannot(Err(e), "open directory", dir),
        }
    }

    /// As [`Tree::place`], for what is there already, in this layer or below.
    pub(crate) fn existing(&mut self, dir: &[u8]) -> Result<Option<Vec<u8>>, Fail> {
        if self.dir(dir).is_ok() { Ok(Some(dir.to_vec())) } else { self.walk(dir, false) }
    }

    /// Part by part, as the finished image would be walked, links staying inside.
    fn walk(&mut self, path: &[u8], make: bool) -> Result<Option<Vec<u8>>, Fail> {
        let mut here: Vec<u8> = Vec::new();
        let mut todo: VecDeque<Vec<u8>> = parts(path);
        let mut links = 0_usize;
        while let Some(part) = todo.pop_front() {
            if part == b".." {
                here = split(&here).0.to_vec();
                continue;
            }
            let at = join(&here, &part);
            let target = match self.seen(&at)? {
                Seen::Here(stat) if kind(&stat) == SFlag::S_IFDIR => None,
                Seen::Here(stat) if kind(&stat) == SFlag::S_IFLNK => {
                    let dir = cannot(self.dir(&here), "open directory", &here)?;
                    Some(cannot(readlinkat(dir, part.as_slice()), "read link", &at)?)
                }
                Seen::Below(Below::Symlink(target, _)) => {
                    self.looked_below = true;
                    self.followed.insert(at.clone());
                    Some(target)
                }
                Seen::Below(Below::Directory(meta)) => {
                    if make {
                        self.imply(&at, meta)?;
                    }
                    None
                }
                Seen::Here(_) | Seen::Below(Below::Nothing | Below::Other(_)) => {
                    if !make {
                        return Ok(None);
                    }
                    self.imply(&at, Meta { mode: 0o755, ..Meta::default() })?;
                    None
                }
            };
            let Some(target) = target else {
                here = at;
                continue;
            };
            links = links.saturating_add(1);
            if links > MAX_LINKS {
                return cannot(Err(Errno::ELOOP), "open directory", path);
            }
            if target.as_bytes().starts_with(b"/") {
                here.clear();
            }
            for part in parts(target.as_bytes()).into_iter().rev() {
                todo.push_front(part);
            }
        }
        Ok(Some(here))
    }

    fn seen(&mut self, path: &[u8]) -> Result<Seen, Fail> {
        let (dir, name) = split(path);
        let found = match self.dir(dir) {
            Ok(dir) => look(dir, name),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(e),
        };
        match cannot(found, "look at", path)? {
            Some(stat) => Ok(Seen::Here(stat)),
            None => self.below(path).map(Seen::Below),
        }
    }

    /// What shows through at a path, as far as this layer has not hidden it.
    pub(crate) fn below(&self, path: &[u8]) -> Result<Below, Fail> {
        if self.is_hidden(path) {
            return Ok(Below::Nothing);
        }
        cannot(self.lowers.find(path), "look below at", path)
    }

    /// Whether a whiteout of this layer is for the path or for what it lies in.
    pub(crate) fn is_hidden(&self, path: &[u8]) -> bool {
        if self.whiteouts.is_empty() && self.opaques.is_empty() {
            return false;
        }
        let mut at = path;
        loop {
            if self.whiteouts.contains(at) {
                return true;
            }
            if at.is_empty() {
                return false;
            }
            at = split(at).0;
            if self.opaques.contains(at) {
                return true;
            }
        }
    }

    /// Makes a directory that the layer has no entry for.
    pub(crate) fn imply(&mut self, path: &[u8], meta: Meta) -> Result<(), Fail> {
        let plain = Meta { mode: 0o755, mtime: meta.mtime, ..Meta::default() };
        self.looked_below |= meta != plain;
        self.make_dir(path, Dir { meta, implied: true })
    }

    /// Makes a directory, or takes the one that is there, whose children stay.
    pub(crate) fn make_dir(&mut self, path: &[u8], new: Dir) -> Result<(), Fail> {
        let (dir, name) = split(path);
        let made = self.try_in(dir, |dir| mkdirat(dir, name, Mode::S_IRWXU));
        match made {
            Ok(()) => {}
            Err(Errno::EEXIST) => {
                let found = self.try_in(dir, |dir| look(dir, name));
                let is_dir = cannot(found, "look at", path)?
                    .is_some_and(|stat| kind(&stat) == SFlag::S_IFDIR);
                if !is_dir {
                    self.remove(path)?;
                    let made = self.try_in(dir, |dir| mkdirat(dir, name, Mode::S_IRWXU));
                    cannot(made, "make directory", path)?;
                }
            }
            Err(e) => return cannot(Err(e), "make directory", path),
        }
        self.remember(path, &new.meta.xattrs)?;
        self.dirs.insert(path.to_vec(), new);
        Ok(())
    }

    /// Counts a name that is kept in memory until the layer is done, with its attributes: a
    /// path of many short parts would make much of little.
    pub(crate) fn remember(&mut self, path: &[u8], xattrs: &[Xattr]) -> Result<(), Fail> {
        let cost = xattrs.iter().fold(NAME, |sum, (name, value)| {
            sum.saturating_add(NAME)
                .saturating_add(name.as_bytes().len())
                .saturating_add(value.len())
        });
        self.remembered = self.remembered.saturating_add(path.len()).saturating_add(cost);
        if self.remembered > MAX_REMEMBERED {
            let reason = "to remember its directories would take more than 40 MiB";
            return Err(Fail::new(format!("cannot unpack the layer: {reason}")));
        }
        Ok(())
    }

    fn try_in<T>(
        &mut self,
        dir: &[u8],
        call: impl Fn(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        call(self.dir(dir)?)
    }

    /// Takes away what is at a path of this layer, a directory with all below it.
    pub(crate) fn remove(&mut self, path: &[u8]) -> Result<(), Fail> {
        let (dir, name) = split(path);
        match self.try_in(dir, |dir| unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) => {}
            Err(e) => return cannot(Err(e), "remove", path),
        }
        self.forget(path);
        let trash = remove::name();
        let store = self.store;
        let moved = self.try_in(dir, |dir| renameat(dir, name, store, trash.as_str()));
        cannot(moved, "remove", path)?;
        cannot(remove::tree(store, trash.as_bytes()), "remove", path)
    }

    /// Drops what is known of a directory that goes away: a descriptor kept open would
    /// lead to where it was moved.
    fn forget(&mut self, path: &[u8]) {
        let below = |other: &[u8]| {
            other.strip_prefix(path).is_some_and(|r| r.is_empty() || r.starts_with(b"/"))
        };
        self.cache.retain(|other, _| !below(other));
        self.dirs.remove(path);
        // Behind `PATH/` and before `PATH0`, the next byte.
        let (from, to) = (join(path, b""), [path, b"0"].concat());
        while let Some((inner, _)) = self.dirs.range(from.clone()..to.clone()).next() {
            let inner = inner.clone();
            self.dirs.remove(&inner);
        }
    }
}

fn parts(path: &[u8]) -> VecDeque<Vec<u8>> {
    let parts = path.split(|b| *b == b'/').filter(|p| !matches!(*p, b"" | b"."));
    parts.map(<[u8]>::to_vec).collect()
}

/// A directory below another, no part of the path being a link.
pub(crate) fn open_beneath(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    let mut here: Option<OwnedFd> = None;
    let mut rest = path;
    while !rest.is_empty() {
        let (piece, tail) = first_piece(rest);
        let at = here.as_ref().map_or(root, AsFd::as_fd);
        here = Some(match openat2(at, piece, how) {
            // A rename went on beside us; the kernel asks to look again.
            Err(Errno::EAGAIN) => continue,
            Err(Errno::ENOSYS | Errno::EPERM) => by_parts(at, piece)?,
            other => other?,
        });
        rest = tail;
    }
    here.ok_or(Errno::ENOENT)
}

/// As much of a path as the kernel takes at a time, and the rest.
fn first_piece(path: &[u8]) -> (&[u8], &[u8]) {
    let cut =
        path.get(..MAX_PATH).and_then(|start| start.iter().rposition(|b| *b == b'/'));
    match cut.and_then(|at| path.split_at_checked(at)) {
        Some((piece, tail)) => (piece, tail.strip_prefix(b"/").unwrap_or(tail)),
        None => (path, &[]),
    }
}

/// Where a filter hides openat2(2).
fn by_parts(at: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut here = at.try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
    for part in path.split(|b| *b == b'/') {
        here = child_dir(here.as_fd(), OsStr::from_bytes(part))?;
    }
    Ok(here)
}
