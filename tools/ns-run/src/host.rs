//! What ns-run must know of the caller before it decides.

use std::fs;

use common::idmap::{IdMap, Source, subordinate};
use common::{Context, Fail, passwd, sys};

use crate::cli::Cli;

const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;

/// The facts of the host that the plan depends on.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Effective uid.
    pub uid: u32,
    /// Effective gid.
    pub gid: u32,
    /// The right to map any ids of this user namespace: CAP_SETUID and CAP_SETGID.
    pub may_map: bool,
    /// What there is to map uids from.
    pub users: Ids,
    /// What there is to map gids from.
    pub groups: Ids,
}

/// What there is to map ids of one kind from.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    /// The caller's line of /etc/subuid or /etc/subgid: first id and count.
    pub subordinate: Option<(u32, u32)>,
    /// The map of the user namespace that we are in.
    pub own: IdMap,
}

impl Host {
    /// Reads what the options make necessary.
    pub fn read(cli: &Cli) -> Result<Self, Fail> {
        let (uid, gid) =
            (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let mut host = Self { uid, gid, ..Self::default() };
        if cli.has_ranges() || cli.owner.is_some() {
            let [effective, ..] = sys::capget().failed_to("read capabilities")?;
            let has = |cap: u32| effective & 1 << cap != 0;
            host.may_map = has(CAP_SETUID) && has(CAP_SETGID);
            let name = login_name(uid);
            let read = |sources: &[Source], sub: &str, own: &str| -> Result<Ids, Fail> {
                Ok(Ids {
                    subordinate: if needs_subordinate(cli, sources) {
                        let text = read_or_empty(sub)?;
                        subordinate(&text, name.as_deref(), uid)
                    } else {
                        None
                    },
                    own: if sources.contains(&Source::All) {
                        IdMap::own(own)?
                    } else {
                        IdMap::default()
                    },
                })
            };
            host.users = read(&cli.map_users, "/etc/subuid", "uid_map")?;
            host.groups = read(&cli.map_groups, "/etc/subgid", "gid_map")?;
        }
        Ok(host)
    }
}

fn needs_subordinate(cli: &Cli, sources: &[Source]) -> bool {
    cli.map_auto
        || cli.map_subids
        || sources.iter().any(|s| matches!(s, Source::Auto | Source::Subids))
}

/// A missing file has no line for anybody.
fn read_or_empty(path: &str) -> Result<String, Fail> {
    match fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => Ok(String::from_utf8_lossy(&other.cannot("read", path)?).into_owned()),
    }
}

fn login_name(uid: u32) -> Option<String> {
    let text = fs::read("/etc/passwd").unwrap_or_default();
    let user = passwd::users(&text).find(|user| user.uid == uid)?;
    user.name.to_str().map(str::to_owned)
}
