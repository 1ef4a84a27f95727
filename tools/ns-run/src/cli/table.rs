//! The options as they are read without clap.

use common::cli::fd;
use common::idmap::source;
use common::parse::signal;
use common::quick::{Opt, Set};

use clap::ValueEnum;

use super::value::{group, hostname, join, owner, seconds, user};
use super::{Cli, Inside, New, Setgroups, Spread};

fn new(into: &mut Option<New>, file: Option<&str>) -> Option<()> {
    some(into, file.map_or(New::Passing, |file| New::Kept(file.into())))
}

fn all<T>(
    list: &str,
    one: impl Fn(&str) -> Result<T, String>,
    into: &mut Vec<T>,
) -> Option<()> {
    for word in list.split(',') {
        into.push(one(word).ok()?);
    }
    Some(())
}

/// Every option of `Cli`, `--help` and `--version` aside.
pub(crate) const TABLE: [Opt<Cli>; 63] = [
    Opt::new(Some('m'), "mount", Set::Cluster(|c, file| new(&mut c.mount, file))),
    Opt::new(Some('u'), "uts", Set::Cluster(|c, file| new(&mut c.uts, file))),
    Opt::new(Some('i'), "ipc", Set::Cluster(|c, file| new(&mut c.ipc, file))),
    Opt::new(Some('n'), "net", Set::Cluster(|c, file| new(&mut c.net, file))),
    Opt::new(Some('p'), "pid", Set::Cluster(|c, file| new(&mut c.pid, file))),
    Opt::new(Some('U'), "user", Set::Cluster(|c, file| new(&mut c.user, file))),
    Opt::new(Some('C'), "cgroup", Set::Cluster(|c, file| new(&mut c.cgroup, file))),
    Opt::new(Some('T'), "time", Set::Cluster(|c, file| new(&mut c.time, file))),
    Opt::extra(None, "try-user", Set::Flag(|c| c.tries.user = true)),
    Opt::extra(None, "try-mount", Set::Flag(|c| c.tries.mount = true)),
    Opt::extra(None, "try-pid", Set::Flag(|c| c.tries.pid = true)),
    Opt::extra(None, "try-ipc", Set::Flag(|c| c.tries.ipc = true)),
    Opt::extra(None, "try-uts", Set::Flag(|c| c.tries.uts = true)),
    Opt::extra(None, "try-net", Set::Flag(|c| c.tries.net = true)),
    Opt::extra(None, "try-cgroup", Set::Flag(|c| c.tries.cgroup = true)),
    Opt::extra(None, "try-time", Set::Flag(|c| c.tries.time = true)),
    Opt::extra(
        None,
        "join",
        Set::Value(|c, text| join(text).ok().map(|join| c.join.push(join))),
    ),
    Opt::extra(None, "persist", Set::Value(|c, dir| path(&mut c.persist, dir))),
    Opt::new(Some('f'), "fork", Set::Flag(|c| c.fork = true)),
    Opt::extra(None, "init", Set::Flag(|c| c.init = true)),
    Opt::new(
        None,
        "kill-child",
        Set::Cluster(|c, name| {
            some(&mut c.kill_child, signal(name.unwrap_or("KILL")).ok()?)
        }),
    ),
    Opt::new(None, "forward-signals", Set::Flag(|c| c.forward_signals = true)),
    Opt::extra(None, "die-with-parent", Set::Flag(|c| c.die_with_parent = true)),
    Opt::extra(None, "new-session", Set::Flag(|c| c.new_session = true)),
    Opt::new(
        None,
        "mount-proc",
        Set::Optional(|c, dir| c.mount_proc = Some(dir.unwrap_or("/proc").into())),
    ),
    Opt::new(None, "mount-binfmt", Set::Cluster(|c, dir| new(&mut c.mount_binfmt, dir))),
    Opt::new(
        Some('l'),
        "load-interp",
        Set::Value(|c, text| some(&mut c.load_interp, text.into())),
    ),
    Opt::new(
        None,
        "propagation",
        Set::Value(|c, mode| {
            Spread::from_str(mode, false).ok().map(|s| c.propagation = s)
        }),
    ),
    Opt::new(Some('R'), "root", Set::Value(|c, dir| path(&mut c.root, dir))),
    Opt::new(Some('w'), "wd", Set::Value(|c, dir| path(&mut c.wd, dir))),
    Opt::new(Some('r'), "map-root-user", Set::Flag(|c| c.own.both(Inside::Id(0)))),
    Opt::new(Some('c'), "map-current-user", Set::Flag(|c| c.own.both(Inside::Current))),
    Opt::new(
        None,
        "map-user",
        Set::Value(|c, id| user(id).ok().map(|id| c.own.uid = Some(Inside::Id(id)))),
    ),
    Opt::new(
        None,
        "map-group",
        Set::Value(|c, id| group(id).ok().map(|id| c.own.gid = Some(Inside::Id(id)))),
    ),
    Opt::new(None, "map-auto", Set::Flag(|c| c.map_auto = true)),
    Opt::new(None, "map-subids", Set::Flag(|c| c.map_subids = true)),
    Opt::new(
        None,
        "map-users",
        Set::Value(|c, map| source(map).ok().map(|map| c.map_users.push(map))),
    ),
    Opt::new(
        None,
        "map-groups",
        Set::Value(|c, map| source(map).ok().map(|map| c.map_groups.push(map))),
    ),
    Opt::new(
        None,
        "owner",
        Set::Value(|c, ids| owner(ids).ok().map(|ids| c.owner = Some(ids))),
    ),
    Opt::new(
        None,
        "setgroups",
        Set::Value(|c, rule| {
            Setgroups::from_str(rule, false).ok().map(|rule| c.setgroups = Some(rule))
        }),
    ),
    Opt::new(
        Some('S'),
        "setuid",
        Set::Value(|c, id| some(&mut c.setuid, user(id).ok()?)),
    ),
    Opt::extra(None, "uid", Set::Value(|c, id| some(&mut c.setuid, user(id).ok()?))),
    Opt::new(
        Some('G'),
        "setgid",
        Set::Value(|c, id| some(&mut c.setgid, group(id).ok()?)),
    ),
    Opt::extra(None, "gid", Set::Value(|c, id| some(&mut c.setgid, group(id).ok()?))),
    Opt::extra(None, "groups", Set::Value(|c, ids| all(ids, group, &mut c.groups))),
    Opt::new(None, "keep-caps", Set::Flag(|c| c.keep_caps = true)),
    Opt::new(
        None,
        "monotonic",
        Set::Value(|c, by| some(&mut c.monotonic, seconds(by).ok()?)),
    ),
    Opt::new(
        None,
        "boottime",
        Set::Value(|c, by| some(&mut c.boottime, seconds(by).ok()?)),
    ),
    Opt::extra(
        None,
        "hostname",
        Set::Value(|c, name| some(&mut c.hostname, hostname(name).ok()?)),
    ),
    Opt::extra(
        None,
        "domainname",
        Set::Value(|c, name| some(&mut c.domainname, hostname(name).ok()?)),
    ),
    Opt::extra(None, "lo", Set::Flag(|c| (c.lo, c.no_lo) = (true, false))),
    Opt::extra(None, "no-lo", Set::Flag(|c| (c.lo, c.no_lo) = (false, true))),
    Opt::extra(None, "setup", Set::Value(|c, line| some(&mut c.setup, line.into()))),
    Opt::extra(None, "disable-userns", Set::Flag(|c| c.disable_userns = true)),
    Opt::new(None, "clear-env", Set::Flag(|c| c.clear_env = true)),
    Opt::new(
        None,
        "whitelist-env",
        Set::Value(|c, names| all(names, |name| Ok(name.into()), &mut c.whitelist_env)),
    ),
    Opt::extra(None, "wait-fd", Set::Value(|c, n| some(&mut c.wait_fd, fd(n).ok()?))),
    Opt::extra(None, "ready-fd", Set::Value(|c, n| some(&mut c.ready_fd, fd(n).ok()?))),
    Opt::extra(None, "status-fd", Set::Value(|c, n| some(&mut c.status_fd, fd(n).ok()?))),
    Opt::extra(None, "pid-file", Set::Value(|c, file| path(&mut c.pid_file, file))),
    Opt::extra(None, "explain", Set::Flag(|c| c.link.explain = true)),
    // Left to clap, and here for what they may be abbreviated to.
    Opt::new(Some('h'), "help", Set::Value(|_, _| None)),
    Opt::new(Some('V'), "version", Set::Value(|_, _| None)),
];

#[allow(clippy::unnecessary_wraps, reason = "what Set::Value gives back")]
fn some<T>(into: &mut Option<T>, value: T) -> Option<()> {
    *into = Some(value);
    Some(())
}

fn path(into: &mut Option<std::path::PathBuf>, text: &str) -> Option<()> {
    some(into, text.into())
}
