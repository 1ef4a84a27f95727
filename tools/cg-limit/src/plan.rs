//! Which groups to make where, and what to write into them; no system call.

use std::path::{Path, PathBuf};

use common::Fail;
use common::explain::Explain;
use common::fail::quote;

use crate::cli::Cli;
use crate::discover::Version;
use crate::host::{Host, Tree};
use crate::limit::{Amount, Memory, Quota};
use crate::{place, v1, v2};

/// The limits as the kernel holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, whole pages.
    pub memory: Option<Amount>,
    /// Bytes of swap alone, whole pages.
    pub swap: Option<Amount>,
    /// CPU time.
    pub cpus: Option<Quota>,
    /// Tasks.
    pub pids: Option<Amount>,
}

impl Limits {
    /// The controllers that they belong to, in a fixed order.
    pub fn controllers(&self) -> Vec<&'static str> {
        let has_memory = self.memory.is_some() || self.swap.is_some();
        let all = [
            ("memory", has_memory),
            ("cpu", self.cpus.is_some()),
            ("pids", self.pids.is_some()),
        ];
        all.into_iter().filter_map(|(name, is_used)| is_used.then_some(name)).collect()
    }

    /// The lower one of each.
    #[must_use]
    fn within(self, outer: &Self) -> Self {
        let lower = |a: Option<Amount>, b: Option<Amount>| match (a, b) {
            (Some(Amount::Of(a)), Some(Amount::Of(b))) => Some(Amount::Of(a.min(b))),
            (Some(Amount::Max) | None, Some(Amount::Of(n))) => Some(Amount::Of(n)),
            (a, _) => a,
        };
        let cpus = match (self.cpus, outer.cpus) {
            (Some(a), Some(b)) if a.is_more_than(b) => Some(b),
            (a, b) => a.or(b),
        };
        Self {
            memory: lower(self.memory, outer.memory),
            swap: lower(self.swap, outer.swap),
            cpus,
            pids: lower(self.pids, outer.pids),
        }
    }
}

/// A file of a group and what goes into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// What is written.
    pub value: String,
    /// What must be read afterwards.
    pub reads: String,
}

impl File {
    /// One that reads as it was written.
    pub fn new(name: &'static str, value: String) -> Self {
        Self { name, reads: value.clone(), value }
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Let the groups below a v2 directory have a controller.
    Enable {
        /// The directory.
        dir: PathBuf,
        /// The controller.
        controller: &'static str,
    },
    /// Move the processes of a v2 group into one below it.
    Evacuate {
        /// The group.
        from: PathBuf,
        /// The group below, made where it is missing.
        to: PathBuf,
    },
    /// Make a group.
    Make {
        /// Its directory.
        dir: PathBuf,
        /// The generation of its hierarchy.
        version: Version,
        /// What it is made for.
        controllers: Vec<&'static str>,
    },
    /// Write a limit and read it back.
    Write {
        /// The group's directory.
        dir: PathBuf,
        /// The file.
        file: File,
    },
    /// Make the process that becomes COMMAND.
    Fork {
        /// The v2 group that it starts in.
        group: Option<PathBuf>,
        /// The one above both this and ours, which takes the right to move.
        above: Option<PathBuf>,
    },
    /// Put that process into a v1 group, before it is COMMAND.
    Join {
        /// The group's directory.
        dir: PathBuf,
    },
}

/// What cg-limit is going to do.
#[derive(Debug)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// The limits that the steps set.
    pub limits: Limits,
}

