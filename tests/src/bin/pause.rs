//! Says `ready` and waits for a signal: something to kill.
#![no_main]

use std::convert::Infallible;
use std::ffi::OsString;

use common::{Context, Fail, entry};

common::entry!("pause", run);

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    drop(args);
    entry::write_all(1, b"ready\n").failed_to("say that it is ready")?;
    loop {
        nix::unistd::pause();
    }
}
