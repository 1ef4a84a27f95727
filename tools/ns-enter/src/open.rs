//! Everything that is needed of the process, opened before the first step.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::cgroup::hierarchies;
use common::fail::Hint;
use common::nstype::Ns;
use common::{Context, Fail, bounded, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use crate::cli::Cli;
use crate::find::Process;
use crate::name::Place;
use crate::plan::Whose;

const PERMISSION: &str = "it takes its user, or CAP_SYS_PTRACE over it";

/// More than execve(2) takes.
const LONGEST_ENVIRONMENT: u64 = 8 << 20;

/// What was opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// The process.
    pub process: Option<Process>,
    /// The namespaces that are not entered by the process's descriptor, in the order of
    /// their kinds.
    pub files: Vec<(Ns, OwnedFd)>,
    /// The root directory to change to.
    pub root: Option<OwnedFd>,
    /// The working directory to change to.
    pub wd: Option<OwnedFd>,
    /// The `cgroup.procs` of the groups to join.
    pub cgroups: Vec<(PathBuf, OwnedFd)>,
    /// The process's environment.
    pub environ: Option<Vec<CString>>,
    /// The process's security context.
    pub context: Option<Vec<u8>>,
}

/// A file of the process's in /proc.
pub fn proc_file(pid: i32, name: &str) -> PathBuf {
    format!("/proc/{pid}/{name}").into()
}

fn open(path: &Path, flags: OFlag) -> Result<OwnedFd, Fail> {
    openat(AT_FDCWD, path, flags | OFlag::O_CLOEXEC, Mode::empty())
        .cannot("open", path)
        .hint_on(Errno::EACCES, PERMISSION)
}

/// A small file of the process's, as it is.
pub fn read(path: &Path) -> Result<Vec<u8>, Fail> {
    let file = File::from(open(path, OFlag::O_RDONLY)?);
    let text = bounded::read(file, LONGEST_ENVIRONMENT, 4096).cannot("read", path)?;
    text.ok_or_else(|| Fail::cannot("read", path, "there is no end to it"))
}

impl Opened {
    /// The environment that COMMAND gets.
    pub fn environ(&self) -> Vec<&CStr> {
        match &self.environ {
            Some(theirs) => theirs.iter().map(AsRef::as_ref).collect(),
            None => sys::environ(),
        }
    }

    /// Opens what the options ask for, but for the namespaces.
    pub fn read(cli: &Cli, process: Option<Process>) -> Result<Self, Fail> {
        let of_process = |name| process.as_ref().map(|p| proc_file(p.pid, name));
        let directory = |given: &Option<Option<PathBuf>>, name| {
            let path = match given {
                None => None,
                Some(Some(path)) => Some(path.clone()),
                Some(None) => of_process(name),
            };
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
            path.map(|path| open(&path, flags)).transpose()
        };
        let mut opened = Self {
            root: directory(&cli.root, "root")?,
            wd: directory(&cli.wd, "cwd")?,
            ..Self::default()
        };
        if cli.env {
            opened.environ =
                of_process("environ").map(|path| environ(&path)).transpose()?;
        }
        if cli.follow_context {
            opened.context =
                of_process("attr/current").map(|p| context(&p)).transpose()?;
        }
        if cli.join_cgroup {
            let cgroups = of_process("cgroup").map(|path| cgroups(&path)).transpose()?;
            opened.cgroups = cgroups.unwrap_or_default();
        }
        opened.process = process;
        Ok(opened)
    }