impl Plan {
    /// Decides.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        let asked = cli.controllers();
        if asked.is_empty() {
            return Err(Fail::new("no limit given").hint("try 'cg-limit --help'"));
        }
        let mut limits = limits(cli, host)?;
        for controller in asked {
            limits =
                limits.within(place::left_behind(place::home(controller, &host.trees)?));
        }
        let mut homes: Vec<(&Tree, Vec<&'static str>)> = Vec::new();
        for controller in limits.controllers() {
            let tree = place::home(controller, &host.trees)?;
            match homes.iter_mut().find(|(known, _)| std::ptr::eq(*known, tree)) {
                Some((_, list)) => list.push(controller),
                None => homes.push((tree, vec![controller])),
            }
        }
        let is_used =
            |tree: &Tree| homes.iter().any(|(home, _)| std::ptr::eq(*home, tree));
        if let Some(idle) = host.trees.iter().find(|t| t.is_given && !is_used(t)) {
            let place = idle.place.as_ref().map(|p| p.own.as_path());
            let reason = "no limit that was given is in its hierarchy";
            return Err(Fail::cannot(
                "use parent",
                place.unwrap_or(Path::new("?")),
                reason,
            ));
        }
        let mut steps = Vec::new();
        let (mut group, mut above, mut joins) = (None, None, Vec::new());
        for (tree, controllers) in homes {
            let (parent, prepare) = place::parent(tree, &controllers)?;
            steps.extend(prepare);
            let dir = parent.join(&host.name);
            let version = tree.version;
            match version {
                Version::V1 => joins.push(Step::Join { dir: dir.clone() }),
                Version::V2 => {
                    above = Some(place::above_both(tree, &dir));
                    group = Some(dir.clone());
                }
            }
            let files = files(tree, &controllers, &limits, host.page)?;
            steps.push(Step::Make { dir: dir.clone(), version, controllers });
            let write = |file| Step::Write { dir: dir.clone(), file };
            steps.extend(files.into_iter().map(write));
        }
        steps.push(Step::Fork { group, above });
        steps.extend(joins);
        Ok(Self { steps, limits })
    }
}

fn limits(cli: &Cli, host: &Host) -> Result<Limits, Fail> {
    let page = host.page;
    let memory = cli.memory.map(|memory| match memory {
        Memory::Amount(amount) => pages(amount, page),
        Memory::Share(share) => {
            let part = u128::from(host.memory).saturating_mul(share.into()) / 1_000_000;
            pages(Amount::Of(u64::try_from(part).unwrap_or(u64::MAX)), page)
        }
    });
    if memory == Some(Amount::Of(0)) {
        return Err(Fail::new("cannot limit memory to less than a page"));
    }
    Ok(Limits {
        memory,
        swap: cli.swap.map(|amount| pages(amount, page)),
        cpus: cli.cpus.map(crate::limit::Cpus::quota),
        pids: cli.pids,
    })
}

/// The most that the kernel's page counters hold; more is no limit.
pub(crate) fn most(page: u64) -> u64 {
    let most = i64::MAX.cast_unsigned();
    most.saturating_sub(most.checked_rem(page).unwrap_or(0))
}

/// Rounded down to whole pages, as the kernel would do unasked.
fn pages(amount: Amount, page: u64) -> Amount {
    match amount {
        Amount::Of(n) if n < most(page) => {
            Amount::Of(n.saturating_sub(n.checked_rem(page).unwrap_or(0)))
        }
        Amount::Of(_) | Amount::Max => Amount::Max,
    }
}

fn files(
    tree: &Tree,
    controllers: &[&str],
    limits: &Limits,
    page: u64,
) -> Result<Vec<File>, Fail> {
    let mut files = Vec::new();
    // Without both nothing can be put into the group, cgroup-v1/cpusets.rst.
    if let Some([cpus, mems]) = &tree.cpuset {
        files.push(File::new("cpuset.cpus", cpus.clone()));
        files.push(File::new("cpuset.mems", mems.clone()));
    }
    for controller in controllers {
        match tree.version {
            Version::V1 => files.extend(v1::files(controller, limits, page)?),
            Version::V2 => files.extend(v2::files(controller, limits)),
        }
    }
    Ok(files)
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Enable { dir, controller } => {
                let file = dir.join("cgroup.subtree_control");
                format!("write({}, \"+{controller}\")", quote(file))
            }
            Self::Evacuate { to, .. } => {
                format!("mkdir({}); write(\"cgroup.procs\", …)", quote(to))
            }
            Self::Make { dir, .. } => format!("mkdir({}, 0755)", quote(dir)),
            Self::Write { file, .. } => format!("{}={}", file.name, file.value),
            Self::Fork { group: None, .. } => "clone3(CLONE_PIDFD)".into(),
            Self::Fork { group: Some(dir), .. } => {
                format!("clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, {})", quote(dir))
            }
            Self::Join { dir } => format!("write({}, \"0\")", quote(dir.join("tasks"))),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Evacuate { .. } => "no processes beside limited groups".into(),
            Self::Enable { .. } => "groups below it may be limited".into(),
            Self::Make { controllers, version, .. } => {
                format!("a group for {} ({version:?})", controllers.join(", "))
            }
            Self::Write { file, .. } if file.value == file.reads => {
                "and read it back".into()
            }
            Self::Write { file, .. } => format!("and read it back as {}", file.reads),
            Self::Fork { .. } => "this process waits, and removes the groups".into(),
            Self::Join { .. } => "the new process goes in".into(),
        }
    }
}

#[cfg(test)]
mod tests;
