//! `demo-image FILE`: packs the demo's docker-save archive around the guest program.
#![no_main]

use std::convert::Infallible;
use std::ffi::OsString;

use common::{Context, Fail};

common::entry!("demo-image", run);

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let Some(file) = args.into_iter().nth(1) else {
        return Err(Fail::new("usage: demo-image FILE"));
    };
    let exe = std::env::current_exe().failed_to("find this program")?;
    let guest = exe.with_file_name("guest");
    let program = std::fs::read(&guest).cannot("read", &guest)?;
    let archive = kit::image::demo(&program).docker_save("bordmittel/demo:latest");
    std::fs::write(&file, archive).cannot("write", &file)?;
    Err(Fail::done())
}
