//! The facts that the plan depends on.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::chain::link_name;
use common::fail::Hint;
use common::idmap::IdMap;
use common::inroot::Root;
use common::nstype::{KINDS, Ns};
use common::proc::status_field;
use common::{Context, Fail, passwd, sys};
use nix::errno::Errno;
use nix::sys::stat::fstat;

use crate::cli::Cli;
use crate::find::{self, Process};
use crate::name::{Target, Who};
use crate::open::{self, Opened, proc_file};
use crate::plan::{Whose, wanted};

const CAP_SETGID: u32 = 6;
const PERMISSION: &str = "it takes its user, or CAP_SYS_PTRACE over it";

/// Whether a user namespace that is entered allows setgroups(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Setgroups {
    /// It does, or none is entered.
    #[default]
    Allowed,
    /// It does not.
    Denied,
    /// Nobody can tell before.
    Unknown,
}

/// What is so here and there.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The process's id.
    pub pid: Option<i32>,
    /// The kinds that are entered by its descriptor.
    pub kinds: Vec<Ns>,
    /// The kinds that are entered by file.
    pub files: Vec<Ns>,
    /// The rule of the user namespace that is entered.
    pub setgroups: Setgroups,
    /// Whether we may call setgroups(2) where we are; known if it may be denied there.
    pub may_setgroups: bool,
    /// Who to become, where that was said.
    pub uid: Option<u32>,
    /// The gid to become, where that was said.
    pub gid: Option<u32>,
    /// The cgroups that are joined.
    pub cgroups: Vec<PathBuf>,
    /// The process has a security context to follow.
    pub has_context: bool,
}

/// Opens the process and reads what the options make necessary.
pub fn read(cli: &Cli) -> Result<(Opened, Host), Fail> {
    let process = cli.target.as_ref().map(find::process).transpose()?.flatten();
    let pid = process.as_ref().map(|process| process.pid);
    let foreign = match &process {
        Some(process) if cli.all => foreign(process, cli.for_children)?,
        _ => Vec::new(),
    };
    let kinds = wanted(cli, &foreign);
    let mut opened = Opened::read(cli, process)?;
    opened.open_files(cli, &kinds)?;
    let mut host = Host { pid, ..Host::default() };
    host.files = opened.files.iter().map(|(ns, _)| *ns).collect();
    let by_process = |(ns, whose): &(Ns, Whose<'_>)| {
        (*whose == Whose::Process && !host.files.contains(ns)).then_some(*ns)
    };
    host.kinds = kinds.iter().filter_map(by_process).collect();
    credentials(cli, &mut host)?;
    host.cgroups = opened.cgroups.iter().map(|(path, _)| path.clone()).collect();
    host.has_context = opened.context.as_ref().is_some_and(|c| !c.is_empty());
    let has_looked = cli.all || host.kinds.contains(&Ns::User) || !is_plain(cli);
    if let Some(process) = opened.process.as_ref().filter(|_| has_looked) {
        process.confirm()?;
    }
    Ok((opened, host))
}

/// Whether nothing is wanted of the process but namespaces.
fn is_plain(cli: &Cli) -> bool {
    let is_id = |who: &Option<Who>| matches!(who, None | Some(Who::Id(_)));
    let has_file = cli.root.is_some() || cli.wd.is_some() || cli.env;
    let has_fact = cli.join_cgroup || cli.follow_context || cli.for_children;
    !has_file && !has_fact && !cli.user_parent && is_id(&cli.setuid) && is_id(&cli.setgid)
}

/// Who COMMAND can be and is to be.
fn credentials(cli: &Cli, host: &mut Host) -> Result<(), Fail> {
    let by_process = host.kinds.contains(&Ns::User);
    let is_user = by_process || host.files.contains(&Ns::User);
    let sets_gid = cli.setgid.is_some() || (is_user && !cli.preserve_credentials);
    if is_user && sets_gid {
        host.setgroups = match host.pid.filter(|_| by_process) {
            Some(pid) if is_denied(&proc_file(pid, "setgroups"))? => Setgroups::Denied,
            Some(_) => Setgroups::Allowed,
            None => Setgroups::Unknown,
        };
    }
    if host.setgroups != Setgroups::Allowed {
        let [effective, ..] = sys::capget().failed_to("read capabilities")?;
        host.may_setgroups = effective & 1 << CAP_SETGID != 0
            && !is_denied(Path::new("/proc/self/setgroups"))?;
    }
    host.uid = cli.setuid.as_ref().map(|who| id(cli, host, who, Id::User)).transpose()?;
    host.gid =
        cli.setgid.as_ref().map(|who| id(cli, host, who, Id::Group)).transpose()?;
    Ok(())
}

