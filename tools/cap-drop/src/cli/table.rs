//! The options as they are read without clap.

use std::ffi::OsString;

use clap::ValueEnum;
use common::passwd::Who;
use common::quick::{Opt, Set};

use super::{Cli, Format, Has, Trace, confine, value};
use crate::landlock::rule::Rule;
use crate::sets::{self, CapSet};
use crate::{limits, securebits};

fn some<T>(into: &mut Option<T>, value: Result<T, String>) -> Option<()> {
    *into = Some(value.ok()?);
    Some(())
}

fn more<T>(into: &mut Vec<T>, value: Result<T, String>) -> Option<()> {
    into.push(value.ok()?);
    Some(())
}

fn list(into: &mut Vec<CapSet>, text: &str) -> Option<()> {
    more(into, sets::parse_or_none(text))
}

fn words(into: &mut Vec<OsString>, text: &str) -> Option<()> {
    text.split(',').try_for_each(|word| more(into, value::named(word)))
}

fn print(cli: &mut Cli, format: Option<&str>) -> Option<()> {
    some(&mut cli.print, Format::from_str(format.unwrap_or("text"), false))
}

fn trace(cli: &mut Cli, how: Option<&str>) -> Option<()> {
    let how = Trace::from_str(how.unwrap_or("events"), false);
    some(&mut cli.confine.trace, how)
}

/// Every option of `Cli` that is often used; clap reads the others.
pub(crate) const TABLE: [Opt<Cli>; 37] = [
    Opt::new(None, "drop", Set::Value(|c, v| more(&mut c.drop, sets::parse(v)))),
    Opt::new(None, "keep", Set::Value(|c, v| list(&mut c.keep, v))),
    Opt::new(None, "add", Set::Value(|c, v| more(&mut c.add, sets::parse(v)))),
    Opt::new(None, "profile", Set::Value(|c, v| some(&mut c.profile, v.parse()))),
    Opt::new(
        None,
        "from-file-caps",
        Set::Value(|c, v| some(&mut c.from_file_caps, Ok(v.into()))),
    ),
    Opt::new(None, "bounding", Set::Value(|c, v| list(&mut c.bounding, v))),
    Opt::new(None, "inh", Set::Value(|c, v| list(&mut c.inh, v))),
    Opt::new(None, "ambient", Set::Value(|c, v| list(&mut c.ambient, v))),
    Opt::new(None, "user", Set::Value(|c, v| some(&mut c.user, Who::named(v)))),
    Opt::new(None, "uid", Set::Value(|c, v| some(&mut c.uid, value::named(v)))),
    Opt::new(None, "gid", Set::Value(|c, v| some(&mut c.gid, value::named(v)))),
    Opt::new(None, "groups", Set::Value(|c, v| words(&mut c.groups, v))),
    Opt::new(None, "clear-groups", Set::Flag(|c| c.clear_groups = true)),
    Opt::new(None, "init-groups", Set::Flag(|c| c.init_groups = true)),
    Opt::new(None, "getent", Set::Flag(|c| c.getent = true)),
    Opt::new(None, "no-new-privs", Set::Flag(|c| c.no_new_privs = true)),
    Opt::new(None, "nnp", Set::Flag(|c| c.no_new_privs = true)),
    Opt::new(
        None,
        "securebits",
        Set::Value(|c, v| some(&mut c.securebits, securebits::parse(v))),
    ),
    Opt::new(
        None,
        "pdeathsig",
        Set::Value(|c, v| some(&mut c.pdeathsig, value::death_signal(v))),
    ),
    Opt::new(None, "umask", Set::Value(|c, v| some(&mut c.umask, value::umask(v)))),
    Opt::new(None, "rlimit", Set::Value(|c, v| more(&mut c.rlimit, limits::parse(v)))),
    Opt::new(
        None,
        "oom-score-adj",
        Set::Value(|c, v| some(&mut c.oom_score_adj, value::oom_score_adj(v))),
    ),
    Opt::new(None, "nice", Set::Value(|c, v| some(&mut c.nice, value::nice(v)))),
    Opt::new(None, "reset-env", Set::Flag(|c| c.reset_env = true)),
    Opt::new(None, "root", Set::Value(|c, v| some(&mut c.root, Ok(v.into())))),
    Opt::new(
        None,
        "selinux-label",
        Set::Value(|c, v| some(&mut c.selinux_label, value::label(v))),
    ),
    Opt::new(
        None,
        "apparmor-profile",
        Set::Value(|c, v| some(&mut c.apparmor_profile, value::label(v))),
    ),
    Opt::new(
        None,
        "seccomp",
        Set::Value(|c, v| some(&mut c.confine.seccomp, confine::profile(v.into()))),
    ),
    Opt::new(
        None,
        "seccomp-bpf",
        Set::Value(|c, v| more(&mut c.confine.seccomp_bpf, confine::bpf(v.into()))),
    ),
    Opt::new(
        None,
        "landlock",
        Set::Value(|c, v| more(&mut c.confine.landlock, Rule::parse(v.as_ref()))),
    ),
    Opt::new(
        None,
        "landlock-profile",
        Set::Value(|c, v| more(&mut c.confine.landlock_profile, Ok(v.into()))),
    ),
    Opt::new(
        None,
        "landlock-best-effort",
        Set::Flag(|c| c.confine.landlock_best_effort = true),
    ),
    Opt::new(None, "trace", Set::Cluster(trace)),
    Opt::new(None, "print", Set::Cluster(print)),
    Opt::new(None, "tree", Set::Flag(|c| c.tree = true)),
    Opt::new(None, "has", Set::Value(|c, v| more(&mut c.has, Has::parse(v)))),
    Opt::new(None, "explain", Set::Flag(|c| c.link.explain = true)),
];

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &[&str] = &[
        "--drop",
        "--keep=none",
        "--keep",
        "none",
        "kill,0",
        "--add=all",
        "--profile",
        "docker",
        "./file",
        "--from-file-caps=f",
        "--bounding=all",
        "--inh",
        "--ambient",
        "--user",
        "1:2",
        "--uid=5",
        "--gid",
        "www",
        "--groups",
        "4,5",
        "--clear-groups",
        "--init-groups",
        "--getent",
        "--no-new-privs",
        "--nnp",
        "--securebits=noroot",
        "--pdeathsig=KILL",
        "--umask=77",
        "--rlimit",
        "nofile=1:2",
        "--oom-score-adj=5",
        "--nice=1",
        "--reset-env",
        "--root",
        "--selinux-label=x",
        "--apparmor-profile=y",
        "--seccomp",
        "--seccomp=",
        "--seccomp-bpf=5",
        "--seccomp-bpf=./file",
        "--landlock=rx:/usr",
        "--landlock",
        "--landlock-profile=rules",
        "--landlock-best-effort",
        "--trace",
        "--trace=bisect",
        "--print",
        "--print=json",
        "--tree",
        "--has=p:kill",
        "--explain",
        "--",
        "command",
        "-x",
        "--",
        "--nice=-5",
    ];

    #[test]
    fn what_is_read_here_is_what_clap_would_have_read() {
        let finish = super::super::with_command;
        kit::quick::agrees_with_clap("cap-drop", &TABLE, finish, WORDS);
    }
}
