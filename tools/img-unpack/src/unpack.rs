//! Carries a plan out: layers are unpacked side by side and get their names in order.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use common::{Context, Fail};
use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use serde_json::Value;

use crate::archive::Archive;
use crate::digest::Digest;
use crate::gauge::Gauge;
use crate::held::{Held, Lock};
use crate::images;
use crate::job::{Job, Made, Site, Wanted};
use crate::lower::look;
use crate::manifest::{Image, Layer};
use crate::merge::Merge;
use crate::plan::{Output, Plan};
use crate::report::Report;
use crate::source::Source;
use crate::stack::Stack;
use crate::store::{LAYERS, Store, names};
use crate::summary::{Placed, summary};
use crate::workers;

/// What a root file system is called in DIR.
const ROOTFS: &str = "rootfs";

/// What was unpacked.
pub(crate) struct Unpacked {
    /// The image; of a root file system, the one it became.
    pub(crate) image: Image,
    /// The directories to be mounted, bottom first.
    pub(crate) directories: Vec<PathBuf>,
    /// image.json.
    pub(crate) summary: Value,
}

/// Where the layers are read from.
pub(crate) enum Input<'a> {
    /// An image that was found in an archive.
    Image(&'a Archive),
    /// A root file system: a tar that is the one layer.
    Rootfs(File, &'a Path),
}

/// Unpacks.
pub(crate) fn unpack(
    plan: &Plan,
    input: Input<'_>,
    report: &Report,
) -> Result<Unpacked, Fail> {
    // The image's modes are meant as they are; COMMAND gets the caller's umask back.
    let before = umask(Mode::empty());
    let result = in_place(plan, input, report);
    umask(before);
    result
}

fn in_place(plan: &Plan, input: Input<'_>, report: &Report) -> Result<Unpacked, Fail> {
    let held = Held::open(&plan.dir, Lock::Alone)?;
    let done = held.sweep(held.as_fd()).and_then(|()| open_store(plan, &held)).and_then(
        |store| {
            let mut finished = Vec::new();
            let place = (&held, &store, &mut finished);
            let done = fill(plan, input, report, place);
            if done.is_err() {
                store.abandon(&held, &finished);
            }
            done
        },
    );
    if done.is_err() {
        held.abandon();
    }
    done
}

fn open_store(plan: &Plan, held: &Held) -> Result<Store, Fail> {
    match &plan.output {
        Output::Layers => Store::own(held),
        Output::Shared(path) => Store::shared(path),
        Output::Flat => {
            let at = plan.dir.join(ROOTFS);
            let there = look(held.as_fd(), ROOTFS.as_bytes()).cannot("look at", &at)?;
            match there {
                None => Store::unnamed(held),
                Some(_) => Err(Fail::cannot("unpack to", at, Errno::EEXIST.desc())
                    .hint("remove it, or name another directory")),
            }
        }
    }
}

fn fill(
    plan: &Plan,
    input: Input<'_>,
    report: &Report,
    (held, store, finished): (&Held, &Store, &mut Vec<String>),
) -> Result<Unpacked, Fail> {
    let policy = &plan.policy;
    let gauge = Gauge::new(policy.max_size, policy.max_files);
    let site = Site { policy, store, stack: Stack::default(), gauge };
    let (mut placed, jobs) = survey(plan, &site, input)?;
    let mut parts = Vec::new();
    report.start(&jobs, placed.len());
    workers::all(&site, &jobs, report, |job, made| {
        let layer = if plan.output == Output::Flat {
            let layer = Placed::unnamed(&made);
            parts.push(made);
            layer
        } else {
            let layer = name(&site, job, made)?;
            finished.extend(layer.name.clone().filter(|_| layer.is_new));
            layer
        };
        report.layer(job.index, &layer)?;
        if let Some(place) = placed.get_mut(job.index) {
            *place = Some(layer);
        }
        Ok(())
    })?;
    let placed: Vec<Placed> = placed.into_iter().flatten().collect();
    if plan.output == Output::Flat {
        merge(plan, &site, parts)?;
    }
    let ids: Vec<Digest> = placed.iter().map(|layer| layer.diff_id).collect();
    let image = plan.image_of(&ids);
    let summary = publish(plan, (held, store), &image, &placed)?;
    report.end(&image, &plan.dir)?;
    let layers = store.path().join(LAYERS);
    let directories = match plan.output {
        Output::Flat => vec![plan.dir.join(ROOTFS)],
        Output::Layers | Output::Shared(_) => {
            placed.iter().flat_map(|p| &p.name).map(|name| layers.join(name)).collect()
        }
    };
    Ok(Unpacked { image, directories, summary })
}

/// What is there already, and what is to be done.
fn survey(
    plan: &Plan,
    site: &Site<'_>,
    input: Input<'_>,
) -> Result<(Vec<Option<Placed>>, Vec<Job>), Fail> {
    let archive = match input {
        Input::Image(archive) => archive,
        Input::Rootfs(file, image) => {
            let name = image.display().to_string();
            let (wanted, source) = (Wanted::Rootfs(name), Source::Stream(file));
            let job = Job { index: 0, wanted, below: None, source };
            return Ok((vec![None], vec![job]));
        }
    };
    let layers = plan.image.iter().flat_map(|image| &image.layers);
    let mut chain = None;
    let mut wanted = Vec::new();
    for layer in layers {
        wanted.push((layer, chain));
        chain = Some(chain_id(chain, layer.diff_id));
    }
    if plan.output == Output::Flat {
        let jobs = wanted.iter().enumerate();
        let jobs = jobs.map(|(i, (layer, below))| job(archive, i, layer, *below));
        return Ok((
            wanted.iter().map(|_| None).collect(),
            jobs.collect::<Result<_, _>>()?,
        ));
    }
    let find = |(layer, below): &(&Layer, Option<Digest>)| {
        site.find(&layer.diff_id, below.as_ref())
    };
    let mut missing = Vec::new();
    for one in &wanted {
        if find(one)?.is_none() {
            missing.push(one.0.diff_id);
        }
    }
    // Who was waited for may have made them.
    site.store.lock(&missing)?;
    let (mut placed, mut jobs) = (Vec::new(), Vec::new());
    for (i, one) in wanted.iter().enumerate() {
        let found = find(one)?;
        match &found {
            Some(found) => site.stack.put(i, site.store.layer(&found.name)?),
            None => jobs.push(job(archive, i, one.0, one.1)?),
        }
        placed.push(found.map(|found| Placed::found(one.0.diff_id, found)));
    }
    Ok((placed, jobs))
}

fn job(
    archive: &Archive,
    index: usize,
    layer: &Layer,
    below: Option<Digest>,
) -> Result<Job, Fail> {
    let digest = layer.blob.map(|(digest, _)| digest);
    let source = Source::Blob(archive.blob(&layer.member)?, digest);
    Ok(Job { index, wanted: Wanted::Layer(layer.diff_id), below, source })
}

/// The digest of a stack of layers: image-spec, config.md, "Layer ChainID".
fn chain_id(below: Option<Digest>, layer: Digest) -> Digest {
    match below {
        Some(below) => Digest::of(format!("{below} {layer}").as_bytes()),
        None => layer,
    }
}

/// Gives a layer that is verified, as all below it are, its name.
fn name(site: &Site<'_>, job: &Job, made: Made) -> Result<Placed, Fail> {
    let Made { temporary, diff_id, record, .. } = made;
    let below = job.below.as_ref();
    // Of a root file system it is known only now.
    if matches!(job.wanted, Wanted::Rootfs(_))
        && let Some(found) = site.find(&diff_id, below)?
    {
        site.store.drop(&temporary);
        return Ok(Placed::found(diff_id, found));
    }
    if site.policy.sync {
        site.store.sync()?;
    }
    let name = site.store.finish(&temporary, &names(&diff_id, below), &record)?;
    Ok(Placed { diff_id, name: Some(name), record, is_new: true })
}

/// `--flat`: one root of all layers.
fn merge(plan: &Plan, site: &Site<'_>, parts: Vec<Made>) -> Result<(), Fail> {
    let (store, policy) = (site.store, &plan.policy);
    let mut parts = parts.into_iter();
    let (bottom, root) = match parts.next() {
        Some(part) => {
            let root = store.layer(&part.temporary)?;
            (part.temporary, root)
        }
        None => store.begin(policy)?,
    };
    let merge = Merge { store: store.as_fd(), policy, root };
    for part in parts {
        merge.layer(&part.temporary, &store.layer(&part.temporary)?, &part.opaques)?;
    }
    if policy.sync {
        store.sync()?;
    }
    merge.finish(&bottom, ROOTFS)
}

/// Writes config.json and image.json.
fn publish(
    plan: &Plan,
    (held, store): (&Held, &Store),
    image: &Image,
    placed: &[Placed],
) -> Result<Value, Fail> {
    let place = match store.held() {
        None => None,
        Some(shared) => Some(images::register(shared, held)?),
    };
    let is_flat = plan.output == Output::Flat;
    let summary = summary(image, placed, place.as_deref(), is_flat.then_some(ROOTFS));
    let text = format!("{summary:#}\n");
    held.replace([("config.json", &image.config), ("image.json", text.as_bytes())])?;
    if plan.policy.sync {
        store.sync()?;
        held.sync()?;
    }
    Ok(summary)
}
