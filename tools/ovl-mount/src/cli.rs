//! The command line of ovl-mount.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgGroup, Parser};
use common::Fail;
use common::cli::{Link, fd};
use common::idmapped::{self, IdMapped};
use common::parse::Bytes;
use common::quick::{Opt, Rest, Set};

use crate::option::{self, Setting};

/// Mount an overlay of layers
#[derive(Parser, Debug, Default)]
#[command(name = "ovl-mount", version, infer_long_args = true, args_override_self = true)]
#[command(group = ArgGroup::new("stack").required(true).args(["image", "layers", "lower"]))]
#[command(group = ArgGroup::new("writable").args(["rw", "upper", "tmpfs", "ro"]))]
#[command(group = ArgGroup::new("kept").args(["rw", "upper"]))]
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

    /// Take file contents from a directory, but show no names
    #[arg(long, value_name = "DIR")]
    pub data_only: Vec<PathBuf>,

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

    /// Clear what an earlier overlay left in the work directory
    #[arg(long, requires = "kept")]
    pub reset_work: bool,

    /// Never wait for the disk; a crash ruins the changes
    #[arg(long)]
    pub volatile: bool,

    /// Copy up attributes without the contents [on, off]
    #[arg(long, value_name = "MODE", require_equals = true, num_args = 0..=1, default_missing_value = "on", value_parser = METACOPY)]
    pub metacopy: Option<String>,

    /// Let directories be renamed [on, off, follow, nofollow]
    #[arg(long, value_name = "MODE", require_equals = true, num_args = 0..=1, default_missing_value = "on", value_parser = REDIRECT)]
    pub redirect_dir: Option<String>,

    /// Make inode numbers unique and stable [on, off, auto]
    #[arg(long, value_name = "MODE", require_equals = true, num_args = 0..=1, default_missing_value = "on", value_parser = XINO)]
    pub xino: Option<String>,

    /// Keep hard links together when copied up [on, off]
    #[arg(long, value_name = "MODE", require_equals = true, num_args = 0..=1, default_missing_value = "on", value_parser = INDEX)]
    pub index: Option<String>,

    /// Check fs-verity digests of contents [on, off, require]
    #[arg(long, value_name = "MODE", require_equals = true, num_args = 0..=1, default_missing_value = "on", value_parser = VERITY)]
    pub verity: Option<String>,

    /// Give the kernel any other option of overlayfs
    #[arg(short = 'o', long = "option", value_name = "KEY=VALUE", value_parser = option::list)]
    pub options: Vec<option::List>,

    /// Show the layers' files with the ids of a map
    #[arg(long, value_name = "USERNS|MAP", value_parser = OsStringValueParser::new().try_map(|text| idmapped::parse(&text)))]
    pub idmap: Option<IdMapped>,

    /// Hand the mount to COMMAND as a descriptor, mounted nowhere
    #[arg(long, value_name = "N", value_parser = fd)]
    pub fd: Option<RawFd>,

    /// Use fuse-overlayfs where the kernel refuses
    #[arg(long, conflicts_with_all = ["fd", "idmap", "data_only"])]
    pub fuse: bool,

    /// Where to mount; made where it is missing; not with --fd
    #[arg(value_name = "TARGET", required_unless_present = "fd")]
    pub target: Option<OsString>,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

/// Every option, as it is read without clap.
const TABLE: [Opt<Cli>; 22] = [
    Opt::new(None, "image", Set::Value(|c, dir| path(&mut c.image, dir))),
    Opt::new(None, "layers", Set::Value(|c, file| path(&mut c.layers, file))),
    Opt::new(Some('0'), "null", Set::Flag(|c| c.null = true)),
    Opt::new(None, "lower", Set::Value(|c, dir| push(&mut c.lower, dir.into()))),
    Opt::new(None, "data-only", Set::Value(|c, dir| push(&mut c.data_only, dir.into()))),
    Opt::new(None, "rw", Set::Value(|c, dir| path(&mut c.rw, dir))),
    Opt::new(None, "upper", Set::Value(|c, dir| path(&mut c.upper, dir))),
    Opt::new(None, "work", Set::Value(|c, dir| path(&mut c.work, dir))),
    Opt::new(
        None,
        "tmpfs",
        Set::Cluster(|c, size| {
            let size = size.map(common::parse::tmpfs_size).transpose().ok()?;
            some(&mut c.tmpfs, size)
        }),
    ),
    Opt::new(None, "ro", Set::Flag(|c| c.ro = true)),
    Opt::new(None, "reset-work", Set::Flag(|c| c.reset_work = true)),
    Opt::new(None, "volatile", Set::Flag(|c| c.volatile = true)),
    Opt::new(None, "metacopy", Set::Cluster(|c, m| mode(&mut c.metacopy, m, &METACOPY))),
    Opt::new(
        None,
        "redirect-dir",
        Set::Cluster(|c, m| mode(&mut c.redirect_dir, m, &REDIRECT)),
    ),
    Opt::new(None, "xino", Set::Cluster(|c, m| mode(&mut c.xino, m, &XINO))),
    Opt::new(None, "index", Set::Cluster(|c, m| mode(&mut c.index, m, &INDEX))),
    Opt::new(None, "verity", Set::Cluster(|c, m| mode(&mut c.verity, m, &VERITY))),
    Opt::new(
        Some('o'),
        "option",
        Set::Value(|c, text| push(&mut c.options, option::list(text).ok()?)),
    ),
    Opt::new(
        None,
        "idmap",
        Set::Value(|c, text| some(&mut c.idmap, idmapped::parse(text.as_ref()).ok()?)),
    ),
    Opt::new(None, "fd", Set::Value(|c, text| some(&mut c.fd, fd(text).ok()?))),
    Opt::new(None, "fuse", Set::Flag(|c| c.fuse = true)),
    Opt::new(None, "explain", Set::Flag(|c| c.link.explain = true)),
];

