//! The options on what COMMAND is forbidden beyond its privileges.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::landlock::rule::Rule;

/// What COMMAND is forbidden beyond its privileges.
#[derive(Args, Debug, Default, Clone)]
pub struct Confine {
    /// Allow system calls as docker does or a profile says
    #[arg(long, group = "change", value_name = "PROFILE", value_parser = OsStringValueParser::new().try_map(profile))]
    pub seccomp: Option<Seccomp>,

    /// Install a filter of BPF from a file or a descriptor
    #[arg(long, group = "change", value_name = "FILE|FD", value_parser = OsStringValueParser::new().try_map(bpf))]
    pub seccomp_bpf: Vec<Bpf>,

    /// Allow by Landlock, as rx:/usr, connect:443 or scope
    #[arg(long, group = "change", value_name = "RULE", value_parser = OsStringValueParser::new().try_map(|text| Rule::parse(&text)))]
    pub landlock: Vec<Rule>,

    /// Allow what the lines of a file say
    #[arg(long, group = "change", value_name = "FILE")]
    pub landlock_profile: Vec<PathBuf>,

    /// Forbid by Landlock as much as this kernel can
    #[arg(long, group = "change")]
    pub landlock_best_effort: bool,

    /// Tell which capabilities COMMAND uses: events or bisect
    #[arg(
        long,
        group = "change",
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "events",
        hide_possible_values = true
    )]
    pub trace: Option<Trace>,

    /// Write them to this descriptor as JSON
    #[arg(long, value_name = "N", value_parser = common::cli::fd, requires = "trace")]
    pub status_fd: Option<RawFd>,
}

/// Where a profile comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seccomp {
    /// It is docker's, which is built in.
    Docker,
    /// A file has it.
    File(PathBuf),
}

/// Where a finished filter comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bpf {
    /// A descriptor that the caller opened.
    Fd(RawFd),
    /// A file.
    File(PathBuf),
}

/// How it is found what COMMAND uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Trace {
    /// By what the kernel checks
    Events,
    /// By running it several times
    Bisect,
}

pub(super) fn profile(text: OsString) -> Result<Seccomp, String> {
    match text.as_encoded_bytes() {
        b"" => Err("no profile is named".to_owned()),
        b"docker" => Ok(Seccomp::Docker),
        _ => Ok(Seccomp::File(text.into())),
    }
}

pub(super) fn bpf(text: OsString) -> Result<Bpf, String> {
    let bytes = text.as_encoded_bytes();
    if bytes.is_empty() {
        return Err("no file is named".to_owned());
    }
    if bytes.iter().all(u8::is_ascii_digit) {
        return common::cli::fd(&text.to_string_lossy()).map(Bpf::Fd);
    }
    Ok(Bpf::File(text.into()))
}
