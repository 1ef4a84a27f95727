//! Which image of an archive is meant, and what it is made of: OCI layouts.

use std::ops::Range;

use common::Fail;
use common::fail::quote;

use crate::config::Config;
use crate::descriptor::{CONFIGS, Descriptor, INDEXES, LAYERS, MANIFESTS};
use crate::digest::Digest;
use crate::json::{self, Document};
use crate::manifest::{Choice, Image, Layer, check_platform, only, pair, read_config};
use crate::members::{Members, Name};

/// Indexes in indexes: docker and buildx write two levels.
const MAX_DEPTH: u32 = 8;
const MAX_MANIFESTS: usize = 4096;

/// Whether the index lists nothing: docker 25 wrote some so, beside a manifest.json.
pub(crate) fn is_empty(members: &dyn Members) -> Result<bool, Fail> {
    let index = json::read(members, &Name::from("index.json"))?;
    Ok(index.object()?.list("manifests")?.is_empty())
}

/// What the manifests of a layout are found by.
pub(crate) enum Top {
    /// index.json.
    Index,
    /// skopeo's `dir:`, where manifest.json is a manifest or an index.
    Manifest(Document),
}

/// All manifests of a layout.
fn manifests(members: &dyn Members, top: &Top) -> Result<Vec<Descriptor>, Fail> {
    let mut found = Found::default();
    if let Top::Manifest(document) = top {
        let top = Descriptor::top(document)?;
        if top.is(&INDEXES) {
            found.collect(members, document, None, 0)?;
        } else {
            found.all.push(top);
        }
        return Ok(found.all);
    }
    let index = json::read(members, &Name::from("index.json"))?;
    let object = index.object()?;
    if object.get("layers")?.is_some() || object.get("config")?.is_some() {
        return Err(index.fail("it is both a manifest and an index"));
    }
    found.collect(members, &index, None, 0)?;
    Ok(found.all)
}

/// Finds the image in a layout.
pub(crate) fn find(
    members: &dyn Members,
    top: &Top,
    choice: &Choice,
) -> Result<Image, Fail> {
    let all = manifests(members, top)?;
    let mut chosen: Vec<&Descriptor> = all.iter().collect();
    if let Some(wanted) = &choice.wanted {
        let is = |d: &&Descriptor| {
            wanted.place() == Some(d.place)
                || d.names.iter().any(|n| wanted.is(n))
                || wanted.text == d.digest.to_string()
        };
        chosen.retain(is);
    }
    if choice.strict || chosen.len() > 1 {
        // What does not say what it is for may be for anything.
        let rank = |d: &Descriptor| match &d.platform {
            Some(platform) => choice.platform.rank(platform),
            None => Some(0),
        };
        let best = chosen.iter().filter_map(|d| rank(d)).min();
        chosen.retain(|d| best.is_some() && rank(d) == best);
    }
    let mut seen = Vec::new();
    chosen.retain(|d| {
        let is_new = !seen.contains(&d.digest);
        seen.push(d.digest);
        is_new
    });
    let chosen = chosen.into_iter().map(|d| (d, shown(d))).collect();
    let descriptor = only(members, chosen, all.iter().map(shown), choice)?;
    let mut image = read(members, descriptor)?;
    let is_told = descriptor.platform.is_some();
    if !is_told {
        check_platform(members, &image.platform, choice)?;
    }
    image.names = names(&all, descriptor);
    Ok(image)
}

/// All images of a layout; what is something else, a signature or a chart, is left out.
pub(crate) fn all(members: &dyn Members, top: &Top) -> Result<Vec<(usize, Image)>, Fail> {
    let all = manifests(members, top)?;
    let mut images = Vec::new();
    let mut seen = Vec::new();
    for descriptor in &all {
        if seen.contains(&descriptor.digest) || !is_image(members, descriptor)? {
            continue;
        }
        seen.push(descriptor.digest);
        let mut image = read(members, descriptor)?;
        image.names = names(&all, descriptor);
        images.push((descriptor.place, image));
    }
    Ok(images)
}