fn is_denied(path: &Path) -> Result<bool, Fail> {
    Ok(open::read(path)?.starts_with(b"deny"))
}

#[derive(Clone, Copy)]
enum Id {
    User,
    Group,
}

fn id(cli: &Cli, host: &Host, who: &Who, kind: Id) -> Result<u32, Fail> {
    match who {
        Who::Id(id) => Ok(*id),
        Who::Name(name) => named(cli, host, name, kind),
        Who::Follow => followed(host, kind),
    }
}

/// The id behind a name in the root that COMMAND is going to have.
fn named(cli: &Cli, host: &Host, name: &OsStr, kind: Id) -> Result<u32, Fail> {
    let (what, file) = match kind {
        Id::User => ("find user", "passwd"),
        Id::Group => ("find group", "group"),
    };
    let root = match (&cli.root, host.pid) {
        (Some(Some(dir)), _) => dir.clone(),
        (Some(None), Some(pid)) => proc_file(pid, "root"),
        (None, Some(pid)) if host.kinds.contains(&Ns::Mount) => proc_file(pid, "root"),
        _ if host.files.contains(&Ns::Mount) => {
            let reason = "the mount namespace is entered by file";
            return Err(Fail::cannot(what, name, reason).hint("name a number"));
        }
        _ => "/".into(),
    };
    let root =
        Root::open(&root).cannot("open", &root).hint_on(Errno::EACCES, PERMISSION)?;
    let text = passwd::read(&root, file)?;
    let found = match kind {
        Id::User => passwd::users(&text).find(|u| u.name == name).map(|u| u.uid),
        Id::Group => passwd::groups(&text).find(|g| g.name == name).map(|g| g.gid),
    };
    found.ok_or_else(|| {
        Fail::cannot(what, name, format!("not in /etc/{file} there"))
            .hint("name a number")
    })
}

/// The process's own effective id, as its user namespace calls it where that is entered.
fn followed(host: &Host, kind: Id) -> Result<u32, Fail> {
    let Some(pid) = host.pid else { return Err(Fail::new("no process to follow")) };
    let (field, map, what) = match kind {
        Id::User => ("Uid", "uid_map", "uid"),
        Id::Group => ("Gid", "gid_map", "gid"),
    };
    let text = |name| -> Result<String, Fail> {
        Ok(String::from_utf8_lossy(&open::read(&proc_file(pid, name))?).into_owned())
    };
    let status = text("status")?;
    let ids = status_field(&status, field).unwrap_or_default();
    let id = ids.split_ascii_whitespace().nth(1).and_then(|id| id.parse::<u32>().ok());
    let id =
        id.ok_or_else(|| Fail::cannot("read", proc_file(pid, "status"), "no ids in it"))?;
    if host.files.contains(&Ns::User) {
        return Err(Fail::new(format_args!(
            "cannot follow the {what} of process {pid}: the user namespace is not its own; name a number"
        )));
    }
    if !host.kinds.contains(&Ns::User) {
        return Ok(id);
    }
    let ranges = IdMap::from_kernel(&text(map)?).0;
    let inside = ranges.iter().find_map(|range| {
        let offset =
            id.checked_sub(range.outside).filter(|offset| *offset < range.count)?;
        range.inside.checked_add(offset)
    });
    inside.ok_or_else(|| {
        Fail::new(format_args!(
            "cannot follow {what} {id}: its user namespace does not map it"
        ))
    })
}

