//! ovl-mount: mount an overlay of layers.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;

use common::Fail;

/// Runs the tool: `args` is argv with the program's name.
pub fn run(_args: Vec<OsString>) -> Result<Infallible, Fail> {
    Err(Fail::new("cannot do anything yet"))
}