/// The same image may have several names.
fn names(all: &[Descriptor], of: &Descriptor) -> Vec<String> {
    let mut names = Vec::new();
    let same = all.iter().filter(|d| d.digest == of.digest);
    for name in same.flat_map(|d| &d.names) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn is_image(members: &dyn Members, descriptor: &Descriptor) -> Result<bool, Fail> {
    if !descriptor.media_type.is_empty() && !descriptor.is(&MANIFESTS) {
        return Ok(false);
    }
    let manifest = descriptor.document(members)?;
    let config = manifest.object()?.object("config")?;
    Ok(config.is_some_and(|config| {
        let media_type = config.string("mediaType").ok().flatten().unwrap_or_default();
        CONFIGS.contains(&media_type)
    }))
}

fn shown(of: &Descriptor) -> String {
    let name = of.names.first().map_or_else(|| quote(of.digest.to_string()), quote);
    match &of.platform {
        Some(platform) => {
            format!("{name} ({})", quote(platform.to_string()).replace('\'', ""))
        }
        None => name,
    }
}

/// The manifests of a layout so far.
#[derive(Default)]
struct Found {
    all: Vec<Descriptor>,
    /// Indexes that were read, and which of the manifests are below each.
    indexes: Vec<(Digest, Range<usize>)>,
}

impl Found {
    /// Adds all manifests below an index, with names and place of the entry above them.
    fn collect(
        &mut self,
        members: &dyn Members,
        index: &Document,
        above: Option<&Descriptor>,
        depth: u32,
    ) -> Result<(), Fail> {
        if depth > MAX_DEPTH {
            return Err(index.fail("more than 8 indexes in each other"));
        }
        let entries = index.object()?.objects("manifests")?;
        for (object, place) in entries.into_iter().zip(0..) {
            let mut descriptor = Descriptor::read(&object)?;
            // Docker leaves out what it has not got, of an image for many platforms.
            let is_missing =
                above.is_some() && members.size(&descriptor.member()).is_none();
            if descriptor.is_attestation || is_missing {
                continue;
            }
            descriptor.place = place;
            descriptor.inherit(above);
            if descriptor.is(&INDEXES) {
                self.below(members, &descriptor, depth)?;
            } else {
                self.all.push(descriptor);
            }
            if self.all.len() > MAX_MANIFESTS {
                return Err(index.fail("it has more than 4096 manifests"));
            }
        }
        Ok(())
    }

    /// An index is read once: eight in each other that list the next one a thousand times
    /// would never come to an end.
    fn below(
        &mut self,
        members: &dyn Members,
        index: &Descriptor,
        depth: u32,
    ) -> Result<(), Fail> {
        let known = self.indexes.iter().find(|(digest, _)| *digest == index.digest);
        if let Some((_, range)) = known {
            let mut again = self.all.get(range.clone()).unwrap_or_default().to_vec();
            for descriptor in &mut again {
                descriptor.inherit(Some(index));
            }
            self.all.extend(again);
            return Ok(());
        }
        let document = index.document(members)?;
        let start = self.all.len();
        self.collect(members, &document, Some(index), depth.saturating_add(1))?;
        self.indexes.push((index.digest, start..self.all.len()));
        Ok(())
    }
}

/// Reads manifest and config of the one that was chosen.
fn read(members: &dyn Members, descriptor: &Descriptor) -> Result<Image, Fail> {
    if !descriptor.media_type.is_empty() && !descriptor.is(&MANIFESTS) {
        let reason = format!("{} is no image", quote(&descriptor.media_type));
        return Err(Fail::cannot("read", descriptor.member().shown(), reason));
    }
    let manifest = descriptor.document(members)?;
    let object = manifest.object()?;
    let config = object.object("config")?.ok_or_else(|| object.wrong("config"))?;
    let config = Descriptor::read(&config)?;
    if !config.is(&CONFIGS) {
        let reason = format!("{} is no image's config", quote(&config.media_type));
        return Err(manifest.fail(reason));
    }
    let blobs = object.objects("layers")?;
    let blobs = blobs.iter().map(Descriptor::read).collect::<Result<Vec<_>, _>>()?;
    let config_digest = config.digest;
    let config = config.document(members)?;
    let (platform, diff_ids) = read_config(&config)?;
    let process = Config::read(&config)?;
    let layers = pair(&config, &diff_ids, blobs)?;
    let layers = layers
        .into_iter()
        .map(|(diff_id, blob)| layer(members, diff_id, &blob))
        .collect::<Result<_, _>>()?;
    let names = descriptor.names.clone();
    Ok(Image { names, platform, config: config.bytes, config_digest, process, layers })
}

fn layer(
    members: &dyn Members,
    diff_id: Digest,
    blob: &Descriptor,
) -> Result<Layer, Fail> {
    let member = blob.member();
    let cannot = |reason: String| Fail::cannot("read layer", member.shown(), reason);
    let media_type = &blob.media_type;
    if media_type.ends_with("+encrypted") {
        return Err(cannot("it is encrypted".to_owned()));
    }
    let base = ["+gzip", "+zstd", ".gzip", ".zstd"]
        .iter()
        .find_map(|end| media_type.strip_suffix(end))
        .unwrap_or(media_type);
    if !LAYERS.contains(&base) {
        return Err(cannot(format!("{} is no layer", quote(media_type))));
    }
    match members.size(&member) {
        Some(size) if size == blob.size => {}
        Some(_) => {
            let reason = "its size is another than the descriptor says";
            return Err(cannot(reason.to_owned()));
        }
        None => {
            let foreign = base.contains("foreign") || base.contains("nondistributable");
            let fail = cannot("it is not in the archive".to_owned());
            // An address in an image is the attacker's: CVE-2020-15157.
            let hint = "it may not be distributed, and is never fetched";
            return Err(if foreign { fail.hint(hint) } else { fail });
        }
    }
    Ok(Layer { diff_id, member, blob: Some((blob.digest, blob.size)) })
}
