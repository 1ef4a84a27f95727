//! Reads what the plan depends on: the config, the image's users, this process.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::chain::Chain;
use common::ids::Ids;
use common::inroot::Root;
use common::{Context, Fail, passwd, sys};
use nix::unistd::gethostname;

use crate::apply::{open_config, read_config};
use crate::cli::Cli;
use crate::config::Config;
use crate::plan::Host;

impl Host {
    /// Reads them; the config that was handed on is used up.
    pub fn read(cli: &Cli, chain: &mut Chain) -> Result<Self, Fail> {
        let handed_on = chain.image.take();
        let (name, fd) = match (&cli.config, handed_on) {
            (Some(path), _) => (path.as_path(), open_config(path)?),
            (None, Some(fd)) => (Path::new("config.json"), fd),
            (None, None) => {
                return Err(Fail::new(
                    "cannot find the image's config: no link before handed one on",
                )
                .hint("name it by --config, or mount the image by ovl-mount --image"));
            }
        };
        let config = read_config(fd).and_then(|text| Config::parse(&text));
        // By now the root is the image's.
        let root = Root::open(Path::new("/")).cannot("open", "/")?;
        Ok(Self {
            config: config.cannot("read config", name)?,
            ids: Ids::read()?,
            passwd: passwd::read(&root, "passwd")?,
            group: passwd::read(&root, "group")?,
            hostname: gethostname().failed_to("read the host name")?,
            terminal: std::io::stdin().is_terminal().then(|| kind_of_terminal().into()),
        })
    }
}

/// The caller's TERM: docker's xterm where there is none.
fn kind_of_terminal() -> &'static OsStr {
    let term =
        sys::environ().into_iter().find_map(|e| e.to_bytes().strip_prefix(b"TERM="));
    OsStr::from_bytes(term.unwrap_or(b"xterm"))
}
