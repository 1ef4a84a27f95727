//! Which process an image wants, by docker's rules, decided without a system call.

use std::ffi::{CStr, OsString};
use std::path::{Component, Path, PathBuf};

use common::explain::Explain;
use common::fail::quote;
use common::ids::{self, Groups, Ids, Target};
use common::passwd::{Account, Who};
use common::{Context, Fail};

use crate::cli::Cli;
use crate::config::Config;
use crate::env::environment;

/// The facts that the plan depends on.
#[derive(Debug, Default)]
pub struct Host {
    /// What the image says.
    pub config: Config,
    /// The files of `--env-file`, with their names.
    pub env_files: Vec<(PathBuf, Vec<u8>)>,
    /// The ids now.
    pub ids: Ids,
    /// The image's /etc/passwd.
    pub passwd: Vec<u8>,
    /// The image's /etc/group.
    pub group: Vec<u8>,
    /// uname(2)'s node name.
    pub hostname: OsString,
    /// Whether standard input is a terminal.
    pub terminal: bool,
    /// The caller's environment.
    pub environ: Vec<&'static CStr>,
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
    /// When there is nothing to run, no such user or group, a directory that is no path, or
    /// an `--env-file` that is none.
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
        steps.push(Step::Exec { argv, env: environment(cli, host, &account.home)? });
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
    let mut account = Account::find(&who, &host.passwd, &host.group)?;
    for name in &cli.group_add {
        host.ids.require_group(account.add_group(name, &host.group)?)?;
    }
    Ok(account)
}

fn workdir(cli: &Cli, config: &Config) -> Result<PathBuf, Fail> {
    let dir = cli.workdir.clone().unwrap_or_else(|| config.working_dir.clone().into());
    if dir.as_os_str().is_empty() {
        return Ok("/".into());
    }
    if dir.is_absolute() {
        return Ok(clean(&dir));
    }
    Err(Fail::cannot("start in", dir, "not an absolute path"))
}

