//! `one-process [--std] ROOT LOWER… -- COMMAND [ARG…]`: what a chain of links does, by one process that
//! looks at nothing, checks nothing and has all its paths in the program: the floor of
//! every measurement of a container's start.
#![no_main]

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use common::mount::{Attr, Depth, Fs, Mount, Propagation, set_propagation};
use common::{Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::libc;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::symlinkat;

common::entry!("one-process", run);

const NODE: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINK: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];
const MASK: [&str; 12] = [
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/devices/virtual/powercap",
    "sys/firmware",
];
const PROTECT: [&str; 5] =
    ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

const PATH: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let mut args = args.into_iter().skip(1).peekable();
    let std = args.next_if(|arg| arg == "--std").is_some();
    let root = args.next().unwrap_or_default();
    let lowers: Vec<_> = args.by_ref().take_while(|arg| arg != "--").collect();
    let command: Vec<_> = args.collect();
    start(&root, &lowers, std, &command).map_err(|e| Fail::os("cannot start", e))
}

fn start(
    root: &OsString,
    lowers: &[OsString],
    std: bool,
    command: &[OsString],
) -> Result<Infallible, Errno> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let all = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS;
    sys::unshare(all)?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))?;
    if let Some((pid, _)) = sys::fork(0, None)? {
        let status = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None)?;
        let failed = !matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0));
        sys::exit_now(u8::from(failed));
    }
    set_propagation("/".as_ref(), Propagation::Private, Depth::Tree)?;
    sys::loopback_up()?;
    nix::unistd::sethostname("box")?;
    let top = overlay(lowers)?;
    let place = openat(AT_FDCWD, root.as_os_str(), PATH, Mode::empty())?;
    top.attach(place.as_fd())?;
    dev(&top)?;
    let data = Attr::NOSUID.and(Attr::NODEV).and(Attr::NOEXEC);
    let plain = Attr::NOSUID.and(Attr::NODEV);
    fresh(top.as_fd(), "proc", "proc", &[("source", "proc")], data)?;
    fresh(top.as_fd(), "sys", "sysfs", &[("source", "sys")], data.and(Attr::RDONLY))?;
    fresh(top.as_fd(), "run", "tmpfs", &[("source", "run"), ("mode", "755")], plain)?;
    fresh(top.as_fd(), "tmp", "tmpfs", &[("source", "tmp"), ("mode", "1777")], plain)?;
    if std {
        hide(&top)?;
        top.add(Attr::NODEV, Depth::One)?;
    }
    nix::unistd::fchdir(&top)?;
    nix::unistd::pivot_root(".", ".")?;
    nix::mount::umount2(".", nix::mount::MntFlags::MNT_DETACH)?;
    nix::unistd::chdir("/")?;
    if std {
        drop_capabilities()?;
    }
    let argv: Vec<_> = command
        .iter()
        .map(|word| CString::new(word.as_bytes()).map_err(|_| Errno::EINVAL))
        .collect::<Result<_, _>>()?;
    let program = argv.first().ok_or(Errno::EINVAL)?;
    Err(sys::execveat(AT_FDCWD, program, &argv, &sys::environ()))
}

fn write(path: &str, text: &str) -> Result<(), Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = openat(AT_FDCWD, path, flags, Mode::empty())?;
    nix::unistd::write(&file, text.as_bytes()).map(drop)
}

fn overlay(lowers: &[OsString]) -> Result<Mount, Errno> {
    let fs = Fs::open(c"overlay")?;
    for lower in lowers {
        let dir = openat(AT_FDCWD, lower.as_os_str(), PATH, Mode::empty())?;
        fs.set_fd(c"lowerdir+", dir.as_fd())?;
    }
    let tmpfs = Mount::new("tmpfs", [], Attr::NONE)?;
    for (name, key) in [("upper", c"upperdir"), ("work", c"workdir")] {
        mkdirat(&tmpfs, name, Mode::S_IRWXU)?;
        fs.set_fd(key, openat(&tmpfs, name, PATH, Mode::empty())?.as_fd())?;
    }
    fs.set_flag(c"userxattr")?;
    fs.set(c"source", c"root")?;
    fs.mount(Attr::NODEV)
}

fn dev(top: &Mount) -> Result<(), Errno> {
    let options = [("source", "dev"), ("mode", "755"), ("size", "64M")];
    let dev = fresh(top.as_fd(), "dev", "tmpfs", &options, Attr::NOSUID)?;
    for name in NODE {
        let create = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let place = openat(&dev, name, create, Mode::from_bits_truncate(0o666))?;
        let node = Mount::clone_path(format!("/dev/{name}").as_ref(), Depth::One)?;
        node.add(Attr::RDONLY.and(Attr::NOSUID).and(Attr::NOEXEC), Depth::One)?;
        node.attach(place.as_fd())?;
    }
    for (name, to) in LINK {
        symlinkat(to, &dev, name)?;
    }
    let pts = [("source", "devpts"), ("ptmxmode", "666"), ("mode", "620")];
    fresh(dev.as_fd(), "pts", "devpts", &pts, Attr::NOSUID.and(Attr::NOEXEC))?;
    let shm = [("source", "tmpfs"), ("mode", "1777"), ("size", "64M")];
    let data = Attr::NOSUID.and(Attr::NODEV).and(Attr::NOEXEC);
    fresh(dev.as_fd(), "shm", "tmpfs", &shm, data)?;
    dev.add(Attr::NODEV, Depth::One)
}

fn fresh(
    dir: BorrowedFd<'_>,
    name: &str,
    fstype: &str,
    options: &[(&str, &str)],
    attr: Attr,
) -> Result<Mount, Errno> {
    match mkdirat(dir, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(e),
    }
    let mount = Mount::new(fstype, options.iter().copied(), attr)?;
    mount.attach(openat(dir, name, PATH, Mode::empty())?.as_fd())?;
    Ok(mount)
}

fn hide(top: &Mount) -> Result<(), Errno> {
    let null = openat(AT_FDCWD, "/dev/null", PATH, Mode::empty())?;
    let mut empty: Option<OwnedFd> = None;
    for path in PROTECT {
        let Ok(place) = openat(top, path, PATH, Mode::empty()) else { continue };
        let clone = Mount::clone_fd(place.as_fd(), Depth::Tree)?;
        clone.add(Attr::RDONLY, Depth::Tree)?;
        clone.attach(place.as_fd())?;
    }
    for path in MASK {
        let Ok(place) = openat(top, path, PATH, Mode::empty()) else { continue };
        let is_dir = openat(top, path, PATH | OFlag::O_DIRECTORY, Mode::empty()).is_ok();
        let cover = match (&empty, is_dir) {
            (_, false) => Mount::clone_fd(null.as_fd(), Depth::One)?,
            (Some(empty), true) => Mount::clone_fd(empty.as_fd(), Depth::One)?,
            (None, true) => Mount::new("tmpfs", [("nr_inodes", "2")], Attr::RDONLY)?,
        };
        cover.attach(place.as_fd())?;
        if is_dir && empty.is_none() {
            empty = Some(cover.into());
        }
    }
    Ok(())
}

/// To docker's set.
fn drop_capabilities() -> Result<(), Errno> {
    const DOCKER: u64 = 0xa804_25fb;
    for capability in (0..64_u32).filter(|n| DOCKER & 1 << n == 0) {
        let number = libc::c_ulong::from(capability);
        if sys::prctl(libc::PR_CAPBSET_DROP, number, 0) == Err(Errno::EINVAL) {
            break;
        }
    }
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
    sys::capset([DOCKER, DOCKER, 0])
}
