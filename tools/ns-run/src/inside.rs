//! The steps of a plan, carried out in the new namespaces.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::chain::Chain;
use common::fail::Hint;
use common::mount::Propagation;
use common::nstype::Ns;
use common::spawn::{Bond, Ended, Held, Spawn, bind, keep_bond};
use common::{Context, Fail, entry, ids, status, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, chroot, setsid};
use serde_json::Value;

use crate::apply::Run;
use crate::maps::Maps;
use crate::step::{Named, Step};

const NONE: Option<&str> = None;

impl Run<'_> {
    /// Does one thing.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), Fail> {
        match step {
            Step::KeepTools => self.chain.keep_tools(self.command),
            Step::Wait { fd, status } => self.wait(*fd, *status),
            Step::Become { uid, gid } => self.as_another(|| be_root(*uid, *gid)),
            Step::Setgroups(rule) => write_at("/proc/self/setgroups", rule.word()),
            Step::Propagation(propagation) => {
                let how = MsFlags::MS_REC | kernel_flag(*propagation);
                propagate(Path::new("/"), how)
                    .cannot("set propagation of", "/")
                    .hint_on(Errno::EINVAL, "/ is no mount here: --propagation unchanged")
            }
            Step::Loopback { must } => match sys::loopback_up() {
                Err(e) if *must => Err(e).cannot("bring up", "lo"),
                Ok(()) | Err(_) => Ok(()),
            },
            Step::Hostname(name) => {
                nix::unistd::sethostname(name).cannot("set host name", name)
            }
            Step::Domainname(name) => {
                sys::setdomainname(name.as_bytes()).cannot("set domain name", name)
            }
            Step::Root(dir) => chroot(dir).cannot("change the root to", dir),
            Step::Directory(dir) => chdir(dir).cannot("change to directory", dir),
            Step::Proc { dir, shield } => self.mount_proc(dir, *shield),
            Step::Binfmt(dir) => mount_binfmt(dir),
            Step::Interp { dir, text } => register(dir, text),
            Step::Setup(line) => self.set_up(line),
            Step::Nest { maps, is_last } => self.nest(maps, *is_last),
            Step::Ids { groups, gid, uid } => self.as_another(|| {
                if let Some((groups, named)) = groups {
                    set_groups(groups, *named)?;
                }
                gid.map_or(Ok(()), |gid| ids::Step::Gid(gid).apply())?;
                uid.map_or(Ok(()), |uid| ids::Step::Uid(uid).apply())
            }),
            Step::KeepCaps => keep_caps(),
            Step::NewSession => setsid().map(drop).failed_to("make a session"),
            Step::DieWithParent => self
                .outside
                .starter
                .as_ref()
                .map_or(Ok(()), |starter| bind(starter.as_fd(), libc::SIGKILL)),
            Step::Persist => self.persist(),
            Step::PidFile(_) => self.outside.write_pid(),
            Step::Status(fd) => status::write(*fd, &self.record()?),
            Step::Ready(fd) => {
                entry::write_all(*fd, b"\n").cannot("write to descriptor", fd.to_string())
            }
        }
    }

    fn record(&self) -> Result<Value, Fail> {
        let is_in_place = self.plan.fork.is_none();
        self.outside.record(is_in_place && self.plan.kinds.contains(&Ns::Time))
    }

    /// Changes ids and stays bound to the parent.
    fn as_another(&self, change: impl FnOnce() -> Result<(), Fail>) -> Result<(), Fail> {
        keep_bond(self.chain.parent.as_ref().map(AsFd::as_fd), change)
    }

    fn wait(&self, fd: i32, status: Option<i32>) -> Result<(), Fail> {
        if let Some(status_fd) = status {
            let mut record = self.record()?;
            if let Some(all) = record.as_object_mut() {
                all.insert("waiting".to_owned(), true.into());
            }
            status::write(status_fd, &record)?;
        }
        sys::read_byte(fd).cannot("wait for descriptor", fd.to_string())
    }

    fn persist(&mut self) -> Result<(), Fail> {
        let pid = self.outside.pid()?;
        self.keeper.as_mut().map_or(Ok(()), |keeper| keeper.keep(pid))
    }

    fn mount_proc(&self, dir: &Path, shield: bool) -> Result<(), Fail> {
        if shield {
            match propagate(dir, MsFlags::MS_REC | MsFlags::MS_PRIVATE) {
                // No mount of its own there: what it lies on spreads as was asked for.
                Ok(()) | Err(Errno::EINVAL) => {}
                Err(e) => return Err(e).cannot("set propagation of", dir),
            }
        }
        let hint = if self.plan.fork.is_some_and(|fork| fork.in_pid_namespace) {
            // What is mounted over in the old proc would be seen: mount_namespaces(7).
            "something is mounted below /proc here"
        } else {
            "proc shows a pid namespace of our own: --pid --fork"
        };
        mount(Some("proc"), dir, Some("proc"), quiet(), NONE)
            .cannot("mount proc on", dir)
            .hint_on(Errno::EPERM, hint)
    }

    /// Runs a shell command as root of the namespaces, where there is one.
    fn set_up(&self, line: &OsStr) -> Result<(), Fail> {
        let argv: [OsString; 3] = ["/bin/sh".into(), "-c".into(), line.to_owned()];
        let bond = Bond::DieWithParent;
        let spawn = Spawn { tool: self.called.name, flags: 0, cgroup: None, bond };
        let held = Held::hold().failed_to("block signals")?;
        let child = spawn
            .fork_held(&held, |parent| {
                keep_bond(Some(parent.as_fd()), || {
                    let is = |id: u32| id != 0;
                    be_root(
                        is(nix::unistd::geteuid().as_raw()),
                        is(nix::unistd::getegid().as_raw()),
                    )
                })?;
                Chain::default().exec(&argv)
            })
            .failed_to("fork")?;
        let ended = child.reap()?;
        held.release().failed_to("restore signals")?;
        match ended {
            Ended::Exited(0) => Ok(()),
            Ended::Exited(status) => Err(Fail::cannot(
                "set up with",
                line,
                format_args!("it ended with {status}"),
            )),
            Ended::Killed(signal) => Err(Fail::cannot(
                "set up with",
                line,
                format_args!("it was killed by signal {signal}"),
            )),
        }
    }

    /// A user namespace in the new one.
    fn nest(&mut self, maps: &Maps, is_last: bool) -> Result<(), Fail> {
        if is_last {
            let proc = self.outside.proc()?.as_fd();
            write_in(proc, "sys/user/max_user_namespaces", "1")
                .cannot("write to", "/proc/sys/user/max_user_namespaces")?;
        }
        let unshare = || {
            sys::unshare(libc::CLONE_NEWUSER)
                .failed_to("make a user namespace in the new one")
                .hint_on(Errno::EPERM, "the own ids are not mapped: --map-root-user")
        };
        if maps.needs_outside() {
            return self.mapped_by_helper(maps, |_| unshare());
        }
        unshare()?;
        maps.write("self")
    }
}

