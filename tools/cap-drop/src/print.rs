//! A state as lines for people and as JSON for programs, with the same keys.

use std::fmt::Write;

use common::fail::quote;
use serde_json::{Map, Value, json};

use crate::cli::Format;
use crate::describe;
use crate::kernel;
use crate::process::{Own, Process, Seccomp};
use crate::securebits::Securebits;
use crate::sets::{self, CapSet};
use crate::state::State;

/// Several processes: blocks with an empty line between them, or objects a line.
pub(crate) fn all(processes: &[Process], format: Format) -> String {
    let (blocks, between): (Vec<_>, _) = match format {
        Format::Text => (processes.iter().map(text).collect(), "\n"),
        Format::Json => (processes.iter().map(json).collect(), ""),
    };
    blocks.join(between)
}

/// The capabilities as a program has them that is not setuid and has no capabilities of
/// its own.
fn after_exec(process: &Process, own: Own) -> CapSet {
    let [_, uid, _] = process.uids;
    let state = State {
        caps: process.caps,
        securebits: own.securebits,
        no_new_privs: process.no_new_privs,
    };
    kernel::execve(&state, uid).caps.permitted
}

fn text(process: &Process) -> String {
    let mut text = String::new();
    for (key, value) in fields(process) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key}: {}", words(&value));
    }
    text
}

fn words(value: &Value) -> String {
    match value {
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(","),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn json(process: &Process) -> String {
    let object: Map<_, _> =
        fields(process).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    format!("{}\n", Value::Object(object))
}

fn fields(process: &Process) -> Vec<(&'static str, Value)> {
    let mut all = vec![("pid", json!(process.pid))];
    if !process.name.is_empty() {
        all.push(("name", json!(process.name)));
    }
    all.push(("uid", json!(process.uids)));
    all.push(("gid", json!(process.gids)));
    all.push(("groups", json!(process.groups)));
    all.extend(process.caps.named().map(|(set, caps)| (set, names(caps))));
    if let Some(own) = process.own {
        all.push(("after-exec", names(after_exec(process, own))));
        all.push(("securebits", securebits(own.securebits)));
        all.push(("pdeathsig", json!(own.death_signal)));
    }
    all.push(("no-new-privs", json!(process.no_new_privs)));
    let seccomp = match process.seccomp {
        Seccomp::None => "none",
        Seccomp::Strict => "strict",
        Seccomp::Filter => "filter",
    };
    all.push(("seccomp", json!(seccomp)));
    let umask = process.umask.map(|mask| json!(format!("{mask:04o}")));
    all.extend(umask.map(|umask| ("umask", umask)));
    all
}

fn names(set: CapSet) -> Value {
    set.each().map(|(number, _)| sets::name(number)).collect()
}

fn securebits(bits: Securebits) -> Value {
    let text = bits.to_string();
    let names = text.split(',').filter(|_| bits != Securebits::default());
    names.map(str::to_owned).collect()
}

/// `--decode`: the mask as capsh(1) prints it.
pub(crate) fn decoded(set: CapSet) -> String {
    let names: Vec<_> = set.each().map(|(number, _)| sets::name(number)).collect();
    format!("{:#018x}={}\n", set.0, names.join(","))
}

/// `--describe`: name, number and text of each.
pub(crate) fn described(set: CapSet) -> String {
    let mut text = String::new();
    for (number, _) in set.each() {
        let known = describe::of(number);
        let permits = known
            .map_or("It has no name here: the kernel is newer.", |known| known.permits);
        let between = if text.is_empty() { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{between}{} ({number})", sets::name(number));
        for line in permits.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// A process in one line, below its parent.
pub(crate) fn tree_line(process: &Process, depth: usize, known: CapSet) -> String {
    let [_, uid, _] = process.uids;
    let caps = &process.caps;
    let blank = "  ".repeat(depth);
    let name = quote(&process.name);
    let mut line = format!("{blank}{} {name} uid={uid}", process.pid);
    let mut add = |key: &str, set: CapSet| {
        // Writing to a String cannot fail.
        let _ = write!(line, " {key}={}", summary(set, known));
    };
    add("permitted", caps.permitted);
    if caps.effective != caps.permitted {
        add("effective", caps.effective);
    }
    if !caps.inheritable.is_empty() {
        add("inheritable", caps.inheritable);
    }
    if !caps.ambient.is_empty() {
        add("ambient", caps.ambient);
    }
    if caps.bounding != caps.permitted {
        add("bounding", caps.bounding);
    }
    let no_new_privs = if process.no_new_privs { " no-new-privs" } else { "" };
    let seccomp = if process.seccomp == Seccomp::None { "" } else { " seccomp" };
    format!("{line}{no_new_privs}{seccomp}\n")
}

/// `all`, `all-cap_sys_resource`, or the names.
fn summary(set: CapSet, known: CapSet) -> String {
    let lacks = known.without(set);
    if lacks.is_empty() {
        "all".to_owned()
    } else if lacks.0.count_ones() < 8 && !set.is_empty() {
        format!("all-{lacks}")
    } else {
        set.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_told_like_capsh_tells_it() {
        assert_eq!(decoded(CapSet(0)), "0x0000000000000000=\n");
        assert_eq!(
            decoded(CapSet(1 << 41 | 3)),
            "0x0000020000000003=cap_chown,cap_dac_override,41\n"
        );
    }

    #[test]
    fn a_description_has_name_number_and_text() {
        let text = described(CapSet::ALL);

        assert!(text.starts_with("cap_chown (0)\n    Give any file to any user"));
        assert!(text.contains(".\n\ncap_kill (5)\n    Send signals"));
        assert!(
            text.ends_with(
                "\n\n63 (63)\n    It has no name here: the kernel is newer.\n"
            )
        );
    }

    #[test]
    fn most_is_told_by_what_is_missing() {
        let known = CapSet(0x1ff_ffff_ffff);
        let shown = |set| summary(CapSet(set), known);

        assert_eq!(shown(0x1ff_ffff_ffff), "all");
        assert_eq!(shown(0x1ff_feff_ffff), "all-cap_sys_resource");
        assert_eq!(shown(1), "cap_chown");
        assert_eq!(shown(0), "none");
    }
}
