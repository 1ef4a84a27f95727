//! The system calls by name, and what number each calling convention has for them.

use std::cell::Cell;

use super::Arch;

/// One line a call: `NAME NUMBER`, or a number for each of [`Arch::ALL`], `-` for none.
/// From the headers of Linux 6.17 as linux-raw-sys 0.12.1 has them, and 470 and 471 of
/// 6.19 and 7.0; the bit of x32 is left out.
const TABLE: &str = include_str!("syscalls.txt");

/// The table, for finding a name.
pub(super) struct Names(Vec<(&'static str, &'static str)>, Cell<usize>);

impl Names {
    /// Reads it.
    pub(super) fn read() -> Self {
        let mut lines = Vec::with_capacity(512);
        lines.extend(TABLE.lines().filter_map(|line| line.split_once(' ')));
        Self(lines, Cell::new(0))
    }

    /// The numbers of a call, if it is one we know.
    pub(super) fn find(&self, name: &str) -> Option<Numbers> {
        // Profiles are sorted for the most part: the next line is worth a look.
        let next = self.1.get().saturating_add(1);
        if let Some((_, numbers)) = self.0.get(next).filter(|(known, _)| *known == name) {
            self.1.set(next);
            return Some(Numbers(numbers));
        }
        let at = self.0.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
        self.1.set(at);
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
    let socketcall = |call| Some(("socketcall", call));
    let ipc = |call| Some(("ipc", call));
    match name {
        "socket" => socketcall(1),
        "bind" => socketcall(2),
        "connect" => socketcall(3),
        "listen" => socketcall(4),
        "accept" => socketcall(5),
        "getsockname" => socketcall(6),
        "getpeername" => socketcall(7),
        "socketpair" => socketcall(8),
        "send" => socketcall(9),
        "recv" => socketcall(10),
        "sendto" => socketcall(11),
        "recvfrom" => socketcall(12),
        "shutdown" => socketcall(13),
        "setsockopt" => socketcall(14),
        "getsockopt" => socketcall(15),
        "sendmsg" => socketcall(16),
        "recvmsg" => socketcall(17),
        "accept4" => socketcall(18),
        "recvmmsg" => socketcall(19),
        "sendmmsg" => socketcall(20),
        "semop" => ipc(1),
        "semget" => ipc(2),
        "semctl" => ipc(3),
        "semtimedop" => ipc(4),
        "msgsnd" => ipc(11),
        "msgrcv" => ipc(12),
        "msgget" => ipc(13),
        "msgctl" => ipc(14),
        "shmat" => ipc(21),
        "shmdt" => ipc(22),
        "shmget" => ipc(23),
        "shmctl" => ipc(24),
        _ => None,
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
