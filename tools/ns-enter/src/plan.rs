//! What to enter and who to be there, decided without a system call.

use common::chain::link_name;
use common::explain::Explain;
use common::nstype::{Ns, flag_names};

use crate::cli::Cli;
use crate::host::Host;

/// What ns-enter is going to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The process.
    pub pid: i32,
    /// In this process.
    pub steps: Vec<Step>,
    /// Whether COMMAND is a child: only children enter a pid namespace.
    pub fork: bool,
    /// In the process that becomes COMMAND.
    pub last: Vec<Step>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep our tools within reach, from where the caller's mounts are seen.
    KeepTools,
    /// Let nobody inside look into this process.
    Hide,
    /// Leave the supplementary groups.
    LeaveGroups,
    /// Enter these namespaces at once.
    Enter(Vec<Ns>),
    /// Change to the process's root directory.
    Root,
    /// Change to the process's working directory.
    WorkingDirectory,
    /// Become this gid: all three.
    Gid(u32),
    /// Become this uid: all three.
    Uid(u32),
}

impl Plan {
    /// Decides.
    pub fn new(cli: &Cli, host: &Host) -> Self {
        let mut kinds = cli.kinds();
        kinds.extend(host.foreign.iter().filter(|ns| !cli.kinds().contains(ns)));
        kinds.sort_unstable();
        let has = |ns| kinds.contains(&ns);
        let mut steps = Vec::new();
        let is_link = cli.link.command.iter().any(|word| link_name(word).is_some());
        if is_link && (has(Ns::Mount) || cli.root) {
            steps.push(Step::KeepTools);
        }
        if !kinds.is_empty() {
            steps.push(Step::Hide);
        }
        let (mut before, last) = credentials(cli, host, has(Ns::User));
        steps.append(&mut before);
        let fork = has(Ns::Pid) && !cli.no_fork;
        if !kinds.is_empty() {
            steps.push(Step::Enter(kinds));
        }
        steps.extend(cli.root.then_some(Step::Root));
        steps.extend(cli.wd.then_some(Step::WorkingDirectory));
        Self { pid: cli.target, steps, fork, last }
    }

    /// The plan as lines for `--explain`.
    pub fn lines(&self) -> Vec<Line> {
        let open =
            Line(format!("pidfd_open({})", self.pid), "the process, by descriptor");
        let fork = self.fork.then(|| {
            Line("clone3(CLONE_PIDFD)".into(), "only a child enters the pid namespace")
        });
        let line = |step: &Step| Line(step.call(), step.why());
        std::iter::once(open)
            .chain(self.steps.iter().map(line))
            .chain(fork)
            .chain(self.last.iter().map(line))
            .collect()
    }
}

/// What to do about ids before entering, and after.
///
/// Where the user namespace denies setgroups(2), the caller's groups are left before, if
/// that is allowed; if not they stay, and mean as little inside as they do to the process.
fn credentials(cli: &Cli, host: &Host, is_user: bool) -> (Vec<Step>, Vec<Step>) {
    if cli.preserve_credentials {
        return (vec![], vec![]);
    }
    let root = is_user.then_some(0);
    let (uid, gid) = (cli.setuid.or(root), cli.setgid.or(root));
    let denied = is_user && host.setgroups_denied;
    let leave = |when: bool| (gid.is_some() && when).then_some(Step::LeaveGroups);
    let before = leave(denied && host.may_setgroups).into_iter().collect();
    let after =
        leave(!denied).into_iter().chain(gid.map(Step::Gid)).chain(uid.map(Step::Uid));
    (before, after.collect())
}

/// A line of `--explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(String, &'static str);

impl Explain for Line {
    fn call(&self) -> String {
        self.0.clone()
    }

    fn why(&self) -> String {
        self.1.to_owned()
    }
}

