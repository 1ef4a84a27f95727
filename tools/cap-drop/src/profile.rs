//! Sets of capabilities by profile, and how --add and --drop change them.

use std::path::Path;

use common::Fail;
use common::fail::quote;
use common::json::Document;
use serde_json::Value;

use crate::sets::{self, CapSet};

/// What is left at most, and what a file says beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Base {
    /// What no set has more than.
    pub(crate) kept: CapSet,
    /// What is in the bounding set at most.
    pub(crate) bounding: CapSet,
    /// What is permitted at most.
    pub(crate) permitted: CapSet,
    /// What becomes inheritable, where that is said.
    pub(crate) inheritable: Option<CapSet>,
    /// What becomes ambient, where that is said.
    pub(crate) ambient: Option<CapSet>,
    /// It describes a whole state: nothing of before stays inheritable.
    pub(crate) is_profile: bool,
}

impl Base {
    /// At most these.
    pub(crate) const fn of(kept: CapSet) -> Self {
        let (bounding, permitted) = (CapSet::ALL, CapSet::ALL);
        let (inheritable, ambient) = (None, None);
        Self { kept, bounding, permitted, inheritable, ambient, is_profile: false }
    }

    /// A container's.
    pub(crate) const fn customary(kept: CapSet) -> Self {
        Self { is_profile: true, ..Self::of(kept) }
    }
}

/// Docker's rule: what is added comes back whatever was dropped; moby,
/// `TweakCapabilities`.
pub(crate) fn docker(drop: CapSet, add: CapSet) -> CapSet {
    match (add, drop) {
        (CapSet::ALL, CapSet::ALL) => CapSet::ALL,
        (CapSet::ALL, drop) => CapSet::ALL.without(drop),
        (add, CapSet::ALL) => add,
        (add, drop) => CapSet::DOCKER.without(drop).or(add),
    }
}

/// Podman's rule, which is ours for everything else: a capability that is added and
/// dropped is a mistake; containers/common, `MergeCapabilities`.
pub(crate) fn podman(base: &Base, drop: CapSet, add: CapSet) -> Result<Base, Fail> {
    let is_whole = |set: CapSet| set == CapSet::ALL;
    let both = match (is_whole(add), is_whole(drop)) {
        (true, true) => Some("all".to_owned()),
        (false, false) => add.and(drop).first(),
        (true, false) | (false, true) => None,
    };
    if let Some(one) = both {
        return Err(Fail::cannot("add", one, "it is to be dropped as well"));
    }
    let change = |set: CapSet| match (is_whole(add), is_whole(drop)) {
        (true, _) => CapSet::ALL.without(drop),
        (false, true) => add,
        (false, false) => set.without(drop).or(add),
    };
    let without = |set: CapSet| set.without(drop.without(add));
    Ok(Base {
        kept: change(base.kept),
        bounding: change(base.bounding),
        permitted: change(base.permitted),
        inheritable: base.inheritable.map(without),
        ambient: base.ambient.map(without),
        is_profile: base.is_profile,
    })
}

/// The profile that a file holds: names, with commas, blanks and lines between them, or
/// the `process.capabilities` of an OCI runtime's config.json.
pub(crate) fn read(path: &Path, text: &[u8]) -> Result<Base, Fail> {
    let bad = |reason: String| Fail::cannot("read profile", path, reason);
    if text.trim_ascii_start().starts_with(b"{") {
        let document = Document::parse(path.display().to_string(), text.to_vec())?;
        return oci(&document.value).map_err(bad);
    }
    let text = str::from_utf8(text).map_err(|_| bad("it is no text".to_owned()))?;
    names(text).map(Base::customary).map_err(bad)
}

/// config.md of the OCI runtime specification: a set that is not there is empty.
fn oci(config: &Value) -> Result<Base, String> {
    let found = config.pointer("/process/capabilities");
    let sets = found.or_else(|| config.get("capabilities")).unwrap_or(config);
    let names = ["bounding", "permitted", "effective", "inheritable", "ambient"];
    let sets =
        sets.as_object().filter(|sets| names.iter().any(|n| sets.contains_key(*n)));
    let sets = sets.ok_or("it has no process.capabilities")?;
    let set = |name: &str| {
        let list =
            sets.get(name).map_or(Some(&[][..]), |v| v.as_array().map(Vec::as_slice));
        let list = list.ok_or_else(|| format!("{name} is no array"))?;
        list.iter().try_fold(CapSet::NONE, |all, word| {
            let word = word.as_str().ok_or_else(|| format!("{name} has no names"))?;
            Ok::<_, String>(all.or(sets::parse(word)?))
        })
    };
    let [bounding, permitted, _, inheritable, ambient] = names.map(set);
    let (bounding, permitted) = (bounding?, permitted?);
    let (inheritable, ambient) = (inheritable?, ambient?);
    Ok(Base {
        kept: bounding.or(permitted).or(inheritable).or(ambient),
        bounding,
        permitted,
        inheritable: Some(inheritable),
        ambient: Some(ambient),
        is_profile: true,
    })
}

/// `#` begins a comment.
fn names(text: &str) -> Result<CapSet, String> {
    let mut all = CapSet::NONE;
    let mut is_empty = true;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        for word in line.split([',', ' ', '\t', '\r']).filter(|word| !word.is_empty()) {
            is_empty = false;
            all = all.or(sets::parse_or_none(word)?);
        }
    }
    if is_empty {
        return Err(format!("it names no capability; {} says so", quote("none")));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILL: CapSet = CapSet::one(5);
    const RAW: CapSet = CapSet::one(13);
    const ADMIN: CapSet = CapSet::one(21);

    #[test]
    fn with_docker_what_is_added_comes_back() {
        for (drop, add, kept) in [
            (CapSet::NONE, CapSet::NONE, CapSet::DOCKER),
            (RAW, CapSet::NONE, CapSet::DOCKER.without(RAW)),
            (RAW, RAW, CapSet::DOCKER),
            (CapSet::ALL, KILL, KILL),
            (KILL, CapSet::ALL, CapSet::ALL.without(KILL)),
            (CapSet::ALL, CapSet::ALL, CapSet::ALL),
            (KILL, ADMIN, CapSet::DOCKER.without(KILL).or(ADMIN)),
        ] {
            assert_eq!(docker(drop, add), kept, "{drop} {add}");
        }
    }

    #[test]
    fn with_podman_what_is_added_and_dropped_is_a_mistake() {
        let base = Base::customary(CapSet::PODMAN);
        let kept = |drop, add| podman(&base, drop, add).map(|base| base.kept);
        let error = |drop, add| kept(drop, add).unwrap_err().text;

        assert_eq!(kept(CapSet::ALL, KILL), Ok(KILL));
        assert_eq!(kept(KILL, CapSet::ALL), Ok(CapSet::ALL.without(KILL)));
        assert_eq!(kept(KILL, RAW), Ok(CapSet::PODMAN.without(KILL).or(RAW)));
        assert_eq!(
            error(RAW, RAW),
            "cannot add 'cap_net_raw': it is to be dropped as well"
        );
        assert_eq!(
            error(CapSet::ALL, CapSet::ALL),
            "cannot add 'all': it is to be dropped as well"
        );
    }

    #[test]
    fn a_file_of_names_has_comments() {
        assert_eq!(names("# web\nkill, NET_RAW\r\n\n13 # twice"), Ok(KILL.or(RAW)));
        assert_eq!(names("none"), Ok(CapSet::NONE));
        assert!(
            names("").is_err() && names("# kill").is_err() && names("kill x").is_err()
        );
    }
}
