//! What is done inside, one thing at a time, and what each is called.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use common::explain::Explain;
use common::fail::quote;
use common::mount::Propagation;
use common::nstype::Ns;

use crate::cli::Setgroups;
use crate::maps::Maps;

/// One thing to do in the new namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep our tools within reach; before any mount changes, and as the user that may
    /// read their directory.
    KeepTools,
    /// Let the outside do its part.
    Wait {
        /// What is waited for.
        fd: RawFd,
        /// Where the outside is told of the process first.
        status: Option<RawFd>,
    },
    /// Become the root of the namespace, where the caller's own ids were not mapped.
    Become {
        /// The caller's uid means nothing inside.
        uid: bool,
        /// The caller's gid means nothing inside.
        gid: bool,
    },
    /// The rule for setgroups(2) where no map is written.
    Setgroups(Setgroups),
    /// How mounts spread, for the whole tree.
    Propagation(Propagation),
    /// Bring loopback up.
    Loopback {
        /// The user asked for it: it may not fail.
        must: bool,
    },
    /// Set the host name.
    Hostname(OsString),
    /// Set the NIS domain name.
    Domainname(OsString),
    /// Change the root directory.
    Root(PathBuf),
    /// Change the working directory.
    Directory(PathBuf),
    /// Mount a proc of the pid namespace.
    Proc {
        /// Where.
        dir: PathBuf,
        /// Keep the mount from spreading, where propagation did not see to it.
        shield: bool,
    },
    /// Mount a binfmt_misc of the user namespace.
    Binfmt(PathBuf),
    /// Register an interpreter in it.
    Interp {
        /// Where it is mounted.
        dir: PathBuf,
        /// What is registered.
        text: OsString,
    },
    /// Run a shell command as root of the namespaces.
    Setup(OsString),
    /// A user namespace in the new one.
    Nest {
        /// Its maps.
        maps: Maps,
        /// It may have none in it.
        is_last: bool,
    },
    /// Be another user.
    Ids {
        /// The supplementary groups, and whether they were named.
        groups: Option<(Vec<u32>, Named)>,
        /// The three gids.
        gid: Option<u32>,
        /// The three uids.
        uid: Option<u32>,
    },
    /// Keep the capabilities of the user namespace.
    KeepCaps,
    /// Leave the session, and its terminal.
    NewSession,
    /// Die when the starter dies.
    DieWithParent,
    /// Have the namespaces bound to their files.
    Persist,
    /// Write the process id.
    PidFile(PathBuf),
    /// Tell that set-up is complete.
    Status(RawFd),
    /// Tell it by a line.
    Ready(RawFd),
}

/// Whether something was asked for by name, or comes with something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// By name: it may not fail.
    Yes,
    /// It is left where it is denied for good.
    No,
}

impl Step {
    /// A few calls that wait for nobody and change no id: a child may make them while its
    /// parent sleeps, in the parent's memory. (An id that changes makes that undumpable, and
    /// a path of the caller's may lead to where everything hangs.)
    pub fn is_quick(&self) -> bool {
        matches!(
            self,
            Self::KeepTools
                | Self::Propagation(_)
                | Self::Proc { .. }
                | Self::Loopback { .. }
                | Self::Hostname(_)
                | Self::Domainname(_)
                | Self::NewSession
        )
    }

    /// The kind of namespace without which the step would change the outside.
    pub fn needs(&self) -> Option<Ns> {
        match self {
            Self::Propagation(_)
            | Self::Proc { .. }
            | Self::Binfmt(_)
            | Self::Interp { .. } => Some(Ns::Mount),
            Self::Loopback { .. } => Some(Ns::Net),
            Self::Hostname(_) | Self::Domainname(_) => Some(Ns::Uts),
            Self::Become { .. } | Self::KeepCaps | Self::Nest { .. } => Some(Ns::User),
            Self::KeepTools
            | Self::Wait { .. }
            | Self::Setgroups(_)
            | Self::Root(_)
            | Self::Directory(_)
            | Self::Setup(_)
            | Self::Ids { .. }
            | Self::NewSession
            | Self::DieWithParent
            | Self::Persist
            | Self::PidFile(_)
            | Self::Status(_)
            | Self::Ready(_) => None,
        }
    }

    /// Whether only COMMAND's own process can do it, not an init before it.
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            Self::NewSession | Self::PidFile(_) | Self::Status(_) | Self::Ready(_)
        )
    }
}

