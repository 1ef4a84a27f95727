//! The system calls that nix lacks, one thin wrapper each.
//!
//! Nothing here decides anything: a wrapper is one line of C-meaning, takes borrowed
//! descriptors, returns owned ones that are close-on-exec, and errors are errno(3).
#![allow(unsafe_code, reason = "the one place where raw system calls live")]
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "C integer types at the system call border"
)]

use std::ffi::{CStr, CString};
use std::mem::{ManuallyDrop, MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{null, null_mut};

use libc::{c_char, c_int, c_long, c_uint, c_ulong, c_void};
use nix::errno::Errno;

type Result<T> = std::result::Result<T, Errno>;

/// Evaluates `syscall(2)` with the arguments given and turns -1 into errno.
macro_rules! call {
    ($number:ident $(, $arg:expr)* $(,)?) => {{
        // SAFETY: every pointer handed in is a live reference, C string or null of the
        // type the call's man page names, and every descriptor is borrowed for its time.
        let ret: c_long = unsafe { libc::syscall(libc::$number $(, $arg)*) };
        if ret == -1 { Err(Errno::last()) } else { Ok(ret) }
    }};
}

fn own(ret: c_long) -> OwnedFd {
    // SAFETY: the kernel just made this descriptor for us and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(ret as RawFd) }
}

/// Takes possession of a descriptor number that the caller of the program handed over.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn adopt(fd: RawFd) -> Result<OwnedFd> {
    set_cloexec(fd, true)?;
    Ok(own(c_long::from(fd)))
}

/// `fcntl(2)` `F_SETFD`: close-on-exec on or off.
pub fn set_cloexec(fd: RawFd, on: bool) -> Result<()> {
    let flags = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: F_SETFD takes an integer; no memory is involved.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) }).map(drop)
}

