//! Puts mounts into the new root, each on a descriptor that was resolved inside it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::fail::Hint;
use common::inroot::{Root, child_dir, kind};
use common::mount::{Depth, Mount, Propagation};
use common::{Context, Fail, proc, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};

use crate::bind::Bind;
use crate::cover::Covers;
use crate::inside::Inside;
use crate::make::{self, Made, NEEDS_RIGHT};
use crate::step::{Fresh, Missing, Step};

const IN_THE_WAY: &str = "a file or a link to nowhere is in the way";

const DIR_MODE: Mode = Mode::from_bits_truncate(0o755);

/// The new root while it is filled.
pub(crate) struct Filler {
    top: Mount,
    root: Root,
    /// What was attached so far, in this order.
    attached: Vec<Mount>,
    /// It is the root now: without its mounts nothing would be left.
    is_root: bool,
    /// What hides things.
    pub(crate) covers: Covers,
}

impl Filler {
    /// Takes the directory.
    pub(crate) fn new(top: OwnedFd) -> std::io::Result<Self> {
        Ok(Self {
            root: top.try_clone()?.into(),
            top: top.into(),
            attached: Vec::new(),
            is_root: false,
            covers: Covers::default(),
        })
    }

    /// Binds the root onto itself where it is no mount point.
    pub(crate) fn make_mount_point(&mut self, path: &Path) -> Result<(), Fail> {
        let mount = sys::mount_of(self.top.as_fd(), c"").cannot("read", path)?;
        let here = sys::mount_of(AT_FDCWD, c"/").cannot("read", "/")?;
        match mount.is_root {
            true if mount.id == here.id => {
                let reason = "it is the root already";
                Err(Fail::cannot("change the root to", path, reason))
            }
            true => Ok(()),
            false => self.cover(path),
        }
    }

    /// Binds the root onto itself, with all that is mounted in it.
    pub(crate) fn cover(&mut self, path: &Path) -> Result<(), Fail> {
        let clone = Mount::clone_fd(self.top.as_fd(), Depth::Tree)
            .cannot("bind", path)
            .hint_on(Errno::EPERM, NEEDS_RIGHT)?;
        clone.attach(self.top.as_fd()).cannot("bind", path)?;
        self.root = clone.as_fd().try_clone_to_owned().cannot("open", path)?.into();
        self.attached
            .push(clone.as_fd().try_clone_to_owned().cannot("open", path)?.into());
        self.top = clone;
        Ok(())
    }

    /// The mount that becomes the root.
    pub(crate) fn top(&self) -> &Mount {
        &self.top
    }

    /// There is no way back from here.
    pub(crate) fn commit(&mut self) {
        self.is_root = true;
    }

    /// Takes everything away again; more cannot be done than to try.
    pub(crate) fn undo(&self) {
        for mount in self.attached.iter().rev().filter(|_| !self.is_root) {
            let _ = mount.take_away();
        }
    }

    /// Carries out a step that attaches something.
    pub(crate) fn fill(&mut self, step: &Step, made: Made) -> Result<(), Fail> {
        match (step, made) {
            (Step::Fresh(fresh), Made::Mount(mount)) => {
                let place = self.fresh_place(fresh)?;
                self.attach(mount, place.as_fd(), &fresh.at)
            }
            (Step::Bind(bind), Made::Mount(mount)) => {
                let place = self.bind_place(bind, &mount)?;
                let spreads = bind.how.propagation != Propagation::Private;
                let id = spreads.then(|| sys::mount_of(mount.as_fd(), c"")).transpose();
                let id = id.cannot("read", &bind.source)?;
                self.attach(mount, place.as_fd(), &bind.at)?;
                id.map_or(Ok(()), |mount| make_sure_it_spreads(mount.id, bind))
            }
            (Step::Volume(dir, volume), Made::Store(store)) => {
                let place = self.dirs_place(&volume.at)?;
                let from = volume.copy.then_some(place.as_fd());
                let mount = make::shown(store.mount(dir, from)?, &volume.how, dir)?;
                self.attach(mount, place.as_fd(), &volume.at)
            }
            (Step::File(given), Made::Text(text)) => self.give(given, &text),
            (Step::Mask(at, missing), _) => match self.find(at, *missing, "hide")? {
                Some(place) => self.mask(place.as_fd(), at),
                None => Ok(()),
            },
            (Step::Protect(at, missing), _) => {
                match self.find(at, *missing, "make read-only")? {
                    Some(place) => self.protect(place.as_fd(), at),
                    None => Ok(()),
                }
            }
            _ => Err(Fail::new("cannot carry out a step that was planned wrongly")),
        }
    }

    pub(crate) fn attach(
        &mut self,
        mount: Mount,
        place: BorrowedFd<'_>,
        at: &Inside,
    ) -> Result<(), Fail> {
        mount.attach(place).cannot("mount on", at.absolute())?;
        self.attached.push(mount);
        Ok(())
    }

