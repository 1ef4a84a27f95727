//! Which images use a shared store: each has a file in it that says where the image is.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use common::fail::Hint;
use common::{Context, Fail};
use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde_json::Value;

use crate::digest::Digest;
use crate::held::{Held, write};
use crate::store::LAYERS;

/// The directory that the files are in.
const IMAGES: &str = "images";

/// Notes that an image in `dir` uses the store; where the store is.
pub(crate) fn register(store: &Held, dir: &Held) -> Result<PathBuf, Fail> {
    let real = |held: &Held| held.path().canonicalize().cannot("find", held.path());
    let (place, image) = (real(store)?, real(dir)?);
    if place.to_str().is_none() {
        // It is told in JSON, which has no other names.
        return Err(Fail::cannot("use store", &place, "its name is not UTF-8"));
    }
    let images = store.inner(IMAGES)?;
    let bytes = image.as_os_str().as_bytes();
    write(images.as_fd(), &Digest::of(bytes).hex(), bytes)
        .cannot("write in", store.path().join(IMAGES))?;
    Ok(place)
}

/// The layers that images of a store use; notes of images that are gone are removed
/// where `remove` says so.
pub(crate) fn used(store: &Held, remove: bool) -> Result<BTreeSet<String>, Fail> {
    let place = store.path().canonicalize().cannot("find", store.path())?;
    let images = store.path().join(IMAGES);
    let dir = store.inner(IMAGES)?;
    let mut used = BTreeSet::new();
    for entry in std::fs::read_dir(&images).cannot("list", &images)? {
        let note = entry.cannot("list", &images)?.path();
        let image = std::fs::read(&note).cannot("read", &note)?;
        let image = PathBuf::from(std::ffi::OsString::from_vec(image));
        match layers(&image, &place)? {
            Some(names) => used.extend(names),
            None if remove => {
                let name = note.file_name().unwrap_or(OsStr::new(""));
                let gone = unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir);
                gone.cannot("remove", &note)?;
            }
            None => {}
        }
    }
    Ok(used)
}

/// The layers of a store that an image names; none where there is no image.
pub(crate) fn layers(image: &Path, store: &Path) -> Result<Option<Vec<String>>, Fail> {
    let record = image.join("image.json");
    let text = match std::fs::read(&record) {
        Err(e)
            if matches!(
                Errno::from_raw(e.raw_os_error().unwrap_or(0)),
                Errno::ENOENT | Errno::ENOTDIR
            ) =>
        {
            return Ok(None);
        }
        // What cannot be told apart from an image that is in use is not removed.
        other => other.cannot("read", &record)?,
    };
    let json: Value = serde_json::from_slice(&text)
        .map_err(|_| "not JSON".to_owned())
        .cannot("read", &record)
        .hint("remove it if the image is not wanted any more")?;
    let layers = json.get("layers").and_then(Value::as_array);
    let directories =
        layers.into_iter().flatten().filter_map(|layer| layer.get("directory")?.as_str());
    let inside = store.join(LAYERS);
    let names = directories.filter_map(|directory| {
        let path = image.join(directory);
        let name = path.strip_prefix(&inside).ok()?.to_str()?;
        Some(name.to_owned())
    });
    Ok(Some(names.collect()))
}
