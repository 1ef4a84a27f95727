//! The privileges as they are to be in the end, from what was asked for.

use caps::Capability;
use common::Fail;

use crate::cli::{Cli, Profile};
use crate::plan::Host;
use crate::profile::{self, Base};
use crate::sets::CapSet;
use crate::state::{Caps, State};

/// The state before the exec.
///
/// Who becomes an ordinary user has the bounding set left, what is ambient, and nothing
/// else, as in docker. A profile leaves nothing inheritable (CVE-2022-24769).
///
/// # Errors
/// When the options contradict each other, or ask for what nobody can give.
pub(crate) fn meant(cli: &Cli, host: &Host, uid: Option<u32>) -> Result<State, Fail> {
    let now = &host.state;
    let mut base = base(cli, host)?;
    let is_ordinary = uid.is_some_and(|uid| uid != 0);
    // Podman gives a user what was added; docker gives one nothing.
    if is_ordinary && cli.profile == Some(Profile::Podman) && !cli.add.is_empty() {
        base.ambient = Some(union(&cli.add));
    }
    let active = if is_ordinary { CapSet::NONE } else { base.kept };
    let had = now.caps;

    let bounding = match asked(&cli.bounding) {
        Some(list) => leave_in_bounding(list, base.kept, &had)?,
        None => had.bounding.and(base.kept).and(base.bounding),
    };
    let ambient = match asked(&cli.ambient).or(base.ambient) {
        Some(list) => Some(make_ambient(list, base.kept, &had)?),
        None => None,
    };
    let inheritable = if let Some(list) = asked(&cli.inh).or(base.inheritable) {
        make_inheritable(list, base.kept, &had)?
    } else {
        // At exec the kernel does not limit it by the bounding set.
        let left = if base.is_profile { CapSet::NONE } else { active };
        had.inheritable.and(left).and(bounding).or(ambient.unwrap_or_default())
    };
    let lacks = ambient.unwrap_or_default().without(inheritable);
    if let Some(one) = lacks.first() {
        return Err(Fail::cannot("make ambient", one, "--inh leaves it out")
            .hint("what is ambient is inheritable too"));
    }
    let permitted = had.permitted.and(active).and(base.permitted);
    let permitted = permitted.or(ambient.unwrap_or_default());
    let effective = had.effective.and(permitted).or(ambient.unwrap_or_default());
    // What was not spoken of stays ambient as long as the kernel lets it.
    let kept = had.ambient.and(inheritable).and(permitted);
    let ambient = ambient.unwrap_or(if base.is_profile { CapSet::NONE } else { kept });
    let caps = Caps { bounding, permitted, effective, inheritable, ambient };
    let securebits =
        cli.securebits.map_or(now.securebits, |change| change.of(now.securebits));
    let no_new_privs = now.no_new_privs || cli.no_new_privs;
    Ok(State { caps, securebits, no_new_privs })
}

/// The union of the lists; nothing where the option was not given.
fn asked(lists: &[CapSet]) -> Option<CapSet> {
    (!lists.is_empty()).then(|| union(lists))
}

fn union(lists: &[CapSet]) -> CapSet {
    lists.iter().fold(CapSet::NONE, |all, list| all.or(*list))
}

/// What is to be left at most.
fn base(cli: &Cli, host: &Host) -> Result<Base, Fail> {
    let (drop, add) = (union(&cli.drop), union(&cli.add));
    let lacks = add.without(host.state.caps.bounding);
    if let Some(one) = lacks.first().filter(|_| add != CapSet::ALL) {
        return Err(Fail::cannot("add", one, "it is not in the bounding set")
            .hint("no process gets it back"));
    }
    let keep = asked(&cli.keep);
    if let Some(one) = keep.unwrap_or_default().and(drop).first() {
        return Err(Fail::cannot("keep", one, "it is to be dropped as well")
            .hint("--keep alone drops all others"));
    }
    let base = match (&cli.profile, keep, &host.file_caps) {
        (Some(Profile::Docker), ..) => {
            return Ok(Base::customary(profile::docker(drop, add)));
        }
        (Some(Profile::Podman), ..) => Base::customary(CapSet::PODMAN),
        (Some(Profile::None), ..) => Base::customary(CapSet::NONE),
        (Some(Profile::File(path)), ..) => profile::read(path, &host.profile)?,
        (None, Some(keep), _) => Base::of(keep),
        (None, None, Some(file)) => Base::of(file.permitted.or(file.inheritable)),
        (None, None, None) => Base::of(CapSet::ALL),
    };
    profile::podman(&base, drop, add)
}

/// The bounding set can only lose: what is asked for and not there is no small matter.
fn leave_in_bounding(list: CapSet, kept: CapSet, had: &Caps) -> Result<CapSet, Fail> {
    let verb = "leave in the bounding set";
    let set = within(list, kept, had.bounding, verb)?;
    match set.without(had.bounding).first() {
        Some(one) => {
            let fail = Fail::cannot(verb, one, "it is not there");
            Err(fail.hint("no process gets it back"))
        }
        None => Ok(set),
    }
}

fn make_ambient(list: CapSet, kept: CapSet, had: &Caps) -> Result<CapSet, Fail> {
    let possible = had.permitted.and(had.inheritable.or(had.bounding));
    let set = within(list, kept, possible, "make ambient")?;
    match set.without(possible).first() {
        Some(one) => Err(Fail::cannot("make ambient", one, "it is not permitted here")
            .hint("run as root, below ns-run --user, or from what has it")),
        None => Ok(set),
    }
}

/// capset(2): nothing that is not in the bounding set, and without `CAP_SETPCAP` nothing
/// that is not permitted.
fn make_inheritable(list: CapSet, kept: CapSet, had: &Caps) -> Result<CapSet, Fail> {
    let has_setpcap = had.permitted.has(Capability::CAP_SETPCAP.into());
    let permitted = if has_setpcap { CapSet::ALL } else { had.permitted };
    let possible = had.inheritable.or(had.bounding.and(permitted));
    let set = within(list, kept, had.permitted.and(possible), "make inheritable")?;
    match set.without(possible).first() {
        Some(one) => {
            let fail = Fail::cannot("make inheritable", one, "it is not permitted here");
            Err(fail.hint("it takes CAP_SETPCAP and the capability in the bounding set"))
        }
        None => Ok(set),
    }
}

/// A list that stays within what is kept; `all` is all that is there of it.
fn within(list: CapSet, kept: CapSet, all: CapSet, verb: &str) -> Result<CapSet, Fail> {
    if list == CapSet::ALL {
        return Ok(all.and(kept));
    }
    match list.without(kept).first() {
        Some(one) => Err(Fail::cannot(verb, one, "it is to be dropped as well")
            .hint("name it in --keep or --add too")),
        None => Ok(list),
    }
}
