//! The command line of root-pivot.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser};
use common::Fail;
use common::cli::Link;
use common::quick::{self, Opt, Rest, Set};

use crate::bind::{self, Bind};
use crate::file::{self, Given, Host, Origin};
use crate::inside::{Inside, inside};
use crate::standard::{self, Cgroups, Proc};
use crate::tmpfs::{self, Tmpfs};
use crate::volume::{self, Volume};

/// Make a directory the root
#[derive(Parser, Debug, Default)]
#[command(
    name = "root-pivot",
    version,
    infer_long_args = true,
    args_override_self = true
)]
pub struct Cli {
    /// Mount /proc, /sys, /run, /tmp; hide what docker hides
    #[arg(long)]
    pub std: bool,

    /// Mount proc on /proc
    #[arg(long, value_name = "OPTIONS", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = standard::proc)]
    pub proc: Option<Proc>,

    /// Mount sysfs on /sys, read-only
    #[arg(long)]
    pub sys: bool,

    /// Mount the cgroups on /sys/fs/cgroup, ro or rw
    #[arg(long, value_name = "ACCESS", num_args = 0..=1, require_equals = true, default_missing_value = "ro", value_parser = standard::cgroups)]
    pub cgroup: Option<Cgroups>,

    /// Mount a tmpfs on /run
    #[arg(long)]
    pub run: bool,

    /// Mount a tmpfs on /tmp
    #[arg(long)]
    pub tmp: bool,

    /// Show a file or directory of the caller's in the new root
    #[arg(long, value_name = "SRC:DST[:OPTIONS]", value_parser = os(bind::bind))]
    pub bind: Vec<Bind>,

    /// Mount a tmpfs in the new root
    #[arg(long, value_name = "DST[:OPTIONS]", value_parser = os(tmpfs::tmpfs))]
    pub tmpfs: Vec<Tmpfs>,

    /// Show a directory that is made, and filled, if need be
    #[arg(long, value_name = "NAME:DST[:OPTIONS]", value_parser = os(volume::volume))]
    pub volume: Vec<Volume>,

    /// Where volumes are that are named by one word
    #[arg(long, value_name = "DIR")]
    pub volumes: Option<PathBuf>,

    /// Show a file with this text, or what a descriptor gives
    #[arg(long, value_name = "DST[:MODE]=TEXT|fd:N", value_parser = os(file::given))]
    pub file: Vec<Given>,

    /// Give a copy of the caller's /etc/resolv.conf, or of FILE
    #[arg(long, value_name = "host|FILE", value_parser = os(|text| Ok(file::resolv(text))))]
    pub resolv: Option<Origin>,

    /// Give an /etc/hosts: new, the caller's, or a copy of FILE
    #[arg(long, value_name = "new|host|FILE", value_parser = os(|text| Ok(file::hosts(text))))]
    pub hosts: Option<Origin>,

    /// Add a line to it
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = file::host)]
    pub add_host: Vec<Host>,

    /// Give an /etc/hostname with the host name
    #[arg(long)]
    pub hostname_file: bool,

    /// Hide a file or directory of the new root
    #[arg(long, value_name = "PATH", value_parser = os(inside))]
    pub mask: Vec<Inside>,

    /// Make a file or directory of the new root read-only
    #[arg(long, value_name = "PATH", value_parser = os(inside))]
    pub ro_path: Vec<Inside>,

    /// Make the new root read-only, but not what is mounted in it
    #[arg(long)]
    pub read_only: bool,

    /// Hand the config of what img-unpack made on to img-exec
    #[arg(long, value_name = "DIR")]
    pub image: Option<PathBuf>,

    /// The directory that becomes the root
    #[arg(value_name = "ROOT")]
    pub root: PathBuf,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

/// A value that need not be UTF-8.
fn os<T: Clone + Send + Sync + 'static>(
    parse: impl Fn(&std::ffi::OsStr) -> Result<T, String> + Clone + Send + Sync + 'static,
) -> impl TypedValueParser<Value = T> {
    OsStringValueParser::new().try_map(move |text| parse(&text))
}

/// Adds a value that may be a bad one.
fn push<T>(to: &mut Vec<T>, value: Result<T, String>) -> Option<()> {
    value.ok().map(|value| to.push(value))
}

const PLAIN: [Opt<Cli>; 10] = [
    Opt::new(None, "std", Set::Flag(|c| c.std = true)),
    Opt::new(None, "sys", Set::Flag(|c| c.sys = true)),
    Opt::new(None, "run", Set::Flag(|c| c.run = true)),
    Opt::new(None, "tmp", Set::Flag(|c| c.tmp = true)),
    Opt::new(None, "bind", Set::Value(|c, v| push(&mut c.bind, bind::bind(v.as_ref())))),
    Opt::new(
        None,
        "tmpfs",
        Set::Value(|c, v| push(&mut c.tmpfs, tmpfs::tmpfs(v.as_ref()))),
    ),
    Opt::new(
        None,
        "volume",
        Set::Value(|c, v| push(&mut c.volume, volume::volume(v.as_ref()))),
    ),
    Opt::new(None, "hostname-file", Set::Flag(|c| c.hostname_file = true)),
    Opt::new(None, "read-only", Set::Flag(|c| c.read_only = true)),
    Opt::new(None, "explain", Set::Flag(|c| c.link.explain = true)),
];

/// Parses the arguments (the program's name first) or says in one line why not.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    quick::parse(args, &PLAIN, with_root)
}

/// ROOT, and COMMAND behind it.
fn with_root(mut cli: Cli, rest: Rest) -> Option<Cli> {
    let (root, command) = rest.operand()?;
    (cli.root, cli.link.command) = (root.into(), command);
    Some(cli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_without_clap_is_what_clap_reads() {
        const WORDS: [&str; 24] = [
            "--",
            "root",
            "--std",
            "--sys",
            "--run=x",
            "--tmp",
            "--bind",
            "/a:/b",
            "/a:/b:ro,idmap=0:1:2",
            "--bind=/a",
            "--tmpfs",
            "/x:size=1M",
            "--volume=data:/x",
            "--proc",
            "--hostname-file",
            "--read-only",
            "--read",
            "--explain",
            "--mask",
            "",
            "=x",
            "-x",
            "sh",
            "--image=x",
        ];
        kit::quick::agrees_with_clap("root-pivot", &PLAIN, with_root, &WORDS);
    }
}
