//! The id maps of a new user namespace: which, and who may write them.

use std::os::fd::{AsFd, OwnedFd};

use common::fail::Hint;
use common::idmap::{Block, IdMap, Range, Source};
use common::{Context, Fail, proc};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::uio::pread;

use crate::cli::{Cli, Inside, Setgroups};
use crate::host::{Host, Ids};
use crate::newidmap;
use crate::plan::Line;

/// Who writes a map, user_namespaces(7), "Defining user and group ID mappings".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The process inside: it may map the id that made the namespace.
    Itself,
    /// A process outside with CAP_SETUID and CAP_SETGID there.
    Outside,
    /// newuidmap(1) and newgidmap(1), which know what belongs to whom.
    Newidmap,
}

/// The maps to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    /// uid_map.
    pub users: IdMap,
    /// Who writes it.
    pub users_by: Writer,
    /// gid_map.
    pub groups: IdMap,
    /// Who writes it.
    pub groups_by: Writer,
    /// What to write to setgroups, before the gid map.
    pub setgroups: Option<Setgroups>,
}

impl Maps {
    /// Decides; none where nothing was asked for.
    pub fn new(cli: &Cli, host: &Host) -> Result<Option<Self>, Fail> {
        let as_root = needs_root_first(cli, host);
        let own = |named: Option<Inside>, outside: u32| {
            let inside = named?.id(outside);
            let inside = if as_root { 0 } else { inside };
            Some(Range { inside, outside, count: 1 })
        };
        let (own_user, own_group) =
            (own(cli.own.uid, host.uid), own(cli.own.gid, host.gid));
        let users = blocks(cli, &cli.map_users, &host.users, "/etc/subuid")?;
        let groups = blocks(cli, &cli.map_groups, &host.groups, "/etc/subgid")?;
        // Another owner has no right to a map at all: who made it writes it, and may.
        let single_gid = own_group.is_some() && groups.is_empty() && cli.owner.is_none();
        if single_gid && cli.setgroups == Some(Setgroups::Allow) {
            return Err(Fail::new(
                "cannot allow setgroups where only the own gid is mapped",
            )
            .hint("drop --setgroups, or map more with --map-groups"));
        }
        // Without the deny a process could shed a group that denies it access:
        // user_namespaces(7), CVE-2014-8989.
        let setgroups = cli.setgroups.or(single_gid.then_some(Setgroups::Deny));
        let by = |blocks: &[Block]| match (blocks, cli.owner, host.may_map) {
            ([], None, _) => Writer::Itself,
            (_, _, true) => Writer::Outside,
            (_, _, false) => Writer::Newidmap,
        };
        let maps = Self {
            users_by: by(&users),
            groups_by: by(&groups),
            users: IdMap::compose(own_user, &users),
            groups: IdMap::compose(own_group, &groups),
            setgroups,
        };
        let is_something = !maps.users.0.is_empty() || !maps.groups.0.is_empty();
        Ok((is_something || maps.setgroups.is_some()).then_some(maps))
    }

    /// The maps of a second user namespace, where COMMAND needs one: it has its own ids
    /// there after a set-up as root, or may make no further ones.
    pub fn nested(cli: &Cli, host: &Host, outer: Option<&Self>) -> Option<Self> {
        let as_root = needs_root_first(cli, host);
        if !cli.disable_userns && !as_root {
            return None;
        }
        let again = |named: Option<Inside>, outside: u32, map: Option<&IdMap>| {
            let own = named.filter(|_| as_root).map(|inside| Range {
                inside: inside.id(outside),
                outside: 0,
                count: 1,
            });
            let same = |r: &Range| Range { outside: r.inside, ..*r };
            let all = map.into_iter().flat_map(|map| map.0.iter().map(same)).collect();
            own.map_or(IdMap(all), |own| IdMap(vec![own]))
        };
        let users = again(cli.own.uid, host.uid, outer.map(|maps| &maps.users));
        let groups = again(cli.own.gid, host.gid, outer.map(|maps| &maps.groups));
        let is_single =
            |map: &IdMap| map.0.iter().map(|r| u64::from(r.count)).sum::<u64>() <= 1;
        let by =
            |map: &IdMap| if is_single(map) { Writer::Itself } else { Writer::Outside };
        let is_denied = !groups.0.is_empty() && is_single(&groups);
        Some(Self {
            users_by: by(&users),
            groups_by: by(&groups),
            users,
            groups,
            setgroups: is_denied.then_some(Setgroups::Deny),
        })
    }

    /// Whether the caller's uid and gid mean nothing inside though root does: then it is
    /// root there, unless it is to be somebody else. Of another owner's namespace it is
    /// the owner.
    pub fn strangers(&self, cli: &Cli, host: &Host) -> (bool, bool) {
        let is = |map: &IdMap, id: u32, named: bool| {
            !named && cli.owner.is_none() && map.has_inside(0) && !map.has_outside(id)
        };
        (
            is(&self.users, host.uid, cli.setuid.is_some()),
            is(&self.groups, host.gid, cli.setgid.is_some()),
        )
    }

    /// Whether somebody outside has to write one of them.
    pub fn needs_outside(&self) -> bool {
        self.users_by != Writer::Itself || self.groups_by != Writer::Itself
    }