impl Step {
    fn call(&self) -> String {
        match self {
            Self::KeepTools => {
                "open_tree('.../', OPEN_TREE_CLONE); mount_setattr()".into()
            }
            Self::Hide => "prctl(PR_SET_DUMPABLE, 0)".into(),
            Self::LeaveGroups => "setgroups([])".into(),
            Self::Enter(kinds) => format!("setns(pidfd, {})", flag_names(kinds)),
            Self::Root => "fchdir(root); chroot('.')".into(),
            Self::WorkingDirectory => "fchdir(cwd)".into(),
            Self::Gid(gid) => format!("setresgid({gid}, {gid}, {gid})"),
            Self::Uid(uid) => format!("setresuid({uid}, {uid}, {uid})"),
        }
    }

    fn why(&self) -> &'static str {
        match self {
            Self::KeepTools => {
                "a read-only clone of the tools' directory, for later links"
            }
            Self::Hide => "nobody inside may trace this process or open its files",
            Self::LeaveGroups => "the caller's groups mean nothing there",
            Self::Enter(_) => "all at once",
            Self::Root => "the process's root directory, opened before",
            Self::WorkingDirectory => "the process's working directory, opened before",
            Self::Gid(_) => "before the uid, with which the right to would go",
            Self::Uid(_) => "real, effective and saved",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn plan(args: &[&str], host: &Host) -> Plan {
        let args =
            ["ns-enter", "-t", "7"].iter().chain(args).map(OsString::from).collect();
        Plan::new(&common::cli::parse(args).unwrap(), host)
    }

    #[test]
    fn all_enters_what_is_foreign_and_what_was_named() {
        let host = Host { foreign: vec![Ns::Mount, Ns::Net], ..Host::default() };

        let plan = plan(&["-a", "-u", "-n", "true"], &host);

        assert_eq!(
            plan.steps,
            [Step::Hide, Step::Enter(vec![Ns::Mount, Ns::Uts, Ns::Net])]
        );
        assert!(!plan.fork && plan.last.is_empty());
    }

    #[test]
    fn without_namespaces_nothing_is_entered() {
        assert_eq!(plan(&["true"], &Host::default()).steps, []);
    }

    #[test]
    fn a_user_namespace_makes_root_and_leaves_the_groups_inside() {
        let plan = plan(&["-U", "-p", "true"], &Host::default());

        assert_eq!(plan.last, [Step::LeaveGroups, Step::Gid(0), Step::Uid(0)]);
        assert!(plan.fork);
    }

    #[test]
    fn groups_are_left_outside_where_that_is_denied_inside() {
        let root =
            Host { setgroups_denied: true, may_setgroups: true, ..Host::default() };
        let user = Host { setgroups_denied: true, ..Host::default() };
        let enter = Step::Enter(vec![Ns::User]);

        let (as_root, as_user) =
            (plan(&["-U", "true"], &root), plan(&["-U", "true"], &user));

        assert_eq!(as_root.steps, [Step::Hide, Step::LeaveGroups, enter.clone()]);
        assert_eq!(as_user.steps, [Step::Hide, enter]);
        assert_eq!(as_root.last, [Step::Gid(0), Step::Uid(0)]);
        assert_eq!(as_root.last, as_user.last);
    }

    #[test]
    fn ids_that_were_named_are_set_and_preserved_ones_kept() {
        let named = plan(&["-n", "-S", "5", "true"], &Host::default());
        let kept = plan(&["-U", "--preserve-credentials", "true"], &Host::default());

        assert_eq!(named.last, [Step::Uid(5)]);
        assert!(kept.last.is_empty());
    }

    #[test]
    fn our_tools_are_kept_where_the_rest_names_one() {
        let first = |args: &[&str]| plan(args, &Host::default()).steps.remove(0);

        assert_eq!(first(&["-m", "cap-drop", "true"]), Step::KeepTools);
        assert_eq!(first(&["-m", "true"]), Step::Hide);
        assert_eq!(first(&["-n", "cap-drop", "true"]), Step::Hide);
    }
}
