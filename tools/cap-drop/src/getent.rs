//! getent(1): users and groups of the sources of nsswitch.conf(5), which a static program
//! cannot ask itself.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::chain::Chain;
use common::passwd::{self, Who};
use common::spawn::{Bond, Held, Spawn};
use common::{Context, Fail, bounded, parse};
use nix::fcntl::OFlag;
use nix::unistd::{dup2_stdin, dup2_stdout, pipe2};

use crate::cli::Cli;

const PROGRAMS: [&str; 2] = ["/usr/bin/getent", "/bin/getent"];

/// More than any user's line and groups.
const LIMIT: u64 = 1 << 20;

/// Adds to the texts of the two files what is asked for and not in them.
pub(crate) fn complete(
    cli: &Cli,
    passwd: &mut Vec<u8>,
    group: &mut Vec<u8>,
) -> Result<(), Fail> {
    let who = cli.user.as_ref();
    for user in who.map(|who| &who.user).into_iter().chain(&cli.uid) {
        if is_name(user) && !passwd::users(passwd).any(|known| known.name == user) {
            add(passwd, &ask("passwd", user)?);
            group.extend(membership(&ask("initgroups", user)?));
        }
    }
    let own = who.and_then(|who: &Who| who.group.as_ref());
    for name in own.into_iter().chain(&cli.gid).chain(&cli.groups) {
        if is_name(name) && !passwd::groups(group).any(|known| known.name == name) {
            add(group, &ask("group", name)?);
        }
    }
    Ok(())
}

/// A number is not looked up.
fn is_name(word: &OsStr) -> bool {
    word.to_str().is_none_or(|word| parse::id(word).is_err())
}

fn add(text: &mut Vec<u8>, lines: &[u8]) {
    text.push(b'\n');
    text.extend(lines);
}

/// `NAME GID GID…` as lines of group(5) that list the user.
fn membership(answer: &[u8]) -> Vec<u8> {
    let answer = String::from_utf8_lossy(answer);
    let mut words = answer.split_whitespace();
    let Some(user) = words.next() else { return Vec::new() };
    let mut lines = String::from("\n");
    for gid in words.filter(|word| parse::id(word).is_ok()) {
        // Writing to a String cannot fail. No group is found by an empty name.
        let _ = writeln!(lines, ":x:{gid}:{user}");
    }
    lines.into_bytes()
}

/// What it says; nothing where it knows none of that name.
fn ask(database: &str, name: &OsStr) -> Result<Vec<u8>, Fail> {
    let program = PROGRAMS.into_iter().find(|path| Path::new(path).exists());
    let program = program.ok_or_else(|| {
        Fail::cannot("run", "getent", "it is in neither /usr/bin nor /bin")
    })?;
    // What begins with a dash would be an option.
    if name.as_bytes().starts_with(b"-") {
        return Ok(Vec::new());
    }
    let argv = [program.into(), database.into(), name.to_owned()];
    let (read, write) = pipe2(OFlag::O_CLOEXEC).failed_to("make a pipe")?;
    let bond = Bond::DieWithParent;
    let spawn = Spawn { tool: "cap-drop", flags: 0, cgroup: None, bond };
    let held = Held::hold().failed_to("block signals")?;
    let child = spawn
        .fork_held(&held, move |_| {
            dup2_stdout(&write).failed_to("redirect standard output")?;
            // Nothing of the caller's: no input, no environment.
            let null = File::open("/dev/null").cannot("open", "/dev/null")?;
            dup2_stdin(&null).failed_to("redirect standard input")?;
            Chain::default().exec_with(&argv, &[])
        })
        .cannot("run", program)?;
    let said =
        bounded::read(File::from(read), LIMIT, 256).cannot("read from", program)?;
    child.reap()?;
    held.release().failed_to("restore signals")?;
    said.ok_or_else(|| Fail::cannot("read from", program, "larger than 1 MiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_a_user_list_that_user_and_have_no_name() {
        let lines = membership(b"web        33 4 x 4294967295\n");

        assert_eq!(lines, b"\n:x:33:web\n:x:4:web\n");
        assert!(membership(b"").is_empty());
    }

    #[test]
    fn only_names_are_asked_for() {
        assert!(is_name(OsStr::new("web")) && is_name(OsStr::new("33x")));
        assert!(!is_name(OsStr::new("33")));
    }
}
