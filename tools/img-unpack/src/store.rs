//! Where layers are: under their digests, nothing half made under such a name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::inroot::kind;
use common::{Context, Fail, remove, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use serde_json::{Value, json};

use crate::digest::Digest;
use crate::held::{Held, Lock, write};
use crate::locks::Locks;
use crate::lower::{look, open_dir};
use crate::policy::Policy;

/// The directory that the layers' are in.
pub(crate) const LAYERS: &str = "layers";

/// Layers, of one image's directory or shared by several.
pub(crate) struct Store {
    /// As the caller named it.
    path: PathBuf,
    /// Where layers are made and named.
    layers: OwnedFd,
    shared: Option<Shared>,
}

/// What keeps runs on a shared store apart.
struct Shared {
    /// Held by all runs, and by `--gc` alone.
    held: Held,
    locks: Locks,
}

/// A layer that is there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) record: Value,
}

impl AsFd for Store {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.layers.as_fd()
    }
}

impl Store {
    /// The layers of one image, in its own directory, which the caller holds alone.
    pub(crate) fn own(held: &Held) -> Result<Self, Fail> {
        let layers = held.inner(LAYERS)?;
        held.sweep(layers.as_fd())?;
        Ok(Self { path: held.path().to_owned(), layers, shared: None })
    }

    /// Layers that go on to be parts of one root, and get no names.
    pub(crate) fn unnamed(held: &Held) -> Result<Self, Fail> {
        let here = open_dir(held.as_fd(), b".").cannot("open directory", held.path())?;
        Ok(Self { path: held.path().to_owned(), layers: here, shared: None })
    }

    /// The layers of many images.
    pub(crate) fn shared(path: &Path) -> Result<Self, Fail> {
        let held = Held::open(path, Lock::Shared)?;
        let layers = held.inner(LAYERS)?;
        // Alone: what is unfinished is nobody's.
        if held.is_alone()? {
            held.sweep(held.as_fd())?;
            held.sweep(layers.as_fd())?;
        }
        held.share()?;
        let locks = Locks::open(held.as_fd()).cannot("lock", path)?;
        Ok(Self { path: path.to_owned(), layers, shared: Some(Shared { held, locks }) })
    }

    /// The directory that [`LAYERS`] is in, as the caller named it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that is shared.
    pub(crate) fn held(&self) -> Option<&Held> {
        self.shared.as_ref().map(|shared| &shared.held)
    }

    /// Waits until no other run works on these layers, and holds them.
    pub(crate) fn lock(&self, ids: &[Digest]) -> Result<(), Fail> {
        match &self.shared {
            Some(shared) => shared.locks.take(ids).cannot("lock", &self.path),
            None => Ok(()),
        }
    }

    /// After a failure: what this run made goes. Layers of a shared store that were
    /// verified stay; others may use them already.
    pub(crate) fn abandon(self, held: &Held, finished: &[String]) {
        if let Some(shared) = self.shared {
            shared.held.abandon();
            return;
        }
        // The failure that led here is the one to tell.
        for name in finished {
            for name in [name, &record_name(name)] {
                let (at, away) = (&self.layers, remove::name());
                let _ = renameat(at, name.as_str(), at, away.as_str());
            }
        }
        let _ = held.sweep(self.layers.as_fd());
    }

    /// A directory for a layer that is not finished: our own whatever DIR hands down.
    pub(crate) fn begin(&self, policy: &Policy) -> Result<(String, OwnedFd), Fail> {
        let name = remove::name();
        let make = || {
            mkdirat(&self.layers, name.as_str(), Mode::S_IRWXU)?;
            let dir = open_dir(self.as_fd(), name.as_bytes())?;
            // Set-group-ID and default ACLs of DIR would go on to all that is made in it.
            match sys::fremovexattr(dir.as_fd(), c"system.posix_acl_default") {
                Ok(()) | Err(Errno::ENODATA | Errno::EOPNOTSUPP) => {}
                Err(e) => return Err(e),
            }
            let (uid, gid) = (Uid::from_raw(policy.uid), Gid::from_raw(policy.gid));
            fchown(&dir, Some(uid), Some(gid))?;
            fchmod(&dir, Mode::S_IRWXU)?;
            Ok(dir)
        };
        let made = make().inspect_err(|_| self.drop(&name));
        let dir = made.cannot("make directory in", self.path.join(LAYERS))?;
        Ok((name, dir))
    }

    /// Takes a layer away that is not finished.
    pub(crate) fn drop(&self, name: &str) {
        // What is left is removed by the next run.
        let _ = remove::tree(self.as_fd(), name.as_bytes());
    }

    /// Gives a finished layer its name, the first that is free; its record comes first.
    pub(crate) fn finish(
        &self,
        temporary: &str,
        names: &[String],
        record: &Value,
    ) -> Result<String, Fail> {
        for name in names {
            if self.is_taken(name)? {
                continue;
            }
            let text = format!("{record:#}\n");
            write(self.as_fd(), &record_name(name), text.as_bytes())
                .and_then(|()| {
                    renameat(&self.layers, temporary, &self.layers, name.as_str())
                })
                .inspect_err(|_| {
                    let _ = unlinkat(&self.layers, record_name(name).as_str(), FILE);
                })
                .cannot("give its name to layer", name)?;
            return Ok(name.clone());
        }
        Err(Fail::cannot("give its name to layer", names.concat(), "it is taken"))
    }

    fn is_taken(&self, name: &str) -> Result<bool, Fail> {
        let found = look(self.as_fd(), name.as_bytes()).cannot("look at layer", name)?;
        match found {
            None => Ok(false),
            Some(stat) if kind(&stat) == SFlag::S_IFDIR => Ok(true),
            Some(_) => Err(Fail::cannot("use layer", name, "it is no directory")),
        }
    }

    /// The record of a layer that is there.
    pub(crate) fn record(&self, name: &str) -> Result<Option<Value>, Fail> {
        if !self.is_taken(name)? {
            return Ok(None);
        }
        let record = record_name(name);
        let flags =
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = nix::fcntl::openat(self, record.as_str(), flags, Mode::empty());
        let file = match file {
            Err(Errno::ENOENT) => return Ok(Some(json!({}))),
            other => other.cannot("open", &record)?,
        };
        let text =
            std::io::read_to_string(std::fs::File::from(file)).cannot("read", &record)?;
        Ok(Some(serde_json::from_str(&text).unwrap_or_else(|_| json!({}))))
    }

    /// Opens a layer, finished or not.
    pub(crate) fn layer(&self, name: &str) -> Result<OwnedFd, Fail> {
        open_dir(self.as_fd(), name.as_bytes()).cannot("open layer", name)
    }

    /// Waits until all that was made is on the disk.
    pub(crate) fn sync(&self) -> Result<(), Fail> {
        nix::unistd::syncfs(self).cannot("sync", &self.path)
    }
}

const FILE: UnlinkatFlags = UnlinkatFlags::NoRemoveDir;

/// What a layer's record is called.
pub(crate) fn record_name(layer: &str) -> String {
    format!("{layer}.json")
}

/// What a layer may be called: its digest, and where another that depends on other layers
/// has that, its digest and that of the layers below.
pub(crate) fn names(id: &Digest, below: Option<&Digest>) -> Vec<String> {
    let hex = id.hex();
    let longer = below.map(|below| format!("{hex}-{}", below.hex()));
    std::iter::once(hex).chain(longer).collect()
}