    /// /proc and /sys as links would have the kernel's files be an image's (CVE-2019-19921,
    /// CVE-2023-27561); other names mean what they mean in the root.
    fn fresh_place(&self, Fresh { fstype, at, .. }: &Fresh) -> Result<OwnedFd, Fail> {
        let verb = format!("mount {fstype} on");
        let is_kernels = matches!(*fstype, "proc" | "sysfs");
        let place = if is_kernels { self.plain_dir(at) } else { self.make_dirs(at) };
        let place = place.cannot(&verb, at.absolute());
        if is_kernels {
            return place
                .hint_on(Errno::ENOTDIR, "a symbolic link is not followed there");
        }
        let place = place.hint_on(Errno::ENOTDIR, IN_THE_WAY)?;
        refuse_proc(place.as_fd(), at)?;
        Ok(place)
    }

    fn dirs_place(&self, at: &Inside) -> Result<OwnedFd, Fail> {
        let place = self.make_dirs(at).cannot("mount on", at.absolute());
        let place = place.hint_on(Errno::ENOTDIR, IN_THE_WAY)?;
        refuse_proc(place.as_fd(), at)?;
        Ok(place)
    }

    fn plain_dir(&self, at: &Inside) -> Result<OwnedFd, Errno> {
        let name = at.0.as_os_str();
        match mkdirat(&self.root, name, DIR_MODE) {
            Ok(()) | Err(Errno::EEXIST | Errno::EROFS) => {
                child_dir(self.root.as_fd(), name)
            }
            Err(e) => Err(e),
        }
    }

    fn make_dirs(&self, at: &Inside) -> Result<OwnedFd, Errno> {
        self.root.make_dirs(&at.0, DIR_MODE)
    }

    /// A directory goes onto a directory, anything else onto a file.
    fn bind_place(&self, bind: &Bind, mount: &Mount) -> Result<OwnedFd, Fail> {
        let at = &bind.at;
        let stat = fstat(mount).cannot("read", &bind.source)?;
        let place = if kind(&stat) == SFlag::S_IFDIR {
            self.make_dirs(at)
        } else {
            self.file(at)
        };
        let place = place.cannot("mount on", at.absolute())?;
        if !proc::is_own(mount) {
            refuse_proc(place.as_fd(), at)?;
            if at.is_in_proc() {
                return Err(not_proc(at));
            }
        }
        Ok(place)
    }

    /// A file to mount on, made where there is none.
    pub(crate) fn file_place(&self, at: &Inside) -> Result<OwnedFd, Fail> {
        let place = self.file(at).cannot("mount on", at.absolute());
        let place = place.hint_on(Errno::ENOENT, IN_THE_WAY)?;
        refuse_proc(place.as_fd(), at)?;
        Ok(place)
    }

    fn file(&self, at: &Inside) -> Result<OwnedFd, Errno> {
        match self.root.resolve(&at.0, OFlag::O_PATH) {
            Err(Errno::ENOENT) => {}
            other => return other,
        }
        let above = at.0.parent().unwrap_or(Path::new(""));
        self.root.make_dirs(above, DIR_MODE)?;
        // A link to nowhere is followed, as docker does, to nowhere inside the root: images
        // have /etc/resolv.conf lead to what is made at run time.
        self.root.resolve(&at.0, OFlag::O_RDONLY | OFlag::O_CREAT | OFlag::O_NONBLOCK)
    }

    fn find(
        &self,
        at: &Inside,
        missing: Missing,
        verb: &str,
    ) -> Result<Option<OwnedFd>, Fail> {
        match self.root.resolve(&at.0, OFlag::O_PATH) {
            Err(Errno::ENOENT | Errno::ENOTDIR) if missing == Missing::Skip => Ok(None),
            found => found.cannot(verb, at.absolute()).map(Some),
        }
    }
}

/// Programs trust what they read in /proc (CVE-2019-16884).
fn refuse_proc(place: BorrowedFd<'_>, at: &Inside) -> Result<(), Fail> {
    if proc::is_own(place) { Err(not_proc(at)) } else { Ok(()) }
}

fn not_proc(at: &Inside) -> Fail {
    Fail::cannot("mount on", at.absolute(), "only proc may be mounted there")
}

/// Where nothing is shared outside, the kernel silently spreads nothing.
fn make_sure_it_spreads(id: u64, bind: &Bind) -> Result<(), Fail> {
    let (tag, verb) = match bind.how.propagation {
        Propagation::Private => return Ok(()),
        Propagation::Slave => ("master:", "follow the mounts of"),
        Propagation::Shared => ("shared:", "share the mounts of"),
    };
    let path = "/proc/self/mountinfo";
    let text = std::fs::read(path).cannot("read", path)?;
    let all = proc::mountinfo(&text);
    let own = all.iter().find(|mount| mount.id == id);
    if own.is_some_and(|own| own.tags.iter().any(|own| own.starts_with(tag))) {
        return Ok(());
    }
    Err(Fail::cannot(verb, &bind.source, "they are private here")
        .hint("ns-run --propagation slave, or shared, leaves them as they are"))
}