/// `dup3(2)` onto a number that is free; close-on-exec.
///
/// # Errors
/// `EBUSY` where the number is taken: what it was would be closed unseen.
pub fn duplicate(fd: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd> {
    if open_flags(number).is_ok() {
        return Err(Errno::EBUSY);
    }
    call!(SYS_dup3, fd.as_raw_fd(), number, libc::O_CLOEXEC).map(own)
}

/// `dup3(2)` over a descriptor of ours, whose own file is closed thereby.
pub fn replace(fd: &OwnedFd, by: BorrowedFd<'_>) -> Result<()> {
    call!(SYS_dup3, by.as_raw_fd(), fd.as_raw_fd(), libc::O_CLOEXEC).map(drop)
}

/// `close_range(2)` with `CLOSE_RANGE_CLOEXEC`: all but the standard descriptors. Since
/// Linux 5.11.
pub fn close_all_on_exec() -> Result<()> {
    call!(SYS_close_range, 3, c_uint::MAX, 4).map(drop)
}

/// `fcntl(2)` `F_GETFL`: how the descriptor was opened, or `EBADF`.
pub fn open_flags(fd: RawFd) -> Result<c_int> {
    // SAFETY: F_GETFL takes no argument.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

/// `flock(2)`, with `LOCK_EX` and the like; it goes when the descriptor is closed.
pub fn flock(fd: BorrowedFd<'_>, operation: c_int) -> Result<()> {
    call!(SYS_flock, fd.as_raw_fd(), operation).map(drop)
}

/// `fsopen(2)`: a new file system context. Since Linux 5.2.
pub fn fsopen(fstype: &CStr) -> Result<OwnedFd> {
    call!(SYS_fsopen, fstype.as_ptr(), 1).map(own)
}

/// `fsconfig(2)` with a string value; `None` sets a flag parameter.
pub fn fsconfig_set(fs: BorrowedFd<'_>, key: &CStr, value: Option<&CStr>) -> Result<()> {
    let command = c_uint::from(value.is_some());
    let value = value.map_or(null(), CStr::as_ptr);
    call!(SYS_fsconfig, fs.as_raw_fd(), command, key.as_ptr(), value, 0).map(drop)
}

/// `fsconfig(2)` `FSCONFIG_SET_FD`.
pub fn fsconfig_fd(fs: BorrowedFd<'_>, key: &CStr, fd: BorrowedFd<'_>) -> Result<()> {
    let none = null::<c_char>();
    call!(SYS_fsconfig, fs.as_raw_fd(), 5, key.as_ptr(), none, fd.as_raw_fd()).map(drop)
}

/// `fsconfig(2)` `FSCONFIG_CMD_CREATE`: make the superblock.
pub fn fsconfig_create(fs: BorrowedFd<'_>) -> Result<()> {
    let none = null::<c_char>();
    call!(SYS_fsconfig, fs.as_raw_fd(), 6, none, none, 0).map(drop)
}

/// `fsmount(2)`: a detached mount of the superblock, with `MOUNT_ATTR_*`.
pub fn fsmount(fs: BorrowedFd<'_>, attr: u64) -> Result<OwnedFd> {
    call!(SYS_fsmount, fs.as_raw_fd(), 1, attr).map(own)
}

/// `open_tree(2)`.
pub fn open_tree(dir: BorrowedFd<'_>, path: &CStr, flags: c_uint) -> Result<OwnedFd> {
    call!(SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags).map(own)
}

/// `move_mount(2)` of a mount descriptor onto a directory or file descriptor.
pub fn move_mount(mount: BorrowedFd<'_>, at: BorrowedFd<'_>) -> Result<()> {
    let flags: c_uint = 0x4 | 0x40; // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    let empty = c"".as_ptr();
    call!(SYS_move_mount, mount.as_raw_fd(), empty, at.as_raw_fd(), empty, flags)
        .map(drop)
}

/// `mount_setattr(2)` on a descriptor. Since Linux 5.12.
pub fn mount_setattr(
    fd: BorrowedFd<'_>,
    recursive: bool,
    attr: &MountAttr,
) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let size = size_of::<MountAttr>();
    call!(SYS_mount_setattr, fd.as_raw_fd(), c"".as_ptr(), flags, attr, size).map(drop)
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub struct MountAttr {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or 0 to leave it.
    pub propagation: u64,
    /// A user namespace descriptor with `MOUNT_ATTR_IDMAP`.
    pub userns: u64,
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_NEWTIME: u64 = 0x80;

/// What `fork` came back with: nothing in the child, pid and pidfd in the parent.
pub type Forked = Option<(libc::pid_t, OwnedFd)>;

/// `clone3(2)` as fork(2), with namespace flags and, on v2, the cgroup to start in.
///
/// Sound only in a single-threaded process, which every tool that calls it is. Where
/// clone3 is missing (`ENOSYS`) or filtered (that, or `EPERM` by older seccomp profiles),
/// clone(2) serves if no cgroup is asked for.
pub fn fork(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Forked> {
    let mut pidfd: c_int = -1;
    let into_cgroup = if cgroup.is_some() { 0x2_0000_0000 } else { 0 };
    let args = CloneArgs {
        flags: flags | into_cgroup | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
        ..CloneArgs::default()
    };
    let pid = match call!(SYS_clone3, &raw const args, size_of::<CloneArgs>()) {
        // There, CLONE_NEWTIME would be read as part of the exit signal.
        Err(Errno::ENOSYS | Errno::EPERM)
            if cgroup.is_none() && flags & CLONE_NEWTIME == 0 =>
        {
            let flags = args.flags | args.exit_signal;
            call!(SYS_clone, flags, null::<u8>(), &raw mut pidfd, null::<u8>(), 0)?
        }
        other => other?,
    };
    Ok((pid != 0).then(|| (pid as libc::pid_t, own(c_long::from(pidfd)))))
}

/// `clone(2)` as vfork(2): `child` runs in this memory, on a stack of its own, while this
/// process sleeps until that has executed a program or ended.
///
/// What `child` owns is left to it: nothing is dropped here, and its descriptors, `given`,
/// are closed. Sound only in a single-threaded process without signal handlers.
pub fn vfork<F: FnOnce() -> u8>(
    child: F,
    given: &[RawFd],
) -> Result<(libc::pid_t, OwnedFd)> {
    extern "C" fn start<F: FnOnce() -> u8>(child: *mut c_void) -> c_int {
        // SAFETY: it points to the closure in the frame of the parent, which sleeps and
        // neither runs nor drops it afterwards.
        let child = unsafe { child.cast::<F>().read() };
        exit_now(child())
    }
    let stack = Stack::map()?;
    let mut pidfd: c_int = -1;
    let mut child = ManuallyDrop::new(child);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let arg = (&raw mut child).cast::<c_void>();
    // SAFETY: as a call of `start` on another stack: all that it was lent outlives it, and
    // it never returns. CLONE_PIDFD fills `pidfd`.
    let pid = unsafe { libc::clone(start::<F>, stack.top(), flags, arg, &raw mut pidfd) };
    if pid == -1 {
        let errno = Errno::last();
        // SAFETY: nobody ran it, and it is not used again.
        unsafe { ManuallyDrop::drop(&mut child) };
        return Err(errno);
    }
    for fd in given {
        drop(own(c_long::from(*fd)));
    }
    Ok((pid, own(c_long::from(pidfd))))
}

/// A stack for [`vfork`], with nothing mapped below: too deep is a SIGSEGV.
struct Stack(*mut c_void);

impl Stack {
    const SIZE: usize = 256 * 1024;
    /// A page, also where pages are large.
    const GUARD: usize = 64 * 1024;

    fn map() -> Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let (size, none) = (Self::GUARD + Self::SIZE, libc::PROT_NONE);
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let at = unsafe { libc::mmap(null_mut(), size, none, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let stack = Self(at);
        let (above, access) =
            (stack.offset(Self::GUARD), libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: the upper part of the mapping just made.
        Errno::result(unsafe { libc::mprotect(above, Self::SIZE, access) })?;
        Ok(stack)
    }

    fn offset(&self, by: usize) -> *mut c_void {
        self.0.wrapping_byte_add(by)
    }

    fn top(&self) -> *mut c_void {
        self.offset(Self::GUARD + Self::SIZE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made; the child that used it has another memory now.
        unsafe { libc::munmap(self.0, Self::GUARD + Self::SIZE) };
    }
}

/// `_exit(2)`: no destructors, no buffers. What a forked child ends with.
pub fn exit_now(status: u8) -> ! {
    // SAFETY: does not return and touches no memory.
    unsafe { libc::_exit(c_int::from(status)) }
}

/// `execveat(2)`, or execve(2) where the path needs no directory: filters of system calls
/// often let that one pass only. Comes back only with the reason it failed.
pub fn execveat(
    dir: BorrowedFd<'_>,
    path: &CStr,
    argv: &[CString],
    envp: &[&CStr],
) -> Errno {
    let list = |of: &mut dyn Iterator<Item = *const c_char>| -> Vec<*const c_char> {
        of.chain(std::iter::once(null())).collect()
    };
    let argv = list(&mut argv.iter().map(|a| a.as_ptr()));
    let envp = list(&mut envp.iter().map(|e| e.as_ptr()));
    let flags = if path.is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    let (dir, path) = (dir.as_raw_fd(), path.as_ptr());
    let done = if dir == libc::AT_FDCWD {
        call!(SYS_execve, path, argv.as_ptr(), envp.as_ptr())
    } else {
        call!(SYS_execveat, dir, path, argv.as_ptr(), envp.as_ptr(), flags)
    };
    match done {
        Ok(_) => Errno::UnknownErrno,
        Err(e) => e,
    }
}

/// environ(7): the `NAME=VALUE` strings of this process.
pub fn environ() -> Vec<&'static CStr> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let mut all = Vec::new();
    // SAFETY: the C library set it before main and no tool ever changes it.
    let mut at = unsafe { environ };
    while !at.is_null() {
        // SAFETY: the array ends with a null pointer, which was not met yet.
        let entry = unsafe { *at };
        if entry.is_null() {
            break;
        }
        // SAFETY: a non-null entry is a C string that lives as long as the process.
        all.push(unsafe { CStr::from_ptr(entry) });
        // SAFETY: stays within the array, see above.
        at = unsafe { at.add(1) };
    }
    all
}

/// `pidfd_open(2)`. Since Linux 5.3.
pub fn pidfd_open(pid: libc::pid_t) -> Result<OwnedFd> {
    call!(SYS_pidfd_open, pid, 0).map(own)
}

/// `pidfd_send_signal(2)`; signal 0 only asks whether the process is there.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: c_int) -> Result<()> {
    call!(SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, null::<u8>(), 0).map(drop)
}

/// `pidfd_getfd(2)`: a copy of a descriptor of another process. Since Linux 5.6.
pub fn pidfd_getfd(pidfd: BorrowedFd<'_>, fd: RawFd) -> Result<OwnedFd> {
    call!(SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0).map(own)
}

/// `PIDFD_GET_*_NAMESPACE` of PIDFD_GET_INFO(2const) and its like, by number: a namespace
/// of a process without /proc. Since Linux 6.11.
pub fn namespace_of(pidfd: BorrowedFd<'_>, number: c_int) -> Result<OwnedFd> {
    call!(SYS_ioctl, pidfd.as_raw_fd(), 0xff00 | number, 0).map(own)
}

/// `SIOCGSKNS` of ioctl(2): the network namespace of a socket. Since Linux 4.10.
pub fn netns_of(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    call!(SYS_ioctl, socket.as_raw_fd(), 0x894c).map(own)
}

/// What `waitid(2)` saw: `CLD_EXITED`, `CLD_KILLED` …, and the status or signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// `CLD_*`, 0 when there is nothing to see.
    pub code: c_int,
    /// The exit status or the signal's number; real-time signals have no name in nix.
    pub status: c_int,
}

/// `waitid(2)` of a pidfd with `WNOHANG`: an end or a stop. Since Linux 5.4.
pub fn wait_child(pidfd: BorrowedFd<'_>) -> Result<Waited> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG;
    let id = pidfd.as_raw_fd() as libc::id_t;
    // SAFETY: the descriptor is borrowed and info is live and of the type named.
    let ret = unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), flags) };
    Errno::result(ret)?;
    // SAFETY: zeroed is a valid siginfo_t, which is what stays where nothing is seen.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills this member, and it was zeroed before.
    let status = unsafe { info.si_status() };
    Ok(Waited { code: info.si_code, status })
}

/// `setns(2)`; with a pidfd, several `CLONE_NEW*` at once (since Linux 5.8).
pub fn setns(fd: BorrowedFd<'_>, flags: c_int) -> Result<()> {
    call!(SYS_setns, fd.as_raw_fd(), flags).map(drop)
}

/// `unshare(2)`, with `CLONE_NEWTIME`, which nix does not know.
pub fn unshare(flags: c_int) -> Result<()> {
    call!(SYS_unshare, flags).map(drop)
}

/// netdevice(7) `SIOCSIFFLAGS`: sets the loopback device's flags to `IFF_UP`.
pub fn loopback_up() -> Result<()> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    let socket = call!(SYS_socket, libc::AF_INET, kind, 0).map(own)?;
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    call!(SYS_ioctl, socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request).map(drop)
}

