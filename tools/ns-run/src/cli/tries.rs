//! Namespaces that are made where they can be.

use clap::Args;
use common::nstype::Ns;

/// The options `--try-KIND`.
#[derive(Args, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[group(skip)]
pub struct Tries {
    /// Make a new user namespace where it can be made
    #[arg(id = "try_user", long = "try-user")]
    pub user: bool,
    /// Make a new mount namespace where it can be made
    #[arg(id = "try_mount", long = "try-mount")]
    pub mount: bool,
    /// Make a new pid namespace where it can be made
    #[arg(id = "try_pid", long = "try-pid")]
    pub pid: bool,
    /// Make a new IPC namespace where it can be made
    #[arg(id = "try_ipc", long = "try-ipc")]
    pub ipc: bool,
    /// Make a new UTS namespace where it can be made
    #[arg(id = "try_uts", long = "try-uts")]
    pub uts: bool,
    /// Make a new network namespace where it can be made
    #[arg(id = "try_net", long = "try-net")]
    pub net: bool,
    /// Make a new cgroup namespace where it can be made
    #[arg(id = "try_cgroup", long = "try-cgroup")]
    pub cgroup: bool,
    /// Make a new time namespace where it can be made
    #[arg(id = "try_time", long = "try-time")]
    pub time: bool,
}

impl Tries {
    /// The kinds, in the order of [`Ns`].
    pub fn kinds(self) -> Vec<Ns> {
        let all = [
            (self.user, Ns::User),
            (self.mount, Ns::Mount),
            (self.pid, Ns::Pid),
            (self.ipc, Ns::Ipc),
            (self.uts, Ns::Uts),
            (self.net, Ns::Net),
            (self.cgroup, Ns::Cgroup),
            (self.time, Ns::Time),
        ];
        all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, ns)| ns).collect()
    }
}
