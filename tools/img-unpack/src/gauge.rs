//! What all threads of a run count together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What may still come, what has come, and whether it still matters.
pub(crate) struct Gauge {
    bytes: AtomicU64,
    entries: AtomicU64,
    read: AtomicU64,
    is_over: AtomicBool,
}

impl Gauge {
    /// `bytes` and `entries` is what may be unpacked.
    pub(crate) fn new(bytes: u64, entries: u64) -> Self {
        Self {
            bytes: bytes.into(),
            entries: entries.into(),
            read: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Counts unpacked bytes; false where these are too many.
    pub(crate) fn take_bytes(&self, n: u64) -> bool {
        take(&self.bytes, n)
    }

    /// Counts an entry; false where it is one too many.
    pub(crate) fn take_entry(&self) -> bool {
        take(&self.entries, 1)
    }

    /// Counts bytes of the archive.
    pub(crate) fn add_read(&self, n: u64) {
        self.read.fetch_add(n, Ordering::Relaxed);
    }

    /// Bytes of the archive that were read.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Somebody failed: nobody needs to go on.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether it was stopped.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

fn take(from: &AtomicU64, n: u64) -> bool {
    let less = |left: u64| left.checked_sub(n);
    from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
}
