//! `tree LAYER…`: what the layers, bottom first, show when they are merged, one line a
//! file with all its attributes; one directory alone is itself.
#![no_main]

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;

use common::Fail;

common::entry!("tree", run);

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let layers: Vec<_> = args.into_iter().skip(1).map(PathBuf::from).collect();
    Err(Fail::output(kit::tree::describe(&layers)))
}
