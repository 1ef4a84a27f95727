//! A layer's bytes on their way: one thread reads and decompresses them, the caller's
//! writes files, and the one with less to do hashes. Chunks are used again.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Builder;

use common::{Context, Fail};
use nix::errno::Errno;
use sha2::Digest as _;

use crate::digest::Digest;
use crate::gauge::Gauge;
use crate::tar::{Input, bad};

const CHUNK: usize = 256 * 1024;
/// The first ones are smaller: many layers are.
const FIRST: usize = 32 * 1024;
/// On their way at a time: 4 MiB.
const QUEUE: usize = 16;

type Message = io::Result<Vec<u8>>;

/// Where a stream is hashed: with the half of the work that is the lighter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hashing {
    /// Where it is read, of what is only read.
    Source,
    /// Where it is used, of what is decompressed first.
    Sink,
}

/// Lets `work` read a stream to where it wants, reads on to its end, and hashes it all.
pub(crate) fn hashed<T>(
    source: Box<dyn Read + Send + '_>,
    (gauge, hashing): (&Gauge, Hashing),
    work: impl FnOnce(&mut Chunks<'_>) -> Result<T, Fail>,
) -> Result<(T, Digest, u64), Fail> {
    let (give_back, used) = channel();
    let (to, from) = sync_channel(QUEUE);
    let at_sink = (hashing == Hashing::Sink).then(Hash::default);
    let at_source = (hashing == Hashing::Source).then(Hash::default);
    let (now, hash) = (Vec::new(), at_sink);
    let mut chunks = Chunks { from, give_back, gauge, now, at: 0, hash };
    std::thread::scope(|scope| {
        let feeder = Feeder { to, used, gauge, hash: at_source };
        let feeder = Builder::new()
            .spawn_scoped(scope, move || feeder.all(source))
            .failed_to("start a thread")?;
        let done = work(&mut chunks);
        // Dropped on failure, which ends the thread; read to the end otherwise: what
        // follows the end of an archive is part of its digest.
        let done = done.and_then(|done| chunks.drain().map(|()| done));
        let at_sink = chunks.hash.take();
        drop(chunks);
        let at_source =
            feeder.join().map_err(|_| Fail::new("cannot read: a thread died"))?;
        let hash = at_source.or(at_sink).unwrap_or_default();
        Ok((done?, Digest::finish(hash.hasher), hash.size))
    })
}

/// A digest on its way.
#[derive(Default)]
struct Hash {
    hasher: sha2::Sha256,
    size: u64,
}

impl Hash {
    fn update(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
        let size = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.size = self.size.saturating_add(size);
    }
}

/// The sending side.
struct Feeder<'a> {
    to: SyncSender<Message>,
    used: Receiver<Vec<u8>>,
    gauge: &'a Gauge,
    hash: Option<Hash>,
}

impl Feeder<'_> {
    /// Sends all there is; stops where nobody listens any more.
    fn all(mut self, mut source: Box<dyn Read + Send + '_>) -> Option<Hash> {
        let mut most = FIRST;
        loop {
            let mut chunk = self.used.try_recv().unwrap_or_default();
            chunk.resize(most, 0);
            most = most.saturating_mul(2).min(CHUNK);
            if let Err(error) = fill(source.as_mut(), &mut chunk) {
                let _ = self.to.send(Err(error));
                return self.hash;
            }
            if chunk.is_empty() {
                return self.hash;
            }
            let size = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if !self.gauge.take_bytes(size) {
                let _ = self.to.send(Err(bad("it unpacks to more than --max-size")));
                return self.hash;
            }
            if let Some(hash) = &mut self.hash {
                hash.update(&chunk);
            }
            if self.to.send(Ok(chunk)).is_err() {
                return self.hash;
            }
        }
    }
}

/// Reads until a chunk is full, or shorter where the source is at its end.
fn fill(source: &mut dyn Read, chunk: &mut Vec<u8>) -> io::Result<()> {
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
pub(crate) struct Chunks<'a> {
    from: Receiver<Message>,
    give_back: Sender<Vec<u8>>,
    gauge: &'a Gauge,
    now: Vec<u8>,
    at: usize,
    hash: Option<Hash>,
}

impl Chunks<'_> {
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

impl BufRead for Chunks<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.now.len() {
            // The reader may have come to its end.
            let _ = self.give_back.send(std::mem::take(&mut self.now));
            self.at = 0;
            if self.gauge.is_over() {
                return Err(Errno::ECANCELED.into());
            }
            // No sender, no more: the end.
            self.now = self.from.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            if let Some(hash) = &mut self.hash {
                hash.update(&self.now);
            }
        }
        Ok(self.now.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        self.at = self.at.saturating_add(n);
    }
}

impl Read for Chunks<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl Input for Chunks<'_> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_hashed_whatever_is_read_of_it() {
        let data = vec![7; 3 * CHUNK + 5];
        let source = Box::new(&data[..]);

        let (byte, digest, size) =
            hashed(source, (&Gauge::new(u64::MAX, 0), Hashing::Sink), |chunks| {
                Ok(chunks.fill_buf().unwrap().first().copied())
            })
            .unwrap();

        assert_eq!((byte, size), (Some(7), u64::try_from(data.len()).unwrap()));
        assert_eq!(digest, Digest::of(&data));
    }

    #[test]
    fn a_stream_above_the_limit_is_an_error_and_ends() {
        let endless = Box::new(io::repeat(0));

        let fail =
            hashed(endless, (&Gauge::new(1 << 20, 0), Hashing::Source), |_| Ok(()))
                .unwrap_err();

        assert_eq!(
            fail.text,
            "cannot read to the end: it unpacks to more than --max-size"
        );
    }

    #[test]
    fn work_that_fails_ends_the_stream() {
        let endless = Box::new(io::repeat(0));

        let fail =
            hashed::<()>(endless, (&Gauge::new(u64::MAX, 0), Hashing::Sink), |_| {
                Err(Fail::new("no"))
            })
            .unwrap_err();

        assert_eq!(fail.text, "no");
    }
}
