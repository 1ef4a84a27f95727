//! What is done in which order: pure, and setpriv's own.

use std::ffi::CString;

use caps::Capability;
use common::Fail;
use common::ids::Ids;
use nix::libc::{c_int, c_ulong};

use super::capabilities::{Change, apply, parse};
use super::files::{Files, Login};
use super::options::{Groups, Options};
use super::{environment, privilege, usage};
use crate::label::Label;
use crate::libcap::{Sets, kernel, known};
use crate::sets::CapSet;

/// What the plan depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Host {
    pub(super) ids: Ids,
    pub(super) sets: Sets,
    pub(super) bounding: CapSet,
    /// What the kernel has.
    pub(super) known: CapSet,
}

impl Host {
    /// Reads it, as far as these options take.
    pub(super) fn read(options: &Options) -> Result<Self, Fail> {
        let lists = [&options.inheritable, &options.ambient, &options.bounding];
        let some = lists.iter().any(|list| list.is_some());
        Ok(Self {
            ids: if options.uids.is_named()
                || options.gids.is_named()
                || options.reset_env
            {
                Ids::now().map_err(|fail| fail.status(127))?
            } else {
                Ids::default()
            },
            sets: kernel::sets_of(0).map_err(privilege("activate capabilities"))?,
            bounding: options
                .bounding
                .as_ref()
                .map_or(CapSet::NONE, |_| kernel::bounding()),
            known: if some { known(kernel::count()) } else { CapSet::NONE },
        })
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// prctl(2) `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivs,
    /// The label that the exec gives.
    Label(Label),
    /// prctl(2) `PR_SET_KEEPCAPS`.
    KeepCaps,
    /// capset(2), and what it is for.
    Capset(Sets, &'static str),
    /// setresuid(2): real, effective, and saved as effective.
    Uids(u32, u32),
    /// setresgid(2), in the same way.
    Gids(u32, u32),
    /// setgroups(2), and by which name.
    Groups(Vec<u32>, &'static str),
    /// prctl(2) `PR_SET_SECUREBITS`.
    Securebits(u32),
    /// prctl(2) `PR_CAPBSET_DROP`.
    Bounding(u8),
    /// prctl(2) `PR_CAP_AMBIENT_CLEAR_ALL`.
    ClearAmbient,
    /// prctl(2) `PR_CAP_AMBIENT_LOWER`.
    LowerAmbient(u8),
    /// prctl(2) `PR_CAP_AMBIENT_RAISE`, where the kernel lets it be.
    RaiseAmbient(u8),
    /// prctl(2) `PR_SET_PDEATHSIG`; 0 for none.
    DeathSignal(c_int),
    /// prctl(2) `PR_SET_PTRACER`.
    Ptracer(c_ulong),
}

/// All that is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// The environment, where it is not the caller's.
    pub(super) environment: Option<Vec<CString>>,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// When options lack others, or say what is no list of capabilities.
    pub(super) fn new(
        options: &Options,
        host: &Host,
        files: &Files,
    ) -> Result<Self, Fail> {
        let login = login(options, host, files)?;
        options.landlock.check()?;
        let mut steps = Vec::new();
        steps.extend(options.no_new_privs.then_some(Step::NoNewPrivs));
        steps.extend(options.selinux.clone().map(|l| Step::Label(Label::SeLinux(l))));
        steps.extend(options.apparmor.clone().map(|l| Step::Label(Label::AppArmor(l))));
        let raised = bumped(&host.sets);
        steps.extend(options.uids.is_named().then_some(Step::KeepCaps));
        if raised != host.sets {
            steps.push(Step::Capset(raised, "activate capabilities"));
        }
        steps.extend(ids(options, host, &raised));
        steps.extend(groups(options, login.as_ref(), files)?);
        steps.extend(options.securebits.map(Step::Securebits));
        steps.extend(capabilities(options, host, &raised)?);
        steps.extend(options.death_signal.map(Step::DeathSignal));
        steps.extend(options.ptracer.map(Step::Ptracer));
        let environment =
            login.filter(|_| options.reset_env).map(|l| environment::of(&l));
        Ok(Self { steps, environment })
    }
}

/// What the next steps take is made effective, where it is permitted.
fn bumped(sets: &Sets) -> Sets {
    let needed =
        [Capability::CAP_SETPCAP, Capability::CAP_SETUID, Capability::CAP_SETGID];
    let needed = needed.into_iter().fold(CapSet::NONE, |all, c| all.or(c.into()));
    Sets { effective: sets.effective.or(needed.and(sets.permitted)), ..*sets }
}

/// The user whose groups or environment are asked for.
fn login(options: &Options, host: &Host, files: &Files) -> Result<Option<Login>, Fail> {
    let with_groups = options.groups == Some(Groups::Init);
    if options.gids.is_named() && options.groups.is_none() {
        return Err(usage(
            "--[re]gid requires --keep-groups, --clear-groups, --init-groups, or --groups",
        ));
    }
    if with_groups && options.uids.real.is_none() {
        return Err(usage("--init-groups requires --ruid or --reuid"));
    }
    if !with_groups && !options.reset_env {
        return Ok(None);
    }
    let [own, _, _] = host.ids.uids;
    let uid = options.uids.real.unwrap_or(own);
    let login = match &options.login {
        Some(login) => Some(login.clone()),
        None => files.with_uid(uid)?,
    };
    if login.is_some() {
        return Ok(login);
    }
    let option = if with_groups { "--init-groups" } else { "--reset-env" };
    Err(usage(format_args!(
        "uid {uid} not found, {option} requires an user that can be found on the system"
    )))
}

fn ids(options: &Options, host: &Host, raised: &Sets) -> Vec<Step> {
    let mut steps = Vec::new();
    if options.uids.is_named() {
        let [real, effective, _] = host.ids.uids;
        let real = options.uids.real.unwrap_or(real);
        steps.push(Step::Uids(real, options.uids.effective.unwrap_or(effective)));
        // keep_caps keeps the permitted set alone.
        steps.push(Step::Capset(*raised, "reactivate capabilities"));
    }
    if options.gids.is_named() {
        let [real, effective, _] = host.ids.gids;
        let real = options.gids.real.unwrap_or(real);
        steps.push(Step::Gids(real, options.gids.effective.unwrap_or(effective)));
    }
    steps
}

fn groups(
    options: &Options,
    login: Option<&Login>,
    files: &Files,
) -> Result<Option<Step>, Fail> {
    Ok(match (&options.groups, login) {
        (Some(Groups::Clear), _) => Some(Step::Groups(Vec::new(), "setgroups failed")),
        (Some(Groups::These(gids)), _) => {
            Some(Step::Groups(gids.clone(), "setgroups failed"))
        }
        (Some(Groups::Init), Some(login)) => {
            Some(Step::Groups(files.groups_of(login)?, "initgroups failed"))
        }
        (Some(Groups::Keep | Groups::Init) | None, _) => None,
    })
}

fn capabilities(
    options: &Options,
    host: &Host,
    raised: &Sets,
) -> Result<Vec<Step>, Fail> {
    let changes = |list: &Option<String>| {
        list.as_deref().map(|list| parse(list, host.known)).transpose()
    };
    let mut steps = Vec::new();
    if let Some(changes) = changes(&options.bounding)? {
        // What is not in it cannot be added, and less is no harm.
        let gone = host.bounding.without(apply(host.bounding, &changes));
        steps.extend(gone.each().map(|(number, _)| Step::Bounding(number)));
    }
    if let Some(changes) = changes(&options.inheritable)? {
        let inheritable = apply(host.sets.inheritable, &changes);
        steps.push(Step::Capset(Sets { inheritable, ..*raised }, "apply capabilities"));
    }
    for change in changes(&options.ambient)?.into_iter().flatten() {
        match change {
            Change::Drop(set) if set == host.known => steps.push(Step::ClearAmbient),
            Change::Drop(set) => {
                steps.extend(set.each().map(|(number, _)| Step::LowerAmbient(number)));
            }
            Change::Add(set) => {
                steps.extend(set.each().map(|(number, _)| Step::RaiseAmbient(number)));
            }
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    /// root, with everything but SYS_RESOURCE, nothing of it effective.
    fn host() -> Host {
        let own = known(41).without(CapSet::one(24));
        Host {
            sets: Sets { permitted: own, ..Sets::default() },
            bounding: own,
            known: known(41),
            ..Host::default()
        }
    }

    fn plan(line: &str) -> Result<Vec<Step>, String> {
        let words: Vec<_> = line.split(' ').map(OsString::from).collect();
        let files = Files::of(b"www:x:33:34::/w:/s\n", b"adm:x:4:www\n");
        let read = super::super::options::read(&words, &files);
        let (options, _) = read.map_err(|f| f.text)?;
        let plan = Plan::new(&options, &host(), &files).map_err(|f| f.text)?;
        Ok(plan.steps)
    }

    const BUMPED: CapSet = CapSet(1 << 6 | 1 << 7 | 1 << 8);

    #[test]
    fn all_is_done_in_setprivs_order() {
        let own = host().sets.permitted;
        let raised = Sets { effective: BUMPED, permitted: own, ..Sets::default() };
        let with = |inheritable| Sets { inheritable, ..raised };

        let steps = plan(
            "setpriv --pdeathsig KILL --ambient-caps +kill,-all --inh-caps +kill \
             --bounding-set -all,+kill,+chown,+sys_resource --groups adm,7 --egid 9 \
             --reuid www --nnp -- x",
        )
        .unwrap();

        let dropped = own.without(CapSet::one(0)).without(CapSet::one(5));
        let dropped = dropped.each().map(|(number, _)| Step::Bounding(number));
        let expected = [
            Step::NoNewPrivs,
            Step::KeepCaps,
            Step::Capset(raised, "activate capabilities"),
            Step::Uids(33, 33),
            Step::Capset(raised, "reactivate capabilities"),
            Step::Gids(0, 9),
            Step::Groups(vec![4, 7], "setgroups failed"),
        ];
        let last = [
            Step::Capset(with(CapSet::one(5)), "apply capabilities"),
            Step::RaiseAmbient(5),
            Step::ClearAmbient,
            Step::DeathSignal(9),
        ];
        let expected: Vec<_> = expected.into_iter().chain(dropped).chain(last).collect();
        assert_eq!(steps, expected);
    }

    #[test]
    fn options_that_lack_others_are_refused() {
        for (line, text) in [
            (
                "--rgid 0",
                "--[re]gid requires --keep-groups, --clear-groups, --init-groups, or --groups",
            ),
            ("--init-groups", "--init-groups requires --ruid or --reuid"),
            (
                "--init-groups --ruid 5",
                "uid 5 not found, --init-groups requires an user that can be found on the system",
            ),
            (
                "--reset-env",
                "uid 0 not found, --reset-env requires an user that can be found on the system",
            ),
            ("--reuid 1 --euid 2", "duplicate euid"),
            ("--euid 1 --reuid 2", "duplicate ruid or euid"),
            ("--rgid 1 --rgid 2", "duplicate rgid"),
            ("--nnp --no-new-privs", "duplicate --no-new-privs option"),
            ("--inh-caps -all --inh -all", "duplicate --inh-caps option"),
            ("--clear-groups --clear-groups", "duplicate --clear-groups option"),
            (
                "--clear-groups --groups 1",
                "options --clear-groups and --groups cannot be combined",
            ),
            ("--pdeathsig clear --pdeathsig KILL", "duplicate --keep-pdeathsig option"),
            ("--pdeathsig 9", "unknown signal: 9"),
            ("--ptracer x", "invalid PID argument: 'x'"),
            ("--groups 1,", "Invalid supplementary group id: ''"),
            ("--reuid -1", "failed to parse reuid: '-1': Numerical result out of range"),
        ] {
            assert_eq!(plan(&format!("setpriv {line} x")), Err(text.to_owned()));
        }
    }

    #[test]
    fn the_groups_of_a_user_are_those_that_list_it() {
        let steps = plan("setpriv --init-groups --reuid 33 --regid 5 x").unwrap();

        assert_eq!(steps.last(), Some(&Step::Groups(vec![34, 4], "initgroups failed")));
    }
}
