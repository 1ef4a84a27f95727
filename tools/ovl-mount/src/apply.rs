//! Carries the steps out: opens each directory once and mounts by descriptor.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::chain::Chain;
use common::fail::Hint;
use common::mount::{Attr, Depth, Fs, Mount};
use common::parse::Bytes;
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::layers::READ;
use crate::plan::{Step, Xattrs};
use crate::stack::{self, Layer, Place, Writable};

const DIR: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);

/// What was made so far.
#[derive(Default)]
pub(crate) struct Made {
    lowers: Vec<Layer>,
    fs: Option<Fs>,
    upper: Option<Writable>,
    mount: Option<Mount>,
    xattrs: Option<Xattrs>,
    attached: bool,
    /// Directories that were not there before.
    dirs: Vec<(OwnedFd, OsString)>,
}

/// Carries the steps out; takes away what was made when one fails.
pub(crate) fn apply(steps: &[Step], chain: &mut Chain) -> Result<Made, Fail> {
    let mut made = Made::default();
    let done = steps.iter().try_for_each(|step| made.carry_out(step, chain));
    done.inspect_err(|fail| made.undo_after(fail)).map(|()| made)
}

impl Made {
    /// Takes mount and directories away again, unless nothing failed.
    pub(crate) fn undo_after(&self, fail: &Fail) {
        if fail.status == 0 {
            return;
        }
        // The failure is told already; more cannot be done than to try.
        if let Some(mount) = self.mount.as_ref().filter(|_| self.attached) {
            let _ = mount.take_away();
        }
        for (above, name) in self.dirs.iter().rev() {
            let _ = unlinkat(above, name.as_os_str(), UnlinkatFlags::RemoveDir);
        }
    }

    fn carry_out(&mut self, step: &Step, chain: &mut Chain) -> Result<(), Fail> {
        match step {
            Step::Config(path) => chain.image = Some(open_config(path)?),
            Step::Lower(path) => self.lowers.push(open_layer(path, "layer")?),
            Step::Fsopen => self.fs = Some(fsopen()?),
            Step::Upper { upper, work } => {
                let upper = open_writable(upper, "upper directory")?;
                let work = open_writable(work, "work directory")?;
                self.upper = Some(Writable { upper, work, tmpfs: None });
            }
            Step::Rw(dir) => self.upper = Some(self.make_rw(dir)?),
            Step::Tmpfs(size) => self.upper = Some(self.make_tmpfs(*size)?),
            Step::Overlay(xattrs) => {
                if let Some(upper) = &self.upper {
                    stack::probe_xattrs(upper, *xattrs)?;
                }
                self.xattrs = Some(*xattrs);
            }
            Step::Bind => self.mount = Some(bind(&self.lowers)?),
            Step::Attach(target) => self.attach(target)?,
        }
        Ok(())
    }

    fn attach(&mut self, target: &Path) -> Result<(), Fail> {
        let fd = self.open_or_make(target, Mode::from_bits_truncate(0o755))?;
        let place = Place { fd, path: target };
        let mount = match (self.mount.take(), self.fs.take(), self.xattrs) {
            (None, Some(fs), Some(xattrs)) => {
                let upper = self.upper.as_ref();
                stack::mount(&fs, &self.lowers, upper, xattrs, &place)?
            }
            (Some(bind), ..) => stack::Overlay::Detached(bind),
            _ => return Err(Fail::cannot("mount on", target, "planned wrongly")),
        };
        let mount = match mount {
            stack::Overlay::Detached(mount) => {
                mount.attach(place.fd.as_fd()).cannot("mount on", target)?;
                mount
            }
            stack::Overlay::Attached(mount) => mount,
        };
        self.mount = Some(mount);
        self.attached = true;
        Ok(())
    }

    /// `DIR/upper` and `DIR/work`: through one descriptor, so they are on one mount.
    fn make_rw(&mut self, dir: &Path) -> Result<Writable, Fail> {
        let top = self.open_or_make(dir, Mode::S_IRWXU)?;
        let (upper, work) = (dir.join("upper"), dir.join("work"));
        if self.make_dir(top.as_fd(), "upper".as_ref(), &upper, Mode::S_IRWXU)? {
            let fd = open_at(top.as_fd(), "upper", &upper)?;
            self.like_topmost(&fd).cannot("set mode of", &upper)?;
        }
        let is_new = self.make_dir(top.as_fd(), "work".as_ref(), &work, Mode::S_IRWXU)?;
        let layer = |name, path: PathBuf| {
            open_at(top.as_fd(), name, &path).map(|fd| Layer { path, fd })
        };
        let (upper, work) = (layer("upper", upper)?, layer("work", work)?);
        if is_new {
            // The kernel will make work/work.
            let above = work.fd.try_clone().cannot("open", &work.path)?;
            self.dirs.push((above, "work".into()));
        }
        Ok(Writable { upper, work, tmpfs: None })
    }