/// `read(2)` of one byte of a descriptor that the caller named; its end is as good.
pub fn read_byte(fd: RawFd) -> Result<()> {
    let mut byte = 0_u8;
    loop {
        match call!(SYS_read, fd, &raw mut byte, 1) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// `setdomainname(2)`.
pub fn setdomainname(name: &[u8]) -> Result<()> {
    call!(SYS_setdomainname, name.as_ptr(), name.len()).map(drop)
}

/// `waitid(2)` of any child that has ended, which stays to be waited for; 0 for none.
///
/// # Errors
/// `ECHILD` where there is no child at all.
pub fn peek_child() -> Result<libc::pid_t> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: info is live and of the type named.
    let ret = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), flags) };
    Errno::result(ret)?;
    // SAFETY: zeroed is a valid siginfo_t, which is what stays where nothing is seen.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills this member, and it was zeroed before.
    Ok(unsafe { info.si_pid() })
}

/// `prctl(2)` with plain integer arguments.
pub fn prctl(option: c_int, a: c_ulong, b: c_ulong) -> Result<c_long> {
    call!(SYS_prctl, option, a, b, 0 as c_ulong, 0 as c_ulong)
}

/// `PR_GET_PDEATHSIG`: the signal this process gets when its parent dies, 0 for none.
pub fn pdeathsig() -> Result<c_int> {
    let mut signal: c_int = 0;
    prctl(libc::PR_GET_PDEATHSIG, (&raw mut signal) as c_ulong, 0)?;
    Ok(signal)
}

