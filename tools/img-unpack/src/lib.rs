//! img-unpack: unpack an image archive to layer directories.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;
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
mod lower;
pub mod manifest;
pub mod members;
mod oci;
pub mod pax;
pub mod plan;
pub mod platform;
pub mod policy;
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
    let host = policy::Host::read()?;
    // Before a whole image is read from a pipe.
    policy::Policy::new(&cli, &host)?;
    let chain = Chain::inherit()?;
    let limits = archive::Limits { size: cli.max_size.0, ratio: cli.max_ratio };
    let archive = archive::Archive::open(&cli.image, &cli.dir, limits)?;
    let plan = plan::Plan::new(&cli, &host, &archive)?;
    if cli.link.explain {
        return Err(explain::explain(&plan.steps, &cli.link.command));
    }
    let layers = unpack::unpack(&plan, &archive)?;
    print(&cli, &layers)?;
    chain.exec(&cli.link.command)
}

fn print(cli: &cli::Cli, layers: &[PathBuf]) -> Result<(), Fail> {
    let end = if cli.null { 0 } else { b'\n' };
    let mut text = Vec::new();
    if cli.print == cli::Print::Layers {
        for layer in layers {
            text.extend_from_slice(layer.as_os_str().as_bytes());
            text.push(end);
        }
    }
    common::entry::write_all(1, &text)
        .map_err(|e| Fail::os("cannot write to standard output", e))
}
