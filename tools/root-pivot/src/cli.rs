//! The command line of root-pivot.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser};
use common::cli::Link;

use crate::volume::{self, Bind, Inside, Tmpfs};

/// Make a directory the root
#[derive(Parser, Debug)]
#[command(
    name = "root-pivot",
    version,
    infer_long_args = true,
    args_override_self = true
)]
pub struct Cli {
    /// Mount the next four, and hide what docker hides
    #[arg(long)]
    pub std: bool,

    /// Mount proc on /proc
    #[arg(long)]
    pub proc: bool,

    /// Mount sysfs on /sys, read-only
    #[arg(long)]
    pub sys: bool,

    /// Mount a tmpfs on /run
    #[arg(long)]
    pub run: bool,

    /// Mount a tmpfs on /tmp
    #[arg(long)]
    pub tmp: bool,

    /// Show a file or directory of the caller's in the new root
    #[arg(long, value_name = "SRC:DST[:ro]", value_parser = OsStringValueParser::new().try_map(|text| volume::bind(&text)))]
    pub bind: Vec<Bind>,

    /// Mount a tmpfs in the new root
    #[arg(long, value_name = "DST[:size=SIZE,mode=MODE]", value_parser = OsStringValueParser::new().try_map(|text| volume::tmpfs(&text)))]
    pub tmpfs: Vec<Tmpfs>,

    /// Hide a file or directory of the new root
    #[arg(long, value_name = "PATH", value_parser = OsStringValueParser::new().try_map(|text| volume::inside(&text)))]
    pub mask: Vec<Inside>,

    /// Make a file or directory of the new root read-only
    #[arg(long, value_name = "PATH", value_parser = OsStringValueParser::new().try_map(|text| volume::inside(&text)))]
    pub ro_path: Vec<Inside>,

    /// Make the new root read-only, but not what is mounted in it
    #[arg(long)]
    pub read_only: bool,

    /// The directory that becomes the root
    #[arg(value_name = "ROOT")]
    pub root: PathBuf,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}