    /// Opens the namespaces that are entered by file.
    pub fn open_files(
        &mut self,
        cli: &Cli,
        kinds: &[(Ns, Whose<'_>)],
    ) -> Result<(), Fail> {
        let pid = self.process.as_ref().map_or(0, |process| process.pid);
        for (ns, whose) in kinds {
            let file = match whose {
                Whose::Process => continue,
                Whose::Children => {
                    let name = format!("ns/{}_for_children", ns.kind().file);
                    open(&proc_file(pid, &name), OFlag::O_RDONLY)
                        .hint_on(Errno::ENOENT, "it has none yet")?
                }
                Whose::Given(Place::Id(id)) => by_id(*id, *ns)?,
                Whose::Given(Place::File(path)) => by_path(path, *ns)?,
                Whose::Netns(name) => by_path(&Path::new("/run/netns").join(name), *ns)?,
            };
            self.files.push((*ns, file));
        }
        if let Some(fd) = cli.net_socket {
            let net = self.of_socket(fd)?;
            self.replace(Ns::Net, net);
        }
        if cli.user_parent {
            let parent = self.parent(pid)?;
            self.replace(Ns::User, parent);
        }
        Ok(())
    }

    fn replace(&mut self, ns: Ns, file: OwnedFd) {
        self.files.retain(|(kind, _)| *kind != ns);
        self.files.push((ns, file));
        self.files.sort_by_key(|(kind, _)| *kind);
    }

    fn of_socket(&self, fd: i32) -> Result<OwnedFd, Fail> {
        let process = self.process.as_ref().ok_or_else(|| Fail::new("no process"))?;
        let object = format!("{fd} of process {}", process.pid);
        let socket = sys::pidfd_getfd(process.pidfd.as_fd(), fd)
            .cannot("take descriptor", &object)
            .hint_on(Errno::EPERM, PERMISSION)
            .hint_on(Errno::EBADF, "it is not open there")?;
        sys::netns_of(socket.as_fd())
            .cannot("find the net namespace of descriptor", &object)
            .hint_on(Errno::ENOTTY, "it is no socket")
            .hint_on(Errno::EPERM, "it takes CAP_NET_ADMIN there")
    }

    /// The parent of the user namespace that was named, of the process's, or else the one
    /// that owns a namespace that was named.
    fn parent(&self, pid: i32) -> Result<OwnedFd, Fail> {
        let named = self.files.iter().find(|(ns, _)| *ns == Ns::User);
        let named = if pid == 0 { named.or(self.files.first()) } else { named };
        let parent = if let Some((_, file)) = named {
            sys::userns_of(file.as_fd())
        } else {
            sys::userns_of(open(&proc_file(pid, "ns/user"), OFlag::O_RDONLY)?.as_fd())
        };
        parent
            .failed_to("find the parent of the user namespace")
            .hint_on(Errno::EPERM, "it lies outside of ours")
    }
}

fn by_path(path: &Path, ns: Ns) -> Result<OwnedFd, Fail> {
    let file = open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
    let not = |what: &str| Err(Fail::cannot("enter", path, format!("it is no {what}")));
    match sys::kind_of(file.as_fd()) {
        // ioctl_ns(2) knows the kind since Linux 4.11; where it does not, setns(2) looks.
        Ok(kind) if kind != ns.kind().flag => {
            not(&format!("{} namespace", ns.kind().file))
        }
        Err(Errno::ENOTTY) => not("namespace"),
        _ => Ok(file),
    }
}

/// The lowest inode number of a namespace, that of the first one of a kind, and how many
/// there can be that are worth a look: the kernel always gives the lowest that is free.
const FIRST_INODE: u32 = 0xEFFF_FFF0;
const MOST_INODES: u32 = 1 << 16;

fn by_id(id: u64, ns: Ns) -> Result<OwnedFd, Fail> {
    let object = format!("{} namespace", ns.kind().file);
    let mut found = sys::open_namespace(id, 0, 0);
    if matches!(found, Err(Errno::ESTALE)) {
        // Linux 6.18 does not find it by less than all that its handle has.
        let last = FIRST_INODE.saturating_add(MOST_INODES);
        let all = |inode| sys::open_namespace(id, ns.kind().flag, inode);
        let mut tried = (FIRST_INODE..last).map(all);
        let is_other = |one: &Result<_, Errno>| !matches!(one, Err(Errno::ESTALE));
        found = tried.find(is_other).unwrap_or(found);
    }
    let file = found
        .failed_to(format_args!("find the {object} with id {id}"))
        .hint_on(Errno::EBADF, "it takes Linux 6.18")
        .hint_on(Errno::ESTALE, "there is none")
        .hint_on(Errno::EPERM, "it takes CAP_SYS_ADMIN over it")?;
    match sys::kind_of(file.as_fd()) {
        Ok(kind) if kind != ns.kind().flag => {
            Err(Fail::new(format_args!("cannot enter {id}: it is no {object}")))
        }
        _ => Ok(file),
    }
}

fn environ(path: &Path) -> Result<Vec<CString>, Fail> {
    let text = read(path)?;
    let strings = text.split(|b| *b == 0).filter(|entry| entry.contains(&b'='));
    // There is no NUL in what was split at them.
    Ok(strings.filter_map(|entry| CString::new(entry).ok()).collect())
}

/// The context of a process on a system that has SELinux; nothing where it has not.
fn context(path: &Path) -> Result<Vec<u8>, Fail> {
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        return Ok(Vec::new());
    }
    read(path)
}

/// The groups that the process is in and we are not, each hierarchy's.
fn cgroups(path: &Path) -> Result<Vec<(PathBuf, OwnedFd)>, Fail> {
    let mounts = "/proc/self/mountinfo";
    let mounts = fs::read(mounts).cannot("read", mounts)?;
    let own = "/proc/self/cgroup";
    let ours = hierarchies(&mounts, &fs::read(own).cannot("read", own)?);
    let mut joined = Vec::new();
    for theirs in hierarchies(&mounts, &read(path)?) {
        let is_same = |h: &&common::cgroup::Hierarchy| {
            (h.version, &h.controllers) == (theirs.version, &theirs.controllers)
        };
        if ours.iter().find(is_same).is_some_and(|own| own.path == theirs.path) {
            continue;
        }
        let place = theirs.places.first().ok_or_else(|| {
            let reason = "its hierarchy is not mounted, or it is not in sight";
            let list = theirs.controllers.join(",");
            Fail::cannot(
                "join cgroup",
                format!("{list}:{}", theirs.path.display()),
                reason,
            )
        })?;
        let procs = place.own.join("cgroup.procs");
        let file =
            openat(AT_FDCWD, &procs, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
                .cannot("join cgroup", &place.own)
                .hint_on(Errno::EACCES, "it takes root, or a delegated cgroup")
                .hint_on(Errno::EROFS, "cgroups are mounted read-only here")?;
        joined.push((place.own.clone(), file));
    }
    Ok(joined)
}
