//! Which image of an archive is meant, and what it is made of: docker-archive.

use common::Fail;
use common::fail::quote;

use crate::config::Config;
use crate::digest::Digest;
use crate::json::{self, Document};
use crate::members::{Members, Name, named};
use crate::oci::{self, Top};
use crate::platform::Platform;
use crate::refname::Wanted;

/// One image, chosen and checked as far as its documents go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What it is called in the archive.
    pub names: Vec<String>,
    /// What its config says it was built for.
    pub platform: Platform,
    /// Its config, byte for byte.
    pub config: Vec<u8>,
    /// The config's digest.
    pub config_digest: Digest,
    /// What its config says about the process.
    pub process: Config,
    /// Bottom first, as often as the image has them.
    pub layers: Vec<Layer>,
}

/// A layer and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of its tar: what it is called.
    pub diff_id: Digest,
    /// The member that holds it.
    pub member: Name,
    /// What its bytes must be, where the archive tells.
    pub blob: Option<(Digest, u64)>,
}

/// What the caller asked for.
#[derive(Debug, Clone)]
pub struct Choice {
    /// `--ref`.
    pub wanted: Option<Wanted>,
    /// `--platform`, else this machine's.
    pub platform: Platform,
    /// Whether the platform was asked for.
    pub strict: bool,
}

/// The layout of an archive.
///
/// One of both kinds (docker save since 25) is read as an OCI layout: there, everything
/// has a digest. The two are never mixed.
enum Layout {
    Oci(Top),
    Docker(Document),
}

/// Finds the image in an archive.
pub fn find(members: &dyn Members, choice: &Choice) -> Result<Image, Fail> {
    match layout(members)? {
        Layout::Oci(top) => oci::find(members, &top, choice),
        Layout::Docker(list) => docker(members, &list, choice),
    }
}

/// All images in an archive, each with its place.
pub fn all(members: &dyn Members) -> Result<Vec<(usize, Image)>, Fail> {
    match layout(members)? {
        Layout::Oci(top) => oci::all(members, &top),
        Layout::Docker(list) => {
            let entries = entries(&list)?;
            let numbered = entries.iter().enumerate();
            numbered.map(|(place, entry)| Ok((place, image(members, entry)?))).collect()
        }
    }
}

fn layout(members: &dyn Members) -> Result<Layout, Fail> {
    let has = |name: &str| members.size(&Name::from(name)).is_some();
    if has("index.json") && !(has("manifest.json") && oci::is_empty(members)?) {
        return Ok(Layout::Oci(Top::Index));
    }
    if has("manifest.json") {
        let document = json::read(members, &Name::from("manifest.json"))?;
        return Ok(if document.value.is_object() {
            Layout::Oci(Top::Manifest(document))
        } else {
            Layout::Docker(document)
        });
    }
    let cannot = |reason: &str| {
        Err(Fail::new(format!("cannot find an image in {}: {reason}", members.shown())))
    };
    if has("repositories") {
        let fail = cannot("docker saved it before 1.10");
        return fail.map_err(|f| f.hint("load it into a newer docker and save it again"));
    }
    let is_root = |name: &Name| {
        let first = name.as_bytes().split(|b| *b == b'/').next();
        matches!(first, Some(b"etc" | b"usr" | b"bin"))
    };
    if members.has_any(&is_root) {
        let fail = cannot("it is a root file system");
        return fail.map_err(|f| f.hint("use 'docker save', not 'docker export'"));
    }
    cannot("neither index.json nor manifest.json is in it")
}

/// An entry of manifest.json.
struct Entry {
    config: Name,
    names: Vec<String>,
    layers: Vec<Name>,
}

fn docker(
    members: &dyn Members,
    list: &Document,
    choice: &Choice,
) -> Result<Image, Fail> {
    let entries = entries(list)?;
    let is = |place: usize, entry: &Entry| {
        choice.wanted.as_ref().is_none_or(|wanted| {
            wanted.place() == Some(place)
                || entry.names.iter().any(|n| wanted.is(n))
                || wanted.is_config(&entry.config)
        })
    };
    let all: Vec<_> = entries.iter().map(|entry| (entry, entry.shown())).collect();
    let chosen = all.iter().enumerate().filter(|(place, (entry, _))| is(*place, entry));
    let chosen = chosen.map(|(_, one)| one.clone()).collect();
    let entry = only(members, chosen, all.into_iter().map(|(_, shown)| shown), choice)?;
    let image = image(members, entry)?;
    check_platform(members, &image.platform, choice)?;
    Ok(image)
}

