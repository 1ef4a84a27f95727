//! The order of effects inside.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use common::chain::link_name;
use common::mount::Propagation;
use common::nstype::Ns;

use crate::cli::{Cli, New, Spread};
use crate::host::Host;
use crate::maps::Maps;
use crate::step::{Named, Step};

/// Where binfmt_misc belongs.
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// What the steps are made of.
pub(crate) struct Steps<'a> {
    pub(crate) cli: &'a Cli,
    pub(crate) host: &'a Host,
    pub(crate) kinds: &'a [Ns],
    pub(crate) maps: Option<&'a Maps>,
}

impl Steps<'_> {
    /// The order of effects, each with its reason in [`Step`].
    pub(crate) fn list(&self, is_forked: bool, keeps: bool) -> Vec<Step> {
        let cli = self.cli;
        let mut steps = Vec::new();
        let is_moved = self.kinds.contains(&Ns::Mount)
            || cli.root.is_some()
            || cli.join.iter().any(|join| join.ns == Ns::Mount);
        let names_links = cli.link.command.iter().any(|word| link_name(word).is_some());
        steps.extend((is_moved && names_links).then_some(Step::KeepTools));
        steps.extend(cli.wait_fd.map(|fd| Step::Wait { fd, status: cli.status_fd }));
        self.ids_inside(&mut steps);
        self.inside(&mut steps);
        self.mounts(&mut steps);
        steps.extend(cli.setup.clone().map(Step::Setup));
        if let Some(maps) = Maps::nested(cli, self.host, self.maps) {
            steps.push(Step::Nest { maps, is_last: cli.disable_userns });
        }
        steps.extend(self.ids());
        let is_new_user = self.kinds.contains(&Ns::User);
        steps.extend((cli.keep_caps && is_new_user).then_some(Step::KeepCaps));
        let dies = cli.die_with_parent && !is_forked;
        steps.extend(dies.then_some(Step::DieWithParent));
        steps.extend(keeps.then_some(Step::Persist));
        steps.extend(cli.new_session.then_some(Step::NewSession));
        steps.extend(cli.pid_file.clone().map(Step::PidFile));
        steps.extend(cli.status_fd.map(Step::Status));
        steps.extend(cli.ready_fd.map(Step::Ready));
        steps
    }

    fn ids_inside(&self, steps: &mut Vec<Step>) {
        let (uid, gid) =
            self.maps.map_or((false, false), |m| m.strangers(self.cli, self.host));
        if uid || gid {
            steps.push(Step::Become { uid, gid });
        }
        if self.maps.is_none() {
            steps.extend(self.cli.setgroups.map(Step::Setgroups));
        }
    }

    fn inside(&self, steps: &mut Vec<Step>) {
        let cli = self.cli;
        if self.kinds.contains(&Ns::Mount)
            && let Some(propagation) = propagation(cli.propagation)
        {
            steps.push(Step::Propagation(propagation));
        }
        if self.kinds.contains(&Ns::Net) && !cli.no_lo {
            steps.push(Step::Loopback { must: cli.lo });
        }
        steps.extend(cli.hostname.clone().map(Step::Hostname));
        steps.extend(cli.domainname.clone().map(Step::Domainname));
    }

    fn mounts(&self, steps: &mut Vec<Step>) {
        let cli = self.cli;
        let (binfmt, proc) = binfmt(cli);
        let interp = |dir: &Path| {
            cli.load_interp.clone().map(|text| Step::Interp { dir: dir.to_owned(), text })
        };
        // An interpreter that is opened now is found in the old root.
        let is_fixed =
            cli.root.is_some() && cli.load_interp.as_ref().is_some_and(is_fixed);
        if is_fixed {
            steps.push(Step::Binfmt(BINFMT.into()));
            steps.extend(interp(Path::new(BINFMT)));
        }
        steps.extend(cli.root.clone().map(Step::Root));
        let dir = cli.wd.clone().or_else(|| cli.root.as_ref().map(|_| "/".into()));
        steps.extend(dir.map(Step::Directory));
        if let Some(dir) = proc {
            let shield = cli.root.is_none() && cli.propagation != Spread::Private;
            steps.push(Step::Proc { dir, shield });
        }
        if let Some(dir) = binfmt {
            steps.push(Step::Binfmt(dir.clone()));
            steps.extend(interp(&dir).filter(|_| !is_fixed));
        }
    }

    fn ids(&self) -> Option<Step> {
        let cli = self.cli;
        let groups = match (cli.groups.is_empty(), cli.setgid) {
            (false, _) => Some((cli.groups.clone(), Named::Yes)),
            (true, Some(_)) => Some((Vec::new(), Named::No)),
            (true, None) => None,
        };
        let is_any = groups.is_some() || cli.setuid.is_some();
        is_any.then_some(Step::Ids { groups, gid: cli.setgid, uid: cli.setuid })
    }
}

/// Where binfmt_misc and proc are mounted: the one needs the other.
fn binfmt(cli: &Cli) -> (Option<PathBuf>, Option<PathBuf>) {
    let binfmt = match (&cli.mount_binfmt, &cli.load_interp) {
        (Some(New::Kept(dir)), _) => return (Some(dir.clone()), cli.mount_proc.clone()),
        (Some(New::Passing), _) | (None, Some(_)) => Some(BINFMT.into()),
        (None, None) => None,
    };
    let proc = || binfmt.as_ref().map(|_: &PathBuf| "/proc".into());
    (binfmt.clone(), cli.mount_proc.clone().or_else(proc))
}

/// Whether the flags behind the last colon have `F`.
fn is_fixed(text: &OsString) -> bool {
    let bytes = text.as_encoded_bytes();
    bytes
        .rsplit(|b| *b == b':')
        .next()
        .is_some_and(|flags| bytes.contains(&b':') && flags.contains(&b'F'))
}

fn propagation(spread: Spread) -> Option<Propagation> {
    match spread {
        Spread::Private => Some(Propagation::Private),
        Spread::Slave => Some(Propagation::Slave),
        Spread::Shared => Some(Propagation::Shared),
        Spread::Unchanged => None,
    }
}
