//! The command line of img-exec.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser};
use common::passwd::Who;

/// Become an image's process
#[derive(Parser, Debug, Default)]
#[command(name = "img-exec", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Read the config from a file or an unpacked image
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Become this user instead of the image's
    #[arg(short, long, value_name = "USER", value_parser = Who::named)]
    pub user: Option<Who>,

    /// Start in this directory, made where it is missing
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,

    /// Set a variable beside or over the image's
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = OsStringValueParser::new().try_map(variable))]
    pub env: Vec<OsString>,

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

fn variable(text: OsString) -> Result<OsString, String> {
    let name = |text: &OsStr| text.as_bytes().iter().position(|b| *b == b'=');
    match name(&text) {
        Some(1..) => Ok(text),
        Some(0) | None => Err("not of the form NAME=VALUE".to_owned()),
    }
}