const MOUNT_FLAGS: &str = "MS_NOSUID|MS_NODEV|MS_NOEXEC";

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::KeepTools => {
                "open_tree('.../', OPEN_TREE_CLONE); mount_setattr()".into()
            }
            Self::Wait { fd, .. } => format!("read({fd}, …, 1)"),
            Self::Become { uid, gid } => {
                let gid = gid.then_some("setgroups([]); setresgid(0, 0, 0)");
                let uid = uid.then_some("setresuid(0, 0, 0)");
                gid.into_iter().chain(uid).collect::<Vec<_>>().join("; ")
            }
            Self::Setgroups(rule) => {
                format!("write('/proc/self/setgroups', '{}')", rule.word())
            }
            Self::Propagation(p) => {
                format!("mount(NULL, '/', NULL, MS_REC|{}, NULL)", p.name())
            }
            Self::Loopback { .. } => "ioctl(SIOCSIFFLAGS, 'lo', IFF_UP)".into(),
            Self::Hostname(name) => format!("sethostname({})", quote(name)),
            Self::Domainname(name) => format!("setdomainname({})", quote(name)),
            Self::Root(dir) => format!("chroot({})", quote(dir)),
            Self::Directory(dir) => format!("chdir({})", quote(dir)),
            Self::Proc { dir, .. } => {
                format!("mount('proc', {}, 'proc', {MOUNT_FLAGS})", quote(dir))
            }
            Self::Binfmt(dir) => {
                let dir = quote(dir);
                format!("mount('binfmt_misc', {dir}, 'binfmt_misc', {MOUNT_FLAGS})")
            }
            Self::Interp { dir, text } => {
                format!("write({}, {})", quote(dir.join("register")), quote(text))
            }
            Self::Setup(line) => {
                format!("fork; execve('/bin/sh', '-c', {})", quote(line))
            }
            Self::Nest { is_last, .. } => {
                let limit = "write('/proc/sys/user/max_user_namespaces', '1'); ";
                format!("{}unshare(CLONE_NEWUSER)", if *is_last { limit } else { "" })
            }
            Self::Ids { groups, gid, uid } => {
                let groups =
                    groups.as_ref().map(|(all, _)| format!("setgroups({all:?})"));
                let gid = gid.map(|id| format!("setresgid({id}, {id}, {id})"));
                let uid = uid.map(|id| format!("setresuid({id}, {id}, {id})"));
                let all = [groups, gid, uid].into_iter().flatten();
                all.collect::<Vec<_>>().join("; ")
            }
            Self::KeepCaps => {
                "capset(); prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE)".into()
            }
            Self::NewSession => "setsid()".into(),
            Self::DieWithParent => "prctl(PR_SET_PDEATHSIG, SIGKILL)".into(),
            Self::Persist => "mount('/proc/PID/ns/KIND', FILE, NULL, MS_BIND)".into(),
            Self::PidFile(file) => format!("write({}, 'PID')", quote(file)),
            Self::Status(fd) => format!("write({fd}, '{{\"pid\":…,\"ns\":{{…}}}}')"),
            Self::Ready(fd) => format!("write({fd}, '\\n')"),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::KeepTools => {
                "a read-only clone of the tools' directory, for later links"
            }
            Self::Wait { .. } => "until the outside has done its part",
            Self::Become { .. } => "the own ids are not mapped: be root of the namespace",
            Self::Setgroups(_) => "the rule for setgroups(2)",
            Self::Propagation(_) => "how mounts spread to and from the outside",
            Self::Loopback { must: true } => "loopback, as asked for",
            Self::Loopback { must: false } => "loopback, where there is the right to",
            Self::Hostname(_) => "the host name",
            Self::Domainname(_) => "the NIS domain name",
            Self::Root(_) => "the root directory; the old one is still mounted",
            Self::Directory(_) => "the working directory",
            Self::Proc { .. } => "the processes of the pid namespace",
            Self::Binfmt(_) => "the interpreters of the user namespace",
            Self::Interp { .. } => "a kind of program and what runs it",
            Self::Setup(_) => "as root of the namespaces, before COMMAND",
            Self::Nest { is_last: true, .. } => "the one that was still allowed",
            Self::Nest { is_last: false, .. } => "where COMMAND has its own ids",
            Self::Ids { .. } => "who COMMAND is",
            Self::KeepCaps => "the namespace's capabilities, over the exec",
            Self::NewSession => "a session without a terminal",
            Self::DieWithParent => "COMMAND dies with what started ns-run",
            Self::Persist => "by a process that stayed outside",
            Self::PidFile(_) => "as the starter sees it",
            Self::Status(_) | Self::Ready(_) => "set-up is complete",
        }
        .into()
    }
}
