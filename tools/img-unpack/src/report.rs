//! How far it is: a line on a terminal, records on `--status-fd`.

use std::cell::Cell;
use std::io::IsTerminal;
use std::os::fd::RawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Fail, entry, status};
use serde_json::{Value, json};

use crate::job::Job;
use crate::manifest::Image;
use crate::summary::Placed;

/// Where to, and what was told.
pub(crate) struct Report {
    terminal: bool,
    status: Option<RawFd>,
    start: Instant,
    /// Bytes to be read; none where nothing tells.
    total: Cell<Option<u64>>,
    layers: Cell<usize>,
    done: Cell<usize>,
}

impl Report {
    /// `quiet` shows no progress even on a terminal.
    pub(crate) fn new(quiet: bool, status: Option<RawFd>) -> Self {
        Self {
            terminal: !quiet && std::io::stderr().is_terminal(),
            status,
            start: Instant::now(),
            total: Cell::new(None),
            layers: Cell::new(0),
            done: Cell::new(0),
        }
    }

    /// These are to be unpacked, of so many layers.
    pub(crate) fn start(&self, jobs: &[Job], layers: usize) {
        self.total.set(jobs.iter().map(|job| job.source.size()).sum());
        self.layers.set(layers);
        self.done.set(layers.saturating_sub(jobs.len()));
    }

    /// How long to wait until something is to be told.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(if self.terminal { 100 } else { 3_600_000 })
    }

    /// Tells how far it is.
    pub(crate) fn tick(&self, read: u64) {
        if self.terminal {
            let millis = self.start.elapsed().as_millis();
            let done = (self.done.get(), self.layers.get());
            show(&line(done, (read, self.total.get()), millis));
        }
    }

    /// Takes the line away again.
    fn clear(&self) {
        if self.terminal {
            show("");
        }
    }

    /// A layer is there.
    pub(crate) fn layer(&self, index: usize, layer: &Placed) -> Result<(), Fail> {
        self.done.set(self.done.get().saturating_add(1));
        self.record(&json!({
            "event": "layer",
            "layer": index.saturating_add(1),
            "layers": self.layers.get(),
            "diff-id": layer.diff_id.to_string(),
            "name": layer.name,
            "size": layer.record.get("size"),
        }))
    }

    /// All is there.
    pub(crate) fn end(&self, image: &Image, dir: &Path) -> Result<(), Fail> {
        self.clear();
        self.record(&json!({
            "event": "image",
            "config-digest": image.config_digest.to_string(),
            "directory": dir.display().to_string(),
            "layers": self.layers.get(),
        }))
    }

    fn record(&self, record: &Value) -> Result<(), Fail> {
        self.status.map_or(Ok(()), |fd| status::write(fd, record))
    }
}

impl Drop for Report {
    /// A failure is told on a line of its own.
    fn drop(&mut self) {
        self.clear();
    }
}

fn show(text: &str) {
    // A terminal that is gone is no reason to stop.
    let _ = entry::write_all(2, format!("\r\x1b[K{text}").as_bytes());
}

/// `3 of 9 layers, 120M of 332M, 250M/s`.
fn line(
    (done, layers): (usize, usize),
    (read, total): (u64, Option<u64>),
    millis: u128,
) -> String {
    let millis = u64::try_from(millis).unwrap_or(u64::MAX).max(1);
    let rate = read.saturating_mul(1000).checked_div(millis).unwrap_or(0);
    let of = total.map_or_else(String::new, |total| format!(" of {}", short(total)));
    format!(
        "img-unpack: {done} of {layers} layers, {}{of}, {}/s",
        short(read),
        short(rate)
    )
}

/// A number of bytes in three or four digits.
fn short(bytes: u64) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K"), (0, "")];
    let in_units = units.into_iter().map(|(shift, name)| (bytes >> shift, name));
    let (count, name) = in_units.clone().find(|(n, _)| *n > 0).unwrap_or((0, ""));
    format!("{count}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_of_how_much_and_how_fast() {
        assert_eq!(
            line((3, 9), (120 << 20, Some(332 << 20)), 500),
            "img-unpack: 3 of 9 layers, 120M of 332M, 240M/s"
        );
        assert_eq!(line((0, 1), (5000, None), 0), "img-unpack: 0 of 1 layers, 4K, 4M/s");
    }
}
