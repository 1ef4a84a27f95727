//! image.json: what was unpacked, for other tools and for scripts.

use serde_json::{Value, json};

use crate::manifest::Image;

/// `records` are those of the layers, in their order.
pub(crate) fn summary(image: &Image, records: &[Value]) -> Value {
    let layers = image.layers.iter().zip(records).map(|(layer, record)| {
        json!({
            "diff-id": layer.diff_id.to_string(),
            "directory": format!("layers/{}", layer.diff_id.hex()),
            "size": record.get("size"),
            "entries": record.get("entries"),
            "skipped-devices": record.get("skipped-devices"),
            "skipped-xattrs": record.get("skipped-xattrs"),
        })
    });
    json!({
        "format-version": 1,
        "config-digest": image.config_digest.to_string(),
        "names": image.names,
        "platform": image.platform.to_string(),
        "layers": layers.collect::<Vec<_>>(),
        "config": image.process.json(),
    })
}
