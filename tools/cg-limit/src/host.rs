//! The facts that a plan depends on: hierarchies, what is enabled in them, memory.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use common::proc::status_field;
use common::{Context, Fail};
use nix::unistd::{SysconfVar, getpid, sysconf};

use crate::cli::{CONTROLLERS, Cli};
use crate::discover::{Hierarchy, Place, Version, hierarchies, mount_of};
use crate::limit::{Amount, Memory, Quota};
use crate::plan::Limits;

/// What a new group's name begins with.
pub const PREFIX: &str = "cg-limit.";

/// The facts.
#[derive(Debug)]
pub struct Host {
    /// What a new group is called: our pid and the time, so that no two are alike.
    pub name: String,
    /// Memory limits are whole pages.
    pub page: u64,
    /// The memory that this process may have; read for a share only.
    pub memory: u64,
    /// The hierarchies, each where it can be seen.
    pub trees: Vec<Tree>,
}

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
    /// On v2, that directory and those above it, up to the mount.
    pub levels: Vec<Level>,
    /// On v1, what a group that has the cpuset controller must be given first.
    pub cpuset: Option<[String; 2]>,
}

impl Tree {
    /// Whether it is the v1 hierarchy of a controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
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
    /// The limits that it has itself.
    pub limits: Limits,
}

impl Host {
    /// Reads them; v2 directories only where no v1 hierarchy has the controller.
    pub fn read(cli: &Cli) -> Result<Self, Fail> {
        let mut trees = trees(&cli.parent)?;
        let asked = cli.controllers();
        let wants_v2 = asked.iter().any(|c| !trees.iter().any(|t| t.has(c)));
        for tree in &mut trees {
            let Some(place) = &tree.place else { continue };
            match tree.version {
                Version::V2 if wants_v2 => tree.levels = levels(place)?,
                Version::V1
                    if tree.has("cpuset") && asked.iter().any(|c| tree.has(c)) =>
                {
                    tree.cpuset = Some(cpuset(&place.own)?);
                }
                Version::V1 | Version::V2 => {}
            }
        }
        let memory = match cli.memory {
            Some(Memory::Share(_)) => memory(&trees)?,
            Some(Memory::Amount(_)) | None => 0,
        };
        Ok(Self { name: name(), page: page(), memory, trees })
    }
}

/// Every hierarchy that could hold a limit, with the first place that is what it seems.
pub fn trees(parents: &[PathBuf]) -> Result<Vec<Tree>, Fail> {
    let read = |path: &str| fs::read(path).cannot("read", path);
    let mounts = read("/proc/self/mountinfo")?;
    let mut all = hierarchies(&mounts, &read("/proc/self/cgroup")?);
    all.retain(|hierarchy| {
        let has = |name: &String| CONTROLLERS.contains(&name.as_str());
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

const NO_PARENT: &str = "not a cgroup directory of memory, cpu or pids";

fn tree(hierarchy: &Hierarchy) -> Tree {
    // Another file system may be mounted over it.
    let place = hierarchy.places.iter().find(|place| is_cgroup(&place.own));
    Tree {
        version: hierarchy.version,
        controllers: hierarchy.controllers.clone(),
        own: place.map(|place| place.own.clone()),
        place: place.cloned(),
        is_given: false,
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
                // Only our own may be left.
                limits: if dir == place.own { limits(dir) } else { Limits::default() },
            })
        })
        .collect()
}

/// What is limited in a v2 group; a controller that is not enabled limits nothing.
fn limits(dir: &Path) -> Limits {
    let read = |file: &str| fs::read_to_string(dir.join(file)).ok();
    let amount = |file: &str| Some(Amount::Of(read(file)?.trim_end().parse().ok()?));
    let cpus = || {
        let text = read("cpu.max")?;
        let (quota, period) = text.trim_end().split_once(' ')?;
        Some(Quota { quota: quota.parse().ok()?, period: period.parse().ok()? })
    };
    Limits {
        memory: amount("memory.max"),
        swap: amount("memory.swap.max"),
        cpus: cpus(),
        pids: amount("pids.max"),
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
    let path = "/proc/meminfo";
    let text = fs::read_to_string(path).cannot("read", path)?;
    let total = status_field(&text, "MemTotal")
        .and_then(|value| value.strip_suffix(" kB")?.parse::<u64>().ok())
        .and_then(|kib| kib.checked_mul(1024))
        .ok_or_else(|| Fail::cannot("read", path, "no MemTotal"))?;
    let limits = trees.iter().filter_map(|t| t.place.as_ref()).flat_map(|place| {
        place.own.ancestors().take_while(|dir| dir.starts_with(&place.mount)).flat_map(
            |dir| {
                let read = |file| fs::read_to_string(dir.join(file)).ok();
                ["memory.max", "memory.limit_in_bytes"].into_iter().filter_map(read)
            },
        )
    });
    Ok(limits.filter_map(|text| text.trim_end().parse().ok()).fold(total, u64::min))
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
