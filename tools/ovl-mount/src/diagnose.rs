//! Why the kernel refused an overlay: it tells only its log, which users cannot read.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::fail::quote;
use common::proc;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlink};
use nix::libc::{dev_t, ino_t};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::sys::statfs::{FsType, OVERLAYFS_SUPER_MAGIC, fstatfs};

use crate::apply::mount_id;
use crate::plan::Xattrs;
use crate::stack::{Layer, Stack, Writable};

type Id = (dev_t, ino_t);

/// A file system deeper than this many directories is not climbed.
const MOST_STEPS: usize = 4096;

/// The cause, where it can be found out after the fact.
pub(crate) fn cause(errno: Errno, stack: &Stack<'_>) -> Option<String> {
    let Stack { lowers, upper, .. } = *stack;
    let text = if errno == Errno::ELOOP {
        return overlapping(stack);
    } else if errno == Errno::EINVAL {
        return invalid(lowers, upper).or_else(|| uncovered(stack));
    } else if errno == Errno::EBUSY {
        format!("{} is in use by another overlay", quote(&upper?.upper.path))
    } else if errno == Errno::ESTALE {
        let path = quote(&upper?.upper.path);
        format!("{path} was changed over other layers: --reset-work, or --index=off")
    } else if errno == Errno::EIO && stack.settings.iter().any(|s| s.key == "volatile") {
        let path = quote(&upper?.upper.path);
        format!("the disk has failed below {path}, which --volatile would not notice")
    } else if errno == Errno::EPERM {
        "unprivileged overlays take Linux 5.11".to_owned()
    } else {
        return None;
    };
    Some(text)
}

/// Why the kernel made an overlay read-only, with places for changes at hand.
pub(crate) fn downgrade(upper: &Writable) -> String {
    let work = quote(&upper.work.path);
    let own = nix::unistd::geteuid().as_raw();
    match fstatat(&upper.work.fd, "work", AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(left) if left.st_uid != own => {
            format!(
                "{work} has what an overlay of user {} left: --reset-work",
                left.st_uid
            )
        }
        _ => format!("it cannot write to {work} with the ids that are mapped here"),
    }
}

/// Two of the directories are one, or one lies inside another.
fn overlapping(stack: &Stack<'_>) -> Option<String> {
    let Stack { lowers, data, upper, .. } = *stack;
    let all: Vec<(&Layer, Id)> = lowers
        .iter()
        .chain(data)
        .chain(upper.map(|u| &u.upper))
        .chain(upper.map(|u| &u.work))
        .filter_map(|layer| Some((layer, id(fstat(&layer.fd).ok()?))))
        .collect();
    let known = |other: &Layer, id: Id| {
        let same = all.iter().find(|(l, known)| *known == id && !std::ptr::eq(*l, other));
        same.map(|(layer, _)| quote(&layer.path))
    };
    all.iter().find_map(|(layer, id)| {
        let path = quote(&layer.path);
        if let Some(same) = known(layer, *id) {
            let is_twice = same == path;
            let both = format!("{path} and {same} are the same directory");
            return Some(if is_twice { format!("{path} is named twice") } else { both });
        }
        ancestors(layer.fd.as_fd())
            .find_map(|above| known(layer, above))
            .map(|above| format!("{path} lies inside {above}"))
    })
}

fn invalid(lowers: &[Layer], upper: Option<&Writable>) -> Option<String> {
    if let Some(nested) = lowers.iter().find(|layer| is_on(layer, OVERLAYFS_SUPER_MAGIC))
        && !upper.is_some_and(|u| is_on(&u.upper, OVERLAYFS_SUPER_MAGIC))
    {
        let path = quote(&nested.path);
        return Some(format!(
            "{path} is on an overlay, and overlays stack two deep only"
        ));
    }
    let Writable { upper, work, .. } = upper?;
    let (path, work_path) = (quote(&upper.path), quote(&work.path));
    if is_on(upper, OVERLAYFS_SUPER_MAGIC) {
        return Some(format!(
            "{path} is on an overlay, which takes no changes of another: use --tmpfs"
        ));
    }
    let stat = |layer: &Layer| fstat(&layer.fd).ok().map(id);
    let inside = |inner: &Layer, outer: &Layer| {
        let outer = stat(outer);
        outer.is_some()
            && (stat(inner) == outer
                || ancestors(inner.fd.as_fd()).any(|above| Some(above) == outer))
    };
    if inside(work, upper) || inside(upper, work) {
        return Some(format!("{path} and {work_path} must not lie inside each other"));
    }
    if mount_id(upper.fd.as_fd()) != mount_id(work.fd.as_fd()) {
        return Some(format!("{path} and {work_path} must be on the same mount"));
    }
    let stale = fstatat(&work.fd, "work/incompat/volatile", AtFlags::empty()).is_ok();
    stale.then(|| {
        format!(
            "{work_path} is what a volatile overlay left, whose last changes may be lost: --reset-work goes on with what is there"
        )
    })
}

/// A layer with mounts in it, which a user namespace must not look behind:
/// mount_namespaces(7), "Restrictions".
fn uncovered(stack: &Stack<'_>) -> Option<String> {
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    let targets: Vec<_> =
        proc::mountinfo(&table).into_iter().map(|mount| mount.target).collect();
    let has_mounts = |layer: &&Layer| {
        let link = format!("/proc/self/fd/{}", layer.fd.as_raw_fd());
        readlink(link.as_str()).is_ok_and(|path| {
            let path = Path::new(&path);
            targets.iter().any(|target| target != path && target.starts_with(path))
        })
    };
    if stack.xattrs == Xattrs::Trusted {
        return None;
    }
    stack.lowers.iter().find(has_mounts).map(|layer| {
        format!(
            "{} has mounts in it, which a user namespace must not look behind: only root may",
            quote(&layer.path)
        )
    })
}

fn is_on(layer: &Layer, fstype: FsType) -> bool {
    fstatfs(&layer.fd).is_ok_and(|fs| fs.filesystem_type() == fstype)
}

fn id(stat: FileStat) -> Id {
    (stat.st_dev, stat.st_ino)
}

/// The directories above one, up to the root.
fn ancestors(dir: BorrowedFd<'_>) -> impl Iterator<Item = Id> {
    let up = |dir: BorrowedFd<'_>| -> Option<(OwnedFd, Id)> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let above = openat(dir, "..", flags, Mode::empty()).ok()?;
        let id = id(fstat(&above).ok()?);
        Some((above, id))
    };
    let same = |a: &(OwnedFd, Id), b: &(OwnedFd, Id)| a.1 == b.1;
    let first = up(dir);
    std::iter::successors(first.map(Some), move |at| {
        let at = at.as_ref()?;
        up(at.0.as_fd()).filter(|next| !same(at, next)).map(Some)
    })
    .take(MOST_STEPS)
    .flatten()
    .map(|(_, id)| id)
}
