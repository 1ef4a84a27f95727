//! Reads what the plan depends on, and no more than that.

use std::ffi::OsString;
use std::path::Path;

use common::ids::Ids;
use common::inroot::Root;
use common::{Context, Fail, bounded, parse, passwd, shell};
use nix::unistd::getppid;

use crate::cli::{Cli, Profile};
use crate::confine::Given;
use crate::environment;
use crate::filecaps::FileCaps;
use crate::getent;
use crate::plan::Host;
use crate::state::State;

/// No list of capabilities is longer.
const PROFILE_LIMIT: u64 = 1 << 20;

impl Host {
    /// Reads them.
    pub fn read(cli: &Cli) -> Result<Self, Fail> {
        let is_name = |word: &OsString| parse::id(&word.to_string_lossy()).is_err();
        let names_users = cli.user.is_some()
            || cli.uid.as_ref().is_some_and(is_name)
            || cli.init_groups
            || cli.reset_env;
        let names_groups = cli.user.is_some()
            || cli.init_groups
            || cli.gid.iter().chain(&cli.groups).any(is_name);
        let needs_shell = cli.link.command.is_empty() && cli.print.is_none();
        let root = cli.root.as_deref().unwrap_or(Path::new("/"));
        let read = |name: &str, needed: bool| {
            if !needed {
                return Ok(Vec::new());
            }
            passwd::read(&Root::open(root).cannot("open", root)?, name)
        };
        let mut passwd = read("passwd", names_users)?;
        let mut group = read("group", names_groups)?;
        if cli.getent {
            getent::complete(cli, &mut passwd, &mut group)?;
        }
        Ok(Self {
            state: State::read()?,
            ids: if cli.names_ids() { Ids::read()? } else { Ids::now()? },
            parent: getppid().as_raw(),
            passwd,
            group,
            shell: needs_shell.then(|| shell::program(&common::sys::environ())),
            profile: profile(cli)?,
            given: Given::read(&cli.confine)?,
            file_caps: cli.from_file_caps.as_ref().map(FileCaps::read).transpose()?,
            terminal: if cli.reset_env { environment::terminal() } else { Vec::new() },
        })
    }
}

fn profile(cli: &Cli) -> Result<Vec<u8>, Fail> {
    let Some(Profile::File(path)) = &cli.profile else { return Ok(Vec::new()) };
    let verb = "read profile";
    let file = std::fs::File::open(path)
        .cannot(verb, path)
        .map_err(|fail| fail.hint("docker, podman and none need no file"))?;
    let text = bounded::read(file, PROFILE_LIMIT, 4096).cannot(verb, path)?;
    text.ok_or_else(|| Fail::cannot(verb, path, "larger than 1 MiB"))
}
