//! Exits with 0: the floor of every start-up measurement.
#![no_main]

use std::convert::Infallible;
use std::ffi::OsString;

use common::Fail;

common::entry!("noop", run);

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    drop(args);
    Err(Fail::done())
}
