//! The images that are unpacked: what make_images.sh writes, or our own.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Context, Fail};
use serde_json::Value;

use crate::Bench;
use crate::tally::Tally;

/// An image in several forms.
pub(crate) struct Source {
    pub(crate) name: String,
    /// NAME.docker.tar, its layers not compressed.
    pub(crate) docker: PathBuf,
    /// NAME.oci, its layers in gzip.
    pub(crate) oci: PathBuf,
    /// NAME.oci.tar and NAME.oci-zstd.tar.
    pub(crate) gzip: PathBuf,
    pub(crate) zstd: PathBuf,
    /// Directories of the layers, in order.
    pub(crate) plain_layers: PathBuf,
    pub(crate) gzip_layers: PathBuf,
    /// The layout's name for the image.
    pub(crate) tag: String,
    pub(crate) number: u64,
    pub(crate) tally: Tally,
}

/// Finds the images of a directory.
pub(crate) fn find(bench: &Bench, dir: &Path) -> Result<Vec<Source>, Fail> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).cannot("list", dir)? {
        let name = entry.cannot("list", dir)?.file_name();
        let Some(name) = name.to_str().and_then(|n| n.strip_suffix(".docker.tar")) else {
            continue;
        };
        if dir.join(format!("{name}.oci/index.json")).exists() {
            names.push(name.to_owned());
        }
    }
    names.sort();
    if names.is_empty() {
        return Err(Fail::cannot(
            "use",
            dir,
            "it has no NAME.docker.tar beside a NAME.oci/",
        ));
    }
    names.into_iter().map(|name| Source::open(bench, dir, name)).collect()
}

impl Source {
    fn open(bench: &Bench, dir: &Path, name: String) -> Result<Self, Fail> {
        let file = |end: &str| dir.join(format!("{name}.{end}"));
        let work = bench.work.path().join(&name);
        let all = work.join("archive");
        std::fs::create_dir_all(&all).cannot("make directory", &all)?;
        let docker = file("docker.tar");
        let status =
            Command::new("tar").arg("-xf").arg(&docker).arg("-C").arg(&all).status();
        if !status.cannot("run", "tar")?.success() {
            return Err(Fail::cannot("unpack", &docker, "tar failed"));
        }
        let manifest = json(&all.join("manifest.json"))?;
        let list = manifest.pointer("/0/Layers").and_then(Value::as_array);
        let layers: Vec<_> =
            list.into_iter().flatten().filter_map(Value::as_str).collect();
        let plain: Vec<PathBuf> = layers.iter().map(|layer| all.join(layer)).collect();
        let oci = file("oci");
        let index = json(&oci.join("index.json"))?;
        let top = "/manifests/0";
        let tag = format!("{top}/annotations/org.opencontainers.image.ref.name");
        let tag = index.pointer(&tag).and_then(Value::as_str).unwrap_or("latest");
        let blob = |of: Option<&Value>| {
            let digest = of.and_then(|of| of.get("digest")).and_then(Value::as_str);
            oci.join("blobs").join(digest.unwrap_or_default().replace(':', "/"))
        };
        let manifest = json(&blob(index.pointer(top)))?;
        let layers = manifest.get("layers").and_then(Value::as_array);
        let gzip: Vec<PathBuf> =
            layers.into_iter().flatten().map(|l| blob(Some(l))).collect();
        Ok(Self {
            plain_layers: in_order(work.join("plain"), &plain)?,
            gzip_layers: in_order(work.join("gzip"), &gzip)?,
            gzip: file("oci.tar"),
            zstd: file("oci-zstd.tar"),
            tag: tag.to_owned(),
            number: u64::try_from(plain.len()).unwrap_or(0),
            tally: Tally::read(&plain)?,
            docker,
            oci,
            name,
        })
    }
}

/// A directory where the shell's `*` is the order of the layers.
fn in_order(dir: PathBuf, layers: &[PathBuf]) -> Result<PathBuf, Fail> {
    std::fs::create_dir(&dir).cannot("make directory", &dir)?;
    for (i, layer) in layers.iter().enumerate() {
        let target = layer.canonicalize().cannot("find layer", layer)?;
        symlink(target, dir.join(format!("{i:03}"))).cannot("link", layer)?;
    }
    Ok(dir)
}

fn json(path: &Path) -> Result<Value, Fail> {
    let text = std::fs::read(path).cannot("read", path)?;
    serde_json::from_slice(&text).map_err(|e| Fail::cannot("read", path, e))
}
