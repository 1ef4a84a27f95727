//! `bench startup|groups|images|scale`: times tools against their peers, in turn, in one run.
//!
//! The machine's noise is in both alike, so quote the ratios.
#![no_main]

mod chain;
mod groups;
mod images;
mod medium;
mod rows;
mod sample;
mod scale;
mod source;
mod startup;
mod synthetic;
mod tally;

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use common::{Context, Fail};

common::entry!("bench", run);

/// Times the tools against their peers
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Start-up of the small tools, and of a chain of them
    Startup {
        /// Runs of each
        #[arg(default_value = "200")]
        runs: u32,
    },
    /// A whole container, by the chain and by other programs
    Chain {
        /// Runs of each
        #[arg(default_value = "100")]
        runs: u32,
    },
    /// A program in a cgroup of its own, against libcgroup
    Groups {
        /// Runs of each
        #[arg(default_value = "20")]
        runs: u32,
    },
    /// Unpacking images, on tmpfs and on a disk
    Images(images::Options),
    /// Unpacking images of more and more layers and files
    Scale(scale::Options),
    /// Run a shell script and tell what it took
    #[command(hide = true)]
    Once { script: OsString },
}

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let cli: Cli = common::cli::parse(args)?;
    let exe = std::env::current_exe().failed_to("find this program")?;
    let here = exe.parent().unwrap_or(Path::new("."));
    match cli.what {
        What::Startup { runs } => {
            let work = tempfile::tempdir().failed_to("make a directory")?;
            say(&startup::table(here, work.path(), runs)?)?;
        }
        What::Chain { runs } => {
            let work = tempfile::tempdir().failed_to("make a directory")?;
            say(&chain::table(here, work.path(), runs)?)?;
        }
        What::Groups { runs } => say(&groups::table(here, runs)?)?,
        What::Images(options) => images::table(&Bench::new(exe)?, &options)?,
        What::Scale(options) => scale::table(&Bench::new(exe)?, &options)?,
        What::Once { script } => say(&sample::once(&script)?)?,
    }
    Err(Fail::done())
}

/// What all measurements of images need.
struct Bench {
    /// This program.
    exe: PathBuf,
    /// A directory of ours.
    work: tempfile::TempDir,
    /// To find the tools first that were built with this program.
    path: OsString,
}

impl Bench {
    fn new(exe: PathBuf) -> Result<Self, Fail> {
        let here = exe.parent().unwrap_or(Path::new("."));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(here.to_owned()).chain(std::env::split_paths(&path));
        let path =
            std::env::join_paths(dirs).map_err(|e| Fail::cannot("use", here, e))?;
        // Not on a tmpfs where /tmp is one: the disk's file systems lie there.
        let work =
            tempfile::tempdir_in("/var/tmp").cannot("make a directory in", "/var/tmp")?;
        medium::private()?;
        Ok(Self { exe, work, path })
    }

    /// Whether there is such a program.
    fn has(&self, program: &str) -> bool {
        std::env::split_paths(&self.path).any(|dir| dir.join(program).is_file())
    }
}

/// Tables come piece by piece: a run may take minutes.
fn say(text: &str) -> Result<(), Fail> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).failed_to("write the table")
}
