//! image.json: what was unpacked, for other tools and for scripts.

use std::path::Path;

use serde_json::{Value, json};

use crate::digest::Digest;
use crate::job::Made;
use crate::manifest::Image;
use crate::store::{Found, LAYERS};

/// A layer that is where it belongs.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) diff_id: Digest,
    /// What its directory is called; none where it became a part of one root.
    pub(crate) name: Option<String>,
    /// What was noted when it was unpacked.
    pub(crate) record: Value,
    /// This run made it.
    pub(crate) is_new: bool,
}

impl Placed {
    /// One that was there.
    pub(crate) fn found(diff_id: Digest, found: Found) -> Self {
        let Found { name, record } = found;
        Self { diff_id, name: Some(name), record, is_new: false }
    }

    /// One that becomes a part of the root.
    pub(crate) fn unnamed(made: &Made) -> Self {
        let (diff_id, record) = (made.diff_id, made.record.clone());
        Self { diff_id, name: None, record, is_new: true }
    }
}

/// `store` is where a shared store is, `rootfs` what a flat root is called.
pub(crate) fn summary(
    image: &Image,
    layers: &[Placed],
    store: Option<&Path>,
    rootfs: Option<&str>,
) -> Value {
    let directory = |name: &String| {
        let inside = Path::new(LAYERS).join(name);
        store.map_or(inside.clone(), |store| store.join(inside)).display().to_string()
    };
    let layers = layers.iter().map(|layer| {
        json!({
            "diff-id": layer.diff_id.to_string(),
            "directory": layer.name.as_ref().map(directory),
            "size": layer.record.get("size"),
            "entries": layer.record.get("entries"),
            "skipped-devices": layer.record.get("skipped-devices"),
            "skipped-xattrs": layer.record.get("skipped-xattrs"),
        })
    });
    let mut summary = json!({
        "format-version": 1,
        "config-digest": image.config_digest.to_string(),
        "names": image.names,
        "platform": image.platform.to_string(),
        "layers": layers.collect::<Vec<_>>(),
        "config": image.process.json(),
    });
    if let (Some(rootfs), Some(object)) = (rootfs, summary.as_object_mut()) {
        object.insert("rootfs".into(), rootfs.into());
    }
    summary
}
