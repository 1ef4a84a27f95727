//! What is going to be attached, made before anything is: attached nowhere yet.

use std::os::fd::{AsFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;

use common::chain::Chain;
use common::fail::Hint;
use common::mount::{Attr, Depth, Mount, Propagation, set_propagation};
use common::{Context, Fail, bounded, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::bind::{Bind, How};
use crate::file::{Content, Host, Origin, are_all_local, new_hosts};
use crate::step::{Fresh, Step};
use crate::store::Store;
use crate::world;

pub(crate) const NEEDS_RIGHT: &str =
    "mounting takes CAP_SYS_ADMIN: ns-run --user --map-root-user --mount";

/// No file that is given by name is larger.
const MOST: u64 = 16 << 20;

/// A step that is ready.
pub(crate) enum Made {
    /// There was nothing to prepare.
    Nothing,
    /// A mount.
    Mount(Mount),
    /// The directory of a volume.
    Store(Store),
    /// The content of a file.
    Text(Vec<u8>),
}

/// Makes what all steps are going to attach.
pub(crate) fn all(steps: &[Step], chain: &mut Chain) -> Result<Vec<Made>, Fail> {
    // Where mounts are to spread, the clone is made while there still are peers.
    let early = steps.iter().map(|step| match step.spreading() {
        Some(bind) => clone(bind).map(Some),
        None => Ok(None),
    });
    let early = early.collect::<Result<Vec<_>, Fail>>()?;
    let all = steps.iter().zip(early).map(|(step, early)| match early {
        Some(mount) => Ok(Made::Mount(mount)),
        None => make(step, chain),
    });
    all.collect()
}

fn make(step: &Step, chain: &mut Chain) -> Result<Made, Fail> {
    match step {
        Step::Image(dir) => chain.keep_image(dir).map(|()| Made::Nothing),
        // First of all, so that clones have no peers.
        Step::Private => {
            set_propagation(Path::new("/"), Propagation::Private, Depth::Tree)
                .failed_to("make the mounts private")
                .hint_on(Errno::EPERM, NEEDS_RIGHT)
                .hint_on(Errno::EINVAL, "the root of the caller is no mount point")
                .map(|()| Made::Nothing)
        }
        Step::Fresh(fresh) => new_mount(fresh).map(Made::Mount),
        Step::Bind(bind) => clone(bind).map(Made::Mount),
        Step::Volume(dir, _) => Store::open(dir).map(Made::Store),
        Step::File(given) => text(&given.content).map(Made::Text),
        Step::Root(_)
        | Step::Mask(..)
        | Step::Protect(..)
        | Step::Attributes(_)
        | Step::Pivot => Ok(Made::Nothing),
    }
}

fn new_mount(fresh: &Fresh) -> Result<Mount, Fail> {
    let verb = format!("mount {} on", fresh.fstype);
    let is_writable = !has(fresh.attr, Attr::RDONLY);
    if fresh.fstype == "cgroup2" && is_writable && world::has_all_cgroups() {
        let reason = "the groups of the whole system would be writable";
        return Err(Fail::cannot(&verb, fresh.at.absolute(), reason)
            .hint("it takes a cgroup namespace of its own: ns-run --cgroup"));
    }
    let source = [("source", fresh.source)];
    let options = fresh.options.iter().map(|(key, value)| (*key, value.as_str()));
    let made = Mount::new(fresh.fstype, source.into_iter().chain(options), fresh.attr);
    made.cannot(&verb, fresh.at.absolute()).map_err(|fail| {
        let hint = match fail.errno {
            Some(Errno::EPERM) => not_allowed(fresh.fstype),
            Some(Errno::EINVAL) if fresh.fstype == "tmpfs" => {
                Some("uid and gid must be mapped in this user namespace")
            }
            _ => None,
        };
        hint.map_or(fail.clone(), |hint| fail.hint(hint))
    })
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
        "cgroup2" if !world::owns("cgroup") => {
            Some("it takes a cgroup namespace of its own: ns-run --cgroup")
        }
        _ => None,
    }
}

fn clone(Bind { source, how, .. }: &Bind) -> Result<Mount, Fail> {
    let mount = Mount::clone_path(source, how.depth)
        .cannot("bind", source)
        .hint_on(Errno::EPERM, NEEDS_RIGHT)
        .hint_on(
            Errno::EINVAL,
            match how.depth {
                Depth::One => {
                    "what is mounted in it cannot be left out in a user namespace: without norec"
                }
                Depth::Tree => "it was opened in another mount namespace",
            },
        )?;
    shown(mount, how, source)
}

/// Changes a clone to what is to be seen.
pub(crate) fn shown(mount: Mount, how: &How, source: &Path) -> Result<Mount, Fail> {
    if let Some(idmap) = &how.idmap {
        let userns = idmap.userns()?;
        mount
            .idmap(userns.as_fd(), how.depth)
            .cannot("map the ids of", source)
            .hint_on(
                Errno::EPERM,
                "it takes CAP_SYS_ADMIN in the user namespace that its file system belongs to",
            )
            .hint_on(
                Errno::EINVAL,
                "its file system has no idmapped mounts, or it is one already",
            )?;
    }
    // A clone of what is shared is shared already.
    if how.propagation == Propagation::Slave {
        mount.spread(how.propagation, how.depth).cannot("spread mounts of", source)?;
    }
    if how.attr == Attr::NONE {
        return Ok(mount);
    }
    mount.add(how.attr, how.depth).cannot("set attributes of", source)?;
    if has(how.attr, Attr::RDONLY) && !is_read_only(&mount).cannot("read", source)? {
        return Err(Fail::cannot("make read-only", source, "it stayed writable"));
    }
    Ok(mount)
}

pub(crate) fn has(attr: Attr, one: Attr) -> bool {
    attr.and(one) == attr
}

/// Whether the kernel did what it was asked for.
pub(crate) fn is_read_only(mount: impl AsFd) -> Result<bool, Errno> {
    Ok(fstatvfs(mount)?.flags().contains(FsFlags::ST_RDONLY))
}

fn text(content: &Content) -> Result<Vec<u8>, Fail> {
    match content {
        Content::Text(text) => Ok(text.as_encoded_bytes().to_vec()),
        Content::Fd(fd) => given(*fd),
        Content::Resolv(origin) => resolv(origin),
        Content::Hosts(origin, more) => hosts(origin, more),
        Content::Hostname => Ok((own_name()? + "\n").into_bytes()),
    }
}

/// COMMAND gets none that was opened for this.
fn given(fd: RawFd) -> Result<Vec<u8>, Fail> {
    let (verb, name) = ("read descriptor", fd.to_string());
    let given = sys::adopt(fd).cannot(verb, &name)?;
    let own = given.try_clone().cannot(verb, &name)?;
    // It may be named twice, and 0 to 2 are the caller's in any case.
    sys::set_cloexec(given.into_raw_fd(), fd > 2).cannot(verb, &name)?;
    read(own, verb, Path::new(&name))
}

fn read(from: OwnedFd, verb: &str, name: &Path) -> Result<Vec<u8>, Fail> {
    let text = bounded::read(std::fs::File::from(from), MOST, 0).cannot(verb, name)?;
    text.ok_or_else(|| Fail::cannot(verb, name, "it is more than 16 MiB"))
}

fn read_path(path: &Path) -> Result<Vec<u8>, Fail> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    read(open(path, flags, Mode::empty()).cannot("read", path)?, "read", path)
}

/// As docker does: where all name servers are the caller's own (systemd-resolved), those
/// that it asks.
fn resolv(origin: &Origin) -> Result<Vec<u8>, Fail> {
    if let Origin::File(path) = origin {
        return read_path(path);
    }
    let own = read_path(Path::new("/etc/resolv.conf"))?;
    let asked = Path::new("/run/systemd/resolve/resolv.conf");
    if are_all_local(&own) && asked.exists() { read_path(asked) } else { Ok(own) }
}

fn hosts(origin: &Origin, more: &[Host]) -> Result<Vec<u8>, Fail> {
    let mut text = match origin {
        Origin::New => new_hosts(&own_name()?).into_bytes(),
        Origin::Host => read_path(Path::new("/etc/hosts"))?,
        Origin::File(path) => read_path(path)?,
    };
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    for Host { name, address } in more {
        text.extend(format!("{address}\t{name}\n").bytes());
    }
    Ok(text)
}

fn own_name() -> Result<String, Fail> {
    let name = nix::unistd::gethostname().failed_to("read the host name")?;
    Ok(name.to_string_lossy().into_owned())
}
