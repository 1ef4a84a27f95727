//! img-unpack: unpack an image archive to layer directories.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use common::chain::Chain;
use common::{Fail, explain};

mod apply;
mod archive;
pub mod cli;
pub mod config;
mod decode;
pub mod digest;
mod entry;
mod files;
mod finish;
pub mod json;
mod layer;
mod list;
mod lower;
pub mod manifest;
pub mod members;
mod oci;
pub mod pax;
pub mod plan;
pub mod platform;
pub mod policy;
mod print;
pub mod refname;
mod remove;
mod sparse;
mod store;
mod stream;
mod summary;
mod tar;
mod tree;
mod unpack;
mod write;
mod zstd;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli: cli::Cli = common::cli::parse(args)?;
    let limits = archive::Limits { size: cli.max_size.0, ratio: cli.max_ratio };
    let Some(dir) = &cli.dir else {
        let archive = archive::Archive::open(&cli.image, &scratch(), limits)?;
        return Err(list::list(&cli, &archive)?);
    };
    let host = policy::Host::read()?;
    // Before a whole image is read from a pipe.
    policy::Policy::new(&cli, &host)?;
    let chain = Chain::inherit()?;
    let archive = archive::Archive::open(&cli.image, dir, limits)?;
    let plan = plan::Plan::new(&cli, &host, &archive)?;
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, &cli.link.command));
    }
    let (layers, summary) = unpack::unpack(&plan, &archive)?;
    let text = print::text(cli.print, cli.null, &layers, (&plan.image, &summary))?;
    common::entry::write_all(1, &text)
        .map_err(|e| Fail::os("cannot write to standard output", e))?;
    chain.exec(&cli.link.command)
}

/// Where a file without a name can be, to be seeked in, that is not beside DIR.
fn scratch() -> PathBuf {
    let set = common::sys::environ().into_iter().find_map(|entry| {
        let value = entry.to_bytes().strip_prefix(b"TMPDIR=")?;
        (!value.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(value)))
    });
    // Images are large, and /tmp is often in memory.
    set.unwrap_or_else(|| PathBuf::from("/var/tmp"))
}
