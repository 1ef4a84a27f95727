//! Which groups to make where, and what to write into them; no system call.

use std::path::{Path, PathBuf};

use common::Fail;
use common::explain::Explain;
use common::fail::quote;

use crate::cli::Cli;
use crate::discover::Version;
use crate::host::{Host, Tree};
use crate::limit::{Amount, Memory, Quota};
use crate::{v1, v2};

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
        let controllers = cli.controllers();
        if controllers.is_empty() {
            return Err(Fail::new("no limit given").hint("try 'cg-limit --help'"));
        }
        let limits = limits(cli, host)?;
        let mut homes: Vec<(&Tree, Vec<&'static str>)> = Vec::new();
        for controller in controllers {
            let tree = home(controller, &host.trees)?;
            match homes.iter_mut().find(|(known, _)| std::ptr::eq(*known, tree)) {
                Some((_, list)) => list.push(controller),
                None => homes.push((tree, vec![controller])),
            }
        }
        let mut steps = Vec::new();
        let (mut group, mut joins) = (None, Vec::new());
        for (tree, controllers) in homes {
            let (parent, enable) = parent(tree, &controllers)?;
            steps.extend(enable);
            let dir = parent.join(&host.name);
            let version = tree.version;
            match version {
                Version::V1 => joins.push(Step::Join { dir: dir.clone() }),
                Version::V2 => group = Some(dir.clone()),
            }
            let files = files(tree, &controllers, &limits, host.page)?;
            steps.push(Step::Make { dir: dir.clone(), version, controllers });
            let write = |file| Step::Write { dir: dir.clone(), file };
            steps.extend(files.into_iter().map(write));
        }
        steps.push(Step::Fork { group });
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

/// The hierarchy of a controller: the v1 one that has it, else v2.
fn home<'t>(controller: &str, trees: &'t [Tree]) -> Result<&'t Tree, Fail> {
    let v1 = trees.iter().find(|t| t.controllers.iter().any(|c| c == controller));
    let tree = v1
        .or_else(|| trees.iter().find(|t| t.version == Version::V2))
        .ok_or_else(|| cannot_limit(controller, "the kernel has no such controller"))?;
    match tree.place {
        Some(_) => Ok(tree),
        None => Err(cannot_limit(
            controller,
            "no mounted cgroup file system shows the group of this process",
        )
        .hint("mount it, or name a group with --parent")),
    }
}

fn cannot_limit(controller: &str, reason: &str) -> Fail {
    Fail::new(format_args!("cannot use the {controller} controller: {reason}"))
}

/// Where the group goes, and what must be enabled on the way there, from above.
fn parent(
    tree: &Tree,
    controllers: &[&'static str],
) -> Result<(PathBuf, Vec<Step>), Fail> {
    let own = tree.place.as_ref().map_or_else(|| Path::new("/"), |p| p.own.as_path());
    if tree.version == Version::V1 {
        return Ok((own.to_owned(), Vec::new()));
    }
    // A group with processes, as ours is, can have no limited groups below it, only the
    // real root can: cgroup-v2.rst, "No Internal Process Constraint". So: beside it.
    let in_own = tree.is_given || tree.levels.first().is_some_and(|l| l.is_root);
    let levels = tree.levels.get(usize::from(!in_own)..).unwrap_or_default();
    let Some(parent) = levels.first() else {
        return Err(Fail::cannot(
            "make a limited group in",
            own,
            "it has processes, and no group above it can be seen",
        )
        .hint("move them to a group below, or name another with --parent"));
    };
    let mut enable = Vec::new();
    for &controller in controllers {
        let has = |list: &[String]| list.iter().any(|c| c == controller);
        let mut is_there = false;
        for level in levels {
            is_there = has(&level.enabled);
            if !is_there {
                enable.push(Step::Enable { dir: level.dir.clone(), controller });
                is_there = has(&level.available);
            }
            if is_there {
                break;
            }
        }
        if !is_there {
            let top = levels.last().unwrap_or(parent);
            return Err(not_available(controller, &top.dir));
        }
    }
    enable.reverse();
    Ok((parent.dir.clone(), enable))
}

fn not_available(controller: &str, dir: &Path) -> Fail {
    let file = dir.join("cgroup.controllers");
    cannot_limit(controller, &format!("it is not in {}", quote(file))).hint(format_args!(
        "enable it in the groups above, as root or with Delegate={controller} in the systemd unit"
    ))
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Enable { dir, controller } => {
                let file = dir.join("cgroup.subtree_control");
                format!("write({}, \"+{controller}\")", quote(file))
            }
            Self::Make { dir, .. } => format!("mkdir({}, 0755)", quote(dir)),
            Self::Write { file, .. } => format!("{}={}", file.name, file.value),
            Self::Fork { group: None } => "clone3(CLONE_PIDFD)".into(),
            Self::Fork { group: Some(dir) } => {
                format!("clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, {})", quote(dir))
            }
            Self::Join { dir } => format!("write({}, \"0\")", quote(dir.join("tasks"))),
        }
    }

    fn why(&self) -> String {
        match self {
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
