//! The system calls by name, and what number each calling convention has for them.

use super::Arch;

/// One line a call: `NAME NUMBER`, or a number for each of [`Arch::ALL`], `-` for none.
/// From the headers of Linux 6.17 as linux-raw-sys 0.12.1 has them, and 470 and 471 of
/// 6.19 and 7.0; the bit of x32 is left out.
const TABLE: &str = include_str!("syscalls.txt");

/// The table, for finding a name.
pub(super) struct Names(Vec<(&'static str, &'static str)>);

impl Names {
    /// Reads it.
    pub(super) fn read() -> Self {
        let mut lines = Vec::with_capacity(512);
        lines.extend(TABLE.lines().filter_map(|line| line.split_once(' ')));
        Self(lines)
    }

    /// The numbers of a call, if it is one we know.
    pub(super) fn find(&self, name: &str) -> Option<Numbers> {
        let at = self.0.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
        self.0.get(at).map(|(_, numbers)| Numbers(numbers))
    }

    /// All names.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }
}

/// The numbers of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers(&'static str);

impl Numbers {
    /// That of one calling convention, with the bit of x32.
    pub(super) fn on(self, arch: Arch) -> Option<u32> {
        let mut words = self.0.split(' ');
        let first = words.next()?;
        let mine = match arch {
            Arch::X86_64 => Some(first),
            Arch::X86 => words.next(),
            Arch::X32 => words.nth(1),
            Arch::Aarch64 => words.nth(2),
            Arch::Arm => words.nth(3),
        };
        let number: u32 = mine.unwrap_or(first).parse().ok()?;
        Some(number | arch.bit())
    }
}

/// What 32-bit x86 also has behind socketcall(2) and ipc(2), by the first argument.
pub(super) fn multiplexed(name: &str) -> Option<(&'static str, u64)> {
    const SOCKET: [&str; 20] = [
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ];
    const IPC: [(&str, u64); 12] = [
        ("semop", 1),
        ("semget", 2),
        ("semctl", 3),
        ("semtimedop", 4),
        ("msgsnd", 11),
        ("msgrcv", 12),
        ("msgget", 13),
        ("msgctl", 14),
        ("shmat", 21),
        ("shmdt", 22),
        ("shmget", 23),
        ("shmctl", 24),
    ];
    let socket = (1..).zip(SOCKET).find(|(_, known)| *known == name);
    let ipc = || IPC.iter().find(|(known, _)| *known == name);
    match socket {
        Some((number, _)) => Some(("socketcall", number)),
        None => ipc().map(|(_, number)| ("ipc", *number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_a_number_in_every_field() {
        let names = Names::read();

        assert!(names.0.is_sorted_by(|(a, _), (b, _)| a < b));
        assert!(names.0.len() > 480);
        for (name, numbers) in &names.0 {
            let fields: Vec<_> = numbers.split(' ').collect();
            assert!(fields.len() == 1 || fields.len() == 5, "{name}");
            assert!(
                fields.iter().all(|f| *f == "-" || f.parse::<u32>().is_ok()),
                "{name}"
            );
        }
    }

    #[test]
    fn a_call_has_another_number_on_each() {
        let names = Names::read();
        let on = |name: &str| Arch::ALL.map(|arch| names.find(name).unwrap().on(arch));
        let all = |number| [Some(number); 5];

        assert_eq!(
            on("execve"),
            [Some(59), Some(11), Some(0x4000_0208), Some(221), Some(11)]
        );
        let mut same = all(435);
        same[2] = Some(0x4000_01b3);
        assert_eq!(on("clone3"), same);
        assert_eq!(on("socketcall"), [None, Some(102), None, None, None]);
        assert!(names.find("no_such_call").is_none());
    }

    /// libc's own table is another copy of the kernel's.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_numbers_are_those_of_the_c_library() {
        use nix::libc;
        let names = Names::read();
        for (name, number) in [
            ("read", libc::SYS_read),
            ("openat2", libc::SYS_openat2),
            ("mount_setattr", libc::SYS_mount_setattr),
            ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
            ("rt_sigreturn", libc::SYS_rt_sigreturn),
            ("fchmodat2", libc::SYS_fchmodat2),
        ] {
            let found = names.find(name).unwrap().on(Arch::X86_64);
            assert_eq!(found.map(i64::from), Some(number), "{name}");
        }
    }
}
