//! Where a group can be made, and what must be enabled for it; no system call.
//!
//! On v1 that is below our own group. On v2 a group with processes, as ours is, can have
//! no limited groups below it, only the real root can: cgroup-v2.rst, "No Internal
//! Process Constraint".

use std::path::{Path, PathBuf};

use common::Fail;
use common::fail::quote;

use crate::discover::Version;
use crate::host::{Level, Tree, maker};
use crate::plan::Step;

/// Where the processes of a group go when another is made below it.
const EVACUATED: &str = "processes";

/// Where on v2, seen from our own group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// In it: it is the real root, or `--parent` named it.
    Below,
    /// Beside it.
    Beside,
    /// In it, once its processes are moved: it is another cg-limit's, whose limits hold
    /// for all that its command starts, and who removes all that is below it; or that was
    /// asked for.
    Evacuate,
}

fn choice(tree: &Tree) -> Choice {
    let Some(own) = tree.levels.first() else { return Choice::Below };
    if tree.is_given || own.is_root {
        Choice::Below
    } else if tree.is_evacuated || own.dir.file_name().and_then(maker).is_some() {
        Choice::Evacuate
    } else {
        Choice::Beside
    }
}

/// Whether a group would be made beside ours.
pub(crate) fn is_beside(tree: &Tree) -> bool {
    choice(tree) == Choice::Beside
}

/// The limits of the group that COMMAND leaves, when its group is made beside ours.
///
/// They go along: nobody gets out of a limit by setting another.
pub(crate) fn left_behind(tree: &Tree) -> &[(&'static str, &'static str, String)] {
    match tree.levels.first() {
        Some(own) if is_beside(tree) => &own.limits,
        _ => &[],
    }
}

/// Whether v2 has it in every group, without being enabled.
pub(crate) fn is_core(controller: &str) -> bool {
    matches!(controller, "devices" | "freezer" | "cpuacct" | "cgroup")
}

/// The hierarchy of a controller: the v1 one that has it, else v2.
pub(crate) fn home<'t>(controller: &str, trees: &'t [Tree]) -> Result<&'t Tree, Fail> {
    let v1 = trees.iter().find(|t| t.has(controller));
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

/// Where the group goes, and what must be done on the way there, from above.
pub(crate) fn parent(
    tree: &Tree,
    controllers: &[&'static str],
) -> Result<(PathBuf, Vec<Step>), Fail> {
    let own = tree.place.as_ref().map_or_else(|| Path::new("/"), |p| p.own.as_path());
    if tree.version == Version::V1 {
        return Ok((own.to_owned(), Vec::new()));
    }
    let (levels, mut steps) = match choice(tree) {
        Choice::Below => (tree.levels.as_slice(), Vec::new()),
        Choice::Beside => (tree.levels.get(1..).unwrap_or_default(), Vec::new()),
        Choice::Evacuate => {
            let from = own.to_owned();
            let step = Step::Evacuate { to: from.join(EVACUATED), from };
            (tree.levels.as_slice(), vec![step])
        }
    };
    let Some(parent) = levels.first() else {
        return Err(Fail::cannot(
            "make a limited group in",
            own,
            "it has processes, and no group above it can be seen",
        )
        .hint("--evacuate moves them to a group below, --parent names another"));
    };
    let mut enable = Vec::new();
    for &controller in controllers.iter().filter(|c| !is_core(c)) {
        enable.extend(enabling(controller, levels, parent)?);
    }
    enable.sort_by_key(|(depth, _)| *depth);
    steps.extend(enable.into_iter().map(|(_, step)| step));
    Ok((parent.dir.clone(), steps))
}

/// The groups that a controller must be enabled in, with their depth.
fn enabling(
    controller: &'static str,
    levels: &[Level],
    parent: &Level,
) -> Result<Vec<(usize, Step)>, Fail> {
    let has = |list: &[String]| list.iter().any(|c| c == controller);
    let mut steps = Vec::new();
    for level in levels {
        if has(&level.enabled) {
            return Ok(steps);
        }
        let depth = level.dir.components().count();
        steps.push((depth, Step::Enable { dir: level.dir.clone(), controller }));
        if has(&level.available) {
            return Ok(steps);
        }
    }
    Err(not_available(controller, levels.last().unwrap_or(parent)))
}

/// The group that is above both ours and a new one, whose `cgroup.procs` must be ours to
/// write: cgroup-v2.rst, "Delegation Containment".
pub(crate) fn above_both(tree: &Tree, group: &Path) -> PathBuf {
    let own = tree.own.as_deref().unwrap_or(group);
    let above = own.ancestors().find(|dir| group.starts_with(dir));
    above.unwrap_or(group).to_owned()
}

fn not_available(controller: &str, top: &Level) -> Fail {
    let file = top.dir.join("cgroup.controllers");
    let fail = cannot_limit(controller, &format!("it is not in {}", quote(file)));
    if top.is_root {
        return fail.hint("the kernel was started without it, or a v1 hierarchy has it");
    }
    fail.hint(format_args!(
        "enable it in the groups above, as root or with Delegate={controller} in the systemd unit"
    ))
}
