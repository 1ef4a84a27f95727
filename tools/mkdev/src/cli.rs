//! The command line of mkdev.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser};
use common::Fail;
use common::cli::Link;
use common::parse::Bytes;
use common::quick::{Opt, Rest, Set};

use crate::device::{self, Asked};

/// What /dev/shm holds where nobody says, as in docker.
const SHM: Bytes = Bytes(64 << 20);

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

    /// Populate DIR itself, not a tmpfs that is mounted there
    #[arg(long)]
    pub in_place: bool,

    /// Leave out pts, ptmx and shm
    #[arg(long, conflicts_with_all = ["mqueue", "console"])]
    pub minimal: bool,

    /// Limit the size of /dev/shm
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = common::parse::tmpfs_size)]
    pub shm: Bytes,

    /// Mount the POSIX message queues
    #[arg(long)]
    pub mqueue: bool,

    /// Let console be the caller's terminal
    #[arg(long)]
    pub console: bool,

    /// Add a device of the host's, or a directory of them
    #[arg(long, value_name = "HOST[:CONTAINER[:rwm]]", value_parser = OsStringValueParser::new().try_map(|text| device::asked(&text)))]
    pub device: Vec<Asked>,

    /// Add the devices of a CDI specification in JSON
    #[arg(long, value_name = "FILE")]
    pub from_spec: Option<PathBuf>,

    /// Choose a device of the specification by its name
    #[arg(long, value_name = "NAME", requires = "from_spec")]
    pub spec_device: Vec<String>,

    /// Leave out what else the specification asks for
    #[arg(long, requires = "from_spec")]
    pub nodes_only: bool,

    /// The directory to populate, inside the root file system
    #[arg(value_name = "DIR")]
    pub target: PathBuf,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

impl Default for Cli {
    fn default() -> Self {
        Self {
            bind: false,
            mknod: false,
            in_place: false,
            minimal: false,
            shm: SHM,
            mqueue: false,
            console: false,
            device: Vec::new(),
            from_spec: None,
            spec_device: Vec::new(),
            nodes_only: false,
            target: PathBuf::new(),
            link: Link::default(),
        }
    }
}

/// What is read without clap.
const PLAIN: [Opt<Cli>; 9] = [
    Opt::new(None, "bind", Set::Flag(|c| c.bind = true)),
    Opt::new(None, "mknod", Set::Flag(|c| c.mknod = true)),
    Opt::new(None, "in-place", Set::Flag(|c| c.in_place = true)),
    Opt::new(None, "minimal", Set::Flag(|c| c.minimal = true)),
    Opt::new(
        None,
        "shm",
        Set::Value(|c, size| {
            common::parse::tmpfs_size(size).ok().map(|size| c.shm = size)
        }),
    ),
    Opt::new(None, "mqueue", Set::Flag(|c| c.mqueue = true)),
    Opt::new(None, "console", Set::Flag(|c| c.console = true)),
    Opt::new(
        None,
        "device",
        Set::Value(|c, text| {
            device::asked(text.as_ref()).ok().map(|asked| c.device.push(asked))
        }),
    ),
    Opt::new(None, "explain", Set::Flag(|c| c.link.explain = true)),
];

/// Parses the arguments (the program's name first) or says in one line why not.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    common::quick::parse(args, &PLAIN, with_target)
}

/// None where the options do not go together, or something looks like one too late: clap
/// knows what to say.
fn with_target(mut cli: Cli, rest: Rest) -> Option<Cli> {
    if cli.bind && cli.mknod || cli.minimal && (cli.mqueue || cli.console) {
        return None;
    }
    let (target, command) = rest.operand()?;
    (cli.target, cli.link.command) = (target.into(), command);
    Some(cli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_without_clap_is_what_clap_reads() {
        const WORDS: [&str; 17] = [
            "--bind",
            "--mknod",
            "--in-place",
            "--minimal",
            "--shm=1M",
            "--shm",
            "0",
            "--mqueue",
            "--console",
            "--device=/dev/fuse",
            "--device=x",
            "--explain",
            "--",
            "dev",
            "dev",
            "sh",
            "-c",
        ];

        kit::quick::agrees_with_clap("mkdev", &PLAIN, with_target, &WORDS);
    }
}
