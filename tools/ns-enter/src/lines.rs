//! The plan as the lines of `--explain`.

use common::explain::Explain;
use common::nstype::flag_names;

use crate::plan::{Plan, Step};

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

impl Plan {
    /// What is going to be called, and why.
    pub fn lines(&self) -> Vec<Line> {
        let open = self
            .pid
            .map(|pid| Line(format!("pidfd_open({pid})"), "the process, by descriptor"));
        let fork = self.fork.map(|memory| {
            Line(memory.call().into(), "only a child enters the pid namespace")
        });
        let line = |step: &Step| Line(step.call(), step.why());
        open.into_iter()
            .chain(self.steps.iter().map(line))
            .chain(fork)
            .chain(self.last.iter().map(line))
            .collect()
    }
}

impl Step {
    fn call(&self) -> String {
        match self {
            Self::KeepTools => {
                "open_tree('.../', OPEN_TREE_CLONE); mount_setattr()".into()
            }
            Self::Hide => "prctl(PR_SET_DUMPABLE, 0)".into(),
            Self::Context => "write(/proc/thread-self/attr/exec)".into(),
            Self::LeaveGroups | Self::TryLeaveGroups => "setgroups([])".into(),
            Self::Enter { process, files } => enter(process, files),
            Self::Root => "fchdir(root); chroot('.')".into(),
            Self::WorkingDirectory => "fchdir(cwd)".into(),
            Self::DirectoryInside(dir) => format!("chdir('{}')", dir.display()),
            Self::JoinCgroup(dir) => format!("write({}/cgroup.procs)", dir.display()),
            Self::MountProc(dir) => {
                format!("unshare(CLONE_NEWNS); mount(proc, '{}')", dir.display())
            }
            Self::HoldCaps => "prctl(PR_SET_KEEPCAPS, 1)".into(),
            Self::Gid(gid) => format!("setresgid({gid}, {gid}, {gid})"),
            Self::Uid(uid) => format!("setresuid({uid}, {uid}, {uid})"),
            Self::KeepCaps => "capset(); prctl(PR_CAP_AMBIENT_RAISE)".into(),
            Self::Environment => "environ".into(),
        }
    }

    fn why(&self) -> &'static str {
        match self {
            Self::KeepTools => {
                "a read-only clone of the tools' directory, for later links"
            }
            Self::Hide => "nobody inside may trace this process or open its files",
            Self::Context => "the process's SELinux context",
            Self::LeaveGroups => "the caller's groups mean nothing there",
            Self::TryLeaveGroups => "what is left of them, if it is allowed",
            Self::Enter { files, .. } if files.is_empty() => "all at once",
            Self::Enter { .. } => "what is refused again after the user namespace",
            Self::Root => "the root directory that was opened before",
            Self::WorkingDirectory => "the working directory that was opened before",
            Self::DirectoryInside(_) => "the working directory, by its path inside",
            Self::JoinCgroup(_) => "the process's cgroup, opened before",
            Self::MountProc(_) => "a proc of the pid namespace, for COMMAND alone",
            Self::HoldCaps => "the uid takes no capability away",
            Self::Gid(_) => "before the uid, with which the right to would go",
            Self::Uid(_) => "real, effective and saved",
            Self::KeepCaps => "the exec takes no capability away",
            Self::Environment => "the process's, without what our links hand on",
        }
    }
}

fn enter(process: &[common::nstype::Ns], files: &[common::nstype::Ns]) -> String {
    let by_pidfd =
        (!process.is_empty()).then(|| format!("setns(pidfd, {})", flag_names(process)));
    let by_file = files.iter().map(|ns| format!("setns({0}, {0})", flag_names(&[*ns])));
    let by_file = by_file.map(|call| call.replacen("CLONE_NEW", "", 1));
    by_pidfd.into_iter().chain(by_file).collect::<Vec<_>>().join("; ")
}
