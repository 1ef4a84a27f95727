//! What will be unpacked, decided from the image's documents alone.

use std::path::PathBuf;

use common::Fail;
use common::explain::Explain;
use common::fail::quote;

use crate::cli::Cli;
use crate::digest::Digest;
use crate::manifest::{Choice, Image, Layer, find};
use crate::members::Members;
use crate::platform::Platform;
use crate::policy::{Host, Policy};
use crate::print;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make DIR and lock it.
    Open(PathBuf),
    /// Unpack a layer, or find that it is there.
    Layer {
        /// The layer.
        layer: Layer,
        /// Its place, from 1, and how many there are.
        of: (usize, usize),
        /// The bytes it has in the archive.
        size: u64,
    },
    /// Write config.json and image.json.
    Publish,
}

/// What img-unpack is going to do.
#[derive(Debug)]
pub struct Plan {
    /// The image.
    pub image: Image,
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
        let mut steps = vec![Step::Open(cli.dir.clone().unwrap_or_default())];
        for (layer, number) in image.layers.iter().zip(1..) {
            let size = members.size(&layer.member).unwrap_or(0);
            steps.push(Step::Layer { layer: layer.clone(), of: (number, count), size });
        }
        steps.push(Step::Publish);
        Ok(Self { image, policy, steps })
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
            Self::Layer { layer, .. } => {
                let hex: String = layer.diff_id.hex().chars().take(12).collect();
                format!("mkdirat('.tmp-…'); …; renameat('.tmp-…', 'layers/{hex}…')")
            }
            Self::Publish => "renameat('config.json'); renameat('image.json')".into(),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Open(_) => "one run at a time".into(),
            Self::Layer { layer, of: (number, count), size } => {
                let member = quote(layer.member.shown());
                format!(
                    "layer {number} of {count}, {size} bytes in {member}, unless it is there"
                )
            }
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
