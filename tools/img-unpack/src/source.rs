//! Where a layer's bytes come from, hashed as they are where their digest is told.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, channel};

use sha2::Digest as _;

use crate::archive::Blob;
use crate::digest::Digest;
use crate::gauge::Gauge;
use crate::tar::bad;

/// The bytes of one layer.
pub(crate) enum Source {
    /// A part of a file, and its digest where the archive tells it.
    Blob(Blob, Option<Digest>),
    /// A file that is read to its end, once.
    Stream(File),
}

/// The digest of what a [`SourceReader`] has read.
pub(crate) struct Told(Receiver<Digest>);

impl Told {
    /// None where not all was read.
    pub(crate) fn finish(self) -> Option<Digest> {
        self.0.recv().ok()
    }
}

impl Source {
    /// What its digest must be.
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Blob(_, digest) => *digest,
            Self::Stream(_) => None,
        }
    }

    /// How many bytes it has, where that is known.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::Blob(blob, _) => Some(blob.size),
            Self::Stream(file) => {
                file.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len())
            }
        }
    }

    /// Reads it from its start; what comes beside is there when all was read.
    pub(crate) fn reader<'a>(
        &'a self,
        gauge: &'a Gauge,
    ) -> (SourceReader<'a>, Option<Told>) {
        let (to, told) = channel();
        let is_told = self.digest().is_some();
        let hasher = is_told.then(|| (sha2::Sha256::new(), to));
        let left = match self {
            Self::Blob(blob, _) => blob.size,
            Self::Stream(_) => u64::MAX,
        };
        let reader = SourceReader { source: self, gauge, left, hasher };
        (reader, is_told.then_some(Told(told)))
    }
}

/// Reads a [`Source`].
pub(crate) struct SourceReader<'a> {
    source: &'a Source,
    gauge: &'a Gauge,
    left: u64,
    hasher: Option<(sha2::Sha256, Sender<Digest>)>,
}

impl Read for SourceReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let part = buf.get_mut(..most).unwrap_or_default();
        let n = match self.source {
            Source::Blob(blob, _) => {
                let at = blob.offset.saturating_add(blob.size.saturating_sub(self.left));
                let n = blob.file.read_at(part, at)?;
                if n == 0 && most > 0 {
                    return Err(bad("the archive became shorter"));
                }
                n
            }
            Source::Stream(file) => {
                let mut file = file;
                file.read(part)?
            }
        };
        let read = u64::try_from(n).unwrap_or(0);
        self.gauge.add_read(read);
        self.left = self.left.saturating_sub(read);
        if let Some((hasher, _)) = &mut self.hasher {
            hasher.update(part.get(..n).unwrap_or_default());
        }
        if self.left == 0
            && let Some((hasher, to)) = self.hasher.take()
        {
            // Who asked may have failed meanwhile.
            let _ = to.send(Digest::finish(hasher));
        }
        Ok(n)
    }
}
