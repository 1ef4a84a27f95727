//! Descriptors, and the media types that they tell: image-spec, descriptor.md.

use common::Fail;
use common::fail::{Hint, quote};

use crate::digest::Digest;
use crate::json::{self, Document, Object};
use crate::members::{Members, Name};
use crate::platform::Platform;

pub(crate) const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
pub(crate) const MANIFESTS: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
pub(crate) const CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];
/// Without what tells the compression, which is found out from the content.
pub(crate) const LAYERS: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

/// A pointer to a blob: image-spec, descriptor.md.
#[derive(Debug, Clone)]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) platform: Option<Platform>,
    pub(crate) names: Vec<String>,
    /// What it is called in the archive, where not after its digest.
    pub(crate) name: Option<Name>,
    /// Its place in index.json, or that of the index it is in.
    pub(crate) place: usize,
    pub(crate) is_attestation: bool,
}

impl Descriptor {
    pub(crate) fn read(object: &Object<'_>) -> Result<Self, Fail> {
        let text = object.wanted("digest")?;
        let digest = Digest::parse(text).map_err(|reason| {
            object.document().fail(format!("{}: {reason}", quote(text)))
        })?;
        let word = |of: &Object<'_>, key| {
            Ok::<_, Fail>(of.string(key)?.unwrap_or_default().to_owned())
        };
        let platform = match object.object("platform")? {
            None => None,
            Some(of) => Some(Platform {
                os: word(&of, "os")?,
                arch: word(&of, "architecture")?,
                variant: word(&of, "variant")?,
            }),
        };
        let mut names = Vec::new();
        let mut is_attestation = platform.as_ref().is_some_and(Platform::is_unknown);
        if let Some(notes) = object.object("annotations")? {
            for key in ["io.containerd.image.name", "org.opencontainers.image.ref.name"] {
                names.extend(notes.string(key)?.map(str::to_owned));
            }
            is_attestation |= notes.string("vnd.docker.reference.type")?
                == Some("attestation-manifest");
        }
        let media_type = word(object, "mediaType")?;
        let size = object.number("size")?;
        Ok(Self {
            media_type,
            digest,
            size,
            platform,
            names,
            name: None,
            place: 0,
            is_attestation,
        })
    }

    /// What is written deeper down counts for nobody: image-spec, annotations.md.
    pub(crate) fn inherit(&mut self, above: Option<&Self>) {
        if let Some(above) = above {
            self.names.clone_from(&above.names);
            self.place = above.place;
        }
    }

    /// A manifest that is the whole of a `dir:` layout, and that nothing describes.
    pub(crate) fn top(document: &Document) -> Result<Self, Fail> {
        let object = document.object()?;
        if object.get("fsLayers")?.is_some() {
            return Err(document.fail("it is a manifest of schema 1"))
                .hint("pull it again");
        }
        let own = object.string("mediaType")?;
        let is_index = object.get("manifests")?.is_some();
        let [oci, _] = if is_index { INDEXES } else { MANIFESTS };
        Ok(Self {
            media_type: own.unwrap_or(oci).to_owned(),
            digest: Digest::of(&document.bytes),
            size: u64::try_from(document.bytes.len()).unwrap_or(u64::MAX),
            platform: None,
            names: Vec::new(),
            name: Some(Name::from(document.name.as_str())),
            place: 0,
            is_attestation: false,
        })
    }

    pub(crate) fn member(&self) -> Name {
        if let Some(name) = &self.name {
            return name.clone();
        }
        Name::from(format!("blobs/sha256/{}", self.digest.hex()).as_str())
    }

    pub(crate) fn is(&self, types: &[&str]) -> bool {
        types.contains(&self.media_type.as_str())
    }

    /// OCI's and Docker's names for one thing are mixed in the wild.
    fn is_like(&self, own: &str) -> bool {
        let both = |types: &[&str]| types.contains(&own) && self.is(types);
        own == self.media_type || both(&INDEXES) || both(&MANIFESTS) || both(&CONFIGS)
    }

    /// The document it points to, once size and digest are right.
    pub(crate) fn document(&self, members: &dyn Members) -> Result<Document, Fail> {
        let document = json::read(members, &self.member())?;
        if u64::try_from(document.bytes.len()).ok() != Some(self.size) {
            return Err(document.fail("its size is another than the descriptor says"));
        }
        if Digest::of(&document.bytes) != self.digest {
            return Err(document.fail("its digest is another"));
        }
        let object = document.object()?;
        // One document, two readings: CVE-2021-41190.
        if object.get("manifests")?.is_some()
            && (object.get("layers")?.is_some() || object.get("config")?.is_some())
        {
            return Err(document.fail("it is both a manifest and an index"));
        }
        match object.string("mediaType")? {
            Some(own) if !self.media_type.is_empty() && !self.is_like(own) => {
                Err(document.fail("its media type is another than the descriptor says"))
            }
            Some(_) | None => Ok(document),
        }
    }
}
