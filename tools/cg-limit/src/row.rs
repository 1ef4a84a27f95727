//! What a row of the table of limits says.

use crate::convert::{Files, Given};
use crate::value::Value;

/// Reads what an option was given.
pub type Parse = fn(&str) -> Result<Value, String>;

/// A limit.
pub struct Row {
    /// The option.
    pub name: &'static str,
    /// What it takes; nothing for a switch.
    pub takes: &'static str,
    /// Its line of `--help`.
    pub help: &'static str,
    /// Other names of it, docker's.
    pub docker: &'static [&'static str],
    /// systemd's properties.
    pub systemd: &'static [(&'static str, Parse)],
    /// The controller it belongs to.
    pub controller: &'static str,
    /// Reads the value.
    pub parse: Parse,
    /// Where it goes on v1.
    pub v1: To,
    /// Where it goes on v2.
    pub v2: To,
}

/// Where a limit goes.
#[derive(Debug, Clone, Copy)]
pub enum To {
    /// Into this file, as it stands.
    File(&'static str),
    /// Into this file, in bytes.
    Bytes(&'static str),
    /// For a disk, into this file of v1.
    Throttle(&'static str),
    /// For a disk, this word of io.max.
    Io(&'static str),
    /// Into what a function says.
    By(&'static str, fn(&Value, Given<'_>) -> Files),
    /// Into a file for each size of pages, of this suffix.
    Huge(&'static str),
    /// Kept by this process while it waits.
    Watch,
    /// With all device rules together.
    Devices,
    /// Nowhere: there is no such limit, and what there is instead.
    Not(&'static str),
}

/// No such limit, and nothing like it.
const NOWHERE: To = To::Not("");

impl To {
    /// The files, for the man page and `--check`.
    pub fn files(&self) -> &'static str {
        match self {
            Self::File(name)
            | Self::Bytes(name)
            | Self::Throttle(name)
            | Self::By(name, _) => name,
            Self::Io(_) => "io.max",
            Self::Huge("max") => "hugetlb.SIZE.max",
            Self::Huge(_) => "hugetlb.SIZE.limit_in_bytes",
            Self::Watch | Self::Devices | Self::Not(_) => "",
        }
    }
}

/// A row that is an option with a value.
pub(crate) const fn row(
    name: &'static str,
    takes: &'static str,
    help: &'static str,
    controller: &'static str,
    parse: Parse,
) -> Row {
    Row {
        name,
        takes,
        help,
        docker: &[],
        systemd: &[],
        controller,
        parse,
        v1: NOWHERE,
        v2: NOWHERE,
    }
}

impl Row {
    pub(crate) const fn v1(self, to: To) -> Self {
        Self { v1: to, ..self }
    }

    pub(crate) const fn v2(self, to: To) -> Self {
        Self { v2: to, ..self }
    }

    pub(crate) const fn both(self, file: &'static str) -> Self {
        Self { v1: To::File(file), v2: To::File(file), ..self }
    }

    pub(crate) const fn docker(self, names: &'static [&'static str]) -> Self {
        Self { docker: names, ..self }
    }

    pub(crate) const fn systemd(self, names: &'static [(&'static str, Parse)]) -> Self {
        Self { systemd: names, ..self }
    }

    /// Whether each one given counts, not the last alone.
    pub fn is_list(&self) -> bool {
        self.takes.contains(':')
            || matches!(self.name, "set" | "account" | "device-allow" | "device-deny")
    }
}
