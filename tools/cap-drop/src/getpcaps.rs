//! cap-drop in the place of getpcaps(8): the capabilities of processes.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use common::proc::status_mask;
use common::{Fail, entry};
use nix::libc;

use crate::capsh;
use crate::libcap::{Iab, Sets, kernel, known};
use crate::sets::CapSet;

/// The options, each with what it does in a line.
pub const OPTIONS: [(&str, &str); 5] = [
    ("--help", "Print this, also as -h and --usage"),
    ("--verbose", "Say it in words"),
    ("--ugly", "Say it on standard error, also as --legacy"),
    ("--iab", "Print what an exec would hand on as well"),
    ("--license", "Say under which license this is"),
];

/// How a process is shown, as the options before it said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Style {
    #[default]
    Plain,
    Verbose,
    Ugly,
}

/// Runs it: `args` is argv with the program's name.
pub(crate) fn run(args: &[OsString]) -> Result<Infallible, Fail> {
    let words = args.get(1..).unwrap_or_default();
    if words.is_empty() {
        return Err(usage(1));
    }
    let (mut style, mut with_iab, mut status) = (Style::Plain, false, 0);
    for word in words {
        match word.as_bytes() {
            b"--help" | b"--usage" | b"-h" => return Err(usage(0)),
            b"--license" => {
                return Err(Fail::output(
                    "Part of Bordmittel, under MIT or Apache-2.0.\n",
                ));
            }
            b"--verbose" => style = Style::Verbose,
            b"--ugly" | b"--legacy" => style = Style::Ugly,
            b"--iab" => with_iab = true,
            pid => {
                let text = capsh::shown(pid);
                if let Err(complaint) = process(pid, &text)
                    .and_then(|process| process.show(&text, style, with_iab))
                {
                    say(2, &format!("{complaint}\n"));
                    status = 1;
                }
            }
        }
    }
    Err(Fail::exit(status))
}

/// Nowhere is left to complain where it cannot be written.
fn say(fd: i32, text: &str) {
    let _ = entry::write_all(fd, text.as_bytes());
}

fn usage(status: u8) -> Fail {
    let lines = OPTIONS.map(|(name, help)| format!("  {name:<10} {help}\n"));
    let text = format!("usage: getpcaps [opts] <pid> [<pid> ...]\n{}", lines.concat());
    say(2, &text);
    Fail::exit(status)
}

/// A process that is there.
struct Process {
    pid: libc::pid_t,
    sets: Sets,
}

/// strtol(3): blanks and a sign may come first.
fn number(text: &[u8]) -> Result<libc::pid_t, &'static str> {
    let is_none = |_| "Invalid argument";
    let text = std::str::from_utf8(text).map_err(|_| "Invalid argument")?;
    let number: i128 = text.trim_ascii_start().parse().map_err(is_none)?;
    let number = i64::try_from(number).map_err(|_| "Numerical result out of range")?;
    let pid = libc::pid_t::try_from(number).ok().filter(|pid| *pid >= 0);
    pid.ok_or("Value too large for defined data type")
}

fn process(pid: &[u8], text: &str) -> Result<Process, String> {
    let pid =
        number(pid).map_err(|reason| format!("Cannot parse pid {text}: ({reason})"))?;
    let sets = kernel::sets_of(pid)
        .map_err(|e| format!("Failed to get cap's for process {pid}: ({})", e.desc()))?;
    Ok(Process { pid, sets })
}

impl Process {
    fn show(&self, pid: &str, style: Style, with_iab: bool) -> Result<(), String> {
        let count = kernel::count();
        let text = self.sets.text(count);
        if with_iab {
            let iab = self.iab(count)?;
            let is_verbose = style != Style::Plain;
            let sets = (is_verbose || text != "=").then(|| format!(" \"{text}\""));
            let is_worth = is_verbose || !iab.ambient.or(iab.blocked).is_empty();
            let iab = is_worth.then(|| format!(" [{}]", iab.text(count)));
            let line =
                [format!("{pid}:"), sets.unwrap_or_default(), iab.unwrap_or_default()];
            say(1, &format!("{}\n", line.concat()));
            return Ok(());
        }
        match style {
            Style::Plain => say(1, &format!("{pid}: {text}\n")),
            Style::Verbose => say(1, &format!("Capabilities for '{pid}': {text}\n")),
            Style::Ugly => say(2, &format!("Capabilities for `{pid}': {text}\n")),
        }
        Ok(())
    }

    /// Of another process, /proc alone knows these.
    fn iab(&self, count: u8) -> Result<Iab, String> {
        let pid = if self.pid == 0 { "self".to_owned() } else { self.pid.to_string() };
        let status = std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        let known = known(count);
        let mask = |name| status_mask(&status, name).map(|mask| CapSet(mask).and(known));
        let all = || {
            Some(Iab {
                inheritable: mask("CapInh")?,
                ambient: mask("CapAmb")?,
                blocked: known.without(mask("CapBnd")?),
            })
        };
        all().ok_or_else(|| format!(" no IAB value for {pid}"))
    }
}
