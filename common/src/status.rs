//! `--status-fd`: facts for scripts, one JSON object a line.

use std::os::fd::RawFd;

use serde_json::Value;

use crate::{Context, Fail, entry};

/// Writes one record. Keys are kebab-case and are documented in the man page.
///
/// # Errors
/// `EBADF` where the caller named a descriptor that is not open for writing.
pub fn write(fd: RawFd, record: &Value) -> Result<(), Fail> {
    entry::write_all(fd, format!("{record}\n").as_bytes())
        .cannot("write to descriptor", fd.to_string())
}
