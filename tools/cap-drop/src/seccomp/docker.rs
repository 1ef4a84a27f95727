//! The profile that docker has built in, as a table of facts: what moby/profiles
//! seccomp/v0.2.3 (May 2026) says of the machines that we run on.

use std::borrow::Cow;

use caps::Capability;

use super::Arch;
use super::action::{Action, ENOSYS, EPERM};
use super::condition::{Condition, Op};
use super::profile::{Family, Group, Profile, When};
use crate::sets::CapSet;

/// What anybody may call.
const ALLOWED: &str = "\
    _llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat \
    capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64 \
    clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep \
    clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 \
    dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 \
    epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group \
    faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir \
    fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync \
    fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 \
    fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 \
    futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area \
    getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid \
    getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid \
    getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 \
    getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid \
    getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 \
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents \
    io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill \
    landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 \
    lgetxattr link linkat listen listmount listxattr listxattrat llistxattr \
    lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier \
    memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 \
    mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive \
    mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal \
    msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at \
    nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe \
    pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 \
    preadv preadv2 prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 \
    pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg \
    recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename \
    renameat renameat2 restart_syscall riscv_hwprobe rmdir rseq rt_sigaction \
    rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend \
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max \
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 \
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield \
    seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile \
    sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area \
    set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 \
    setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 \
    setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid \
    setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget \
    shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall \
    socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat \
    sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete \
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 \
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime \
    timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink \
    unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 \
    waitid waitpid write writev";

/// What takes a capability.
const WITH: [(Capability, &str); 14] = [
    (Capability::CAP_DAC_READ_SEARCH, "open_by_handle_at"),
    (
        Capability::CAP_SYS_ADMIN,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie \
         lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr \
         move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname \
         sethostname setns syslog umount umount2 unshare",
    ),
    (Capability::CAP_SYS_BOOT, "reboot"),
    (Capability::CAP_SYS_CHROOT, "chroot"),
    (Capability::CAP_SYS_MODULE, "delete_module init_module finit_module"),
    (Capability::CAP_SYS_PACCT, "acct"),
    (
        Capability::CAP_SYS_PTRACE,
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    (Capability::CAP_SYS_RAWIO, "iopl ioperm"),
    (Capability::CAP_SYS_TIME, "settimeofday stime clock_settime clock_settime64"),
    (Capability::CAP_SYS_TTY_CONFIG, "vhangup"),
    (
        Capability::CAP_SYS_NICE,
        "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    ),
    (Capability::CAP_SYSLOG, "syslog"),
    (Capability::CAP_BPF, "bpf"),
    (Capability::CAP_PERFMON, "perf_event_open"),
];

/// The seven namespaces that clone(2) makes, without the newer `CLONE_NEWTIME`.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// Those personality(2) values that only change how a program sees itself, and the one
/// that asks.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The profile.
pub fn profile() -> Profile<'static> {
    let mut groups = vec![
        allow(ALLOWED),
        // Since 4.8, ptrace(2) cannot get round a filter.
        Group {
            only: When { kernel: Some((4, 8)), ..When::default() },
            ..allow("process_vm_readv process_vm_writev ptrace")
        },
    ];
    // Not AF_ALG (38) and AF_VSOCK (40).
    let families = [(Op::Lt, 38), (Op::Eq, 39), (Op::Gt, 40)];
    groups.extend(families.map(|(op, value)| allow_if("socket", op, value)));
    groups.extend(PERSONALITIES.map(|value| allow_if("personality", Op::Eq, value)));
    let arm = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint \
               cacheflush set_tls";
    groups.push(on(&["arm", "arm64"], allow(arm)));
    groups.push(on(&["amd64", "x32"], allow("arch_prctl")));
    groups.push(on(&["amd64", "x32", "x86"], allow("modify_ldt")));
    groups.extend(WITH.map(|(capability, names)| with(capability, names)));
    let admin = || When { caps: Capability::CAP_SYS_ADMIN.into(), ..When::default() };
    groups.push(Group {
        unless: admin(),
        ..allow_if("clone", Op::Masked(NEW_NAMESPACES), 0)
    });
    // Its flags are out of a filter's reach: the C library goes back to clone(2).
    let action = Action::Errno(ENOSYS);
    groups.push(Group { action, unless: admin(), ..allow("clone3") });
    Profile {
        default: Action::Errno(EPERM),
        arches: vec![
            Family { machine: Some(Arch::X86_64), arches: vec![Arch::X86, Arch::X32] },
            Family { machine: Some(Arch::Aarch64), arches: vec![Arch::Arm] },
        ],
        groups,
        flags: Vec::new(),
    }
}

fn allow(names: &'static str) -> Group<'static> {
    Group {
        names: names.split_ascii_whitespace().map(Cow::Borrowed).collect(),
        action: Action::Allow,
        conditions: Vec::new(),
        only: When::default(),
        unless: When::default(),
    }
}

fn allow_if(name: &'static str, op: Op, value: u64) -> Group<'static> {
    Group { conditions: vec![Condition::new(0, op, value)], ..allow(name) }
}

fn on(machines: &[&str], group: Group<'static>) -> Group<'static> {
    let arches = machines.iter().map(|&name| name.to_owned()).collect();
    Group { only: When { arches, ..When::default() }, ..group }
}

fn with(capability: Capability, names: &'static str) -> Group<'static> {
    let caps = CapSet::from(capability);
    Group { only: When { caps, ..When::default() }, ..allow(names) }
}
