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
use crate::plan::{Limits, Step};

/// Where the processes of a group of ours go when another is made below it.
const EVACUATED: &str = "processes";

/// Where on v2, seen from our own group.
enum Choice {
    /// In it: it is the real root, or `--parent` named it.
    Below,
    /// Beside it.
    Beside,
    /// In it, once its processes are moved: it is another cg-limit's, whose limits hold
    /// for all that its command starts, and who removes all that is below it.
    Evacuate,
}

fn choice(tree: &Tree) -> Choice {
    let Some(own) = tree.levels.first() else { return Choice::Below };
    if tree.is_given || own.is_root {
        Choice::Below
    } else if own.dir.file_name().and_then(maker).is_some() {
        Choice::Evacuate
    } else {
        Choice::Beside
    }
}

/// The limits of the group that COMMAND leaves, when its group is made beside ours.
///
/// They go along: nobody gets out of a limit by setting another.
pub(crate) fn left_behind(tree: &Tree) -> &Limits {
    static NONE: Limits = Limits { memory: None, swap: None, cpus: None, pids: None };
    match (choice(tree), tree.levels.first()) {
        (Choice::Beside, Some(own)) => &own.limits,
        (Choice::Below | Choice::Beside | Choice::Evacuate, _) => &NONE,
    }
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
            return Err(not_available(controller, top));
        }
    }
    enable.reverse();
    steps.append(&mut enable);
    Ok((parent.dir.clone(), steps))
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
