//! Which groups to make where, and what to write into them; no system call.

use std::path::{Path, PathBuf};

use common::Fail;
use common::explain::Explain;
use common::fail::quote;

use crate::asked::{Asked, CONTROLLERS, Setting};
use crate::cli::Cli;
use crate::convert::{self, Given};
use crate::device::Filter;
use crate::discover::Version;
use crate::file::{self, File, Reads};
use crate::host::{Facts, Host, Tree};
use crate::place;
use crate::row::To;

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
    /// Attach a program that decides which devices a v2 group may use.
    Filter {
        /// The group's directory.
        dir: PathBuf,
        /// What it decides.
        filter: Filter,
    },
    /// Make the process that becomes COMMAND.
    Fork {
        /// The v2 group that it starts in.
        group: Option<PathBuf>,
        /// The one above both this and ours, which takes the right to move.
        above: Option<PathBuf>,
    },
    /// Go into a v2 group ourselves.
    Enter {
        /// The group's directory.
        dir: PathBuf,
        /// Our group of before.
        back: PathBuf,
    },
    /// Go into a v1 group, before being COMMAND.
    Join {
        /// The group's directory.
        dir: PathBuf,
        /// The group of before.
        back: PathBuf,
    },
}

/// What cg-limit is going to do.
#[derive(Debug)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Decides.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        let homes = homes(cli, host)?;
        if let Some(idle) = host.trees.iter().find(|tree| {
            tree.is_given && !homes.iter().any(|(home, _)| std::ptr::eq(*home, *tree))
        }) {
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
            let back = tree.own.clone().unwrap_or_else(|| parent.clone());
            match version {
                Version::V1 => joins.push(Step::Join { dir: dir.clone(), back }),
                Version::V2 if cli.exec => {
                    joins.push(Step::Enter { dir: dir.clone(), back });
                }
                Version::V2 => {
                    above = Some(place::above_both(tree, &dir));
                    group = Some(dir.clone());
                }
            }
            let files = new_files(tree, &controllers, &cli.asked, &host.facts)?;
            let filter = filter(version, &controllers, &cli.asked, &host.facts)?;
            steps.push(Step::Make { dir: dir.clone(), version, controllers });
            let write = |file| Step::Write { dir: dir.clone(), file };
            steps.extend(files.into_iter().map(write));
            steps.extend(filter.map(|filter| Step::Filter { dir: dir.clone(), filter }));
        }
        if !cli.exec {
            steps.push(Step::Fork { group, above });
        }
        steps.extend(joins);
        Ok(Self { steps })
    }
}

