//! What can be done to a group by its name: limits changed, frozen, killed, looked at.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use common::fail::quote;
use common::{Context, Fail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use serde_json::Value;

use crate::apply::{Group, write_limit};
use crate::asked::CONTROLLERS;
use crate::clean::{self, Deadline};
use crate::cli::Cli;
use crate::discover::Version;
use crate::gc::parents;
use crate::host::{Facts, Tree, trees};
use crate::place::is_core;
use crate::row::To;
use crate::usage::home;
use crate::{plan, usage};

/// Whether the command line is about a group that is there.
pub(crate) fn is_asked(cli: &Cli) -> bool {
    cli.update || cli.freeze || cli.thaw || cli.kill || cli.stat
}

/// Does it; the end of the tool, with what was asked for.
pub(crate) fn act(cli: &Cli) -> Result<Fail, Fail> {
    let name = cli.name.as_deref().unwrap_or_default();
    if let Some(program) = cli.link.command.first() {
        return Err(Fail::cannot("run", program, "the group is there already")
            .hint("only without --update, --freeze, --thaw, --kill and --stat"));
    }
    if !cli.update && !cli.asked.0.is_empty() {
        return Err(
            Fail::new("cannot set limits of a group that is there").hint("--update does")
        );
    }
    let all = trees(&cli.parent)?;
    let groups = find(name, &all)?;
    if cli.update {
        update(&groups, cli, &all)?;
    } else if cli.kill {
        if let Some(fail) = clean::remove(&groups).into_iter().next() {
            return Err(fail);
        }
    } else if cli.stat {
        return Ok(Fail::output(format_args!("{}\n", Value::Object(usage::of(&groups)))));
    } else {
        freeze(&groups, cli.freeze)?;
    }
    Ok(Fail::done())
}

/// The groups of a name, in each hierarchy, wherever they would be made.
fn find(name: &str, trees: &[Tree]) -> Result<Vec<Group>, Fail> {
    let mut groups = Vec::new();
    let mut seen = Vec::new();
    for tree in trees {
        let places = parents(tree);
        let is_there =
            |parent: &&PathBuf| parent.join(name).join("cgroup.procs").exists();
        if let Some(parent) = places.iter().find(is_there) {
            groups.push(open_group(parent.join(name), tree)?);
        }
        seen.extend(places);
    }
    if groups.is_empty() {
        let seen: Vec<_> = seen.into_iter().map(quote).collect();
        return Err(Fail::cannot(
            "find the group",
            name,
            format_args!("there is none in {}", seen.join(", ")),
        )
        .hint("--parent names the directory that it is in"));
    }
    // As they are made: pids before freezer, so that a killing ends.
    let order = |group: &Group| {
        CONTROLLERS.iter().position(|c| group.controllers.contains(c)).unwrap_or(0)
    };
    groups.sort_by_key(order);
    Ok(groups)
}

fn open_group(path: PathBuf, tree: &Tree) -> Result<Group, Fail> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = open(&path, flags, Mode::empty()).cannot("open", &path)?;
    let controllers = match tree.version {
        Version::V1 => CONTROLLERS.into_iter().filter(|c| tree.has(c)).collect(),
        Version::V2 => {
            let file = path.join("cgroup.controllers");
            let text = fs::read_to_string(&file).cannot("read", &file)?;
            let has = |c: &&str| is_core(c) || text.split_whitespace().any(|w| w == *c);
            CONTROLLERS.into_iter().filter(has).collect()
        }
    };
    Ok(Group { path, version: tree.version, controllers, dir, entry: None, back: None })
}

fn update(groups: &[Group], cli: &Cli, trees: &[Tree]) -> Result<(), Fail> {
    let facts = Facts::read(cli, trees)?;
    for setting in &cli.asked.0 {
        for controller in setting.controllers() {
            let group = home(groups, controller).ok_or_else(|| {
                Fail::new(format_args!("cannot change {}", setting.row.name)).hint(
                    format_args!(
                        "the group was made without the {controller} controller"
                    ),
                )
            })?;
            let is_ours =
                matches!(setting.row.v1, To::Watch) && group.version == Version::V1;
            if is_ours
                || matches!(setting.row.v2, To::Devices) && group.version == Version::V2
            {
                return Err(Fail::new(format_args!(
                    "cannot change {}",
                    setting.row.name
                ))
                .hint("it is given once, when the group is made"));
            }
        }
    }
    let mut writes = Vec::new();
    for group in groups {
        let files = plan::files(group.version, &group.controllers, &cli.asked, &facts)?;
        writes.extend(files.into_iter().map(|file| (group, file)));
    }
    if writes.is_empty() {
        return Err(Fail::new("no limit given").hint("try 'cg-limit --help'"));
    }
    // Some bound each other: memory and memsw, quotas with periods. What is too early in the
    // first turn is right in the second.
    let mut refused = Vec::new();
    for (group, file) in writes {
        match write_limit(&group.path, group.dir.as_fd(), &file) {
            Err(fail) if fail.errno == Some(Errno::EINVAL) => refused.push((group, file)),
            other => other?,
        }
    }
    refused
        .iter()
        .try_for_each(|(group, file)| write_limit(&group.path, group.dir.as_fd(), file))
}

/// How long processes may take to stop: one that waits for a disk does not.
const PATIENCE: Duration = Duration::from_secs(10);

fn freeze(groups: &[Group], is_frozen: bool) -> Result<(), Fail> {
    let group = home(groups, "freezer").ok_or_else(|| {
        Fail::new("cannot freeze the group: it was made without the freezer controller")
    })?;
    let (file, value, told) = match (group.version, is_frozen) {
        (Version::V1, true) => ("freezer.state", "FROZEN", "freezer.state"),
        (Version::V1, false) => ("freezer.state", "THAWED", "freezer.state"),
        (Version::V2, true) => ("cgroup.freeze", "1", "cgroup.events"),
        (Version::V2, false) => ("cgroup.freeze", "0", "cgroup.events"),
    };
    let path = group.path.join(file);
    fs::write(&path, value).cannot(&format!("write {value} to"), &path)?;
    // It is done when the kernel says so.
    let expected = match (group.version, is_frozen) {
        (Version::V1, _) => value,
        (Version::V2, true) => "frozen 1",
        (Version::V2, false) => "frozen 0",
    };
    let deadline = Deadline::after(PATIENCE);
    let told = group.path.join(told);
    loop {
        let text = fs::read_to_string(&told).cannot("read", &told)?;
        if text.lines().any(|line| line == expected) {
            return Ok(());
        }
        if deadline.is_over() {
            let reason = format!("'{}' is not '{expected}' after 10 s", told.display());
            return Err(Fail::cannot("freeze or thaw", &group.path, reason));
        }
        sleep(Duration::from_millis(1));
    }
}
