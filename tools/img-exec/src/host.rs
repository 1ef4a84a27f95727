//! Reads what the plan depends on: the config, the image's users, this process.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::chain::Chain;
use common::fail::Reason;
use common::ids::Ids;
use common::inroot::{Root, kind};
use common::{Context, Fail, bounded, passwd, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::gethostname;

use crate::cli::{Cli, Source};
use crate::config::{Config, LIMIT};
use crate::plan::Host;

impl Host {
    /// Reads them; the config that was handed on is used up.
    pub fn read(cli: &Cli, chain: &mut Chain) -> Result<Self, Fail> {
        let handed_on = chain.image.take();
        let (name, fd) = match (&cli.config, handed_on) {
            (Some(from), handed_on) => {
                drop(handed_on);
                (from.name(), open_config(from).cannot("open config", from.name())?)
            }
            (None, Some(fd)) => (PathBuf::from("config.json"), fd),
            (None, None) => {
                return Err(Fail::new(
                    "cannot find the image's config: no link before handed one on",
                )
                .hint("name it by --config, or mount the image by ovl-mount --image"));
            }
        };
        let config = read_whole(fd).and_then(|text| Ok(Config::parse(&text)?));
        // By now the root is the image's.
        let root = Root::open(Path::new("/")).cannot("open", "/")?;
        Ok(Self {
            config: config.cannot("read config", name)?,
            env_files: cli.env_file.iter().map(env_file).collect::<Result<_, _>>()?,
            ids: Ids::read()?,
            passwd: passwd::read(&root, "passwd")?,
            group: passwd::read(&root, "group")?,
            hostname: gethostname().failed_to("read the host name")?,
            terminal: std::io::stdin().is_terminal(),
            environ: sys::environ(),
        })
    }

    /// An entry of the caller's environment, by its name.
    pub fn caller(&self, name: &OsStr) -> Option<OsString> {
        let is_it = |entry: &[u8]| {
            entry.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
        };
        let found = self.environ.iter().map(|entry| entry.to_bytes()).find(|e| is_it(e));
        found.map(|entry| OsStr::from_bytes(entry).to_owned())
    }
}

fn env_file(from: &Source) -> Result<(PathBuf, Vec<u8>), Fail> {
    let text = open_source(from).map_err(Reason::from).and_then(read_whole);
    text.map(|text| (from.name(), text)).cannot("read variables from", from.name())
}

const FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_CLOEXEC).union(OFlag::O_NOCTTY);

/// Standard input stays the image's, to its end; another descriptor is used up.
fn open_source(from: &Source) -> Result<OwnedFd, Errno> {
    match from {
        Source::Path(path) => open(path, FLAGS, Mode::empty()),
        Source::Fd(0) => {
            let copy = std::io::stdin().as_fd().try_clone_to_owned();
            copy.map_err(|_| Errno::EBADF)
        }
        Source::Fd(number) => sys::adopt(*number),
    }
}

/// A file, or a directory of img-unpack's.
fn open_config(from: &Source) -> Result<OwnedFd, Errno> {
    let found = open_source(from)?;
    if kind(&fstat(&found)?) != SFlag::S_IFDIR {
        return Ok(found);
    }
    openat(found, "config.json", FLAGS | OFlag::O_NONBLOCK, Mode::empty())
}

/// Reads a file to its end, which has to come soon.
fn read_whole(fd: OwnedFd) -> Result<Vec<u8>, Reason> {
    let text = bounded::read(File::from(fd), LIMIT, 8192)?;
    text.ok_or_else(|| Reason::Text(format!("larger than {} MiB", LIMIT >> 20)))
}