/// `PIDFD_GET_*_NAMESPACE` of a kind, or the one that children get.
fn number(ns: Ns, for_children: bool) -> i32 {
    match (ns, for_children) {
        (Ns::Cgroup, _) => 1,
        (Ns::Ipc, _) => 2,
        (Ns::Mount, _) => 3,
        (Ns::Net, _) => 4,
        (Ns::Pid, false) => 5,
        (Ns::Pid, true) => 6,
        (Ns::Time, false) => 7,
        (Ns::Time, true) => 8,
        (Ns::User, _) => 9,
        (Ns::Uts, _) => 10,
    }
}

/// The kinds in which the process lives elsewhere, told by its descriptor: /proc takes
/// three times as long. None where that is not known or not allowed.
fn foreign_by_pidfd(process: &Process, for_children: bool) -> Option<Vec<Ns>> {
    let own = sys::pidfd_open(nix::unistd::getpid().as_raw()).ok()?;
    let inode = |pidfd: BorrowedFd<'_>, number| {
        Some(fstat(&sys::namespace_of(pidfd, number).ok()?).ok()?.st_ino)
    };
    let mut foreign = Vec::new();
    for kind in &KINDS {
        let theirs = inode(process.pidfd.as_fd(), number(kind.ns, for_children))?;
        if theirs != inode(own.as_fd(), number(kind.ns, false))? {
            foreign.push(kind.ns);
        }
    }
    Some(foreign)
}

/// The kinds in which the process lives elsewhere.
fn foreign(process: &Process, for_children: bool) -> Result<Vec<Ns>, Fail> {
    if let Some(foreign) = foreign_by_pidfd(process, for_children) {
        return Ok(foreign);
    }
    let pid = process.pid;
    let mut foreign = Vec::new();
    for kind in &KINDS {
        // A kind that this kernel does not know cannot differ.
        let Ok(ours) = fs::metadata(format!("/proc/self/ns/{}", kind.file)) else {
            continue;
        };
        let is_childrens = for_children && matches!(kind.ns, Ns::Pid | Ns::Time);
        let end = if is_childrens { "_for_children" } else { "" };
        let path = format!("/proc/{pid}/ns/{}{end}", kind.file);
        let theirs = fs::metadata(&path)
            .cannot("read", path)
            .hint_on(Errno::EACCES, PERMISSION)
            .hint_on(Errno::ENOENT, "the process has ended")?;
        if (ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino()) {
            foreign.push(kind.ns);
        }
    }
    Ok(foreign)
}

/// Whether a process inside could overwrite this program, if COMMAND led the kernel back
/// to it through /proc/self/exe: CVE-2019-5736. Asked before the target is taken, where it
/// is one that cannot be taken twice; else with what is known of it.
///
/// Not without a user namespace: what runs there as root needs no such trick. Not where
/// COMMAND is a link of ours, which is never one of the process's.
pub fn is_exposed(cli: &Cli, host: Option<&Host>) -> Result<bool, Fail> {
    let by_id = matches!(cli.target, Some(Target::Pid(..)));
    let is_link = cli.link.command.first().is_some_and(|word| link_name(word).is_some());
    let is_user = cli.all || cli.user.is_some() || cli.user_parent;
    let is_inside = cli.all || cli.mount.is_some() || cli.root.is_some();
    if by_id != host.is_some() || is_link || !is_user || !is_inside {
        return Ok(false);
    }
    let has = |kinds: &[Ns]| kinds.contains(&Ns::User);
    let by_process = host.filter(|host| has(&host.kinds)).and_then(|host| host.pid);
    if host.is_some_and(|host| by_process.is_none() && !has(&host.files)) {
        return Ok(false);
    }
    let exe = fs::metadata("/proc/self/exe").cannot("read", "/proc/self/exe")?;
    let Some(pid) = by_process.filter(|_| exe.mode() & 0o022 == 0) else {
        return Ok(true);
    };
    let map = open::read(&proc_file(pid, "uid_map"))?;
    Ok(IdMap::from_kernel(&String::from_utf8_lossy(&map)).has_outside(exe.uid()))
}

impl Process {
    /// The process's namespace of a kind, as a file.
    pub fn namespace(&self, ns: Ns) -> Result<fs::File, Fail> {
        let path = proc_file(self.pid, &format!("ns/{}", ns.kind().file));
        fs::File::open(&path).cannot("open", &path).hint_on(Errno::EACCES, PERMISSION)
    }
}
