//! A layer's bytes on their way: one thread reads and inflates them, one hashes them,
//! and the caller's writes files. Chunks are shared, and used again.

use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use common::{Context, Fail};
use sha2::Digest as _;

use crate::archive::Blob;
use crate::digest::Digest;
use crate::tar::{Input, bad};

const CHUNK: usize = 256 * 1024;
/// On their way at a time: 4 MiB for each of the two readers.
const QUEUE: usize = 16;

type Chunk = Arc<Vec<u8>>;
type Message = io::Result<Chunk>;

/// Where used chunks go back to.
#[derive(Clone)]
struct Pool(Sender<Vec<u8>>);

impl Pool {
    /// The last one to give a chunk back is the one whose giving counts.
    fn give_back(&self, chunk: Chunk) {
        if let Some(chunk) = Arc::into_inner(chunk) {
            // The reader may have come to its end.
            let _ = self.0.send(chunk);
        }
    }
}

/// Lets `work` read a stream to where it wants, reads on to its end, and hashes it all.
pub(crate) fn hashed<T>(
    source: Box<dyn Read + Send + '_>,
    limit: u64,
    work: impl FnOnce(&mut Chunks) -> Result<T, Fail>,
) -> Result<(T, Digest, u64), Fail> {
    let (pool, used) = channel();
    let pool = Pool(pool);
    let (to_writer, chunks) = sync_channel(QUEUE);
    let (to_hasher, hashed) = sync_channel(QUEUE);
    let mut chunks = Chunks { from: chunks, pool: pool.clone(), now: None, at: 0 };
    std::thread::scope(|scope| {
        let feeder = Feeder { writer: to_writer, hasher: to_hasher, used, limit };
        start(scope, move || feeder.all(source))?;
        let hasher = start(scope, move || hash(&hashed, &pool))?;
        let done = work(&mut chunks);
        // Dropped on failure, which ends both threads; read to the end otherwise: what
        // follows the end of an archive is part of its digest.
        let done = done.and_then(|done| chunks.drain().map(|()| done));
        drop(chunks);
        let (digest, size) =
            hasher.join().map_err(|_| Fail::new("cannot hash: a thread died"))?;
        Ok((done?, digest, size))
    })
}

fn start<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    body: impl FnOnce() -> T + Send + 's,
) -> Result<ScopedJoinHandle<'s, T>, Fail> {
    Builder::new().spawn_scoped(scope, body).failed_to("start a thread")
}

fn hash(chunks: &Receiver<Chunk>, pool: &Pool) -> (Digest, u64) {
    let mut hasher = sha2::Sha256::new();
    let mut size = 0_u64;
    while let Ok(chunk) = chunks.recv() {
        hasher.update(chunk.as_slice());
        size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        pool.give_back(chunk);
    }
    (Digest::finish(hasher), size)
}

/// The sending side.
struct Feeder {
    writer: SyncSender<Message>,
    hasher: SyncSender<Chunk>,
    used: Receiver<Vec<u8>>,
    limit: u64,
}

impl Feeder {
    /// Sends all there is; stops where nobody listens any more.
    fn all(self, mut source: Box<dyn Read + Send + '_>) {
        let mut left = self.limit;
        loop {
            let mut chunk = self.used.try_recv().unwrap_or_default();
            if let Err(error) = fill(source.as_mut(), &mut chunk) {
                let _ = self.writer.send(Err(error));
                return;
            }
            if chunk.is_empty() {
                return;
            }
            let size = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            let Some(rest) = left.checked_sub(size) else {
                let _ = self.writer.send(Err(bad("it unpacks to more than --max-size")));
                return;
            };
            left = rest;
            let chunk = Arc::new(chunk);
            if self.hasher.send(Arc::clone(&chunk)).is_err()
                || self.writer.send(Ok(chunk)).is_err()
            {
                return;
            }
        }
    }
}

