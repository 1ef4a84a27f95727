//! The table of capsh's arguments: how each is spelled, what it says, what it does.

use common::Fail;

use super::{Session, ask, child, explain, fail, ids, launch, mode, report, sets, shown};

/// What carries an argument out; the text is what follows `=`.
type Do = fn(&mut Session, &[u8]) -> Result<(), Fail>;

/// An argument of capsh.
#[derive(Debug)]
pub struct Argument {
    /// `--drop=`, or `--print` where it takes no value.
    pub spelling: &'static str,
    /// What its value is.
    pub value: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    carry_out: Do,
}

const fn arg(
    spelling: &'static str,
    value: &'static str,
    help: &'static str,
    carry_out: Do,
) -> Argument {
    Argument { spelling, value, help, carry_out }
}

/// All but `--quiet` and the four that end the list.
pub const ARGUMENTS: &[Argument] = &[
    arg("--addamb=", "LIST", "Add to the ambient set", sets::add_ambient),
    arg("--cap-uid=", "UID", "Become this user, permitted set kept", ids::cap_uid),
    arg("--caps=", "TEXT", "Set the three sets as cap_from_text(3) reads", sets::caps),
    arg("--chroot=", "DIR", "Change the root directory", launch::chroot),
    arg("--current", "", "Print the sets", report::current),
    arg("--decode=", "HEX", "Name the capabilities of a mask", explain::decode),
    arg("--delamb=", "LIST", "Take from the ambient set", sets::del_ambient),
    arg("--drop=", "LIST", "Drop from the bounding set", sets::drop_bounding),
    arg("--dropped=", "LIST", "Fail unless not in the bounding set", ask::dropped),
    arg("--explain=", "CAP", "Say what a capability permits", explain::explain),
    arg("--forkfor=", "SECONDS", "Fork a child that sleeps", child::fork_for),
    arg("--gid=", "GID", "Set the group id", ids::gid),
    arg("--groups=", "LIST", "Set the supplementary groups", ids::groups),
    arg("--has-a=", "LIST", "Fail unless in the ambient set", ask::has_ambient),
    arg(
        "--has-ambient",
        "",
        "Fail unless there is an ambient set",
        ask::ambient_is_known,
    ),
    arg("--has-b=", "LIST", "Fail unless in the bounding set", ask::has_bounding),
    arg("--has-i=", "LIST", "Fail unless in the inheritable set", ask::has_inheritable),
    arg(
        "--has-no-new-privs",
        "",
        "Fail unless no_new_privs is set",
        ask::has_no_new_privs,
    ),
    arg("--has-p=", "LIST", "Fail unless in the permitted set", ask::has_permitted),
    arg("--iab=", "IAB", "Set what an exec hands on, as cap_iab(3) reads", sets::iab),
    arg(
        "--inh=",
        "LIST",
        "Set the inheritable set; none for the empty one",
        sets::inheritable,
    ),
    arg("--inmode=", "MODE", "Fail unless this is the mode", mode::is_in),
    arg("--is-gid=", "GID", "Fail unless this is the group id", ask::is_gid),
    arg("--is-uid=", "UID", "Fail unless this is the user id", ask::is_uid),
    arg("--keep=", "0|1", "Keep the permitted set when uid 0 is given up", sets::keep),
    arg(
        "--killit=",
        "SIGNAL",
        "Kill the child, and fail unless it dies of that",
        child::kill_it,
    ),
    arg("--license", "", "Say under which license this is", report::license),
    arg("--mode", "", "Print the mode", mode::show),
    arg("--mode=", "MODE", "Change to a mode", mode::set),
    arg("--modes", "", "Print the names of the modes", mode::list),
    arg("--no-new-privs", "", "Let no exec grant privileges", sets::no_new_privs),
    arg("--noamb", "", "Empty the ambient set", sets::no_ambient),
    arg("--noenv", "", "Leave HOME and USER to --user as they are", launch::no_env),
    arg("--print", "", "Print the sets, securebits, ids and mode", report::print_all),
    arg("--secbits=", "BITS", "Set the securebits", sets::secbits),
    arg("--shell=", "PATH", "Let -- run this program, not /bin/bash", launch::shell),
    arg("--strict", "", "Do not make cap_setpcap effective by itself", sets::strict),
    arg(
        "--suggest=",
        "TEXT",
        "Say which capabilities are about something",
        explain::suggest,
    ),
    arg("--supports=", "LIST", "Fail unless the kernel has these", ask::supports),
    arg("--uid=", "UID", "Set the user id", ids::uid),
    arg("--user=", "NAME", "Become this user, with its groups", ids::user),
];

/// What stands at the end, or anywhere.
pub const OTHERS: [(&str, &str); 6] = [
    ("--help, -h", "Print this, as the first argument"),
    ("--quiet", "Do not warn of capabilities without a name"),
    ("--", "Become the shell, with the arguments that follow"),
    ("-+", "Run the shell so, and end as it ends"),
    ("==", "Become this program again, with those that follow"),
    ("=+", "Run this program again so, and end as it ends"),
];

impl Session {
    /// Carries one argument out.
    pub(super) fn argument(&mut self, word: &[u8]) -> Result<(), Fail> {
        for argument in ARGUMENTS {
            let spelling = argument.spelling.as_bytes();
            match word.strip_prefix(spelling) {
                Some(value) if spelling.ends_with(b"=") || value.is_empty() => {
                    return (argument.carry_out)(self, value);
                }
                _ => {}
            }
        }
        // What begins so is taken for it.
        if word.starts_with(b"--noamb") {
            return sets::no_ambient(self, b"");
        }
        if word.starts_with(b"--mode") {
            super::print(&format!("unrecognized command [{}]\n", shown(word)))?;
        }
        Err(self.usage(1))
    }

    /// All arguments in lines of their own, on standard output.
    pub(super) fn usage(&self, status: u8) -> Fail {
        use std::fmt::Write;
        use std::os::unix::ffi::OsStrExt;
        let mut text = format!("usage: {} [args ...]\n", shown(self.name.as_bytes()));
        let taken =
            ARGUMENTS.iter().map(|a| (format!("{}{}", a.spelling, a.value), a.help));
        let others = OTHERS.into_iter().map(|(name, help)| (name.to_owned(), help));
        for (name, help) in taken.chain(others) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<18} {help}");
        }
        Fail::output(text).status(status)
    }
}

/// A number of an argument, or its complaint.
pub(super) fn number(text: &[u8], argument: &str) -> Result<u32, Fail> {
    crate::libcap::number(text).ok_or_else(|| {
        let text = shown(text);
        let value = if argument.contains(' ') { "" } else { " value" };
        fail(format_args!(
            "invalid --{argument}{value}: want non-negative integer, got \"{text}\""
        ))
    })
}

/// The words of a list, without empty ones: strtok(3) with a comma.
pub(super) fn words(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|b| *b == b',').filter(|word| !word.is_empty())
}