/// `PR_SET_NAME`: the name in /proc/PID/comm.
pub fn set_comm(name: &CStr) -> Result<()> {
    prctl(libc::PR_SET_NAME, name.as_ptr() as c_ulong, 0).map(drop)
}

/// `setresuid(2)` of this thread, all three ids.
pub fn setresuid(uid: u32) -> Result<()> {
    call!(SYS_setresuid, uid, uid, uid).map(drop)
}

/// `setresgid(2)` of this thread, all three ids.
pub fn setresgid(gid: u32) -> Result<()> {
    call!(SYS_setresgid, gid, gid, gid).map(drop)
}

/// `setgroups(2)` of this thread.
pub fn setgroups(gids: &[u32]) -> Result<()> {
    call!(SYS_setgroups, gids.len(), gids.as_ptr()).map(drop)
}

/// Whether `setgroups(2)` is allowed: one gid too many is `EINVAL` then, else `EPERM`.
pub fn may_setgroups() -> bool {
    let too_many = 65537; // NGROUPS_MAX + 1
    call!(SYS_setgroups, too_many, null::<u32>()) == Err(Errno::EINVAL)
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// `capget(2)` of this thread: effective, permitted, inheritable as bit masks.
pub fn capget() -> Result<[u64; 3]> {
    capget_of(0)
}

/// `capget(2)` of a process; 0 is this thread.
pub fn capget_of(pid: libc::pid_t) -> Result<[u64; 3]> {
    let header = [CAPABILITY_VERSION_3, pid as u32];
    let mut data = [[0_u32; 3]; 2];
    call!(SYS_capget, header.as_ptr(), data.as_mut_ptr())?;
    let [[e, p, i], [e_high, p_high, i_high]] = data;
    let join = |low, high| u64::from(low) | u64::from(high) << 32;
    Ok([join(e, e_high), join(p, p_high), join(i, i_high)])
}

/// `capset(2)` of this thread: effective, permitted, inheritable in one call.
pub fn capset(sets: [u64; 3]) -> Result<()> {
    let header = [CAPABILITY_VERSION_3, 0];
    let data = [sets.map(|s| s as u32), sets.map(|s| (s >> 32) as u32)];
    call!(SYS_capset, header.as_ptr(), data.as_ptr()).map(drop)
}

/// `fsetxattr(2)`, or on the link itself by `lsetxattr(2)` of `/proc/self/fd/N/NAME`.
pub fn fsetxattr(fd: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<()> {
    let (data, len) = (value.as_ptr(), value.len());
    call!(SYS_fsetxattr, fd.as_raw_fd(), name.as_ptr(), data, len, 0).map(drop)
}

/// `lsetxattr(2)`: on the link itself where the path names a symbolic link.
pub fn lsetxattr(path: &CStr, name: &CStr, value: &[u8]) -> Result<()> {
    let (data, len) = (value.as_ptr(), value.len());
    call!(SYS_lsetxattr, path.as_ptr(), name.as_ptr(), data, len, 0).map(drop)
}

/// `fgetxattr(2)` into `buf`; the length of the value.
pub fn fgetxattr(fd: BorrowedFd<'_>, name: &CStr, buf: &mut [u8]) -> Result<usize> {
    let (data, len) = (buf.as_mut_ptr(), buf.len());
    call!(SYS_fgetxattr, fd.as_raw_fd(), name.as_ptr(), data, len).map(|n| n as usize)
}

/// `fremovexattr(2)`.
pub fn fremovexattr(fd: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    call!(SYS_fremovexattr, fd.as_raw_fd(), name.as_ptr()).map(drop)
}

/// `renameat2(2)` `RENAME_EXCHANGE`: two names of the working directory change places.
pub fn exchange(a: &CStr, b: &CStr) -> Result<()> {
    let here = libc::AT_FDCWD;
    call!(SYS_renameat2, here, a.as_ptr(), here, b.as_ptr(), 2).map(drop)
}

/// The mount that a file lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountOf {
    /// Its id, as in mountinfo.
    pub id: u64,
    /// The file is the root of the mount.
    pub is_root: bool,
}

/// `statx(2)` of a path, or of the descriptor where it is empty. Since Linux 5.8.
pub fn mount_of(dir: BorrowedFd<'_>, path: &CStr) -> Result<MountOf> {
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    let (flags, wanted) = (libc::AT_EMPTY_PATH, libc::STATX_MNT_ID);
    let out = found.as_mut_ptr();
    call!(SYS_statx, dir.as_raw_fd(), path.as_ptr(), flags, wanted, out)?;
    // SAFETY: all-zero is a valid structure, and the call succeeded.
    let found = unsafe { found.assume_init() };
    let is_root = found.stx_attributes & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0;
    Ok(MountOf { id: found.stx_mnt_id, is_root })
}

/// `NS_GET_USERNS` of ioctl_ns(2): the user namespace that owns a namespace.
pub fn userns_of(ns: BorrowedFd<'_>) -> Result<OwnedFd> {
    call!(SYS_ioctl, ns.as_raw_fd(), 0xb701).map(own)
}

/// `NS_GET_MNTNS_ID` of ioctl_ns(2): the number of a mount namespace. Since Linux 6.10.
pub fn mount_namespace_number(mnt: BorrowedFd<'_>) -> Result<u64> {
    let mut number = 0_u64;
    call!(SYS_ioctl, mnt.as_raw_fd(), 0x8008_b705_u32, &raw mut number)?;
    Ok(number)
}

/// `NS_GET_OWNER_UID` of ioctl_ns(2): who made a user namespace.
pub fn owner_of(userns: BorrowedFd<'_>) -> Result<u32> {
    let mut uid: u32 = 0;
    call!(SYS_ioctl, userns.as_raw_fd(), 0xb704, &raw mut uid)?;
    Ok(uid)
}

/// `NS_GET_NSTYPE` of ioctl_ns(2): the `CLONE_NEW*` flag of a namespace file.
pub fn kind_of(ns: BorrowedFd<'_>) -> Result<c_int> {
    call!(SYS_ioctl, ns.as_raw_fd(), 0xb703).map(|kind| kind as c_int)
}

/// `struct file_handle` of open_by_handle_at(2) with the `struct nsfs_file_handle` in it.
#[repr(C)]
struct NsHandle {
    bytes: c_uint,
    kind: c_int,
    id: u64,
    ns_type: u32,
    ns_inum: u32,
}

/// `open_by_handle_at(2)` on nsfs: a namespace by its id (`NS_GET_ID`). Since Linux 6.18,
/// which also wants its `CLONE_NEW*` flag and its inode number; without (0) since 6.19.
pub fn open_namespace(id: u64, ns_type: c_int, inode: u32) -> Result<OwnedFd> {
    const FD_NSFS_ROOT: c_int = -10003;
    const FILEID_NSFS: c_int = 0xf1;
    let (kind, ns_type) = (FILEID_NSFS, ns_type as u32);
    let handle = NsHandle { bytes: 16, kind, id, ns_type, ns_inum: inode };
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    call!(SYS_open_by_handle_at, FD_NSFS_ROOT, &raw const handle, flags).map(own)
}

/// `PR_CAP_AMBIENT_RAISE` of prctl(2). Since Linux 4.3.
pub fn raise_ambient(capability: u32) -> Result<()> {
    let (option, capability) = (libc::PR_CAP_AMBIENT, c_ulong::from(capability));
    prctl(option, libc::PR_CAP_AMBIENT_RAISE as c_ulong, capability).map(drop)
}

/// `flistxattr(2)` into `buf`: names, each with its NUL; the length of all.
pub fn flistxattr(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize> {
    let (data, len) = (buf.as_mut_ptr(), buf.len());
    call!(SYS_flistxattr, fd.as_raw_fd(), data, len).map(|n| n as usize)
}

/// getauxval(3): a value that the kernel left for the program; 0 for none.
pub fn auxv(kind: c_ulong) -> c_ulong {
    // SAFETY: reads the auxiliary vector, any kind may be asked for.
    unsafe { libc::getauxval(kind) }
}

/// `AT_EXECFN` of getauxval(3): the path this program was executed by.
pub fn execfn() -> Option<&'static CStr> {
    let at = auxv(libc::AT_EXECFN) as *const c_char;
    if at.is_null() {
        return None;
    }
    // SAFETY: the kernel put a C string there, which lives as long as the process.
    Some(unsafe { CStr::from_ptr(at) })
}

/// A signal's disposition, kept to be given back to COMMAND.
#[derive(Debug, Clone, Copy)]
pub struct Disposition(libc::sigaction);

/// `sigaction(2)`: sets the default disposition and hands out the one before.
pub fn default_signal(signal: c_int) -> Result<Disposition> {
    // SAFETY: all-zero is SIG_DFL with no flags and an empty mask.
    let default: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut old = default;
    // SAFETY: both structures are live and of the type that sigaction(2) names.
    Errno::result(unsafe { libc::sigaction(signal, &raw const default, &raw mut old) })?;
    Ok(Disposition(old))
}

/// `sigaction(2)`: puts a kept disposition back.
pub fn restore_signal(signal: c_int, kept: &Disposition) -> Result<()> {
    // SAFETY: the structure came from sigaction(2) itself.
    Errno::result(unsafe { libc::sigaction(signal, &raw const kept.0, null_mut()) })
        .map(drop)
}

/// `sigaction(2)`: a handler that does nothing in the place of the default disposition. An
/// exec makes it the default again.
pub fn catch_default(signal: c_int) -> Result<()> {
    extern "C" fn nothing(_: c_int) {}
    // SAFETY: all-zero is SIG_DFL with no flags and an empty mask.
    let mut catch: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    catch.sa_sigaction = nothing as extern "C" fn(c_int) as usize;
    catch.sa_flags = libc::SA_RESTART;
    let mut old = catch;
    // SAFETY: both structures are live, and the handler touches nothing.
    Errno::result(unsafe { libc::sigaction(signal, &raw const catch, &raw mut old) })?;
    if old.sa_sigaction == libc::SIG_DFL {
        return Ok(());
    }
    restore_signal(signal, &Disposition(old))
}

/// `sigtimedwait(2)`: takes one of these signals, which must be blocked, if it is there.
pub fn take_signal(signals: &[c_int]) -> Result<Option<c_int>> {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is live; sigemptyset(3) initialises it.
    Errno::result(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
    for signal in signals {
        // SAFETY: the set was initialised above; a bad number is EINVAL.
        Errno::result(unsafe { libc::sigaddset(set.as_mut_ptr(), *signal) })?;
    }
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: set and time are live, and null means that no more is asked than the number.
    match Errno::result(unsafe {
        libc::sigtimedwait(set.as_ptr(), null_mut(), &raw const now)
    }) {
        Ok(signal) => Ok(Some(signal)),
        Err(Errno::EAGAIN) => Ok(None),
        Err(e) => Err(e),
    }
}

/// `sigprocmask(2)` `SIG_UNBLOCK` of one signal, also a real-time one.
pub fn unblock_signal(signal: c_int) -> Result<()> {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is live; sigemptyset(3) initialises it.
    Errno::result(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
    // SAFETY: the set was initialised above; a bad number is EINVAL.
    Errno::result(unsafe { libc::sigaddset(set.as_mut_ptr(), signal) })?;
    let how = libc::SIG_UNBLOCK;
    // SAFETY: the set was initialised above.
    Errno::result(unsafe { libc::sigprocmask(how, set.as_ptr(), null_mut()) }).map(drop)
}

/// A signal that came, and whether a process sent it (not the kernel or the terminal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Came {
    /// Its number.
    pub signal: c_int,
    /// `si_code` <= 0: kill(2), sigqueue(3) and the like.
    pub from_process: bool,
}

/// `sigtimedwait(2)`: takes one of the signals of `set`, which must be blocked.
///
/// # Errors
/// `EINTR`; `EAGAIN` when the time is over, without one it never is.
pub fn wait_signal(
    set: &nix::sys::signal::SigSet,
    time: Option<std::time::Duration>,
) -> Result<Came> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: all-zero is a valid timespec.
    let mut limit: libc::timespec = unsafe { MaybeUninit::zeroed().assume_init() };
    let time_at = match time {
        Some(time) => {
            // The kernel waits no longer than it can count.
            limit.tv_sec = i32::try_from(time.as_secs()).unwrap_or(i32::MAX).into();
            limit.tv_nsec = c_long::from(time.subsec_nanos().cast_signed()) as _;
            &raw const limit
        }
        None => null(),
    };
    let (set, out) = (set.as_ref(), info.as_mut_ptr());
    // SAFETY: set and info are live and of the types sigtimedwait(2) names; so is the time,
    // or it is null, which waits for ever.
    Errno::result(unsafe { libc::sigtimedwait(set, out, time_at) })?;
    // SAFETY: zeroed is a valid siginfo_t, and the call succeeded.
    let info = unsafe { info.assume_init() };
    Ok(Came { signal: info.si_signo, from_process: info.si_code <= 0 })
}

/// `setpriority(2)` of this process: its nice value.
pub fn nice(value: c_int) -> Result<()> {
    call!(SYS_setpriority, libc::PRIO_PROCESS, 0, value).map(drop)
}

/// `setrlimit(2)`: the soft and the hard limit of a `RLIMIT_*`.
pub fn setrlimit(resource: u32, soft: libc::rlim_t, hard: libc::rlim_t) -> Result<()> {
    let limit = [soft, hard];
    let none = null::<u64>();
    call!(SYS_prlimit64, 0, resource, limit.as_ptr(), none).map(drop)
}

/// The last number that `PR_CAPBSET_READ` of prctl(2) knows.
pub fn last_capability() -> u32 {
    let is_known = |n: &u32| prctl(libc::PR_CAPBSET_READ, (*n).into(), 0).is_ok();
    (0..64).take_while(is_known).last().unwrap_or(0)
}

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` reads.
#[repr(C)]
#[derive(Default)]
struct BpfLoad {
    kind: u32,
    count: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
}

/// `bpf(2)` `BPF_PROG_LOAD` of a program that decides about devices. Since Linux 4.15.
pub fn bpf_load_device_filter(code: &[u64]) -> Result<OwnedFd> {
    const PROG_LOAD: c_int = 5;
    const CGROUP_DEVICE: u32 = 15;
    let load = BpfLoad {
        kind: CGROUP_DEVICE,
        count: u32::try_from(code.len()).map_err(|_| Errno::E2BIG)?,
        code: code.as_ptr() as u64,
        // No helper is called that would ask for more.
        license: c"MIT OR Apache-2.0".as_ptr() as u64,
        ..BpfLoad::default()
    };
    call!(SYS_bpf, PROG_LOAD, &raw const load, size_of::<BpfLoad>()).map(own)
}

/// `bpf(2)` `BPF_PROG_ATTACH` to a v2 group, beside the programs of the groups above.
pub fn bpf_attach_device_filter(
    group: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> Result<()> {
    const PROG_ATTACH: c_int = 8;
    const CGROUP_DEVICE: u32 = 6;
    const ALLOW_MULTI: u32 = 2;
    let [group, program] = [group, program].map(|fd| fd.as_raw_fd() as u32);
    let attach = [group, program, CGROUP_DEVICE, ALLOW_MULTI];
    call!(SYS_bpf, PROG_ATTACH, attach.as_ptr(), size_of_val(&attach)).map(drop)
}

/// A seccomp(2) filter of `SECCOMP_SET_MODE_FILTER`, with `SECCOMP_FILTER_FLAG_*`.
pub fn seccomp_filter(flags: c_uint, program: &[libc::sock_filter]) -> Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    call!(SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter).map(drop)
}

/// `LANDLOCK_CREATE_RULESET_VERSION` of landlock_create_ruleset(2). Since Linux 5.13.
///
/// # Errors
/// `ENOSYS` where the kernel has none of it, `EOPNOTSUPP` where it is switched off.
pub fn landlock_abi() -> Result<c_long> {
    call!(SYS_landlock_create_ruleset, null::<u8>(), 0_usize, 1 as c_uint)
}

/// `LANDLOCK_CREATE_RULESET_ERRATA`: a bit for each mistake that was put right. Since
/// Linux 6.15.
pub fn landlock_errata() -> Result<c_long> {
    call!(SYS_landlock_create_ruleset, null::<u8>(), 0_usize, 2 as c_uint)
}

/// `landlock_create_ruleset(2)`: access to files, access to the network, scopes.
///
/// # Errors
/// `E2BIG` and `EINVAL` where the kernel does not know what is asked for.
pub fn landlock_ruleset(handled: [u64; 3]) -> Result<OwnedFd> {
    let size = size_of::<[u64; 3]>();
    call!(SYS_landlock_create_ruleset, handled.as_ptr(), size, 0 as c_uint).map(own)
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: c_int,
}

/// `LANDLOCK_RULE_PATH_BENEATH` of landlock_add_rule(2).
pub fn landlock_allow_path(
    ruleset: BorrowedFd<'_>,
    allowed: u64,
    parent: BorrowedFd<'_>,
) -> Result<()> {
    let rule = PathBeneath { allowed, parent: parent.as_raw_fd() };
    let (fd, flags) = (ruleset.as_raw_fd(), 0 as c_uint);
    call!(SYS_landlock_add_rule, fd, 1 as c_uint, &raw const rule, flags).map(drop)
}

/// `LANDLOCK_RULE_NET_PORT` of landlock_add_rule(2). Since ABI 4, Linux 6.7.
pub fn landlock_allow_port(
    ruleset: BorrowedFd<'_>,
    allowed: u64,
    port: u16,
) -> Result<()> {
    let rule = [allowed, u64::from(port)];
    let (fd, flags) = (ruleset.as_raw_fd(), 0 as c_uint);
    call!(SYS_landlock_add_rule, fd, 2 as c_uint, rule.as_ptr(), flags).map(drop)
}

/// `landlock_restrict_self(2)`: from here on.
pub fn landlock_restrict_self(ruleset: BorrowedFd<'_>) -> Result<()> {
    call!(SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0 as c_uint).map(drop)
}
