//! The command line of img-unpack.

use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use common::cli::Link;
use common::parse::Bytes;

use crate::platform::Platform;
use crate::refname::Wanted;

/// What goes to standard output.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Print {
    /// The layers' directories, bottom first.
    Layers,
    /// image.json.
    Json,
    /// Assignments for sh(1).
    Sh,
    /// Nothing.
    None,
}

/// Unpack an image archive to layer directories
#[derive(Parser, Debug)]
#[command(
    name = "img-unpack",
    version,
    infer_long_args = true,
    args_override_self = true
)]
pub struct Cli {
    /// Choose an image of several by its name
    #[arg(long = "ref", value_name = "NAME")]
    pub reference: Option<Wanted>,

    /// Choose the image for another machine than this
    #[arg(long, value_name = "PLATFORM", value_parser = crate::platform::parse)]
    pub platform: Option<Platform>,

    /// Print which images there are and do nothing
    #[arg(long, conflicts_with_all = ["dir", "explain"])]
    pub list: bool,

    /// Make one root file system instead of layers
    #[arg(long, conflicts_with = "store")]
    pub flat: bool,

    /// Keep layers where other images find them
    #[arg(long, value_name = "STORE")]
    pub store: Option<PathBuf>,

    /// Remove the layers that no image uses
    #[arg(long, conflicts_with_all = ["dir", "list", "flat"])]
    pub gc: bool,

    /// Take IMAGE for a root file system as it is
    #[arg(long, conflicts_with_all = ["reference", "list", "gc"])]
    pub rootfs: bool,

    /// Take leading parts off the names in a root file system
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        hide_default_value = true,
        requires = "rootfs"
    )]
    pub strip_components: usize,

    /// Make all files the caller's own
    #[arg(long)]
    pub squash_ids: bool,

    /// Leave device nodes out
    #[arg(long)]
    pub skip_devices: bool,

    /// Refuse an image that unpacks to more bytes
    #[arg(long, value_name = "SIZE", default_value = "256G", value_parser = common::parse::bytes)]
    pub max_size: Bytes,

    /// Refuse an image that has more files
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    pub max_files: u64,

    /// Refuse an image that has more layers
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    pub max_layers: usize,

    /// Refuse what unpacks to more times its size
    #[arg(long, value_name = "RATIO", default_value_t = 1100)]
    pub max_ratio: u64,

    /// Wait until all is on the disk
    #[arg(long)]
    pub sync: bool,

    /// Show no progress on a terminal
    #[arg(short, long)]
    pub quiet: bool,

    /// Write a JSON record of each layer to a descriptor
    #[arg(long, value_name = "FD", value_parser = common::cli::fd)]
    pub status_fd: Option<RawFd>,

    /// Print `layers`, `json`, `sh` or `none` when all is done
    #[arg(long, value_name = "WHAT", value_enum, default_value = "layers")]
    #[arg(hide_possible_values = true)]
    pub print: Print,

    /// End what is printed with NUL instead of a newline
    #[arg(short = '0', long)]
    pub null: bool,

    /// The archive or OCI layout, `-` for standard input
    #[arg(value_name = "IMAGE", required_unless_present = "gc")]
    pub image: Option<PathBuf>,

    /// The directory to unpack to
    #[arg(value_name = "DIR", required_unless_present_any = ["list", "gc"])]
    pub dir: Option<PathBuf>,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}
