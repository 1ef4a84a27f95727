//! The command line of ovl-mount.

use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use common::cli::Link;
use common::parse::Bytes;

/// Mount an overlay of layers
#[derive(Parser, Debug)]
#[command(name = "ovl-mount", version, infer_long_args = true, args_override_self = true)]
#[command(group = ArgGroup::new("stack").required(true).args(["image", "layers", "lower"]))]
#[command(group = ArgGroup::new("writable").args(["rw", "upper", "tmpfs", "ro"]))]
pub struct Cli {
    /// Mount the layers that img-unpack put into a directory
    #[arg(long, value_name = "DIR")]
    pub image: Option<PathBuf>,

    /// Mount the layers a file lists, bottom first; - is stdin
    #[arg(long, value_name = "FILE")]
    pub layers: Option<PathBuf>,

    /// End the names in the list with NUL, not with newline
    #[arg(short = '0', long, requires = "layers")]
    pub null: bool,

    /// Mount a directory as a layer; the topmost is named first
    #[arg(long, value_name = "DIR")]
    pub lower: Vec<PathBuf>,

    /// Keep changes in DIR/upper, with DIR/work beside it
    #[arg(long, value_name = "DIR")]
    pub rw: Option<PathBuf>,

    /// Keep changes in a directory
    #[arg(long, value_name = "DIR", requires = "work")]
    pub upper: Option<PathBuf>,

    /// The work directory that belongs to --upper
    #[arg(long, value_name = "DIR", requires = "upper")]
    pub work: Option<PathBuf>,

    /// Keep changes in memory, gone with the mount
    #[arg(long, value_name = "SIZE", require_equals = true, value_parser = common::parse::tmpfs_size)]
    pub tmpfs: Option<Option<Bytes>>,

    /// Allow no changes, as without any of these four
    #[arg(long)]
    pub ro: bool,

    /// Where to mount; made where it is missing
    #[arg(value_name = "TARGET")]
    pub target: PathBuf,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}
