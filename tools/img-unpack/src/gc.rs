//! `--gc`: layers that no image uses any more.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use common::explain::Explain;
use common::fail::quote;
use common::inroot::kind;
use common::{Context, Fail, remove};
use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::sys::stat::SFlag;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::held::{Held, Lock};
use crate::images;
use crate::lower::{list, look};
use crate::store::{LAYERS, record_name};

/// What becomes of the layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The layer's name.
    pub(crate) name: String,
}

/// What `--gc` is going to remove.
pub(crate) struct Gc {
    held: Held,
    pub(crate) steps: Vec<Step>,
}

/// The layers of `there` that are not `used`.
fn unused(there: BTreeSet<String>, used: &BTreeSet<String>) -> Vec<Step> {
    let unused = there.into_iter().filter(|name| !used.contains(name));
    unused.map(|name| Step { name }).collect()
}

impl Gc {
    /// Waits until nobody works there and looks what is used: in a store by the images
    /// that are noted in it, in an image's own directory by that image.
    pub(crate) fn plan(path: &Path, is_store: bool, remove: bool) -> Result<Self, Fail> {
        if !path.join(LAYERS).is_dir() {
            return Err(Fail::cannot("collect", path, "there are no layers in it"));
        }
        let held = Held::open(path, Lock::Alone)?;
        let used = if is_store {
            images::used(&held, remove)?
        } else {
            let place = path.canonicalize().cannot("find", path)?;
            images::layers(&place, &place)?.unwrap_or_default().into_iter().collect()
        };
        let layers = held.inner(LAYERS)?;
        let there = names(layers.as_fd()).cannot("list", path.join(LAYERS))?;
        let steps = unused(there, &used);
        Ok(Self { held, steps })
    }

    /// Removes them; their directories.
    pub(crate) fn apply(&self) -> Result<Vec<PathBuf>, Fail> {
        let layers = self.held.inner(LAYERS)?;
        let place = self.held.path().join(LAYERS);
        self.held.sweep(self.held.as_fd())?;
        self.held.sweep(layers.as_fd())?;
        for Step { name } in &self.steps {
            let gone = || {
                let away = remove::name();
                renameat(&layers, name.as_str(), &layers, away.as_str())?;
                let record = record_name(name);
                match unlinkat(&layers, record.as_str(), UnlinkatFlags::NoRemoveDir) {
                    Ok(()) | Err(Errno::ENOENT) => {}
                    Err(e) => return Err(e),
                }
                remove::tree(layers.as_fd(), away.as_bytes())
            };
            gone().cannot("remove layer", place.join(name))?;
        }
        Ok(self.steps.iter().map(|step| place.join(&step.name)).collect())
    }
}

/// The layers that are there.
fn names(layers: BorrowedFd<'_>) -> nix::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for name in list(layers)? {
        let found = look(layers, &name)?;
        let is_dir = found.is_some_and(|stat| kind(&stat) == SFlag::S_IFDIR);
        if let (true, Ok(name)) = (is_dir, String::from_utf8(name))
            && !name.starts_with(remove::PREFIX)
        {
            names.insert(name);
        }
    }
    Ok(names)
}

impl Explain for Step {
    fn call(&self) -> String {
        format!("unlinkat({}, AT_REMOVEDIR) and all in it", quote(&self.name))
    }

    fn why(&self) -> String {
        "no image uses the layer".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_image_uses_goes() {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();

        let steps = unused(set(&["a", "b", "c"]), &set(&["b", "d"]));

        let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["a", "c"]);
    }
}
