//! img-unpack: unpack an image archive to layer directories.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use common::chain::Chain;
use common::{Fail, explain};
use unpack::Input;

mod acl;
mod apply;
mod archive;
pub mod cli;
pub mod config;
mod decode;
mod descriptor;
pub mod digest;
mod entry;
mod files;
mod finish;
#[doc(hidden)]
pub mod fuzz;
mod gauge;
mod gc;
mod held;
mod images;
mod job;
pub mod json;
mod layer;
mod list;
mod locks;
mod lower;
pub mod manifest;
pub mod members;
mod merge;
mod oci;
pub mod pax;
pub mod plan;
pub mod platform;
pub mod policy;
mod print;
pub mod refname;
mod report;
mod rootfs;
mod source;
mod sparse;
mod stack;
mod store;
mod stream;
mod summary;
mod tar;
mod tree;
mod unpack;
mod workers;
mod write;
mod xattr;
mod zstd;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli: cli::Cli = common::cli::parse(args)?;
    if cli.gc {
        return Err(collect(&cli)?);
    }
    let image = cli.image.clone().unwrap_or_default();
    let limits = archive::Limits { size: cli.max_size.0, ratio: cli.max_ratio };
    let Some(dir) = &cli.dir else {
        let archive = archive::Archive::open(&image, &scratch(), limits)?;
        return Err(list::list(&cli, &archive)?);
    };
    let host = policy::Host::read()?;
    // Before a whole image is read from a pipe.
    policy::Policy::new(&cli, &host)?;
    let mut chain = Chain::inherit()?;
    if let Some(fd) = cli.status_fd {
        chain.carry_status(fd)?;
    }
    if cli.rootfs {
        let plan = plan::Plan::rootfs(&cli, &host)?;
        let input = || Ok(Input::Rootfs(archive::open_plain(&image)?, &image));
        return unpack(&cli, &plan, input, chain);
    }
    let archive = archive::Archive::open(&image, dir, limits)?;
    let plan = plan::Plan::new(&cli, &host, &archive)?;
    unpack(&cli, &plan, || Ok(Input::Image(&archive)), chain)
}

fn unpack<'a>(
    cli: &cli::Cli,
    plan: &plan::Plan,
    input: impl FnOnce() -> Result<Input<'a>, Fail>,
    chain: Chain,
) -> Result<Infallible, Fail> {
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, &cli.link.command));
    }
    let report = report::Report::new(cli.quiet, cli.status_fd);
    let done = unpack::unpack(plan, input()?, &report)?;
    drop(report);
    let what = (&done.image, &done.summary);
    print(&print::text(cli.print, cli.null, &done.directories, what)?)?;
    chain.exec(&cli.link.command)
}

/// `--gc`: prints what it removed.
fn collect(cli: &cli::Cli) -> Result<Fail, Fail> {
    let (place, is_store) = match (&cli.store, &cli.image) {
        (Some(store), None) => (store, true),
        (None, Some(dir)) => (dir, false),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Fail::new("cannot tell what to collect: name --store or DIR"));
        }
    };
    let gc = gc::Gc::plan(place, is_store, !cli.link.explain)?;
    if cli.link.explain {
        return Ok(explain::explain(&gc.steps, &[]));
    }
    let gone = gc.apply()?;
    let what = if cli.print == cli::Print::None { &[][..] } else { &gone };
    print(&print::list(what, cli.null))?;
    Ok(Fail::done())
}

fn print(text: &[u8]) -> Result<(), Fail> {
    common::entry::write_all(1, text)
        .map_err(|e| Fail::os("cannot write to standard output", e))
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
