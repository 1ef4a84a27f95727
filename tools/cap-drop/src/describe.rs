//! The capabilities by number: their names, and what each permits: capabilities(7).

/// A capability that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// `cap_chown`.
    pub name: &'static str,
    /// What a process can do with it, in lines that fit a terminal.
    pub permits: &'static str,
}

impl Described {
    /// The beginning of it, for a line that has something else to say as well.
    pub fn brief(&self) -> String {
        let clause = self.permits.split([';', ':', '.']).next().unwrap_or_default();
        clause.replace('\n', " ")
    }
}

/// A row of the table, for short lines below.
const fn cap(name: &'static str, permits: &'static str) -> Described {
    Described { name, permits }
}

/// The row of a capability, where it has one here.
pub fn of(number: u8) -> Option<&'static Described> {
    KNOWN.get(usize::from(number))
}

/// The name of a capability, where it has one here.
pub fn name(number: u8) -> Option<&'static str> {
    of(number).map(|known| known.name)
}

/// The number of a capability by its whole name, in letters of either case.
pub fn number(name: &[u8]) -> Option<u8> {
    let is_it = |known: &Described| known.name.as_bytes().eq_ignore_ascii_case(name);
    u8::try_from(KNOWN.iter().position(is_it)?).ok()
}

/// All that have a name, in the order of their numbers.
pub const KNOWN: [Described; 41] = [
    cap(
        "cap_chown",
        "Give any file to any user and any group: chown(2) without its rules.",
    ),
    cap(
        "cap_dac_override",
        "Read, write and enter every file and directory whatever its mode and\n\
         ACL say; execute every file that anybody may execute.",
    ),
    cap(
        "cap_dac_read_search",
        "Read every file, list and enter every directory whatever its mode and\n\
         ACL say; open files by handle with open_by_handle_at(2); link a file\n\
         that is known by its descriptor alone.",
    ),
    cap(
        "cap_fowner",
        "Do to any file what its owner can: chmod(2), utime(2), set ACLs and\n\
         inode flags, delete from sticky directories, open with O_NOATIME.\n\
         What cap_dac_override and cap_dac_read_search are for is not part of it.",
    ),
    cap(
        "cap_fsetid",
        "Keep the setuid and setgid bits of a file that is written to; set the\n\
         setgid bit of a file whose group is none of the process's.",
    ),
    cap("cap_kill", "Send signals to processes of any user."),
    cap(
        "cap_setgid",
        "Change to any group and any list of supplementary groups; pass any\n\
         gid in socket credentials; write the gid map of a user namespace.",
    ),
    cap(
        "cap_setuid",
        "Change to any user, root included; pass any uid in socket credentials;\n\
         write the uid map of a user namespace.",
    ),
    cap(
        "cap_setpcap",
        "Drop capabilities from the bounding set, add those of the bounding set\n\
         to the inheritable set, and change the securebits.",
    ),
    cap(
        "cap_linux_immutable",
        "Set and clear the inode flags 'append only' and 'immutable': chattr(1).",
    ),
    cap(
        "cap_net_bind_service",
        "Bind sockets to ports below 1024 (ip_unprivileged_port_start).",
    ),
    cap(
        "cap_net_broadcast",
        "Broadcast over the network and listen to multicast; the kernel checks\n\
         for it nowhere.",
    ),
    cap(
        "cap_net_admin",
        "Configure the network: interfaces, addresses, routes, firewall, traffic\n\
         control, tunnels, promiscuous mode, and the socket options SO_MARK,\n\
         SO_PRIORITY above 6, SO_RCVBUFFORCE, SO_SNDBUFFORCE.",
    ),
    cap(
        "cap_net_raw",
        "Use raw and packet sockets: to see and to forge every packet of the\n\
         network namespace; bind to any address for transparent proxying.",
    ),
    cap(
        "cap_ipc_lock",
        "Lock memory beyond RLIMIT_MEMLOCK: mlock(2), mmap(2), shmctl(2); use\n\
         huge pages through memfd_create(2), mmap(2), shmctl(2).",
    ),
    cap(
        "cap_ipc_owner",
        "Use System V message queues, semaphores and shared memory of any user\n\
         whatever their modes say.",
    ),
    cap(
        "cap_sys_module",
        "Load kernel modules and unload them: whoever can do so owns the kernel.",
    ),
    cap(
        "cap_sys_rawio",
        "Reach the hardware: I/O ports, /dev/mem, /dev/kmem, MSRs, PCI\n\
         configuration, SCSI commands, FIBMAP; map memory below mmap_min_addr.",
    ),
    cap("cap_sys_chroot", "Call chroot(2); enter mount namespaces with setns(2)."),
    cap(
        "cap_sys_ptrace",
        "Trace any process, read and write its memory, follow its links in\n\
         /proc, inspect it with kcmp(2).",
    ),
    cap("cap_sys_pacct", "Turn process accounting on and off: acct(2)."),
    cap(
        "cap_sys_admin",
        "Administrate: mount and unmount, make namespaces and enter them, set\n\
         host and domain name, swap, quotas, trusted.* and security.* attributes,\n\
         device ioctls, seccomp without no_new_privs, and much else that has no\n\
         capability of its own. In most ways it is as good as root.",
    ),
    cap("cap_sys_boot", "Reboot, halt, load another kernel with kexec_load(2)."),
    cap(
        "cap_sys_nice",
        "Raise priorities, choose real-time scheduling, CPU affinity and I/O\n\
         class for any process; move its memory between NUMA nodes.",
    ),
    cap(
        "cap_sys_resource",
        "Exceed and raise limits: hard rlimits, quotas, reserved blocks, sizes\n\
         of pipes and message queues, keys, consoles; lower oom_score_adj.",
    ),
    cap("cap_sys_time", "Set the system clock and the hardware clock."),
    cap(
        "cap_sys_tty_config",
        "Configure virtual terminals; hang a terminal up with vhangup(2).",
    ),
    cap("cap_mknod", "Make device nodes with mknod(2)."),
    cap("cap_lease", "Take a lease on any file: F_SETLEASE of fcntl(2)."),
    cap("cap_audit_write", "Write records to the kernel's audit log."),
    cap("cap_audit_control", "Turn auditing on and off, read and change its rules."),
    cap(
        "cap_setfcap",
        "Give files capabilities, and take them away: setcap(8); map uid 0 of\n\
         the parent into a user namespace.",
    ),
    cap(
        "cap_mac_override",
        "Pass mandatory access control by, where the security module asks for\n\
         it: Smack does.",
    ),
    cap(
        "cap_mac_admin",
        "Configure mandatory access control and label files, where the security\n\
         module asks for it: Smack and AppArmor do.",
    ),
    cap(
        "cap_syslog",
        "Read and clear the kernel's messages where dmesg_restrict is set; see\n\
         kernel addresses in /proc where kptr_restrict is 1.",
    ),
    cap(
        "cap_wake_alarm",
        "Set timers that wake the system: CLOCK_REALTIME_ALARM and\n\
         CLOCK_BOOTTIME_ALARM.",
    ),
    cap(
        "cap_block_suspend",
        "Keep the system from suspending: EPOLLWAKEUP of epoll(7),\n\
         /proc/sys/wake_lock.",
    ),
    cap("cap_audit_read", "Listen to the audit log through a multicast netlink socket."),
    cap(
        "cap_perfmon",
        "Watch performance: perf_event_open(2) beyond perf_event_paranoid, and\n\
         the BPF operations that tracing takes. Split from cap_sys_admin.",
    ),
    cap(
        "cap_bpf",
        "Load BPF programs of most types and make maps: bpf(2); tracing takes\n\
         cap_perfmon, networking cap_net_admin as well. Split from cap_sys_admin.",
    ),
    cap(
        "cap_checkpoint_restore",
        "Save processes and bring them back: choose pids with clone3(2) and\n\
         ns_last_pid, read map_files of other processes. Split from\n\
         cap_sys_admin.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_kernel() {
        for (at, known) in KNOWN.iter().enumerate() {
            let upper: caps::Capability = known.name.to_uppercase().parse().unwrap();

            assert_eq!(usize::from(upper.index()), at);
            assert_eq!(number(known.name.as_bytes()).map(usize::from), Some(at));
            assert_eq!(name(upper.index()), Some(known.name));
        }
        assert_eq!(number(b"CAP_Kill"), Some(5));
        assert_eq!((number(b"kill"), number(b""), name(41)), (None, None, None));
    }

    #[test]
    fn each_is_described_in_sentences_that_fit_a_terminal() {
        for known in KNOWN {
            assert!(known.permits.ends_with('.'), "{known:?}");
            for line in known.permits.lines() {
                assert!(!line.is_empty() && line.len() <= 75, "{line}");
                assert_eq!(line.trim(), line);
            }
        }
    }
}
