//! Carries the steps out: opens each directory once and mounts by descriptor.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use common::chain::Chain;
use common::fail::Hint;
use common::idmapped::IdMapped;
use common::mount::{Attr, Depth, Fs, Mount};
use common::parse::Bytes;
use common::{Context, Fail, proc, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::option::{self, Setting};
use crate::plan::{Refused, Step, Xattrs};
use crate::stack::{self, Layer, Overlay, Place, Stack, Writable};
use crate::{fuse, work};

const DIR: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);

/// What was made so far.
#[derive(Default)]
pub(crate) struct Made {
    lowers: Vec<Layer>,
    data: Vec<Layer>,
    userns: Option<OwnedFd>,
    fs: Option<Fs>,
    is_fuse: bool,
    may_fuse: bool,
    upper: Option<Writable>,
    mount: Option<Mount>,
    config: Option<(Xattrs, Vec<Setting>)>,
    reserved: Option<OwnedFd>,
    is_attached: bool,
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
        if let Some(mount) = self.mount.as_ref().filter(|_| self.is_attached) {
            fuse::take_away(mount);
        }
        for (above, name) in self.dirs.iter().rev() {
            let _ = unlinkat(above, name.as_os_str(), UnlinkatFlags::RemoveDir);
        }
    }

    fn carry_out(&mut self, step: &Step, chain: &mut Chain) -> Result<(), Fail> {
        match step {
            Step::Reserve(fd) => self.reserved = Some(reserve(*fd)?),
            Step::Config(dir) => chain.keep_image(dir)?,
            Step::Lower(path) => self.lowers.push(open_layer(path)?),
            Step::Data(path) => self.data.push(open_layer(path)?),
            Step::Idmap(map) => self.idmap(map)?,
            Step::Fsopen(refused) => self.fsopen(*refused)?,
            Step::Upper { upper, work } => {
                let upper = open_writable(upper, "upper directory")?;
                let work = open_writable(work, "work directory")?;
                self.upper = Some(Writable { upper, work, tmpfs: None, is_new: false });
            }
            Step::Rw(dir) => self.upper = Some(self.make_rw(dir)?),
            Step::Tmpfs(size) => self.upper = Some(self.make_tmpfs(*size)?),
            Step::Exclusive(xattrs) => {
                self.config = Some((*xattrs, Vec::new()));
                self.with_upper(work::claim)?;
            }

            Step::ResetWork => self.with_upper(|_, upper| work::reset(upper))?,
            Step::Overlay { xattrs, settings } => self.configure(*xattrs, settings)?,
            Step::Bind(refused) => self.bind(*refused)?,
            Step::Attach(target) => self.attach(target)?,
            Step::HandOver(fd) => self.hand_over(*fd)?,
        }
        Ok(())
    }

    fn stack(&self) -> Stack<'_> {
        let (xattrs, settings) =
            self.config.as_ref().map_or((Xattrs::Trusted, &[][..]), |(x, s)| (*x, s));
        let (lowers, data) = (&self.lowers, &self.data);
        Stack { lowers, data, upper: self.upper.as_ref(), xattrs, settings }
    }

    fn with_upper(
        &self,
        act: impl FnOnce(&Stack<'_>, &Writable) -> Result<(), Fail>,
    ) -> Result<(), Fail> {
        self.upper.as_ref().map_or(Ok(()), |upper| act(&self.stack(), upper))
    }

    /// Copies of the layers' mounts, with other ids, in the place of the layers.
    fn idmap(&mut self, map: &IdMapped) -> Result<(), Fail> {
        let takes_root = "that takes root in the first user namespace";
        let userns = map.userns().hint_on(Errno::EPERM, takes_root)?;
        for layer in self.lowers.iter_mut().chain(&mut self.data) {
            let mapped = || {
                let clone = Mount::clone_fd(layer.fd.as_fd(), Depth::One)?;
                clone.idmap(userns.as_fd(), Depth::One)?;
                Ok::<_, Errno>(clone)
            };
            layer.fd = mapped()
                .cannot("map the ids of layer", &layer.path)
                .hint_on(Errno::EPERM, takes_root)
                .hint_on(Errno::EINVAL, "its file system has no idmapped mounts")?
                .into();
        }
        self.userns = Some(userns);
        Ok(())
    }

    /// Without fsopen(2) there is mount(2).
    fn fsopen(&mut self, refused: Refused) -> Result<(), Fail> {
        self.may_fuse = refused == Refused::Fuse;
        match Fs::open(c"overlay") {
            Ok(fs) => self.fs = Some(fs),
            Err(Errno::ENOSYS) => {}
            Err(Errno::EPERM | Errno::ENODEV) if self.may_fuse => self.is_fuse = true,
            Err(e) => {
                return Err(e)
                    .failed_to("mount an overlay")
                    .hint_on(Errno::EPERM, stack::NEEDS_RIGHT)
                    .hint_on(
                        Errno::ENODEV,
                        "the kernel has no overlayfs: modprobe overlay",
                    );
            }
        }
        Ok(())
    }

    fn configure(&mut self, xattrs: Xattrs, settings: &[Setting]) -> Result<(), Fail> {
        self.config = Some((xattrs, settings.to_vec()));
        match self.upper.as_ref().filter(|_| !self.is_fuse) {
            None => Ok(()),
            Some(upper) => match stack::probe_xattrs(upper, xattrs) {
                Err(_) if self.may_fuse => {
                    self.is_fuse = true;
                    Ok(())
                }
                probed => probed,
            },
        }
    }

    fn bind(&mut self, refused: Refused) -> Result<(), Fail> {
        match bind(&self.lowers, self.userns.is_some()) {
            Err(_) if refused == Refused::Fuse => self.is_fuse = true,
            bound => self.mount = Some(bound?),
        }
        Ok(())
    }

    /// Makes the overlay; by fuse-overlayfs where it may.
    fn overlay(&self, place: Option<&Place<'_>>) -> Result<Overlay, Fail> {
        let stack = self.stack();
        let by_fuse = || match place {
            Some(place) => fuse::mount(&stack, place).map(Overlay::Attached),
            None => Err(Fail::new("cannot hand over what fuse-overlayfs mounts")),
        };
        if self.is_fuse {
            return by_fuse();
        }
        match stack.mount(self.fs.as_ref(), place)? {
            Ok(made) => Ok(made),
            Err(refusal) if self.may_fuse && refusal.is_for_fuse() => by_fuse(),
            Err(refusal) => Err(stack.explain(&refusal, place)),
        }
    }

    fn attach(&mut self, target: &Path) -> Result<(), Fail> {
        let fd = self.open_or_make(target, Mode::from_bits_truncate(0o755))?;
        let place = Place { fd, path: target };
        let mount = match self.mount.take() {
            Some(bind) => Overlay::Detached(bind),
            None => self.overlay(Some(&place))?,
        };
        let mount = match mount {
            Overlay::Detached(mount) => {
                mount.attach(place.fd.as_fd()).cannot("mount on", target)?;
                mount
            }
            Overlay::Attached(mount) => mount,
        };
        self.is_attached = true;
        let settings = self.config.as_ref().map_or(&[][..], |(_, settings)| settings);
        let kept = verify(&mount, settings, target);
        self.mount = Some(mount);
        kept
    }

    fn hand_over(&mut self, fd: RawFd) -> Result<(), Fail> {
        let made = match self.mount.take() {
            Some(bind) => Overlay::Detached(bind),
            None => self.overlay(None)?,
        };
        let (Overlay::Detached(mount), Some(reserved)) = (made, &self.reserved) else {
            return Err(Fail::cannot(
                "hand a mount over as",
                fd.to_string(),
                "planned wrongly",
            ));
        };
        sys::replace(reserved, mount.as_fd())
            .and_then(|()| sys::set_cloexec(reserved.as_raw_fd(), false))
            .cannot("hand a mount over as", fd.to_string())
    }

    /// `DIR/upper` and `DIR/work`: through one descriptor, so they are on one mount.
    fn make_rw(&mut self, dir: &Path) -> Result<Writable, Fail> {
        let top = self.open_or_make(dir, Mode::S_IRWXU)?;
        let (upper, work) = (dir.join("upper"), dir.join("work"));
        let is_upper_new =
            self.make_dir(top.as_fd(), "upper".as_ref(), &upper, Mode::S_IRWXU)?;
        if is_upper_new {
            let fd = open_at(top.as_fd(), "upper", &upper)?;
            self.like_topmost(&fd).cannot("set mode of", &upper)?;
        }
        let is_work_new =
            self.make_dir(top.as_fd(), "work".as_ref(), &work, Mode::S_IRWXU)?;
        let layer = |name, path: PathBuf| {
            open_at(top.as_fd(), name, &path).map(|fd| Layer { path, fd })
        };
        let (upper, work) = (layer("upper", upper)?, layer("work", work)?);
        if is_work_new {
            // The kernel will make work/work.
            let above = work.fd.try_clone().cannot("open", &work.path)?;
            self.dirs.push((above, "work".into()));
        }
        let is_new = is_upper_new && is_work_new;
        Ok(Writable { upper, work, tmpfs: None, is_new })
    }

    /// Both on a tmpfs that is mounted nowhere and goes away with the overlay.
    fn make_tmpfs(&self, size: Option<Bytes>) -> Result<Writable, Fail> {
        let why = "mount a tmpfs for the changes";
        let size = size.map(|size| size.to_string());
        let options = size.iter().map(|size| ("size", size.as_str()));
        let tmpfs = Mount::new("tmpfs", options, Attr::NONE)
            .failed_to(why)
            .hint_on(Errno::EPERM, stack::NEEDS_RIGHT)
            .hint_on(
                Errno::ENOSYS,
                "fsopen(2) is missing or hidden by a filter: use --rw",
            )?;
        let layer = |name: &str| {
            let path = PathBuf::from(format!("(tmpfs)/{name}"));
            mkdirat(&tmpfs, name, Mode::S_IRWXU).cannot("make directory", &path)?;
            open_at(tmpfs.as_fd(), name, &path).map(|fd| Layer { path, fd })
        };
        let (upper, work) = (layer("upper")?, layer("work")?);
        self.like_topmost(&upper.fd).cannot("set mode of", &upper.path)?;
        Ok(Writable { upper, work, tmpfs: Some(tmpfs), is_new: true })
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
        name: &OsStr,
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

fn reserve(fd: RawFd) -> Result<OwnedFd, Fail> {
    let any =
        openat(AT_FDCWD, "/", OFlag::O_PATH | DIR, Mode::empty()).cannot("open", "/")?;
    sys::duplicate(any.as_fd(), fd)
        .cannot("hand a mount over as", fd.to_string())
        .hint_on(Errno::EBUSY, "that descriptor is open already")
}

fn open_layer(path: &Path) -> Result<Layer, Fail> {
    let fd = openat(AT_FDCWD, path, OFlag::O_PATH | DIR, Mode::empty())
        .cannot("open layer", path)?;
    Ok(Layer { path: path.to_owned(), fd })
}

/// Not `O_PATH`: attributes are probed on it, and it is locked.
fn open_writable(path: &Path, what: &str) -> Result<Layer, Fail> {
    let fd = openat(AT_FDCWD, path, OFlag::O_RDONLY | DIR, Mode::empty())
        .cannot(&format!("open {what}"), path)?;
    Ok(Layer { path: path.to_owned(), fd })
}

fn open_at(dir: BorrowedFd<'_>, name: &str, path: &Path) -> Result<OwnedFd, Fail> {
    openat(dir, name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | DIR, Mode::empty())
        .cannot("open directory", path)
}

/// The tree as a whole, since the kernel does not let an inherited one be torn apart; with
/// other ids it is a copy already.
fn bind(lowers: &[Layer], is_mapped: bool) -> Result<Mount, Fail> {
    let Some(Layer { path, fd }) = lowers.first() else {
        return Err(Fail::new("cannot bind without a layer"));
    };
    let clone = || {
        let mount = if is_mapped {
            Mount::from(fd.try_clone().map_err(|_| Errno::EMFILE)?)
        } else {
            Mount::clone_fd(fd.as_fd(), Depth::Tree)?
        };
        mount.add(Attr::RDONLY.and(Attr::NODEV), Depth::Tree)?;
        Ok::<_, Errno>(mount)
    };
    let mount =
        clone().cannot("bind layer", path).hint_on(Errno::EPERM, stack::NEEDS_RIGHT)?;
    if !stack::is_read_only(mount.as_fd()) {
        return Err(Fail::cannot("bind layer", path, "it stayed writable"));
    }
    Ok(mount)
}

/// Whether the kernel kept the options: it turns some off where a file system lacks what
/// they take, and tells its log only.
fn verify(mount: &Mount, settings: &[Setting], target: &Path) -> Result<(), Fail> {
    if option::revocable(settings).is_none() {
        return Ok(());
    }
    let path = "/proc/self/mountinfo";
    let id = mount_id(mount.as_fd());
    let all = proc::mountinfo(&std::fs::read(path).cannot("read", path)?);
    let found = all.iter().find(|known| Some(known.id) == id);
    let shown =
        found.ok_or_else(|| Fail::cannot("find mount", target, "not in mountinfo"))?;
    let is_default = |key: &str| {
        std::fs::read_to_string(format!("/sys/module/overlay/parameters/{key}"))
            .is_ok_and(|text| text.trim() == "Y")
    };
    match option::revoked(settings, &shown.super_options, is_default) {
        None => Ok(()),
        Some(setting) => {
            let reason = "the kernel has turned it off";
            Err(Fail::cannot("use", setting.to_string(), reason)
                .hint("a file system below lacks what it takes, see dmesg(1)"))
        }
    }
}

/// The id of the mount a directory lies on, where the kernel tells.
pub(crate) fn mount_id(fd: BorrowedFd<'_>) -> Option<u64> {
    sys::mount_of(fd, c"").ok().map(|mount| mount.id)
}
