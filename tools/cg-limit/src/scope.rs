//! `--scope`: a scope of systemd's, with the group below delegated to us, to work in.
//!
//! systemd makes it when systemd-run(1) asks by D-Bus, and we start again in there: the only
//! process of a group that is ours, from which we move aside.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::Path;

use common::chain::Chain;
use common::{Context, Fail};

use crate::cli::Cli;

/// Becomes systemd-run, which becomes this program again.
pub(crate) fn enter(args: &[OsString], cli: &Cli) -> Result<Infallible, Fail> {
    // sd_booted(3).
    if !Path::new("/run/systemd/system").is_dir() {
        return Err(Fail::new("cannot have a scope made: systemd does not run here")
            .hint("without --scope a group is made where that is allowed, see --check"));
    }
    let is_root = nix::unistd::geteuid().is_root();
    let bus = std::env::var_os("XDG_RUNTIME_DIR")
        .map(|dir| Path::new(&dir).join("systemd/private"));
    if !is_root && !bus.is_some_and(|socket| socket.exists()) {
        return Err(Fail::new(
            "cannot have a scope made: there is no systemd user manager",
        )
        .hint("log in, or loginctl enable-linger, and set XDG_RUNTIME_DIR"));
    }
    let own = std::env::current_exe().failed_to("find this program")?;
    let command = line(is_root, own.into(), args);
    if cli.link.explain {
        let text: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
        return Err(Fail::output(format_args!("{}\n", text.join(" "))));
    }
    Chain::inherit()?.exec(&command)
}

fn line(is_root: bool, own: OsString, args: &[OsString]) -> Vec<OsString> {
    let manager = if is_root { "--system" } else { "--user" };
    let run = [
        "systemd-run",
        manager,
        "--scope",
        "--quiet",
        "--collect",
        "-p",
        "Delegate=yes",
        "--",
    ];
    let mut line: Vec<OsString> = run.map(OsString::from).into();
    line.extend([own, "--evacuate".into()]);
    line.extend(without_scope(args));
    line
}

/// Our options but this one; what belongs to COMMAND stays as it is.
fn without_scope(args: &[OsString]) -> Vec<OsString> {
    let mut is_taken = false;
    let rest = args.iter().skip(1).filter(|word| {
        let is_it = !is_taken && is_scope(word);
        is_taken |= is_it;
        !is_it
    });
    rest.cloned().collect()
}

/// It, or an abbreviation: `--sc` is the first that is no other option's.
fn is_scope(word: &OsString) -> bool {
    word.to_str().is_some_and(|word| word.len() > 3 && "--scope".starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_asked_for_a_scope_and_we_move_aside_in_it() {
        let args = ["cg-limit", "--memory", "1G", "--scope", "--", "sh", "--scope"];
        let args: Vec<OsString> = args.map(OsString::from).into();

        let words = line(false, "/bin/cg-limit".into(), &args);

        let words: Vec<_> = words.iter().map(|w| w.to_str().unwrap()).collect();
        assert_eq!(
            words.join(" "),
            "systemd-run --user --scope --quiet --collect -p Delegate=yes -- /bin/cg-limit \
             --evacuate --memory 1G -- sh --scope"
        );
    }
}