    /// Writes them for a process: `self` or a pid; and reads them back.
    pub fn write(&self, process: &str) -> Result<(), Fail> {
        write_map(process, "uid_map", &self.users, self.users_by)?;
        if let Some(rule) = self.setgroups {
            let path = format!("/proc/{process}/setgroups");
            let text = rule.word();
            let file = open(&path, OFlag::O_WRONLY)?;
            nix::unistd::write(&file, text.as_bytes()).cannot("write to", &path)?;
        }
        write_map(process, "gid_map", &self.groups, self.groups_by)
    }

    /// As lines of `--explain`.
    pub fn lines(&self) -> Vec<Line> {
        let map = |file: &str, program: &str, map: &IdMap, by: Writer| {
            if map.0.is_empty() {
                return None;
            }
            let text = map.to_string().trim_end().replace('\n', ", ");
            Some(match by {
                Writer::Itself => Line::new(
                    format!("write('/proc/self/{file}', '{text}')"),
                    "the own id",
                ),
                Writer::Outside => Line::new(
                    format!("write('/proc/PID/{file}', '{text}')"),
                    "from outside, where the right to is",
                ),
                Writer::Newidmap => Line::new(
                    format!("execve('{program}', PID {})", text.replace(',', "")),
                    "subordinate ids take a setuid program",
                ),
            })
        };
        let rule = self.setgroups.map(|rule| {
            let text = rule.word();
            let why = "before the gid map: user_namespaces(7)";
            Line::new(format!("write('/proc/self/setgroups', '{text}')"), why)
        });
        map("uid_map", "newuidmap", &self.users, self.users_by)
            .into_iter()
            .chain(rule)
            .chain(map("gid_map", "newgidmap", &self.groups, self.groups_by))
            .collect()
    }
}

/// Whether something is set up by the root of a namespace in which COMMAND is not root:
/// with the own ids alone it takes a namespace in the namespace.
fn needs_root_first(cli: &Cli, host: &Host) -> bool {
    let is_other = |id: Option<Inside>, own| id.is_some_and(|id| id.id(own) != 0);
    cli.setup.is_some()
        && !cli.has_ranges()
        && cli.owner.is_none()
        && (is_other(cli.own.uid, host.uid) || is_other(cli.own.gid, host.gid))
}

fn blocks(
    cli: &Cli,
    sources: &[Source],
    ids: &Ids,
    file: &str,
) -> Result<Vec<Block>, Fail> {
    let auto = cli.map_auto.then_some(Source::Auto);
    let subids = cli.map_subids.then_some(Source::Subids);
    let mut blocks = Vec::new();
    for source in auto.into_iter().chain(subids).chain(sources.iter().copied()) {
        let subordinate = || {
            ids.subordinate.ok_or_else(|| {
                Fail::cannot("find subordinate ids in", file, "no line for this user")
                    .hint("usermod --add-subuids and --add-subgids, see subuid(5)")
            })
        };
        match source {
            Source::Auto => {
                let (outside, count) = subordinate()?;
                blocks.push(Block { inside: None, outside, count });
            }
            Source::Subids => {
                let (outside, count) = subordinate()?;
                blocks.push(Block { inside: Some(outside), outside, count });
            }
            // What is inside here is outside there.
            Source::All => blocks.extend(ids.own.0.iter().map(|r| Block {
                inside: Some(r.inside),
                outside: r.inside,
                count: r.count,
            })),
            Source::Given(r) => blocks.push(Block {
                inside: Some(r.inside),
                outside: r.outside,
                count: r.count,
            }),
        }
    }
    Ok(blocks)
}

/// A file of the kernel's, and nobody else's.
fn open(path: &str, flags: OFlag) -> Result<OwnedFd, Fail> {
    let file = openat(AT_FDCWD, path, flags | OFlag::O_CLOEXEC, Mode::empty())
        .cannot("open", path)?;
    if proc::is_own(&file) {
        return Ok(file);
    }
    Err(Fail::cannot("write to", path, "it is not in a file system of type proc"))
}

fn write_map(process: &str, name: &str, map: &IdMap, by: Writer) -> Result<(), Fail> {
    if map.0.is_empty() {
        return Ok(());
    }
    let path = format!("/proc/{process}/{name}");
    if by == Writer::Newidmap {
        newidmap::run(name, process, map)?;
    }
    let flags = if by == Writer::Newidmap { OFlag::O_RDONLY } else { OFlag::O_RDWR };
    let file = open(&path, flags)?;
    if by != Writer::Newidmap {
        nix::unistd::write(&file, map.to_string().as_bytes())
            .cannot("write to", &path)
            .hint_on(
                Errno::EPERM,
                "an id is not ours to map, or a rule of AppArmor's forbids it",
            )
            .hint_on(Errno::EINVAL, "ranges overlap, or ids do not exist here")?;
    }
    // The kernel tells it as seen from the reader's namespace: that is what was written.
    let (mut text, mut buffer) = (Vec::new(), [0; 512]);
    while !IdMap::from_kernel(&String::from_utf8_lossy(&text)).is_same_as(map) {
        let at = i64::try_from(text.len()).unwrap_or(i64::MAX);
        let len = pread(file.as_fd(), &mut buffer, at).cannot("read", &path)?;
        if len == 0 {
            let reason = "the kernel has another map than was written";
            return Err(Fail::cannot("set", path, reason));
        }
        text.extend_from_slice(buffer.get(..len).unwrap_or_default());
    }
    Ok(())
}