/// The root of the namespace, without the groups of outside unless the namespace that we
/// come from keeps everybody from shedding any.
fn be_root(uid: bool, gid: bool) -> Result<(), Fail> {
    if gid {
        set_groups(&[], Named::No)?;
        ids::Step::Gid(0).apply()?;
    }
    if uid {
        ids::Step::Uid(0).apply()?;
    }
    Ok(())
}

/// setgroups(2). Where it is denied for good, as by --map-root-user, nobody can shed a
/// group; that is no reason to refuse a gid.
fn set_groups(groups: &[u32], named: Named) -> Result<(), Fail> {
    let set = ids::Step::Groups(groups.to_vec()).apply();
    if set.is_err() && named == Named::No && is_denied()? { Ok(()) } else { set }
}

fn is_denied() -> Result<bool, Fail> {
    let path = "/proc/self/setgroups";
    Ok(fs::read_to_string(path).cannot("read", path)?.trim_end() == "deny")
}

/// Permitted capabilities to inheritable and ambient: capabilities(7).
fn keep_caps() -> Result<(), Fail> {
    let [effective, permitted, inheritable] =
        sys::capget().failed_to("read capabilities")?;
    sys::capset([effective, permitted, inheritable | permitted])
        .failed_to("make capabilities inheritable")?;
    for cap in (0..64).filter(|cap| permitted & 1 << cap != 0) {
        let raise = libc::c_ulong::from(libc::PR_CAP_AMBIENT_RAISE.cast_unsigned());
        sys::prctl(libc::PR_CAP_AMBIENT, raise, cap)
            .failed_to(format_args!("make capability {cap} ambient"))?;
    }
    Ok(())
}

fn kernel_flag(propagation: Propagation) -> MsFlags {
    match propagation {
        Propagation::Private => MsFlags::MS_PRIVATE,
        Propagation::Slave => MsFlags::MS_SLAVE,
        Propagation::Shared => MsFlags::MS_SHARED,
    }
}

fn quiet() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC
}

fn propagate(at: &Path, how: MsFlags) -> nix::Result<()> {
    mount(NONE, at, NONE, how, NONE)
}

fn mount_binfmt(dir: &Path) -> Result<(), Fail> {
    mount(Some("binfmt_misc"), dir, Some("binfmt_misc"), quiet(), NONE)
        .cannot("mount binfmt_misc on", dir)
        .hint_on(Errno::ENODEV, "this kernel has no binfmt_misc")
        .hint_on(Errno::EPERM, "user namespaces have their own since Linux 6.7")
        .hint_on(Errno::ENOENT, "this kernel has no binfmt_misc, or no proc is mounted")
}

fn register(dir: &Path, text: &OsStr) -> Result<(), Fail> {
    let path = dir.join("register");
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = openat(AT_FDCWD, &path, flags, Mode::empty()).cannot("open", &path)?;
    let written = nix::unistd::write(&file, text.as_bytes());
    written
        .cannot("register an interpreter by", path)
        .hint_on(
            Errno::EINVAL,
            "not of the form :NAME:TYPE:OFFSET:MAGIC:MASK:INTERPRETER:FLAGS",
        )
        .map(drop)
}

fn write_at(path: &str, text: &str) -> Result<(), Fail> {
    write_in(AT_FDCWD, path, text).cannot("write to", path)
}

fn write_in(dir: BorrowedFd<'_>, path: &str, text: &str) -> nix::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = openat(dir, path, flags, Mode::empty())?;
    nix::unistd::write(&file, text.as_bytes()).map(drop)
}
