//! Carries the plan out: mounts are made before the first of them is attached, and are
//! taken away again while the root is still the old one.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use common::chain::Chain;
use common::mount::Attr;
use common::{Context, Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, fchdir, pivot_root};

use crate::fill::Filler;
use crate::make::{self, has, is_read_only};
use crate::plan::Plan;
use crate::step::Step;

/// Carries the plan out; takes the mounts away again when a step fails.
///
/// Hands out what is open, for exec to close.
pub(crate) fn apply(plan: &Plan, chain: &mut Chain) -> Result<impl Sized + use<>, Fail> {
    let top = open_root(&plan.root)?;
    let made = make::all(&plan.steps, chain)?;
    let mut filler = Filler::new(top).cannot("open", &plan.root)?;
    // The directories made inside are for everybody, whatever the caller's umask.
    let kept = umask(Mode::from_bits_truncate(0o022));
    let done = plan.steps.iter().zip(made).try_for_each(|(step, made)| match step {
        Step::Image(_) | Step::Private => Ok(()),
        Step::Root(path) => filler.make_mount_point(path),
        Step::Attributes(attr) => set_attributes(&filler, *attr, &plan.root),
        Step::Pivot => pivot(&mut filler, &plan.root),
        Step::Fresh(_)
        | Step::Bind(_)
        | Step::Volume(..)
        | Step::File(_)
        | Step::Mask(..)
        | Step::Protect(..) => filler.fill(step, made),
    });
    umask(kept);
    done.inspect_err(|_| filler.undo()).map(|()| filler)
}

fn open_root(root: &Path) -> Result<OwnedFd, Fail> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, root, flags, Mode::empty()).cannot("open directory", root)
}

fn set_attributes(filler: &Filler, attr: Attr, root: &Path) -> Result<(), Fail> {
    let top = filler.top();
    top.add(attr, common::mount::Depth::One).cannot("set attributes of", root)?;
    if has(attr, Attr::RDONLY) && !is_read_only(top).cannot("read", root)? {
        return Err(Fail::cannot("make read-only", root, "it stayed writable"));
    }
    Ok(())
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
