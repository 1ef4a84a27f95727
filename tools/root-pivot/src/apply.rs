//! Carries the plan out: mounts are made before the first of them is attached, and are
//! taken away again while the root is still the old one.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use common::fail::Hint;
use common::mount::{Attr, Depth, Mount, Propagation, set_propagation};
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{Mode, umask};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{chdir, fchdir, pivot_root};

use crate::fill::Filler;
use crate::plan::{Fresh, Plan, Step};
use crate::volume::{Access, Bind};
use crate::world;

pub(crate) const NEEDS_RIGHT: &str =
    "mounting takes CAP_SYS_ADMIN: ns-run --user --map-root-user --mount";

/// Carries the plan out; takes the mounts away again when a step fails.
///
/// Hands out what is open, for exec to close.
pub(crate) fn apply(plan: &Plan) -> Result<impl Sized, Fail> {
    let top = open_root(&plan.root)?;
    let made = plan.steps.iter().map(make).collect::<Result<Vec<_>, Fail>>()?;
    let mut filler = Filler::new(top).cannot("open", &plan.root)?;
    // The directories made inside are for everybody, whatever the caller's umask.
    let kept = umask(Mode::from_bits_truncate(0o022));
    let done = plan.steps.iter().zip(made).try_for_each(|(step, made)| match step {
        Step::Private => Ok(()),
        Step::Root(path) => filler.make_mount_point(path),
        Step::Attributes(attr) => set_attributes(&filler, *attr, &plan.root),
        Step::Pivot => pivot(&mut filler, &plan.root),
        Step::Fresh(_) | Step::Bind(_) | Step::Mask(..) | Step::Protect(..) => {
            filler.fill(step, made)
        }
    });
    umask(kept);
    done.inspect_err(|_| filler.undo()).map(|()| filler)
}

fn open_root(root: &Path) -> Result<OwnedFd, Fail> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, root, flags, Mode::empty()).cannot("open directory", root)
}

/// What a step will attach, attached nowhere yet.
fn make(step: &Step) -> Result<Option<Mount>, Fail> {
    match step {
        // First of all, so that clones have no peers.
        Step::Private => {
            set_propagation(Path::new("/"), Propagation::Private, Depth::Tree)
                .failed_to("make the mounts private")
                .hint_on(Errno::EPERM, NEEDS_RIGHT)
                .hint_on(Errno::EINVAL, "the root of the caller is no mount point")
                .map(|()| None)
        }
        Step::Fresh(fresh) => new_mount(fresh).map(Some),
        Step::Bind(bind) => clone(bind).map(Some),
        Step::Root(_)
        | Step::Mask(..)
        | Step::Protect(..)
        | Step::Attributes(_)
        | Step::Pivot => Ok(None),
    }
}

fn new_mount(fresh: &Fresh) -> Result<Mount, Fail> {
    let source = [("source", fresh.source)];
    let options = fresh.options.iter().map(|(key, value)| (*key, value.as_str()));
    let made = Mount::new(fresh.fstype, source.into_iter().chain(options), fresh.attr);
    made.cannot(&format!("mount {} on", fresh.fstype), fresh.at.absolute()).map_err(
        |fail| {
            let hint =
                (fail.errno == Some(Errno::EPERM)).then(|| not_allowed(fresh.fstype));
            hint.flatten().map_or(fail.clone(), |hint| fail.hint(hint))
        },
    )
}

/// Why the kernel forbids a mount that takes no more than the right to mount.
fn not_allowed(fstype: &str) -> Option<&'static str> {
    match fstype {
        "proc" if !world::owns("pid") => {
            Some("it takes a pid namespace of its own: ns-run --pid --fork")
        }
        "proc" => Some(
            "parts of /proc are hidden here and must stay so: --bind /proc:/proc shows the caller's",
        ),
        "sysfs" if !world::owns("net") => Some(
            "it takes a network namespace of its own: ns-run --net, or --bind /sys:/sys:ro",
        ),
        "sysfs" => Some(
            "parts of /sys are hidden here and must stay so: --bind /sys:/sys:ro shows the caller's",
        ),
        _ => None,
    }
}

/// The whole tree: the kernel does not let an inherited one be torn apart.
fn clone(Bind { source, access, .. }: &Bind) -> Result<Mount, Fail> {
    let mount = Mount::clone_path(source, Depth::Tree).cannot("bind", source)?;
    if *access == Access::ReadOnly {
        mount.add(Attr::RDONLY, Depth::Tree).cannot("make read-only", source)?;
    }
    Ok(mount)
}

fn set_attributes(filler: &Filler, attr: Attr, root: &Path) -> Result<(), Fail> {
    let top = filler.top();
    top.add(attr, Depth::One).cannot("set attributes of", root)?;
    if attr.and(Attr::RDONLY) != attr {
        return Ok(());
    }
    let flags = fstatvfs(top).cannot("read", root)?.flags();
    if flags.contains(FsFlags::ST_RDONLY) {
        return Ok(());
    }
    Err(Fail::cannot("make read-only", root, "it stayed writable"))
}

/// The new root under the old one, and then the old one away from above it.
fn pivot(filler: &mut Filler, root: &Path) -> Result<(), Fail> {
    const VERB: &str = "change the root to";
    let enter =
        |filler: &Filler| fchdir(filler.top()).and_then(|()| pivot_root(".", "."));
    match enter(filler) {
        // In a user namespace an inherited mount stays where it is; a clone need not.
        Err(Errno::EINVAL) => {
            filler.cover(root).and_then(|()| enter(filler).cannot(VERB, root))
        }
        other => other.cannot(VERB, root),
    }?;
    filler.commit();
    umount2(".", MntFlags::MNT_DETACH).failed_to("unmount the old root")?;
    chdir("/").failed_to("enter the new root")?;
    // `/..` is what lies topmost on the root: the old one, if it were still there.
    let topmost = sys::mount_of(AT_FDCWD, c"/..").failed_to("read the new root")?;
    let top = sys::mount_of(filler.top().as_fd(), c"").failed_to("read the new root")?;
    if topmost.id != top.id {
        return Err(Fail::cannot(VERB, root, "the old root is still there"));
    }
    Ok(())
}
