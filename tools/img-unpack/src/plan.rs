//! What will be unpacked, decided from the image's documents alone.

use std::path::PathBuf;

use common::Fail;
use common::explain::Explain;
use common::fail::quote;
use serde_json::json;

use crate::cli::Cli;
use crate::config::Config;
use crate::digest::Digest;
use crate::manifest::{Choice, Image, Layer, find};
use crate::members::Members;
use crate::platform::Platform;
use crate::policy::{Host, Policy};
use crate::print;

/// What becomes of the layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A directory each, in DIR.
    Layers,
    /// A directory each, where other images find them.
    Shared(PathBuf),
    /// One root file system in DIR.
    Flat,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make DIR and lock it.
    Open(PathBuf),
    /// Make the store and keep `--gc` out.
    Share(PathBuf),
    /// Unpack a root file system, whose digest is not known.
    Rootfs(PathBuf),
    /// Unpack a layer, or find that it is there.
    Layer {
        /// The layer.
        layer: Layer,
        /// Its place, from 1, and how many there are.
        of: (usize, usize),
        /// The bytes it has in the archive.
        size: u64,
        /// It goes on to be a part of one root.
        is_part: bool,
    },
    /// Make one root of the layers.
    Merge,
    /// Write config.json and image.json.
    Publish,
}

/// What img-unpack is going to do.
#[derive(Debug)]
pub struct Plan {
    /// Where to.
    pub dir: PathBuf,
    /// The image; none of a root file system until it is unpacked.
    pub image: Option<Image>,
    /// What becomes of its layers.
    pub output: Output,
    /// How files are made.
    pub policy: Policy,
    /// In this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Decides.
    pub fn new(cli: &Cli, host: &Host, members: &dyn Members) -> Result<Self, Fail> {
        let policy = Policy::new(cli, host)?;
        let choice = Choice {
            wanted: cli.reference.clone(),
            platform: cli.platform.clone().unwrap_or_else(Platform::here),
            strict: cli.platform.is_some(),
        };
        let mut image = find(members, &choice)?;
        print::check(cli.print, &image.process)?;
        image.layers = topmost(image.layers);
        let count = image.layers.len();
        if count > cli.max_layers {
            let reason = format!("it has {count} layers, more than --max-layers");
            return Err(Fail::new(format!(
                "cannot unpack {}: {reason}",
                members.shown()
            )));
        }
        let mut steps = Vec::new();
        for (layer, number) in image.layers.iter().zip(1..) {
            let size = members.size(&layer.member).unwrap_or(0);
            let (of, is_part) = ((number, count), cli.flat);
            steps.push(Step::Layer { layer: layer.clone(), of, size, is_part });
        }
        Ok(Self::around(cli, policy, Some(image), steps))
    }

    /// Decides for a tar that is a root file system.
    pub fn rootfs(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        let policy = Policy::new(cli, host)?;
        let steps = vec![Step::Rootfs(cli.image.clone().unwrap_or_default())];
        Ok(Self::around(cli, policy, None, steps))
    }

    /// The image; a root file system becomes one, as docker-import(1) would make it.
    pub(crate) fn image_of(&self, layers: &[Digest]) -> Image {
        if let Some(image) = &self.image {
            return image.clone();
        }
        let platform = Platform::here();
        let config = json!({
            "architecture": platform.arch,
            "os": platform.os,
            "config": {},
            "rootfs": {
                "type": "layers",
                "diff_ids": layers.iter().map(Digest::to_string).collect::<Vec<_>>(),
            },
        })
        .to_string()
        .into_bytes();
        let config_digest = Digest::of(&config);
        let (names, process, layers) = (Vec::new(), Config::default(), Vec::new());
        Image { names, platform, config, config_digest, process, layers }
    }

    fn around(
        cli: &Cli,
        policy: Policy,
        image: Option<Image>,
        layers: Vec<Step>,
    ) -> Self {
        let dir = cli.dir.clone().unwrap_or_default();
        let output = match &cli.store {
            Some(store) => Output::Shared(store.clone()),
            None if cli.flat => Output::Flat,
            None => Output::Layers,
        };
        let mut steps = vec![Step::Open(dir.clone())];
        steps.extend(cli.store.clone().map(Step::Share));
        steps.extend(layers);
        if cli.flat {
            steps.push(Step::Merge);
        }
        steps.push(Step::Publish);
        Self { dir, image, output, policy, steps }
    }
}

/// A layer that comes again higher up counts there only: it would hide itself, and
/// overlayfs takes no directory twice.
fn topmost(layers: Vec<Layer>) -> Vec<Layer> {
    let ids: Vec<Digest> = layers.iter().map(|l| l.diff_id).collect();
    let again =
        |i: usize, id: &Digest| ids.iter().skip(i).skip(1).any(|other| other == id);
    let all = layers.into_iter().enumerate();
    all.filter(|(i, layer)| !again(*i, &layer.diff_id)).map(|(_, layer)| layer).collect()
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Open(dir) => {
                let dir = quote(dir);
                format!("mkdir({dir}, 0700); flock({dir}, LOCK_EX)")
            }
            Self::Layer { is_part: true, .. } => "mkdirat('.tmp-…'); …".into(),
            Self::Layer { layer, .. } => {
                let hex: String = layer.diff_id.hex().chars().take(12).collect();
                format!("mkdirat('.tmp-…'); …; renameat('.tmp-…', 'layers/{hex}…')")
            }
            Self::Share(store) => format!("flock({}, LOCK_SH)", quote(store)),
            Self::Rootfs(_) => {
                "mkdirat('.tmp-…'); …; renameat('.tmp-…', 'layers/…')".into()
            }
            Self::Merge => "renameat('.tmp-…', …); renameat('.tmp-…', 'rootfs')".into(),
            Self::Publish => "renameat('config.json'); renameat('image.json')".into(),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Open(_) => "one run at a time".into(),
            Self::Layer { layer, of: (number, count), size, is_part } => {
                let member = quote(layer.member.shown());
                let unless = if *is_part { "" } else { ", unless it is there" };
                format!("layer {number} of {count}, {size} bytes in {member}{unless}")
            }
            Self::Share(_) => "layers that other images may use".into(),
            Self::Rootfs(image) => format!("all of {}, under its digest", quote(image)),
            Self::Merge => "one root, as a mount of the layers would show it".into(),
            Self::Publish => "the config as it is, and what the layers are".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::Name;

    #[test]
    fn a_layer_that_comes_twice_counts_at_its_upper_place() {
        let layer = |text: &str| Layer {
            diff_id: Digest::of(text.as_bytes()),
            member: Name::from(text),
            blob: None,
        };
        let names = |layers: &[&str]| -> Vec<_> {
            let layers = topmost(layers.iter().map(|l| layer(l)).collect());
            layers.iter().map(|l| l.member.clone()).collect()
        };

        assert_eq!(names(&["a", "b", "a"]), [Name::from("b"), Name::from("a")]);
        assert_eq!(names(&["a", "b"]), [Name::from("a"), Name::from("b")]);
    }
}