/// Reads the documents of the one that was chosen.
fn image(members: &dyn Members, entry: &Entry) -> Result<Image, Fail> {
    let config = json::read(members, &entry.config)?;
    let config_digest = Digest::of(&config.bytes);
    if let Some(name) = entry.config.as_bytes().strip_prefix(b"blobs/sha256/")
        && name != config_digest.hex().as_bytes()
    {
        return Err(config.fail("its digest is another"));
    }
    let (platform, diff_ids) = read_config(&config)?;
    let process = Config::read(&config)?;
    let layers = pair(&config, &diff_ids, entry.layers.clone())?;
    let layers = layers
        .into_iter()
        .map(|(diff_id, member)| {
            if members.size(&member).is_none() {
                let reason = "it is not in the archive";
                return Err(Fail::cannot("read layer", member.shown(), reason));
            }
            Ok(Layer { diff_id, member, blob: None })
        })
        .collect::<Result<_, _>>()?;
    let names = entry.names.clone();
    Ok(Image { names, platform, config: config.bytes, config_digest, process, layers })
}

impl Entry {
    fn shown(&self) -> String {
        match self.names.as_slice() {
            [] => quote(self.config.shown()),
            names => names.iter().map(quote).collect::<Vec<_>>().join(" "),
        }
    }
}

fn entries(document: &Document) -> Result<Vec<Entry>, Fail> {
    let list = document.value.as_array();
    let list = list.ok_or_else(|| document.fail("not a list of images"))?;
    let mut all = Vec::new();
    for value in list {
        let wrap = Document {
            name: document.name.clone(),
            value: value.clone(),
            bytes: Vec::new(),
        };
        let entry = wrap.object()?;
        let layers = entry.strings("Layers")?;
        let layers = layers.into_iter().map(named).collect::<Result<_, _>>()?;
        let names = entry.strings("RepoTags")?;
        let names = names.into_iter().map(str::to_owned).collect();
        all.push(Entry { config: named(entry.wanted("Config")?)?, names, layers });
    }
    Ok(all)
}

/// The one that is left, or the choices; each comes with how it is told.
pub(crate) fn only<T>(
    members: &dyn Members,
    chosen: Vec<(T, String)>,
    all: impl Iterator<Item = String>,
    choice: &Choice,
) -> Result<T, Fail> {
    let list = |names: &mut dyn Iterator<Item = String>| {
        let mut names: Vec<_> = names.collect();
        names.dedup();
        names.join(", ")
    };
    let from = members.shown();
    let wanted = match (&choice.wanted, choice.strict) {
        (Some(wanted), false) => quote(&wanted.text),
        (Some(wanted), true) => {
            format!("{} for {}", quote(&wanted.text), choice.platform)
        }
        (None, true) => format!("an image for {}", choice.platform),
        (None, false) => "an image".to_owned(),
    };
    let known = list(&mut { all });
    match chosen.len() {
        1 => {}
        _ if known.is_empty() => {
            let text = format!("cannot find an image in {from}: there is none");
            return Err(Fail::new(text));
        }
        0 => {
            let text = format!("cannot find {wanted} in {from}: there are {known}");
            return Err(Fail::new(text));
        }
        _ => {
            let them = list(&mut chosen.iter().map(|(_, shown)| shown.clone()));
            let text = format!("cannot choose {wanted} in {from}: there are {them}");
            return Err(Fail::new(text).hint("use --ref or --platform"));
        }
    }
    let one = chosen.into_iter().next().map(|(one, _)| one);
    one.ok_or_else(|| Fail::new(format!("cannot find {wanted} in {from}")))
}

/// What of a config decides how it is unpacked.
pub(crate) fn read_config(config: &Document) -> Result<(Platform, Vec<Digest>), Fail> {
    let object = config.object()?;
    let rootfs = object.object("rootfs")?.ok_or_else(|| object.wrong("rootfs"))?;
    if rootfs.wanted("type")? != "layers" {
        return Err(rootfs.wrong("type"));
    }
    let parse = |text: &str| {
        Digest::parse(text).map_err(|e| config.fail(format!("{}: {e}", quote(text))))
    };
    let diff_ids =
        rootfs.strings("diff_ids")?.into_iter().map(parse).collect::<Result<_, _>>()?;
    let word = |key| Ok::<_, Fail>(object.string(key)?.unwrap_or_default().to_owned());
    let platform = Platform {
        os: word("os")?,
        arch: word("architecture")?,
        variant: word("variant")?,
    };
    Ok((platform, diff_ids))
}

/// An image for another machine is taken only where nothing else was asked for.
pub(crate) fn check_platform(
    members: &dyn Members,
    platform: &Platform,
    choice: &Choice,
) -> Result<(), Fail> {
    if choice.strict && !choice.platform.takes(platform) {
        return Err(Fail::new(format!(
            "cannot find an image for {} in {}: there is one for {}",
            quote(choice.platform.to_string()),
            members.shown(),
            quote(platform.to_string())
        )));
    }
    Ok(())
}

/// Layers and diff_ids must match one to one, or one would go unchecked.
pub(crate) fn pair<T>(
    config: &Document,
    diff_ids: &[Digest],
    layers: Vec<T>,
) -> Result<Vec<(Digest, T)>, Fail> {
    if diff_ids.len() != layers.len() {
        return Err(config.fail(format!(
            "it has {} diff_ids for {} layers",
            diff_ids.len(),
            layers.len()
        )));
    }
    Ok(diff_ids.iter().copied().zip(layers).collect())
}
