//! `--check`: which limits would work here, found out by making a group for a moment.

use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::{Fail, entry, sys};

use crate::apply::{self, Group};
use crate::asked::CONTROLLERS;
use crate::cli::Cli;
use crate::device::Filter;
use crate::discover::Version;
use crate::host::Host;
use crate::plan::Step;
use crate::row::{Row, To};
use crate::table::TABLE;
use crate::{clean, place};

/// The table, as the text that ends the tool.
pub(crate) fn table(cli: &Cli) -> Result<Fail, Fail> {
    let host = Host::read_for(cli, &CONTROLLERS)?;
    let mut text = String::new();
    for controller in CONTROLLERS {
        let mut rows = TABLE.iter().filter(|row| row.controller == controller).peekable();
        if rows.peek().is_none() {
            continue;
        }
        let probe = Probe::new(controller, &host);
        for row in rows {
            let answer =
                probe.as_ref().map_err(|f| f.text.clone()).and_then(|p| p.answer(row));
            let (word, why) = match answer {
                Ok(file) => ("yes", file),
                Err(why) => ("no", why),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<17} {word:<3}  {why}", row.name);
        }
        if let Ok(probe) = probe {
            probe.remove();
        }
    }
    Ok(Fail::output(text))
}

/// A group made to see which files it has.
struct Probe {
    version: Version,
    groups: Vec<Group>,
    /// Where the controller was not enabled before.
    enabled: Vec<PathBuf>,
    controller: &'static str,
}

impl Probe {
    fn new(controller: &'static str, host: &Host) -> Result<Self, Fail> {
        let tree = place::home(controller, &host.trees)?;
        let (parent, mut steps) = place::parent(tree, &[controller])?;
        let (version, groups, enabled) = (tree.version, Vec::new(), Vec::new());
        let mut probe = Self { version, groups, enabled, controller };
        if steps.iter().any(|step| matches!(step, Step::Evacuate { .. })) {
            // To look is no reason to move others aside.
            return Ok(probe);
        }
        let dir = parent.join(&host.name);
        steps.push(Step::Make { dir, version, controllers: vec![controller] });
        for step in &steps {
            if let Err(fail) = apply::apply(step, &mut probe.groups) {
                probe.remove();
                return Err(fail);
            }
            if let Step::Enable { dir, .. } = step {
                probe.enabled.push(dir.clone());
            }
        }
        Ok(probe)
    }

    /// The file that a limit would go to, or why it has none.
    fn answer(&self, row: &Row) -> Result<String, String> {
        let to = if self.version == Version::V1 { &row.v1 } else { &row.v2 };
        match to {
            To::Not("") => {
                return Err(format!("cgroup {:?} has no such limit", self.version)
                    .replace('V', "v"));
            }
            To::Not(instead) => return Err((*instead).to_owned()),
            To::Watch => return Ok("kept by cg-limit while it waits".to_owned()),
            To::Devices if self.version == Version::V2 => {
                return match sys::bpf_load_device_filter(&Filter::ALLOW_ALL.program()) {
                    Ok(_) => Ok("a BPF program".to_owned()),
                    Err(e) => Err(format!("bpf(BPF_PROG_LOAD): {}", e.desc())),
                };
            }
            To::Devices => return Ok("devices.allow, devices.deny".to_owned()),
            To::File(_)
            | To::Bytes(_)
            | To::Throttle(_)
            | To::Io(_)
            | To::By(..)
            | To::Huge(_) => {}
        }
        let Some(group) = self.groups.first() else {
            return Ok(format!(
                "{}, once the processes of this group move aside",
                to.files()
            ));
        };
        let has = |name: &&str| group.path.join(name).exists();
        match to.files().split(", ").find(has) {
            Some(name) => Ok(name.to_owned()),
            None if matches!(to, To::Huge(_)) && has_huge(&group.path) => {
                Ok(to.files().to_owned())
            }
            None => Err(format!("this kernel has no {}", to.files())),
        }
    }

    fn remove(&self) {
        for fail in clean::remove(&self.groups) {
            entry::report("cg-limit", &fail);
        }
        for dir in self.enabled.iter().rev() {
            // Somebody may have come to need it meanwhile.
            let file = dir.join("cgroup.subtree_control");
            let _ = fs::write(file, format!("-{}", self.controller));
        }
    }
}

fn has_huge(dir: &Path) -> bool {
    let mut entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.any(|entry| entry.file_name().as_bytes().starts_with(b"hugetlb."))
}
