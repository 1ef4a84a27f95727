//! DIR: layers under their digests, nothing half made under such a name, one run at a time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::fail::Hint;
use common::inroot::kind;
use common::{Context, Fail, entry, sys};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use serde_json::{Value, json};

use crate::digest::Digest;
use crate::files::create;
use crate::lower::{look, open_dir};
use crate::policy::Policy;
use crate::remove;

/// DIR, locked.
pub(crate) struct Store<'a> {
    path: &'a Path,
    dir: Flock<OwnedFd>,
    pub(crate) layers: OwnedFd,
    /// It was not there before.
    made: bool,
}

impl<'a> Store<'a> {
    /// Makes DIR where it is missing, waits for other runs, removes what killed ones left.
    ///
    /// A new DIR is its owner's alone: it holds set-user-ID files (CVE-2021-41103).
    pub(crate) fn open(path: &'a Path) -> Result<Self, Fail> {
        let mut made = false;
        let dir = loop {
            match nix::unistd::mkdir(path, Mode::S_IRWXU) {
                Ok(()) => made = true,
                Err(Errno::EEXIST) => {}
                Err(e) => return Err(e).cannot("make directory", path),
            }
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let dir = match open(path, flags, Mode::empty()) {
                Err(Errno::ENOENT) => continue,
                other => other.cannot("open directory", path)?,
            };
            let dir = Flock::lock(dir, FlockArg::LockExclusive)
                .map_err(|(_, e)| e)
                .cannot("lock", path)?;
            // The run that was waited for may have failed and taken its DIR away.
            if fstat(&*dir).cannot("look at", path)?.st_nlink > 0 {
                break dir;
            }
            made = false;
        };
        let made_layers = mkdirat(&*dir, "layers", Mode::from_bits_truncate(0o755));
        match made_layers {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e).cannot("make directory", path.join("layers")),
        }
        let layers = open_dir(dir.as_fd(), b"layers")
            .cannot("open directory", path.join("layers"))?;
        let store = Self { path, dir, layers, made };
        store.sweep()?;
        Ok(store)
    }

    /// Removes unfinished things.
    fn sweep(&self) -> Result<(), Fail> {
        for at in [self.dir.as_fd(), self.layers.as_fd()] {
            let clean = || -> nix::Result<()> {
                for entry in nix::dir::Dir::from_fd(open_dir(at, b".")?)?.iter() {
                    let name = entry?.file_name().to_bytes().to_vec();
                    if name.starts_with(remove::PREFIX.as_bytes()) {
                        remove::tree(at, &name)?;
                    }
                }
                Ok(())
            };
            clean().cannot("remove what an earlier run left in", self.path).hint_on(
                Errno::EPERM,
                "its files belong to others: remove it as the one who made it",
            )?;
        }
        Ok(())
    }

    /// After a failure: all that this run made goes, the layers that were finished too.
    pub(crate) fn abandon(self, finished: &[Digest]) {
        // The failure that led here is the one to tell.
        let layers = self.layers.as_fd();
        for hex in finished.iter().map(Digest::hex) {
            let away = remove::name();
            let _ = renameat(layers, hex.as_str(), layers, away.as_str());
            let _ = unlinkat(
                layers,
                format!("{hex}.json").as_str(),
                UnlinkatFlags::NoRemoveDir,
            );
        }
        let _ = self.sweep();
        if self.made {
            let _ = unlinkat(&*self.dir, "layers", UnlinkatFlags::RemoveDir);
            let _ = std::fs::remove_dir(self.path);
        }
    }

    /// A directory for a layer that is not finished: our own whatever DIR hands down.
    pub(crate) fn begin(&self, policy: &Policy) -> Result<(String, OwnedFd), Fail> {
        let name = remove::name();
        let make = || {
            mkdirat(&self.layers, name.as_str(), Mode::S_IRWXU)?;
            let dir = open_dir(self.layers.as_fd(), name.as_bytes())?;
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
        let dir = make().cannot("make directory in", self.path.join("layers"))?;
        Ok((name, dir))
    }

    /// Gives a finished layer its name; its record comes first.
    pub(crate) fn finish(
        &self,
        name: &str,
        id: &Digest,
        record: &Value,
    ) -> Result<(), Fail> {
        let hex = id.hex();
        self.write(self.layers.as_fd(), &format!("{hex}.json"), &text(record))?;
        renameat(&self.layers, name, &self.layers, hex.as_str())
            .cannot("give its name to layer", id.to_string())
    }

    /// The record of a layer that is there.
    pub(crate) fn record(&self, id: &Digest) -> Result<Option<Value>, Fail> {
        let hex = id.hex();
        let found = look(self.layers.as_fd(), hex.as_bytes());
        match found.cannot("look at layer", id.to_string())? {
            None => return Ok(None),
            Some(stat) if kind(&stat) == SFlag::S_IFDIR => {}
            Some(_) => {
                return Err(Fail::cannot(
                    "use layer",
                    id.to_string(),
                    "it is no directory",
                ));
            }
        }
        let name = format!("{hex}.json");
        let flags =
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = nix::fcntl::openat(&self.layers, name.as_str(), flags, Mode::empty());
        let file = match file {
            Err(Errno::ENOENT) => return Ok(Some(json!({}))),
            other => other.cannot("open", &name)?,
        };
        let text =
            std::io::read_to_string(std::fs::File::from(file)).cannot("read", &name)?;
        Ok(Some(serde_json::from_str(&text).unwrap_or_else(|_| json!({}))))
    }

    /// Opens a finished layer.
    pub(crate) fn layer(&self, id: &Digest) -> Result<OwnedFd, Fail> {
        open_dir(self.layers.as_fd(), id.hex().as_bytes())
            .cannot("open layer", id.to_string())
    }

    /// config.json, then image.json: what names a config must not outlive it.
    pub(crate) fn publish(&self, config: &[u8], image: &Value) -> Result<(), Fail> {
        match unlinkat(&*self.dir, "image.json", UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(e) => return Err(e).cannot("replace", self.path.join("image.json")),
        }
        self.write(self.dir.as_fd(), "config.json", config)?;
        self.write(self.dir.as_fd(), "image.json", &text(image))
    }

    /// A file that is there as a whole or not at all.
    fn write(&self, at: BorrowedFd<'_>, name: &str, content: &[u8]) -> Result<(), Fail> {
        let temporary = remove::name();
        let write = || {
            let fd = create(at, temporary.as_bytes(), 0o644)?;
            entry::write_all(std::os::fd::AsRawFd::as_raw_fd(&fd), content)?;
            renameat(at, temporary.as_str(), at, name)
        };
        write().cannot("write", self.path.join(name))
    }
}

fn text(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
