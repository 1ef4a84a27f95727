//! `--report`: what was used and what happened, one JSON object.

use std::fs;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Context, Fail, entry, sys};
use nix::errno::Errno;
use nix::libc;
use serde_json::{Value, json};

use crate::apply::Group;
use crate::usage;
use crate::verdict::End;

/// Where it goes; open before COMMAND runs, so that nothing is run for nothing.
pub(crate) struct Report {
    path: PathBuf,
    fd: RawFd,
    /// Ours, where it is no descriptor of the caller's.
    _file: Option<fs::File>,
}

impl Report {
    /// Opens a file, or takes a descriptor by its number; a file of that name is `./3`.
    pub(crate) fn open(path: &Path) -> Result<Self, Fail> {
        let number = path.to_str().and_then(|text| common::cli::fd(text).ok());
        if let Some(fd) = number {
            let mode = sys::open_flags(fd).cannot("use report descriptor", path)?;
            if mode & libc::O_ACCMODE == libc::O_RDONLY {
                return Err(Errno::EBADF).cannot("use report descriptor", path);
            }
            if fd > 2 {
                sys::set_cloexec(fd, true).cannot("use report descriptor", path)?;
            }
            return Ok(Self { path: path.to_owned(), fd, _file: None });
        }
        let file = fs::File::create(path).cannot("write the report to", path)?;
        Ok(Self { path: path.to_owned(), fd: file.as_raw_fd(), _file: Some(file) })
    }

    /// Writes it; the groups must still be there.
    pub(crate) fn write(
        &self,
        groups: &[Group],
        end: &End,
        is_oom: bool,
        wall: Duration,
    ) -> Result<(), Fail> {
        let mut all = usage::end(end.ended, wall);
        all.insert("timed-out".to_owned(), json!(end.timed_out.is_some()));
        all.insert("oom-killed".to_owned(), json!(is_oom));
        all.extend(usage::of(groups));
        let line = format!("{}\n", Value::Object(all));
        entry::write_all(self.fd, line.as_bytes())
            .cannot("write the report to", &self.path)
    }
}
