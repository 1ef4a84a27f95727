//! Carries a plan out.

use std::io::BufReader;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use common::fail::Hint;
use common::{Context, Fail};
use nix::sys::stat::{Mode, umask};
use serde_json::{Value, json};

use crate::apply::Work;
use crate::archive::{Archive, Blob};
use crate::decode;
use crate::digest::Digest;
use crate::files::{Attributes, Skipped};
use crate::lower::Lowers;
use crate::manifest::Layer;
use crate::plan::{Plan, Step};
use crate::policy::Policy;
use crate::store::Store;
use crate::stream::{self, Hashing};
use crate::summary::summary;
use crate::tree::Tree;

/// What may still be unpacked.
struct Budget {
    bytes: u64,
    entries: u64,
}

/// Unpacks; the layers' directories, bottom first, and image.json.
pub(crate) fn unpack(
    plan: &Plan,
    archive: &Archive,
) -> Result<(Vec<PathBuf>, Value), Fail> {
    // The image's modes are meant as they are; COMMAND gets the caller's umask back.
    let before = umask(Mode::empty());
    let result = steps(plan, archive);
    umask(before);
    result
}

fn steps(plan: &Plan, archive: &Archive) -> Result<(Vec<PathBuf>, Value), Fail> {
    let Some((Step::Open(dir), rest)) = plan.steps.split_first() else {
        return Err(Fail::new("cannot carry out a plan without a place"));
    };
    let store = Store::open(dir)?;
    let mut finished = Vec::new();
    match fill(plan, rest, archive, (&store, &mut finished)) {
        Ok(summary) => {
            let place = |layer: &Layer| dir.join("layers").join(layer.diff_id.hex());
            Ok((plan.image.layers.iter().map(place).collect(), summary))
        }
        Err(fail) => {
            store.abandon(&finished);
            Err(fail)
        }
    }
}

fn fill(
    plan: &Plan,
    steps: &[Step],
    archive: &Archive,
    (store, finished): (&Store<'_>, &mut Vec<Digest>),
) -> Result<Value, Fail> {
    let policy = &plan.policy;
    let mut budget = Budget { bytes: policy.max_size, entries: policy.max_files };
    let mut lowers = Lowers::default();
    let mut chain = None;
    let (mut records, mut told) = (Vec::new(), Value::Null);
    for step in steps {
        match step {
            Step::Open(dir) => {
                return Err(Fail::cannot("open twice", dir, "planned wrongly"));
            }
            Step::Layer { layer, .. } => {
                let record = if let Some(known) = store.record(&layer.diff_id)? {
                    reuse(policy, layer, chain, known)?
                } else {
                    let blob = archive.blob(&layer.member)?;
                    let below = (&lowers, chain);
                    let record = one(policy, store, below, (layer, &blob), &mut budget)?;
                    finished.push(layer.diff_id);
                    record
                };
                records.push(record);
                lowers.0.insert(0, store.layer(&layer.diff_id)?);
                chain = Some(chain_id(chain, layer.diff_id));
            }
            Step::Publish => {
                told = summary(&plan.image, &records);
                store.publish(&plan.image.config, &told)?;
            }
        }
    }
    Ok(told)
}

/// The digest of a stack of layers: image-spec, config.md, "Layer ChainID".
fn chain_id(below: Option<Digest>, layer: Digest) -> Digest {
    match below {
        Some(below) => Digest::of(format!("{below} {layer}").as_bytes()),
        None => layer,
    }
}

/// A layer that is there serves if it would come out the same again.
fn reuse(
    policy: &Policy,
    layer: &Layer,
    chain: Option<Digest>,
    record: Value,
) -> Result<Value, Fail> {
    let id = layer.diff_id.to_string();
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
    if skipped > 0 && policy.devices != crate::policy::Devices::Skip {
        return cannot("it was unpacked without its devices");
    }
    match get("chain-id-below") {
        Some(below) if Some(below) != chain.map(|c| c.to_string()).as_deref() => {
            cannot("it was unpacked upon other layers, and depends on them")
        }
        Some(_) | None => Ok(record),
    }
}

/// Unpacks a layer under a temporary name; the right one comes when all is verified.
fn one(
    policy: &Policy,
    store: &Store<'_>,
    (lowers, chain): (&Lowers, Option<Digest>),
    (layer, blob): (&Layer, &Blob),
    budget: &mut Budget,
) -> Result<Value, Fail> {
    let id = layer.diff_id.to_string();
    let (name, root) = store.begin(policy)?;
    let tree = Tree::new(root, std::os::fd::AsFd::as_fd(&store.layers), lowers);
    let attributes = Attributes { policy, skipped: Skipped::default() };
    let mut work = Work::new(tree, attributes);
    let mut head = [0; 8];
    let n = blob.file.read_at(&mut head, blob.offset).cannot("read layer", &id)?;
    let n = n.min(usize::try_from(blob.size).unwrap_or(8));
    let coding = decode::sniff(head.get(..n).unwrap_or_default()).map_err(|unread| {
        Fail::cannot("read layer", &id, format!("compressed with {}", unread.name))
            .hint("gzip, zstd, bzip2 and xz are read")
    })?;
    let (source, blob_digest) = stream::blob(blob, layer.blob.is_some());
    let source = BufReader::with_capacity(1 << 17, source);
    let decoded = decode::decoder(coding, source, policy.max_ratio);
    let hashing =
        if coding == decode::Coding::Plain { Hashing::Source } else { Hashing::Sink };
    let ((), digest, size) =
        stream::hashed(decoded, (budget.bytes, hashing), |chunks| {
            work.all(&id, chunks, budget.entries)
        })?;
    if let Some((wanted, _)) = layer.blob
        && blob_digest.finish() != Some(wanted)
    {
        return Err(Fail::cannot(
            "unpack layer",
            &id,
            "the digest of its blob is another",
        ));
    }
    if digest != layer.diff_id {
        return Err(Fail::cannot("unpack layer", &id, "its digest is another"));
    }
    budget.bytes = budget.bytes.saturating_sub(size);
    budget.entries = budget.entries.saturating_sub(work.entries);
    let record = record(layer, &work, size, chain);
    drop(work);
    store.finish(&name, &layer.diff_id, &record)?;
    Ok(record)
}

fn record(layer: &Layer, work: &Work<'_>, size: u64, chain: Option<Digest>) -> Value {
    let below = chain.map_or_else(|| "none".to_owned(), |c| c.to_string());
    let skipped = work.attributes.skipped;
    json!({
        "format-version": 1,
        "diff-id": layer.diff_id.to_string(),
        "size": size,
        "entries": work.entries,
        "owners": work.attributes.policy.owners_record(),
        "skipped-devices": skipped.devices,
        "skipped-xattrs": skipped.xattrs,
        "chain-id-below": work.tree.looked_below.then_some(below),
    })
}
