//! capsh(1): its arguments are a program that is carried out from left to right.
//!
//! A plan cannot be made of them: `--print` shows what the arguments before it did, and
//! `--has-p` ends the program by what they came to. So each is read when its turn comes.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use common::{Fail, entry};

use crate::libcap::{Sets, kernel};

mod arguments;
mod ask;
mod child;
mod explain;
mod ids;
mod launch;
mod mode;
mod report;
mod sets;

pub use arguments::{ARGUMENTS, Argument, OTHERS};

/// What the arguments before have said to those after.
#[derive(Debug)]
struct Session {
    /// argv\[0\].
    name: OsString,
    /// What `--` runs.
    shell: CString,
    /// `--quiet` was said, and a capsh that is run by `==` hears it too.
    quiet: bool,
    /// `CAP_SETPCAP` is not made effective where it takes that.
    strict: bool,
    /// `--user` leaves HOME and USER as they are.
    keeps_env: bool,
    /// What `--user` has put into the environment.
    set: Vec<CString>,
    /// Who was forked by `--forkfor`.
    child: Option<OwnedFd>,
}

/// Runs the tool: `args` is argv with the program's name.
#[allow(clippy::needless_pass_by_value, reason = "what every tool's run takes")]
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let fail = match interpret(&args) {
        Ok(never) => match never {},
        Err(fail) => fail,
    };
    let (mut status, mut fail) = (fail.status, fail);
    if fail.output {
        match print(&fail.text) {
            Ok(()) => return Err(Fail::exit(status)),
            Err(full) => (status, fail) = (full.status, full),
        }
    }
    if fail.text.is_empty() {
        return Err(fail);
    }
    // No name stands before what capsh has to say.
    let _ = entry::write_all(2, format!("{}\n", fail.text).as_bytes());
    Err(Fail::exit(status))
}

fn interpret(args: &[OsString]) -> Result<Infallible, Fail> {
    let mut session = Session {
        name: args.first().cloned().unwrap_or_default(),
        shell: c"/bin/bash".to_owned(),
        quiet: false,
        strict: false,
        keeps_env: false,
        set: Vec::new(),
        child: None,
    };
    let mut rest = args.get(1..).unwrap_or_default();
    let mut is_first = true;
    while let Some((word, tail)) = rest.split_first() {
        if word == "--quiet" {
            session.quiet = true;
        } else {
            if is_first {
                warn_of_unnamed()?;
            }
            match word.as_bytes() {
                b"--help" | b"-h" if is_first => return Err(session.usage(0)),
                b"--" => return session.exec_shell(tail),
                b"-+" => return session.launch_shell(tail),
                b"==" => return session.exec_self(tail),
                b"=+" => return session.launch_self(tail),
                other => session.argument(other)?,
            }
        }
        (rest, is_first) = (tail, false);
    }
    Err(Fail::done())
}

/// Says so where the kernel has a capability that has no name here.
fn warn_of_unnamed() -> Result<(), Fail> {
    if kernel::is_bounding(kernel::named()).is_err() {
        return Ok(());
    }
    let last = kernel::count().saturating_sub(1);
    print(&format!("WARNING: libcap needs an update (cap={last} should have a name).\n"))
}

/// The three sets as they are.
fn own_sets() -> Result<Sets, Fail> {
    kernel::sets_of(0).map_err(perror("Capabilities not available"))
}

/// What perror(3) would say, with capsh's status.
fn perror(what: &str) -> impl Fn(nix::errno::Errno) -> Fail {
    move |errno| Fail::os(what, errno).status(1)
}

/// A failure with capsh's status.
fn fail(text: impl std::fmt::Display) -> Fail {
    Fail::new(text).status(1)
}

/// What was typed, with nothing in it that could fool a terminal.
pub(crate) fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let shown = |c: char| match c {
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

fn print(text: &str) -> Result<(), Fail> {
    entry::write_all(1, text.as_bytes())
        .map_err(perror("cannot write to standard output"))
}

fn c_string(text: &[u8]) -> Result<CString, Fail> {
    // argv has no NUL, a file that is read might.
    CString::new(text).map_err(|_| fail(format_args!("[{}] has a NUL byte", shown(text))))
}