/// Reads until a chunk is full or the source is at its end.
fn fill(source: &mut dyn Read, chunk: &mut Vec<u8>) -> io::Result<()> {
    chunk.resize(CHUNK, 0);
    let mut at = 0_usize;
    while let Some(free) = chunk.get_mut(at..).filter(|free| !free.is_empty()) {
        match source.read(free) {
            Ok(0) => break,
            Ok(n) => at = at.saturating_add(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    chunk.truncate(at);
    Ok(())
}

/// The receiving side, read in place.
pub(crate) struct Chunks {
    from: Receiver<Message>,
    pool: Pool,
    now: Option<Chunk>,
    at: usize,
}

impl Chunks {
    fn drain(&mut self) -> Result<(), Fail> {
        loop {
            let rest = self.fill_buf().failed_to("read to the end")?.len();
            if rest == 0 {
                return Ok(());
            }
            self.consume(rest);
        }
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let is_used = |chunk: &Chunk| self.at >= chunk.len();
        if self.now.as_ref().is_none_or(is_used) {
            if let Some(chunk) = self.now.take() {
                self.pool.give_back(chunk);
            }
            self.at = 0;
            // The sender is gone: the end.
            self.now = self.from.recv().ok().transpose()?;
        }
        let rest = self.now.as_ref().and_then(|chunk| chunk.get(self.at..));
        Ok(rest.unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        self.at = self.at.saturating_add(n);
    }
}

impl Read for Chunks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl Input for Chunks {
    fn skip(&mut self, mut n: u64) -> io::Result<()> {
        while n > 0 {
            let have = self.fill_buf()?.len();
            if have == 0 {
                return Err(bad("it ends inside a file"));
            }
            let step = usize::try_from(n).unwrap_or(usize::MAX).min(have);
            self.consume(step);
            n = n.saturating_sub(u64::try_from(step).unwrap_or(n));
        }
        Ok(())
    }
}

/// A blob's bytes, and their digest once all were read, where it is wanted.
pub(crate) fn blob(of: &Blob, wanted: bool) -> (BlobReader, BlobDigest) {
    let (to, digest) = channel();
    let hasher = wanted.then(sha2::Sha256::new);
    let reader = BlobReader { blob: of.clone(), hasher, to };
    (reader, BlobDigest(digest))
}

/// Reads a part of a file.
pub(crate) struct BlobReader {
    blob: Blob,
    hasher: Option<sha2::Sha256>,
    to: Sender<Digest>,
}

/// What a [`BlobReader`] has read.
pub(crate) struct BlobDigest(Receiver<Digest>);

impl BlobDigest {
    /// None where not all was read.
    pub(crate) fn finish(self) -> Option<Digest> {
        self.0.recv().ok()
    }
}

impl Read for BlobReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.blob.size).unwrap_or(usize::MAX).min(buf.len());
        let part = buf.get_mut(..most).unwrap_or_default();
        let n = self.blob.file.read_at(part, self.blob.offset)?;
        let read = u64::try_from(n).unwrap_or(0);
        self.blob.offset = self.blob.offset.saturating_add(read);
        self.blob.size = self.blob.size.saturating_sub(read);
        if n == 0 && most > 0 {
            return Err(bad("the archive became shorter"));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(part.get(..n).unwrap_or_default());
        }
        if self.blob.size == 0
            && let Some(hasher) = self.hasher.take()
        {
            // Who asked may have failed meanwhile.
            let _ = self.to.send(Digest::finish(hasher));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_hashed_whatever_is_read_of_it() {
        let data = vec![7; 3 * CHUNK + 5];
        let source = Box::new(&data[..]);

        let (byte, digest, size) = hashed(source, u64::MAX, |chunks| {
            Ok(chunks.fill_buf().unwrap().first().copied())
        })
        .unwrap();

        assert_eq!((byte, size), (Some(7), u64::try_from(data.len()).unwrap()));
        assert_eq!(digest, Digest::of(&data));
    }

    #[test]
    fn a_stream_above_the_limit_is_an_error_and_ends() {
        let endless = Box::new(io::repeat(0));

        let fail = hashed(endless, 1 << 20, |_| Ok(())).unwrap_err();

        assert_eq!(
            fail.text,
            "cannot read to the end: it unpacks to more than --max-size"
        );
    }

    #[test]
    fn work_that_fails_ends_the_stream() {
        let endless = Box::new(io::repeat(0));

        let fail = hashed::<()>(endless, u64::MAX, |_| Err(Fail::new("no"))).unwrap_err();

        assert_eq!(fail.text, "no");
    }
}
