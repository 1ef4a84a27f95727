//! The facts that a plan depends on: hierarchies, what is enabled in them, memory, disks.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use common::proc::status_field;
use common::{Context, Fail};
use nix::unistd::{SysconfVar, getpid, sysconf};

use crate::asked::CONTROLLERS;
use crate::cli::Cli;
use crate::device::Which;
use crate::discover::{Hierarchy, Place, Version, hierarchies, mount_of};
use crate::disk;
use crate::file::HOLDING;
use crate::place;
use crate::value::Value;

/// What a new group's name begins with.
pub const PREFIX: &str = "cg-limit.";

/// The facts.
#[derive(Debug)]
pub struct Host {
    /// What a new group is called: our pid and the time, so that no two are alike.
    pub name: String,
    /// The hierarchies, each where it can be seen.
    pub trees: Vec<Tree>,
    /// What values are converted by.
    pub facts: Facts,
}

/// What values are converted by; what no value needs is not read.
#[derive(Debug, Default)]
pub struct Facts {
    /// Memory limits are whole pages.
    pub page: u64,
    /// The memory that this process may have.
    pub memory: u64,
    /// The swap there is.
    pub swap: u64,
    /// The tasks that this machine may have.
    pub tasks: u64,
    /// The disks that paths are on, or why on none.
    pub disks: Vec<(PathBuf, Disk)>,
    /// The devices that nodes are of.
    pub nodes: Vec<(PathBuf, Option<Which>)>,
}

/// A disk's major and minor number, or why there is none.
pub type Disk = Result<(u32, u32), String>;

/// A hierarchy and the place in it where a group would be made.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Its generation.
    pub version: Version,
    /// On v1, its controllers.
    pub controllers: Vec<String>,
    /// Our cgroup, or what `--parent` says; none where it cannot be seen.
    pub place: Option<Place>,
    /// Our cgroup in any case.
    pub own: Option<PathBuf>,
    /// Named by `--parent`.
    pub is_given: bool,
    /// Its processes are to move aside.
    pub is_evacuated: bool,
    /// On v2, that directory and those above it, up to the mount.
    pub levels: Vec<Level>,
    /// On v1, what a group that has the cpuset controller must be given first.
    pub cpuset: Option<[String; 2]>,
}

impl Tree {
    /// Whether it is the v1 hierarchy of a controller.
    pub fn has(&self, controller: &str) -> bool {
        let name = if controller == "io" { "blkio" } else { controller };
        self.controllers.iter().any(|c| c == name)
    }
}

/// A directory of a v2 hierarchy.
#[derive(Debug, Clone)]
pub struct Level {
    /// The directory.
    pub dir: PathBuf,
    /// `cgroup.controllers`: what can be enabled below it.
    pub available: Vec<String>,
    /// `cgroup.subtree_control`: what is enabled below it.
    pub enabled: Vec<String>,
    /// The real root, which may have processes and groups at once.
    pub is_root: bool,
    /// Controller, file and text of the limits that it has itself.
    pub limits: Vec<(&'static str, &'static str, String)>,
}

impl Host {
    /// Reads them; v2 directories only where no v1 hierarchy has the controller.
    pub fn read(cli: &Cli) -> Result<Self, Fail> {
        Self::read_for(cli, &cli.asked.controllers())
    }

    /// As [`Host::read`], for these controllers.
    pub(crate) fn read_for(cli: &Cli, asked: &[&str]) -> Result<Self, Fail> {
        let mut trees = trees(&cli.parent)?;
        let wants_v2 = asked.iter().any(|c| !trees.iter().any(|t| t.has(c)));
        for tree in &mut trees {
            let Some(place) = &tree.place else { continue };
            match tree.version {
                Version::V2 if wants_v2 => {
                    tree.levels = levels(place)?;
                    tree.is_evacuated = cli.evacuate || is_alone(&tree.levels);
                    read_limits(tree);
                }
                Version::V1
                    if tree.has("cpuset") && asked.iter().any(|c| tree.has(c)) =>
                {
                    tree.cpuset = Some(cpuset(&place.own)?);
                }
                Version::V1 | Version::V2 => {}
            }
        }
        let facts = Facts::read(cli, &trees)?;
        let name = cli.name.clone().unwrap_or_else(name);
        Ok(Self { name, trees, facts })
    }
}

impl Facts {
    pub(crate) fn read(cli: &Cli, trees: &[Tree]) -> Result<Self, Fail> {
        let mut facts = Self { page: page(), ..Self::default() };
        for setting in &cli.asked.0 {
            match (&setting.value, setting.row.name) {
                (Value::Share(_), "pids") => facts.tasks = tasks()?,
                (Value::Share(_), "swap") => facts.swap = meminfo("SwapTotal")?,
                (Value::Share(_), _) => facts.memory = memory(trees)?,
                (Value::Disk(path, _), _) => {
                    facts.disks.push((path.clone(), disk::of(path)));
                }
                (Value::Rule(rule), _) => {
                    if let Which::Path(path) = &rule.which {
                        facts.nodes.push((path.clone(), disk::node(path)));
                    }
                }
                _ => {}
            }
        }
        Ok(facts)
    }
}