    /// Both on a tmpfs that is mounted nowhere and goes away with the overlay.
    fn make_tmpfs(&self, size: Option<Bytes>) -> Result<Writable, Fail> {
        let why = "mount a tmpfs for the changes";
        let size = size.map(|size| size.to_string());
        let options = size.iter().map(|size| ("size", size.as_str()));
        let tmpfs = Mount::new("tmpfs", options, Attr::NONE).failed_to(why)?;
        let layer = |name: &str| {
            let path = PathBuf::from(format!("(tmpfs)/{name}"));
            mkdirat(&tmpfs, name, Mode::S_IRWXU).cannot("make directory", &path)?;
            open_at(tmpfs.as_fd(), name, &path).map(|fd| Layer { path, fd })
        };
        let (upper, work) = (layer("upper")?, layer("work")?);
        self.like_topmost(&upper.fd).cannot("set mode of", &upper.path)?;
        Ok(Writable { upper, work, tmpfs: Some(tmpfs) })
    }

    /// The root of the tree has the mode of its upper directory: let that be the
    /// topmost layer's, as without one, whatever the umask.
    fn like_topmost(&self, upper: &OwnedFd) -> Result<(), Errno> {
        let Some(topmost) = self.lowers.first() else { return Ok(()) };
        let mode = fstat(&topmost.fd)?.st_mode & 0o7777;
        fchmod(upper, Mode::from_bits_truncate(mode))
    }

    fn make_dir(
        &mut self,
        above: BorrowedFd<'_>,
        name: &std::ffi::OsStr,
        path: &Path,
        mode: Mode,
    ) -> Result<bool, Fail> {
        match mkdirat(above, name, mode) {
            Ok(()) => {
                let above = above.try_clone_to_owned().cannot("open", path)?;
                self.dirs.push((above, name.to_owned()));
                Ok(true)
            }
            Err(Errno::EEXIST) => Ok(false),
            Err(e) => Err(e).cannot("make directory", path),
        }
    }

    /// A directory of the host's; its last part is made where it is missing.
    fn open_or_make(&mut self, path: &Path, mode: Mode) -> Result<OwnedFd, Fail> {
        let flags = OFlag::O_PATH | DIR;
        match (openat(AT_FDCWD, path, flags, Mode::empty()), path.file_name()) {
            (Err(Errno::ENOENT), Some(name)) => {
                let above = path.parent().filter(|p| !p.as_os_str().is_empty());
                let above = openat(
                    AT_FDCWD,
                    above.unwrap_or(Path::new(".")),
                    flags,
                    Mode::empty(),
                )
                .cannot("make directory", path)?;
                self.make_dir(above.as_fd(), name, path, mode)?;
                openat(&above, name, flags | OFlag::O_NOFOLLOW, Mode::empty())
            }
            (opened, _) => opened,
        }
        .cannot("open directory", path)
    }
}

fn open_config(path: &Path) -> Result<OwnedFd, Fail> {
    let file = openat(AT_FDCWD, path, READ, Mode::empty()).cannot("open", path)?;
    let file = File::from(file);
    if !file.metadata().cannot("read", path)?.is_file() {
        return Err(Fail::cannot("open", path, "not a regular file"));
    }
    Ok(file.into())
}

fn open_layer(path: &Path, what: &str) -> Result<Layer, Fail> {
    let fd = openat(AT_FDCWD, path, OFlag::O_PATH | DIR, Mode::empty())
        .cannot(&format!("open {what}"), path)?;
    Ok(Layer { path: path.to_owned(), fd })
}

/// Not `O_PATH`: attributes are probed on it.
fn open_writable(path: &Path, what: &str) -> Result<Layer, Fail> {
    let fd = openat(AT_FDCWD, path, OFlag::O_RDONLY | DIR, Mode::empty())
        .cannot(&format!("open {what}"), path)?;
    Ok(Layer { path: path.to_owned(), fd })
}

fn open_at(dir: BorrowedFd<'_>, name: &str, path: &Path) -> Result<OwnedFd, Fail> {
    openat(dir, name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | DIR, Mode::empty())
        .cannot("open directory", path)
}

fn fsopen() -> Result<Fs, Fail> {
    Fs::open(c"overlay")
        .failed_to("mount an overlay")
        .hint_on(Errno::EPERM, stack::NEEDS_RIGHT)
        .hint_on(Errno::ENODEV, "the kernel has no overlayfs: modprobe overlay")
}

/// The tree as a whole, since the kernel does not let an inherited one be torn apart.
fn bind(lowers: &[Layer]) -> Result<Mount, Fail> {
    let Some(layer) = lowers.first() else {
        return Err(Fail::new("cannot bind without a layer"));
    };
    let clone = || {
        let mount = Mount::clone_fd(layer.fd.as_fd(), Depth::Tree)?;
        mount.add(Attr::RDONLY.and(Attr::NODEV), Depth::Tree)?;
        Ok::<_, Errno>(mount)
    };
    let mount = clone()
        .cannot("bind layer", &layer.path)
        .hint_on(Errno::EPERM, stack::NEEDS_RIGHT)?;
    if !stack::is_read_only(mount.as_fd()) {
        return Err(Fail::cannot("bind layer", &layer.path, "it stayed writable"));
    }
    Ok(mount)
}

/// The id of the mount a directory lies on, where the kernel tells.
pub(crate) fn mount_id(fd: BorrowedFd<'_>) -> Option<u64> {
    sys::mount_of(fd, c"").ok().map(|mount| mount.id)
}
