//! Which process an image wants, by docker's rules, decided without a system call.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use common::explain::Explain;
use common::fail::quote;
use common::ids::{self, Groups, Ids, Target};
use common::passwd::{Account, Who};
use common::{Context, Fail};

use crate::cli::Cli;
use crate::config::Config;

/// docker's and podman's where an image names no other.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The facts that the plan depends on.
#[derive(Debug, Default)]
pub struct Host {
    /// What the image says.
    pub config: Config,
    /// The ids now.
    pub ids: Ids,
    /// The image's /etc/passwd.
    pub passwd: Vec<u8>,
    /// The image's /etc/group.
    pub group: Vec<u8>,
    /// uname(2)'s node name.
    pub hostname: OsString,
    /// The kind of terminal, where standard input is one.
    pub terminal: Option<OsString>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The directory to start in, made where it is missing.
    Workdir(PathBuf),
    /// The user to be.
    Ids(ids::Step),
    /// The program, found in the PATH of this environment.
    Exec {
        /// Its words.
        argv: Vec<OsString>,
        /// `NAME=VALUE`.
        env: Vec<OsString>,
    },
}

/// What img-exec is going to do.
#[derive(Debug)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// When there is nothing to run, no such user, or a directory that is no path.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        let argv = argv(cli, &host.config)?;
        let account = account(cli, host)?;
        let target = Target {
            uid: Some(account.uid),
            gid: Some(account.gid),
            groups: Groups::Mapped(account.groups),
        };

        // The directory is made and entered with the rights that are left, as runc does.
        let mut steps = vec![Step::Workdir(workdir(cli, &host.config)?)];
        steps.extend(ids::steps(&target, &host.ids)?.into_iter().map(Step::Ids));
        steps.push(Step::Exec { argv, env: env(cli, host, &account.home) });
        Ok(Self { steps })
    }
}

/// Entrypoint and Cmd: arguments replace Cmd, another entrypoint drops both.
fn argv(cli: &Cli, config: &Config) -> Result<Vec<OsString>, Fail> {
    let words = |list: &[String]| list.iter().map(OsString::from).collect::<Vec<_>>();
    let mut argv = match &cli.entrypoint {
        Some(program) => vec![program.clone()],
        None => words(&config.entrypoint),
    };
    // An empty word alone is how docker says that there is none.
    if argv == [""] {
        argv.clear();
    }
    if cli.args.is_empty() && cli.entrypoint.is_none() {
        argv.extend(words(&config.cmd));
    } else {
        argv.extend(cli.args.iter().cloned());
    }
    if argv.is_empty() {
        return Err(Fail::new(
            "cannot tell what to run: the image has neither Entrypoint nor Cmd",
        )
        .hint("name a program"));
    }
    Ok(argv)
}

fn account(cli: &Cli, host: &Host) -> Result<Account, Fail> {
    let of_image = || Who::parse(&host.config.user).cannot("use user", &host.config.user);
    let who = cli.user.clone().map_or_else(of_image, Ok)?;
    Account::find(&who, &host.passwd, &host.group)
}

fn workdir(cli: &Cli, config: &Config) -> Result<PathBuf, Fail> {
    let dir = cli.workdir.clone().unwrap_or_else(|| config.working_dir.clone().into());
    if dir.as_os_str().is_empty() {
        return Ok("/".into());
    }
    if dir.is_absolute() {
        return Ok(dir);
    }
    Err(Fail::cannot("start in", dir, "not an absolute path"))
}

/// The environment: of the caller's own there is nothing but the kind of terminal.
fn env(cli: &Cli, host: &Host, home: &OsStr) -> Vec<OsString> {
    let pair = |name: &str, value: &OsStr| {
        OsString::from_vec([name.as_bytes(), b"=", value.as_bytes()].concat())
    };
    let mut env = vec![PATH.into(), pair("HOSTNAME", &host.hostname)];
    env.extend(host.terminal.as_deref().map(|kind| pair("TERM", kind)));
    for entry in host.config.env.iter().map(OsString::from).chain(cli.env.iter().cloned())
    {
        set(&mut env, entry);
    }
    if !env.iter().any(|entry| name(entry) == b"HOME") {
        env.push(pair("HOME", home));
    }
    env
}

/// Puts an entry in place of one of the same name, or behind all others.
///
/// One without `=` takes the variable away: docker's rule, and images have such.
fn set(env: &mut Vec<OsString>, entry: OsString) {
    if !entry.as_bytes().contains(&b'=') {
        env.retain(|old| name(old) != entry.as_bytes());
        return;
    }
    match env.iter_mut().find(|old| name(old) == name(&entry)) {
        Some(old) => *old = entry,
        None => env.push(entry),
    }
}

fn name(entry: &OsStr) -> &[u8] {
    entry.as_bytes().split(|b| *b == b'=').next().unwrap_or_default()
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Workdir(dir) => format!(
                "openat2('/', {}, RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS); fchdir()",
                quote(dir)
            ),
            Self::Ids(step) => step.call(),
            Self::Exec { argv, env } => {
                let list = |words: &[OsString]| {
                    words.iter().map(quote).collect::<Vec<_>>().join(", ")
                };
                let program = argv.first().map(quote).unwrap_or_default();
                format!("execve({program}, [{}], [{}])", list(argv), list(env))
            }
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Workdir(_) => "made where it is missing".to_owned(),
            Self::Ids(step) => step.why(),
            Self::Exec { .. } => "become the image's process".to_owned(),
        }
    }
}