const METACOPY: [&str; 2] = ["on", "off"];
const REDIRECT: [&str; 4] = ["on", "off", "follow", "nofollow"];
const XINO: [&str; 3] = ["on", "off", "auto"];
const INDEX: [&str; 2] = ["on", "off"];
const VERITY: [&str; 3] = ["on", "off", "require"];

#[allow(clippy::unnecessary_wraps, reason = "an option's value may be refused")]
fn some<T>(into: &mut Option<T>, value: T) -> Option<()> {
    *into = Some(value);
    Some(())
}

#[allow(clippy::unnecessary_wraps, reason = "an option's value may be refused")]
fn push<T>(into: &mut Vec<T>, value: T) -> Option<()> {
    into.push(value);
    Some(())
}

fn path(into: &mut Option<PathBuf>, text: &str) -> Option<()> {
    some(into, text.into())
}

fn mode(into: &mut Option<String>, text: Option<&str>, all: &[&str]) -> Option<()> {
    let text = text.unwrap_or("on");
    all.contains(&text).then(|| *into = Some(text.to_owned()))
}

/// Parses the arguments (the program's name first) or says in one line why not.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    let read = common::quick::read_all(&args, &TABLE);
    match read.and_then(|(read, rest)| with_target(read, rest)) {
        Some(read) => Ok(read),
        None => common::cli::parse(args).map(Cli::without_target),
    }
}

/// None where the options do not go together, or something looks like one too late: clap
/// knows what to say.
fn with_target(mut cli: Cli, rest: Rest) -> Option<Cli> {
    let count = |all: &[bool]| all.iter().filter(|is| **is).count();
    let is_kept = cli.rw.is_some() || cli.upper.is_some();
    let stacks = [cli.image.is_some(), cli.layers.is_some(), !cli.lower.is_empty()];
    let is_plain = count(&stacks) == 1
        && count(&[is_kept, cli.tmpfs.is_some(), cli.ro]) <= 1
        && cli.rw.is_none() | cli.upper.is_none()
        && cli.upper.is_some() == cli.work.is_some()
        && (!cli.null || cli.layers.is_some())
        && (!cli.reset_work || is_kept)
        && !cli.fuse;
    if !is_plain {
        return None;
    }
    if cli.fd.is_some() {
        cli.link.command = rest.command();
        return Some(cli);
    }
    let (target, command) = rest.operand()?;
    (cli.target, cli.link.command) = (Some(target), command);
    Some(cli)
}

impl Cli {
    /// With `--fd` nothing is mounted anywhere: the first word is COMMAND's.
    fn without_target(mut self) -> Self {
        if self.fd.is_some() {
            self.link.command.splice(0..0, self.target.take());
        }
        self
    }

    /// All options of overlayfs that were asked for, the last of a name.
    pub fn settings(&self) -> Vec<Setting> {
        let named = [
            ("metacopy", &self.metacopy),
            ("redirect_dir", &self.redirect_dir),
            ("xino", &self.xino),
            ("index", &self.index),
            ("verity", &self.verity),
        ];
        let named = named.into_iter().filter_map(|(key, value)| {
            let value = value.as_ref()?;
            Some(Setting { key: key.to_owned(), value: Some(value.clone()) })
        });
        let volatile = self
            .volatile
            .then(|| Setting { key: "volatile".to_owned(), value: None })
            .into_iter();
        let given = self.options.iter().flat_map(|list| list.0.iter().cloned());
        option::last_of_each(named.chain(volatile).chain(given))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_without_clap_is_what_clap_reads() {
        // The first ones come often, else hardly anything would be a whole command line.
        const WORDS: [&str; 40] = [
            "--lower=a",
            "--lower=a",
            "--lower=b",
            "--lower=b",
            "root",
            "root",
            "root",
            "sh",
            "sh",
            "--",
            "--image",
            "--image=box",
            "--layers=f",
            "-0",
            "--lower",
            "--data-only=d",
            "--rw=c",
            "--upper=u",
            "--work=w",
            "--ro",
            "--tmpfs",
            "--tmpfs=1M",
            "--tmpfs=x",
            "--reset-work",
            "--volatile",
            "--metacopy",
            "--metacopy=off",
            "--redirect-dir=follow",
            "--xino=on",
            "--index=maybe",
            "--verity=require",
            "-o",
            "a=b,c",
            "-oa=b",
            "--option=x",
            "--idmap=0:1:2",
            "--idmap=x",
            "--explain",
            "",
            "--vol",
        ];

        kit::quick::agrees_with_clap("ovl-mount", &TABLE, with_target, &WORDS);
    }

    #[test]
    fn with_a_descriptor_the_first_word_is_the_commands() {
        let read = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            parse(words).map(|cli| (cli.target, cli.link.command))
        };

        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for line in
            ["ovl-mount --lower a --fd 5 -- sh -c", "ovl-mount --lower a --fd=5 sh -c"]
        {
            assert_eq!(read(line).unwrap(), (None, words(&["sh", "-c"])), "{line}");
        }
        assert_eq!(
            read("ovl-mount --lower a t sh -c").unwrap(),
            (Some("t".into()), words(&["sh", "-c"]))
        );
        assert!(read("ovl-mount --lower a").is_err());
    }
}
