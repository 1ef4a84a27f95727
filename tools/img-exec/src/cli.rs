//! The command line of img-exec.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, ValueHint};
use common::passwd::{Who, group_name};
use common::quick::{Opt, Rest, Set};
use common::{Fail, cli};

/// Become an image's process
#[derive(Parser, Debug, Default)]
#[command(name = "img-exec", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Read the config from a file, an unpacked image or fd:N
    #[arg(long, value_name = "FILE", value_parser = source_parser(), value_hint = ValueHint::AnyPath)]
    pub config: Option<Source>,

    /// Become this user instead of the image's
    #[arg(short, long, value_name = "USER", value_parser = Who::named)]
    pub user: Option<Who>,

    /// Be in this group of the image's too
    #[arg(long, value_name = "GROUP", value_parser = group_name)]
    pub group_add: Vec<OsString>,

    /// Start in this directory, made where it is missing
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,

    /// Set a variable; NAME alone takes the caller's value
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = OsStringValueParser::new().try_map(variable))]
    pub env: Vec<OsString>,

    /// Set the variables of a file or fd:N, a line each
    #[arg(long, value_name = "FILE", value_parser = source_parser(), value_hint = ValueHint::AnyPath)]
    pub env_file: Vec<Source>,

    /// Run this instead of the image's Entrypoint and Cmd
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<OsString>,

    /// Print the plan as system calls and do nothing
    #[arg(long)]
    pub explain: bool,

    /// Arguments in place of the image's Cmd
    #[arg(value_name = "ARG", trailing_var_arg = true)]
    pub args: Vec<OsString>,
}

/// A file of the caller's: by a path, or as a descriptor that was opened before the root
/// became the image's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path, as it is looked up now.
    Path(PathBuf),
    /// `fd:N`.
    Fd(RawFd),
}

impl Source {
    /// Reads `fd:N` or else a path; a file of such a name is `./fd:N`.
    ///
    /// # Errors
    /// When nothing is named, or no descriptor.
    pub fn parse(text: &OsStr) -> Result<Self, String> {
        match text.as_bytes().strip_prefix(b"fd:") {
            Some(number) => match cli::fd(&String::from_utf8_lossy(number))? {
                1 | 2 => Err("standard output and error are the image's".to_owned()),
                number => Ok(Self::Fd(number)),
            },
            None if text.is_empty() => Err("no file is named".to_owned()),
            None => Ok(Self::Path(text.into())),
        }
    }

    /// What it was called.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::Path(path) => path.clone(),
            Self::Fd(number) => Path::new(&format!("fd:{number}")).to_owned(),
        }
    }
}

fn source_parser() -> impl TypedValueParser<Value = Source> {
    OsStringValueParser::new().try_map(|text| Source::parse(&text))
}

fn variable(text: OsString) -> Result<OsString, String> {
    match text.as_bytes().first() {
        None | Some(b'=') => Err("not of the form NAME or NAME=VALUE".to_owned()),
        Some(_) => Ok(text),
    }
}

/// The options again, for [`common::quick`].
const PLAIN: [Opt<Cli>; 8] = [
    Opt::new(
        None,
        "config",
        Set::Value(|c, from| {
            Source::parse(from.as_ref()).ok().map(|from| c.config = Some(from))
        }),
    ),
    Opt::new(
        Some('u'),
        "user",
        Set::Value(|c, who| Who::named(who).ok().map(|who| c.user = Some(who))),
    ),
    Opt::new(
        None,
        "group-add",
        Set::Value(|c, name| group_name(name).ok().map(|name| c.group_add.push(name))),
    ),
    Opt::new(
        Some('w'),
        "workdir",
        Set::Value(|c, dir| {
            c.workdir = Some(dir.into());
            Some(())
        }),
    ),
    Opt::new(
        Some('e'),
        "env",
        Set::Value(|c, entry| variable(entry.into()).ok().map(|entry| c.env.push(entry))),
    ),
    Opt::new(
        None,
        "env-file",
        Set::Value(|c, from| {
            Source::parse(from.as_ref()).ok().map(|from| c.env_file.push(from))
        }),
    ),
    Opt::new(
        None,
        "entrypoint",
        Set::Value(|c, program| {
            c.entrypoint = Some(program.into());
            Some(())
        }),
    ),
    Opt::new(None, "explain", Set::Flag(|c| c.explain = true)),
];

/// Parses the arguments (the program's name first) or says in one line why not.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    common::quick::parse(args, &PLAIN, with_args)
}

#[allow(clippy::unnecessary_wraps, reason = "the other users of quick::parse may refuse")]
fn with_args(mut cli: Cli, rest: Rest) -> Option<Cli> {
    cli.args = rest.command();
    Some(cli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_without_clap_is_what_clap_reads() {
        const WORDS: [&str; 26] = [
            "--",
            "--config",
            "box/",
            "fd:3",
            "--config=fd:x",
            "-u",
            "web:adm",
            "-uweb",
            "--user=1:2:3",
            "--group-add",
            "adm",
            "4294967296",
            "-w",
            "/srv",
            "--workdir=",
            "-e",
            "A=1",
            "-eA",
            "=x",
            "--env-file",
            "--entrypoint",
            "",
            "--explain",
            "--expl",
            "x",
            "-x",
        ];
        kit::quick::agrees_with_clap("img-exec", &PLAIN, with_args, &WORDS);
    }

    #[test]
    fn a_descriptor_is_told_from_a_file_of_that_name() {
        let parse = |text: &str| Source::parse(text.as_ref());

        assert_eq!(parse("fd:3"), Ok(Source::Fd(3)));
        assert_eq!(parse("./fd:3"), Ok(Source::Path("./fd:3".into())));
        for text in ["fd:", "fd:x", "fd:-1", "fd:+1", "fd:2", "fd:99999999999", ""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
