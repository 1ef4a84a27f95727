//! What to enter and who to be there, decided without a system call.

use std::ffi::OsStr;
use std::path::PathBuf;

use common::chain::link_name;
use common::nstype::Ns;
use common::spawn::Memory;

use crate::cli::Cli;
use crate::host::{Host, Setgroups};
use crate::name::{Place, Target};

/// Where a namespace is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'c> {
    /// The process's own, by its descriptor.
    Process,
    /// The one that the process's children get.
    Children,
    /// The one that was named.
    Given(&'c Place),
    /// The one that `ip netns` calls so.
    Netns(&'c OsStr),
}

/// What ns-enter is going to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The process's id, where there is one.
    pub pid: Option<i32>,
    /// In this process.
    pub steps: Vec<Step>,
    /// Where COMMAND is a child, what that runs in: only children enter a pid namespace.
    pub fork: Option<Memory>,
    /// In the process that becomes COMMAND.
    pub last: Vec<Step>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep our tools within reach, from where the caller's mounts are seen.
    KeepTools,
    /// Let nobody inside look into this process.
    Hide,
    /// Take the process's SELinux context at the exec.
    Context,
    /// Leave the supplementary groups.
    LeaveGroups,
    /// Leave them if that is allowed here.
    TryLeaveGroups,
    /// Enter namespaces: the process's at once, the others one by one.
    Enter {
        /// By the process's descriptor.
        process: Vec<Ns>,
        /// By file.
        files: Vec<Ns>,
    },
    /// Change to the root directory that was opened.
    Root,
    /// Change to the working directory that was opened.
    WorkingDirectory,
    /// Change to a working directory by its path inside.
    DirectoryInside(PathBuf),
    /// Move to a cgroup that was opened.
    JoinCgroup(PathBuf),
    /// Mount a proc in a mount namespace of COMMAND's own.
    MountProc(PathBuf),
    /// Keep the permitted capabilities when the uid changes.
    HoldCaps,
    /// Become this gid: all three.
    Gid(u32),
    /// Become this uid: all three.
    Uid(u32),
    /// Let the exec keep the permitted capabilities.
    KeepCaps,
    /// Give COMMAND the process's environment.
    Environment,
}

/// The namespaces to enter, in the order of their kinds.
pub fn wanted<'c>(cli: &'c Cli, foreign: &[Ns]) -> Vec<(Ns, Whose<'c>)> {
    let whose = |ns| match &cli.target {
        Some(Target::Netns(name)) if ns == Ns::Net => Whose::Netns(name),
        _ if cli.for_children && matches!(ns, Ns::Pid | Ns::Time) => Whose::Children,
        _ => Whose::Process,
    };
    let named = cli.kinds();
    let mut all: Vec<_> = named
        .iter()
        .map(|(ns, place)| (*ns, place.map_or_else(|| whose(*ns), Whose::Given)))
        .collect();
    let is_named = |ns: &Ns| named.iter().any(|(kind, _)| kind == ns);
    let others = foreign.iter().filter(|ns| !is_named(ns)).map(|ns| (*ns, whose(*ns)));
    all.extend(others);
    if cli.all && cli.is_netns() && !is_named(&Ns::Net) {
        all.push((Ns::Net, whose(Ns::Net)));
    }
    all.sort_by_key(|(ns, _)| *ns);
    all
}

impl Plan {
    /// Decides.
    pub fn new(cli: &Cli, host: &Host) -> Self {
        let has = |ns| host.kinds.contains(&ns) || host.files.contains(&ns);
        let enters = !host.kinds.is_empty() || !host.files.is_empty();
        let has_pid = has(Ns::Pid);
        let mut steps = Vec::new();
        let is_link = cli.link.command.iter().any(|word| link_name(word).is_some());
        let changes_root = has(Ns::Mount) || cli.root.is_some();
        steps.extend((is_link && changes_root).then_some(Step::KeepTools));
        let is_joined = !host.cgroups.is_empty();
        steps.extend((enters || is_joined || cli.root.is_some()).then_some(Step::Hide));
        steps.extend(host.has_context.then_some(Step::Context));
        let (before, ids) = credentials(cli, host, has(Ns::User));
        steps.extend(before);
        steps.extend(enters.then(|| Step::Enter {
            process: host.kinds.clone(),
            files: host.files.clone(),
        }));
        steps.extend(cli.root.is_some().then_some(Step::Root));
        steps.extend(cli.wd.is_some().then_some(Step::WorkingDirectory));
        let inside = cli.wdns.clone().flatten();
        steps.extend(inside.map(Step::DirectoryInside));
        let mut last: Vec<_> =
            host.cgroups.iter().cloned().map(Step::JoinCgroup).collect();
        last.extend(cli.mount_proc.clone().map(Step::MountProc));
        last.extend(ids);
        last.extend(cli.env.then_some(Step::Environment));
        // A cgroup may be long in joining; and into a time namespace that is not its parent's
        // a child of vfork(2) comes by its exec.
        let takes_time = is_joined || has(Ns::Time);
        let memory = if takes_time { Memory::Own } else { Memory::Lent };
        let fork = (has_pid && !cli.no_fork).then_some(memory);
        Self { pid: host.pid, steps, fork, last }
    }
}

/// What to do about ids before entering, and after.
///
/// Where the user namespace denies setgroups(2), the caller's groups are left before, if
/// that is allowed; if not they stay, and mean as little inside as they do to the process.
fn credentials(cli: &Cli, host: &Host, is_user: bool) -> (Option<Step>, Vec<Step>) {
    let root = (is_user && !cli.preserve_credentials).then_some(0);
    let (uid, gid) = (host.uid.or(root), host.gid.or(root));
    let is_open = host.setgroups == Setgroups::Allowed;
    let before =
        (gid.is_some() && !is_open && host.may_setgroups).then_some(Step::LeaveGroups);
    let mut after = Vec::new();
    let keeps_caps = cli.keep_caps && is_user;
    if gid.is_some() {
        after.extend(match host.setgroups {
            Setgroups::Allowed => Some(Step::LeaveGroups),
            Setgroups::Denied => None,
            Setgroups::Unknown => Some(Step::TryLeaveGroups),
        });
    }
    after.extend(gid.map(Step::Gid));
    after.extend((keeps_caps && uid.is_some()).then_some(Step::HoldCaps));
    after.extend(uid.map(Step::Uid));
    after.extend(keeps_caps.then_some(Step::KeepCaps));
    (before, after)
}

#[cfg(test)]
#[path = "plan/tests.rs"]
mod tests;