/// Every hierarchy that could hold a limit, with the first place that is what it seems.
pub fn trees(parents: &[PathBuf]) -> Result<Vec<Tree>, Fail> {
    let read = |path: &str| fs::read(path).cannot("read", path);
    let mounts = read("/proc/self/mountinfo")?;
    let mut all = hierarchies(&mounts, &read("/proc/self/cgroup")?);
    all.retain(|hierarchy| {
        let has = |name: &String| CONTROLLERS.contains(&name.as_str()) || name == "blkio";
        hierarchy.version == Version::V2 || hierarchy.controllers.iter().any(has)
    });
    let mut trees: Vec<_> = all.iter().map(tree).collect();
    for parent in parents {
        let own = fs::canonicalize(parent).cannot("use parent", parent)?;
        let found = mount_of(&mounts, &all, &own).filter(|_| is_cgroup(&own));
        let (index, mount) =
            found.ok_or_else(|| Fail::cannot("use parent", parent, NO_PARENT))?;
        if let Some(tree) = trees.get_mut(index) {
            tree.place = Some(Place { mount, own });
            tree.is_given = true;
        }
    }
    Ok(trees)
}

const NO_PARENT: &str = "not a directory of a cgroup hierarchy with controllers";

fn tree(hierarchy: &Hierarchy) -> Tree {
    // Another file system may be mounted over it.
    let place = hierarchy.places.iter().find(|place| is_cgroup(&place.own));
    Tree {
        version: hierarchy.version,
        controllers: hierarchy.controllers.clone(),
        own: place.map(|place| place.own.clone()),
        place: place.cloned(),
        is_given: false,
        is_evacuated: false,
        levels: Vec::new(),
        cpuset: None,
    }
}

fn is_cgroup(dir: &Path) -> bool {
    dir.join("cgroup.procs").exists()
}

fn levels(place: &Place) -> Result<Vec<Level>, Fail> {
    let above = place.own.ancestors().take_while(|dir| dir.starts_with(&place.mount));
    let words = |path: PathBuf| -> Result<Vec<String>, Fail> {
        let text = fs::read_to_string(&path).cannot("read", path)?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    above
        .map(|dir| {
            Ok(Level {
                dir: dir.to_owned(),
                available: words(dir.join("cgroup.controllers"))?,
                enabled: words(dir.join("cgroup.subtree_control"))?,
                // cgroups(7): every cgroup but the root has it.
                is_root: !dir.join("cgroup.events").exists(),
                limits: Vec::new(),
            })
        })
        .collect()
}

/// Whether our group is the root of what can be seen, as in a container, and nobody else is
/// there: to move aside disturbs nobody then.
fn is_alone(levels: &[Level]) -> bool {
    let [own] = levels else { return false };
    let procs = || fs::read_to_string(own.dir.join("cgroup.procs")).unwrap_or_default();
    !own.is_root && procs().trim_end() == getpid().to_string()
}

/// The limits of our own group, where a new one goes beside it.
fn read_limits(tree: &mut Tree) {
    if !place::is_beside(tree) {
        return;
    }
    let Some(own) = tree.levels.first_mut() else { return };
    for (controller, file) in HOLDING {
        // A controller that is not enabled limits nothing.
        let text = fs::read_to_string(own.dir.join(file)).unwrap_or_default();
        if !text.trim_end().is_empty() && !text.starts_with("max") {
            own.limits.push((controller, file, text));
        }
    }
}

fn cpuset(own: &Path) -> Result<[String; 2], Fail> {
    let read = |file: &str| {
        let path = own.join(file);
        let text = fs::read_to_string(&path).cannot("read", path)?;
        Ok(text.trim_end().to_owned())
    };
    Ok([read("cpuset.cpus")?, read("cpuset.mems")?])
}

/// RAM, or less where a group above has a limit.
fn memory(trees: &[Tree]) -> Result<u64, Fail> {
    let limits = trees.iter().filter_map(|t| t.place.as_ref()).flat_map(|place| {
        place.own.ancestors().take_while(|dir| dir.starts_with(&place.mount)).flat_map(
            |dir| {
                let read = |file| fs::read_to_string(dir.join(file)).ok();
                ["memory.max", "memory.limit_in_bytes"].into_iter().filter_map(read)
            },
        )
    });
    let total = meminfo("MemTotal")?;
    Ok(limits.filter_map(|text| text.trim_end().parse().ok()).fold(total, u64::min))
}

fn meminfo(field: &str) -> Result<u64, Fail> {
    let path = "/proc/meminfo";
    let text = fs::read_to_string(path).cannot("read", path)?;
    status_field(&text, field)
        .and_then(|value| value.strip_suffix(" kB")?.parse::<u64>().ok())
        .and_then(|kib| kib.checked_mul(1024))
        .ok_or_else(|| Fail::cannot("read", path, format_args!("no {field}")))
}

fn tasks() -> Result<u64, Fail> {
    let path = "/proc/sys/kernel/pid_max";
    let text = fs::read_to_string(path).cannot("read", path)?;
    text.trim_end().parse().map_err(|_| Fail::cannot("read", path, "no number"))
}

fn page() -> u64 {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    page.and_then(|n| u64::try_from(n).ok()).unwrap_or(4096)
}

fn name() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{PREFIX}{}.{:x}", getpid(), now.unwrap_or_default().as_nanos())
}

/// The pid in a group's name, if it is one that we give.
pub fn maker(name: &std::ffi::OsStr) -> Option<i32> {
    let name = std::str::from_utf8(name.as_bytes()).ok()?;
    let (pid, time) = name.strip_prefix(PREFIX)?.split_once('.')?;
    let is_time = !time.is_empty() && time.bytes().all(|b| b.is_ascii_hexdigit());
    pid.parse().ok().filter(|pid| *pid > 0 && is_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_give_are_ours() {
        assert_eq!(maker(name().as_ref()), Some(getpid().as_raw()));
        for other in
            ["cg-limit.1", "cg-limit.1.", "cg-limit.0.a", "cg-limit.x.a", "a.1.b"]
        {
            assert_eq!(maker(other.as_ref()), None, "{other}");
        }
    }
}
