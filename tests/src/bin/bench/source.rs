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
    /// Directories of the layers in order: plain, gzip, zstd.
    pub(crate) layers: [PathBuf; 3],
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
        let (docker, oci, zstd) = (file("docker.tar"), file("oci"), file("oci-zstd.tar"));
        let work = bench.work.path().join(&name);
        let plain = docker_layers(&unpacked(&docker, work.join("docker"))?)?;
        let (tag, gzip) = layout_layers(&oci)?;
        let zstd_layers = if zstd.exists() {
            layout_layers(&unpacked(&zstd, work.join("oci-zstd"))?)?.1
        } else {
            Vec::new()
        };
        Ok(Self {
            layers: [
                in_order(work.join("plain"), &plain)?,
                in_order(work.join("gzip"), &gzip)?,
                in_order(work.join("zstd"), &zstd_layers)?,
            ],
            gzip: file("oci.tar"),
            tag,
            number: u64::try_from(plain.len()).unwrap_or(0),
            tally: Tally::read(&plain)?,
            docker,
            oci,
            zstd,
            name,
        })
    }
}

/// An archive's members, by tar(1).
fn unpacked(archive: &Path, dir: PathBuf) -> Result<PathBuf, Fail> {
    std::fs::create_dir_all(&dir).cannot("make directory", &dir)?;
    let status = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(&dir).status();
    if status.cannot("run", "tar")?.success() {
        return Ok(dir);
    }
    Err(Fail::cannot("unpack", archive, "tar failed"))
}

/// The layers that a docker-archive's manifest names.
fn docker_layers(dir: &Path) -> Result<Vec<PathBuf>, Fail> {
    let manifest = json(&dir.join("manifest.json"))?;
    let layers = manifest.pointer("/0/Layers").and_then(Value::as_array);
    let layers = layers.into_iter().flatten().filter_map(Value::as_str);
    Ok(layers.map(|layer| dir.join(layer)).collect())
}

/// The name and the layers of a layout's first image.
fn layout_layers(dir: &Path) -> Result<(String, Vec<PathBuf>), Fail> {
    let blob = |of: &Value| {
        let digest = of.get("digest").and_then(Value::as_str).unwrap_or_default();
        dir.join("blobs").join(digest.replace(':', "/"))
    };
    let index = json(&dir.join("index.json"))?;
    let top = index.pointer("/manifests/0").unwrap_or(&Value::Null);
    let tag = top.pointer("/annotations/org.opencontainers.image.ref.name");
    let manifest = json(&blob(top))?;
    let layers = manifest.get("layers").and_then(Value::as_array);
    Ok((
        tag.and_then(Value::as_str).unwrap_or("latest").to_owned(),
        layers.into_iter().flatten().map(blob).collect(),
    ))
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
