//! Who to become, from names and numbers.

use std::ffi::OsStr;

use common::Fail;
use common::ids::{Groups, Target};
use common::passwd::{self, Account, User, Who};

use crate::cli::Cli;
use crate::plan::Host;

/// The ids to take. Another id without a word on groups leaves none of the caller's.
///
/// # Errors
/// When a name is in neither file.
pub(crate) fn target(cli: &Cli, host: &Host) -> Result<Target, Fail> {
    let find = |who: &Who| Account::find(who, &host.passwd, &host.group);
    let group = |name: &OsStr| passwd::find_group(name, &host.group);
    let named = |user: &OsStr| find(&Who { user: user.to_owned(), group: None });
    let account = cli.user.as_ref().map(find).transpose()?;
    let uid = cli.uid.as_deref().map(|user| named(user).map(|a| a.uid)).transpose()?;
    let gid = cli.gid.as_deref().map(group).transpose()?;
    let uid = account.as_ref().map(|a| a.uid).or(uid);
    let gid = account.as_ref().map(|a| a.gid).or(gid);

    let groups = if cli.clear_groups {
        Groups::Exactly(Vec::new())
    } else if !cli.groups.is_empty() {
        let gids = cli.groups.iter().map(|name| group(name));
        Groups::Exactly(gids.collect::<Result<_, _>>()?)
    } else if cli.init_groups {
        Groups::Exactly(listed(uid.unwrap_or(host.ids.uids[1]), gid, host)?)
    } else if let Some(account) = account {
        Groups::Mapped(account.groups)
    } else if uid.is_some() || gid.is_some() {
        Groups::Mapped(Vec::new())
    } else {
        Groups::Kept
    };
    Ok(Target { uid, gid, groups })
}

/// initgroups(3): the groups that list a user, whose line there must be, and the gid.
fn listed(uid: u32, gid: Option<u32>, host: &Host) -> Result<Vec<u32>, Fail> {
    let mut users = passwd::users(&host.passwd);
    let user = users.find(|user| user.uid == uid).ok_or_else(|| {
        Fail::cannot("find user", uid.to_string(), "not in /etc/passwd")
            .hint("--init-groups takes a user that has a name; --groups takes numbers")
    })?;
    let primary = gid.unwrap_or(user.gid);
    Ok(Account::of(&User { gid: primary, ..user }, &host.group).groups)
}
