//! One layer, from its bytes in the archive to a directory that is complete and verified.

use std::io::{BufReader, Cursor, Read};
use std::os::fd::AsFd;

use common::fail::Hint;
use common::{Context, Fail};
use nix::errno::Errno;
use serde_json::{Value, json};

use crate::apply::Work;
use crate::decode::{self, Coding};
use crate::digest::Digest;
use crate::files::{Attributes, Skipped};
use crate::gauge::Gauge;
use crate::lower::Lowers;
use crate::policy::{Devices, Policy};
use crate::rootfs;
use crate::source::Source;
use crate::stack::Stack;
use crate::store::{Found, Store, names};
use crate::stream::{self, Hashing};
use crate::tree::Tree;

/// What all layers of a run have in common.
pub(crate) struct Site<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) store: &'a Store,
    pub(crate) stack: Stack,
    pub(crate) gauge: Gauge,
}

/// What is known of a layer before it is unpacked.
pub(crate) enum Wanted {
    /// The digest that it must have.
    Layer(Digest),
    /// Only that it is a root file system; the archive's name.
    Rootfs(String),
}

/// A layer that is to be unpacked.
pub(crate) struct Job {
    /// How many are below.
    pub(crate) index: usize,
    pub(crate) wanted: Wanted,
    /// The digest of the layers below, as chain_id has it.
    pub(crate) below: Option<Digest>,
    pub(crate) source: Source,
}

/// A layer that was unpacked and has not got its name.
pub(crate) struct Made {
    pub(crate) temporary: String,
    pub(crate) diff_id: Digest,
    pub(crate) record: Value,
    /// Directories that hide what is below.
    pub(crate) opaques: Vec<Vec<u8>>,
}

impl Site<'_> {
    /// Unpacks a layer; what is there of one that fails is taken away.
    pub(crate) fn run(&self, job: &Job) -> Result<Made, Fail> {
        let (temporary, root) = self.store.begin(self.policy)?;
        let lowers = Lowers::new(&self.stack, job.index);
        let tree = Tree::new(root, self.store.as_fd(), &lowers);
        let attributes = Attributes { policy: self.policy, skipped: Skipped::default() };
        let mut work = Work::new(tree, attributes);
        match self.fill(job, &mut work) {
            Ok((diff_id, size)) => {
                let record = record(job, &work, diff_id, size);
                let opaques = std::mem::take(&mut work.opaque);
                Ok(Made { temporary, diff_id, record, opaques })
            }
            Err(fail) => {
                drop(work);
                self.store.drop(&temporary);
                Err(fail)
            }
        }
    }

    fn fill(&self, job: &Job, work: &mut Work<'_>) -> Result<(Digest, u64), Fail> {
        let id = job.shown();
        let (source, told) = job.source.reader(&self.gauge);
        let mut source = BufReader::with_capacity(1 << 17, source);
        let mut first = Vec::new();
        (&mut source).take(8).read_to_end(&mut first).cannot("read layer", &id)?;
        let coding = decode::sniff(&first).map_err(|unread| {
            Fail::cannot("read layer", &id, format!("compressed with {}", unread.name))
                .hint("gzip, zstd, bzip2 and xz are read")
        })?;
        let source = Cursor::new(first).chain(source);
        let decoded = decode::decoder(coding, source, self.policy.max_ratio);
        let hashing =
            if coding == Coding::Plain { Hashing::Source } else { Hashing::Sink };
        let ((), digest, size) =
            stream::hashed(decoded, (&self.gauge, hashing), |chunks| {
                work.all(&id, chunks, &self.gauge)?;
                if let Wanted::Rootfs(name) = &job.wanted {
                    rootfs::check(name, work.tree.root.as_fd())?;
                }
                let root = work.tree.root.try_clone().map_err(|_| Errno::EMFILE);
                self.stack.put(job.index, root.cannot("open layer", &id)?);
                Ok(())
            })?;
        let differs = |what| Err(Fail::cannot("unpack layer", &id, what));
        if told.is_some_and(|told| told.finish() != job.source.digest()) {
            return differs("the digest of its blob is another");
        }
        match &job.wanted {
            Wanted::Layer(id) if *id != digest => differs("its digest is another"),
            Wanted::Layer(_) | Wanted::Rootfs(_) => Ok((digest, size)),
        }
    }

    /// Looks for a layer that would come out the same again.
    pub(crate) fn find(
        &self,
        id: &Digest,
        below: Option<&Digest>,
    ) -> Result<Option<Found>, Fail> {
        for name in names(id, below) {
            if let Some(record) = self.store.record(&name)?
                && serves(self.policy, id, below, &record)?
            {
                return Ok(Some(Found { name, record }));
            }
        }
        Ok(None)
    }
}

impl Job {
    /// What it is called in messages.
    fn shown(&self) -> String {
        match &self.wanted {
            Wanted::Layer(id) => id.to_string(),
            Wanted::Rootfs(name) => name.clone(),
        }
    }
}

/// Whether a layer that is there is the one that would be made; one that was made upon
/// other layers, and depends on them, is not.
fn serves(
    policy: &Policy,
    id: &Digest,
    below: Option<&Digest>,
    record: &Value,
) -> Result<bool, Fail> {
    let id = id.to_string();
    let cannot = |reason: &str| {
        Err(Fail::cannot("use layer", &id, reason)).hint("unpack to another directory")
    };
    let get = |key: &str| record.get(key).and_then(Value::as_str);
    if get("diff-id") != Some(id.as_str()) {
        return cannot("it is there, but not from here");
    }
    if get("owners") != Some(policy.owners_record().as_str()) {
        return cannot("it was unpacked with other owners");
    }
    let skipped = record.get("skipped-devices").and_then(Value::as_u64).unwrap_or(0);
    if skipped > 0 && policy.devices != Devices::Skip {
        return cannot("it was unpacked without its devices");
    }
    Ok(get("chain-id-below").is_none_or(|made_upon| made_upon == shown(below)))
}

fn shown(below: Option<&Digest>) -> String {
    below.map_or_else(|| "none".to_owned(), Digest::to_string)
}

fn record(job: &Job, work: &Work<'_>, id: Digest, size: u64) -> Value {
    let skipped = work.attributes.skipped;
    json!({
        "format-version": 1,
        "diff-id": id.to_string(),
        "size": size,
        "entries": work.entries,
        "owners": work.attributes.policy.owners_record(),
        "skipped-devices": skipped.devices,
        "skipped-xattrs": skipped.xattrs,
        "chain-id-below": work.tree.looked_below.then(|| shown(job.below.as_ref())),
    })
}
