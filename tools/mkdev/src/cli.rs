//! The command line of mkdev.

use std::path::PathBuf;

use clap::Parser;
use common::cli::Link;
use common::parse::Bytes;

/// Populate a /dev
#[derive(Parser, Debug)]
#[command(name = "mkdev", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Bind the host's device nodes instead of making new ones
    #[arg(long, conflicts_with = "mknod")]
    pub bind: bool,

    /// Make device nodes, which takes real root
    #[arg(long)]
    pub mknod: bool,

    /// Limit the size of /dev/shm
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = common::parse::tmpfs_size)]
    pub shm: Bytes,

    /// The directory to populate, inside the root file system
    #[arg(value_name = "DIR")]
    pub target: PathBuf,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}