/// The hierarchies that are needed, each with its controllers.
fn homes<'h>(
    cli: &Cli,
    host: &'h Host,
) -> Result<Vec<(&'h Tree, Vec<&'static str>)>, Fail> {
    let mut wanted = cli.asked.controllers();
    if wanted.is_empty() {
        return Err(Fail::new("no limit given").hint("try 'cg-limit --help'"));
    }
    // What is called by name can be frozen, on v1 by a hierarchy of its own.
    if cli.name.is_some()
        && host.trees.iter().any(|t| t.place.is_some() && t.has("freezer"))
    {
        wanted.push("freezer");
    }
    for controller in wanted.clone() {
        let left = place::left_behind(place::home(controller, &host.trees)?);
        wanted.extend(left.iter().map(|(controller, ..)| *controller));
    }
    let mut homes: Vec<(&Tree, Vec<&'static str>)> = Vec::new();
    for controller in CONTROLLERS.into_iter().filter(|name| wanted.contains(name)) {
        let tree = place::home(controller, &host.trees)?;
        match homes.iter_mut().find(|(known, _)| std::ptr::eq(*known, tree)) {
            Some((_, list)) => list.push(controller),
            None => homes.push((tree, vec![controller])),
        }
    }
    Ok(homes)
}

/// What a new group is given: what it must have, what was asked for, what goes along.
fn new_files(
    tree: &Tree,
    controllers: &[&str],
    asked: &Asked,
    facts: &Facts,
) -> Result<Vec<File>, Fail> {
    let asked = files(tree.version, controllers, asked, facts)?;
    let mut files = Vec::new();
    // Without both nothing can be put into the group, cgroup-v1/cpusets.rst.
    if let Some([cpus, mems]) = &tree.cpuset {
        for (name, value) in [("cpuset.cpus", cpus), ("cpuset.mems", mems)] {
            if !asked.iter().any(|file| file.name == name) {
                files.push(File::new(name, value.clone()));
            }
        }
    }
    files.extend(asked);
    for (_, name, outer) in place::left_behind(tree) {
        let ours: Vec<_> =
            files.iter().filter(|f| f.name == *name).map(|f| f.value.as_str()).collect();
        let ours = (!ours.is_empty()).then(|| ours.join("\n"));
        let merged = file::within(name, ours.as_deref(), outer).ok_or_else(|| {
            Fail::new(format_args!("cannot set {name} to {}", ours.unwrap_or_default()))
                .hint(format_args!("the group that we are in has {}", outer.trim_end()))
        })?;
        // The place in the order is kept; lines of io.max are merged by the kernel.
        match files.iter_mut().find(|f| f.name == *name && *name != "io.max") {
            Some(file) => {
                *file = merged.into_iter().next().unwrap_or_else(|| file.clone());
            }
            None => files.extend(merged),
        }
    }
    Ok(files)
}

/// What the limits of some controllers are in the files of their hierarchy.
pub(crate) fn files(
    version: Version,
    controllers: &[&str],
    asked: &Asked,
    facts: &Facts,
) -> Result<Vec<File>, Fail> {
    let mut all: Vec<File> = Vec::new();
    let is_here = |s: &&Setting| s.controllers().iter().any(|c| controllers.contains(c));
    for setting in asked.in_order().filter(is_here) {
        let row = setting.row;
        let to = if version == Version::V1 { row.v1 } else { row.v2 };
        let (value, given) = (&setting.value, Given { asked, facts });
        let files = match to {
            To::File(name) => convert::plain(name, value, given)?,
            To::Bytes(name) => convert::bytes(name, value, given)?,
            To::Throttle(name) => convert::throttle(name, value, given)?,
            To::Io(word) => convert::io_max(word, value, given)?,
            To::By(_, function) => function(value, given)?,
            To::Huge(suffix) => convert::hugetlb(suffix, value)?,
            To::Watch | To::Devices => Vec::new(),
            To::Not(instead) => {
                let option = format!("--{}", row.name);
                let reason =
                    format!("cgroup {version:?} has no such limit").replace('V', "v");
                let fail = Fail::cannot("set", option, reason);
                return Err(if instead.is_empty() { fail } else { fail.hint(instead) });
            }
        };
        // Two options may come to one file, as --cpu-quota and --cpu-period.
        for file in files {
            if !all.contains(&file) {
                all.push(file);
            }
        }
    }
    if version == Version::V1 && controllers.contains(&"devices") {
        all.extend(filter_of(asked, facts)?.map(|f| f.files()).unwrap_or_default());
    }
    Ok(all)
}

fn filter_of(asked: &Asked, facts: &Facts) -> Result<Option<Filter>, Fail> {
    let mut rules = asked.0.iter().filter(|s| matches!(s.row.v2, To::Devices)).peekable();
    if rules.peek().is_none() {
        return Ok(None);
    }
    let number = |path: &Path| {
        let known = facts.nodes.iter().find(|(known, _)| known == path);
        known.and_then(|(_, which)| which.clone())
    };
    Filter::new(rules.map(|setting| &setting.value), number).map(Some)
}

fn filter(
    version: Version,
    controllers: &[&str],
    asked: &Asked,
    facts: &Facts,
) -> Result<Option<Filter>, Fail> {
    if version == Version::V1 || !controllers.contains(&"devices") {
        return Ok(None);
    }
    filter_of(asked, facts)
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
            Self::Filter { filter, .. } => {
                format!("bpf(BPF_PROG_ATTACH), {} instructions", filter.program().len())
            }
            Self::Enter { dir, .. } => {
                format!("write({}, \"0\")", quote(dir.join("cgroup.procs")))
            }
            Self::Join { dir, .. } => {
                format!("write({}, \"0\")", quote(dir.join("tasks")))
            }
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Evacuate { .. } => "no processes beside limited groups".into(),
            Self::Enable { .. } => "groups below it may be limited".into(),
            Self::Make { controllers, version, .. } => {
                format!("a group for {} ({version:?})", controllers.join(", "))
            }
            Self::Write { file, .. } => match &file.reads {
                Reads::Just(text) if *text != file.value => {
                    format!("and read it back as {text}")
                }
                Reads::Anything => "which cannot be read back".into(),
                Reads::Just(_) | Reads::Line(..) | Reads::Alike => {
                    "and read it back".into()
                }
            },
            Self::Filter { .. } => "decides which devices may be used".into(),
            Self::Enter { .. } => "this process goes in, and stays".into(),
            Self::Fork { .. } => "this process waits, and removes the groups".into(),
            Self::Join { .. } => "the process goes in".into(),
        }
    }
}

#[cfg(test)]
mod tests;