/// Without `.` and `..`, by the text alone, as docker does before it looks at a link.
fn clean(dir: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in dir.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
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

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:\n";
    const GROUP: &[u8] = b"root:x:0:\nadm:x:4:www,root\nwww:x:33:\n";

    fn host(config: &str) -> Host {
        Host {
            config: Config::parse(format!("{{\"config\": {config}}}").as_bytes())
                .unwrap(),
            passwd: PASSWD.to_vec(),
            group: GROUP.to_vec(),
            hostname: "box".into(),
            ids: Ids { groups: vec![0], ..Ids::default() },
            ..Host::default()
        }
    }

    fn plan(args: &[&str], host: &Host) -> Result<Vec<Step>, String> {
        let args = ["img-exec"].iter().chain(args).map(OsString::from).collect();
        let cli = crate::cli::parse(args).map_err(|f| f.text)?;
        Plan::new(&cli, host).map(|p| p.steps).map_err(|f| f.text)
    }

    fn words(args: &[&str], config: &str) -> Vec<OsString> {
        match plan(args, &host(config)).unwrap().pop() {
            Some(Step::Exec { argv, .. }) => argv,
            other => panic!("no exec at the end but {other:?}"),
        }
    }

    #[test]
    fn the_words_are_put_together_as_docker_run_does() {
        let both = r#"{"Entrypoint": ["e", "f"], "Cmd": ["c", "d"]}"#;
        let cmd = r#"{"Cmd": ["c", "d"]}"#;
        for (config, args, argv) in [
            (both, &[][..], &["e", "f", "c", "d"][..]),
            (both, &["x"], &["e", "f", "x"]),
            (both, &["--", "-x", "--"], &["e", "f", "-x", "--"]),
            (both, &["--entrypoint", "g"], &["g"]),
            (both, &["--entrypoint", "g", "x"], &["g", "x"]),
            (both, &["--entrypoint", "", "x"], &["x"]),
            (cmd, &[], &["c", "d"]),
            (cmd, &["x", "--user", "y"], &["x", "--user", "y"]),
            (cmd, &["--entrypoint", "g"], &["g"]),
            (r#"{"Entrypoint": [""], "Cmd": ["c"]}"#, &[], &["c"]),
            (r#"{"Entrypoint": ["", "f"]}"#, &[], &["", "f"]),
            (r#"{"Cmd": "one word; $(x)"}"#, &[], &["one word; $(x)"]),
            (
                r#"{"Cmd": ["a b", "", "new\nline", "*"]}"#,
                &[],
                &["a b", "", "new\nline", "*"],
            ),
        ] {
            assert_eq!(words(args, config), argv, "{config} {args:?}");
        }
    }

    #[test]
    fn a_directory_is_cleaned_by_its_text() {
        for (dir, expected) in [
            ("", "/"),
            ("/", "/"),
            ("/a/../b//./c/", "/b/c"),
            ("/../../etc", "/etc"),
            ("/link/..", "/"),
        ] {
            let config = Config { working_dir: dir.to_owned(), ..Config::default() };
            let got = workdir(&Cli::default(), &config).unwrap();
            assert_eq!(got.as_os_str(), expected, "{dir}");
        }
    }

    #[test]
    fn the_user_is_set_after_the_directory_and_only_as_far_as_it_is_another() {
        let calls = |args: &[&str], config: &str| -> Vec<String> {
            let steps = plan(args, &host(config)).unwrap();
            steps[..steps.len() - 1].iter().map(Step::call).collect()
        };
        let dir = |name| {
            format!(
                "openat2('/', '{name}', RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS); fchdir()"
            )
        };

        assert_eq!(
            calls(&["x"], r#"{"User": "www", "WorkingDir": "/srv/my dir"}"#),
            [
                dir("/srv/my dir"),
                "setgroups([33, 4])".into(),
                "setresgid(33, 33, 33)".into(),
                "setresuid(33, 33, 33)".into(),
            ]
        );
        assert_eq!(calls(&["--user", "0:0", "x"], r#"{"User": "www"}"#), [dir("/")]);
        assert_eq!(
            calls(&["--workdir", "/w", "x"], "{}"),
            [dir("/w"), "setgroups([0, 4])".into()]
        );
        assert_eq!(
            calls(
                &["--group-add", "www", "--group-add", "77", "--group-add", "4"],
                r#"{"Cmd": ["c"]}"#
            ),
            [dir("/"), "setgroups([0, 4, 33, 77])".into()]
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (config, args, text) in [
            (
                "{}",
                &[][..],
                "cannot tell what to run: the image has neither Entrypoint nor Cmd; name a program",
            ),
            (
                r#"{"Cmd": ["c"]}"#,
                &["--entrypoint", ""],
                "cannot tell what to run: the image has neither Entrypoint nor Cmd; name a program",
            ),
            (
                r#"{"User": "4294967296"}"#,
                &["x"],
                "cannot use user '4294967296': not an id from 0 to 4294967294",
            ),
            (
                r#"{"User": "1:2:3"}"#,
                &["x"],
                "cannot use user '1:2:3': not of the form USER:GROUP",
            ),
            (
                r#"{"User": "\u001b[2J"}"#,
                &["x"],
                r"cannot find user '\x1b[2J': not in /etc/passwd; a number needs no line there",
            ),
            (
                "{}",
                &["--group-add", "none", "x"],
                "cannot find group 'none': not in /etc/group; a number needs no line there",
            ),
            (
                r#"{"WorkingDir": "srv"}"#,
                &["x"],
                "cannot start in 'srv': not an absolute path",
            ),
            (
                "{}",
                &["--env", "=A", "x"],
                "invalid value '=A' for '--env <NAME=VALUE>': not of the form NAME or NAME=VALUE; try 'img-exec --help'",
            ),
        ] {
            assert_eq!(plan(args, &host(config)).unwrap_err(), text);
        }
    }
}
