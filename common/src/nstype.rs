//! The kinds of namespaces, as one table.

/// A kind of namespace, namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ns {
    /// User and group ids, capabilities: user_namespaces(7). First: it grants the others.
    User,
    /// The mount table: mount_namespaces(7).
    Mount,
    /// Process ids: pid_namespaces(7).
    Pid,
    /// System V IPC, POSIX message queues: ipc_namespaces(7).
    Ipc,
    /// Host and domain name: uts_namespaces(7).
    Uts,
    /// Network devices, addresses, ports: network_namespaces(7).
    Net,
    /// The cgroup root: cgroup_namespaces(7). Since Linux 4.6.
    Cgroup,
    /// Boot and monotonic clocks: time_namespaces(7). Since Linux 5.6.
    Time,
}

/// A row of the table: everything the kernel calls the kind by.
#[derive(Debug)]
pub struct Kind {
    /// The kind itself.
    pub ns: Ns,
    /// The file in /proc/PID/ns that names a process's own namespace.
    pub file: &'static str,
    /// `CLONE_NEW*` for clone3(2), unshare(2) and setns(2).
    pub flag: i32,
    /// The name of the flag.
    pub flag_name: &'static str,
}

/// All kinds in the order of [`Ns`].
pub const KINDS: [Kind; 8] = [
    Kind { ns: Ns::User, file: "user", flag: 0x1000_0000, flag_name: "CLONE_NEWUSER" },
    Kind { ns: Ns::Mount, file: "mnt", flag: 0x0002_0000, flag_name: "CLONE_NEWNS" },
    Kind { ns: Ns::Pid, file: "pid", flag: 0x2000_0000, flag_name: "CLONE_NEWPID" },
    Kind { ns: Ns::Ipc, file: "ipc", flag: 0x0800_0000, flag_name: "CLONE_NEWIPC" },
    Kind { ns: Ns::Uts, file: "uts", flag: 0x0400_0000, flag_name: "CLONE_NEWUTS" },
    Kind { ns: Ns::Net, file: "net", flag: 0x4000_0000, flag_name: "CLONE_NEWNET" },
    Kind {
        ns: Ns::Cgroup,
        file: "cgroup",
        flag: 0x0200_0000,
        flag_name: "CLONE_NEWCGROUP",
    },
    Kind { ns: Ns::Time, file: "time", flag: 0x0000_0080, flag_name: "CLONE_NEWTIME" },
];

impl Ns {
    /// The kind's row.
    pub fn kind(self) -> &'static Kind {
        let [user, mount, pid, ipc, uts, net, cgroup, time] = &KINDS;
        match self {
            Self::User => user,
            Self::Mount => mount,
            Self::Pid => pid,
            Self::Ipc => ipc,
            Self::Uts => uts,
            Self::Net => net,
            Self::Cgroup => cgroup,
            Self::Time => time,
        }
    }
}

/// A set of kinds as the flags of clone3(2), unshare(2), setns(2).
pub fn flags(set: &[Ns]) -> i32 {
    set.iter().fold(0, |all, ns| all | ns.kind().flag)
}

/// The names of a set's flags, joined as C would write them.
pub fn flag_names(set: &[Ns]) -> String {
    let names: Vec<_> = set.iter().map(|ns| ns.kind().flag_name).collect();
    if names.is_empty() { "0".to_owned() } else { names.join("|") }
}

/// The inode of the first user namespace in /proc/PID/ns/user, `PROC_USER_INIT_INO`.
pub const INITIAL_USERNS: u64 = 0xEFFF_FFFD;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds_and_unique() {
        for kind in &KINDS {
            assert_eq!(kind.ns.kind().ns, kind.ns);
        }
        assert!(KINDS.is_sorted_by(|a, b| a.ns < b.ns));
        let all: Vec<_> = KINDS.iter().map(|k| k.ns).collect();
        assert_eq!(flags(&all).count_ones(), 8);
    }

    #[test]
    fn flags_are_named_as_in_c() {
        assert_eq!(flag_names(&[Ns::User, Ns::Mount]), "CLONE_NEWUSER|CLONE_NEWNS");
        assert_eq!(flag_names(&[]), "0");
    }
}
