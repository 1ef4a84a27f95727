//! A process's privileges, as far as the kernel tells of them.

use std::path::Path;

use common::ids::Ids;
use common::proc::{status_field, status_mask};
use common::{Context, Fail, bounded, sys};
use nix::errno::Errno;
use nix::libc::{self, c_int, pid_t};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{getpid, getppid};

use crate::securebits::Securebits;
use crate::sets::CapSet;
use crate::state::{Caps, State};

/// What a filter of system calls is, seccomp(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seccomp {
    /// There is none.
    #[default]
    None,
    /// read, write, exit.
    Strict,
    /// Programs that decide on each call.
    Filter,
}

/// A process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: pid_t,
    /// Its parent's; 0 where that is outside of the pid namespace.
    pub parent: pid_t,
    /// /proc/PID/comm, in the kernel's escaped form; empty for this process.
    pub name: String,
    /// Real, effective, saved.
    pub uids: [u32; 3],
    /// Real, effective, saved.
    pub gids: [u32; 3],
    /// Supplementary.
    pub groups: Vec<u32>,
    /// The capability sets.
    pub caps: Caps,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// The filter of system calls.
    pub seccomp: Seccomp,
    /// Mode bits that new files lack, where that is known.
    pub umask: Option<u32>,
    /// Only of this process: no file tells them.
    pub own: Option<Own>,
}

/// What the kernel tells a process of itself alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Own {
    /// How uid 0 is treated.
    pub securebits: Securebits,
    /// The signal that its parent's death sends; 0 for none.
    pub death_signal: c_int,
}

impl Process {
    /// This one, without /proc.
    pub fn current() -> Result<Self, Fail> {
        let State { caps, securebits, no_new_privs } = State::read()?;
        let ids = Ids::now()?;
        let death_signal = sys::pdeathsig().failed_to("read the parent death signal")?;
        // A strict filter would have killed it for asking.
        let seccomp = match sys::prctl(libc::PR_GET_SECCOMP, 0, 0) {
            Ok(2) => Seccomp::Filter,
            Ok(_) | Err(_) => Seccomp::None,
        };
        // There is no other way to ask.
        let mask = umask(Mode::empty());
        umask(mask);
        Ok(Self {
            pid: getpid().as_raw(),
            parent: getppid().as_raw(),
            name: String::new(),
            uids: ids.uids,
            gids: ids.gids,
            groups: ids.groups,
            caps,
            no_new_privs,
            seccomp,
            umask: Some(mask.bits()),
            own: Some(Own { securebits, death_signal }),
        })
    }

    /// Another, by /proc/PID/status.
    pub fn of(pid: pid_t) -> Result<Self, Fail> {
        let verb = "look at process";
        let path = format!("/proc/{pid}/status");
        let gone = |fail: Fail| match fail.errno {
            Some(Errno::ENOENT | Errno::ESRCH) => {
                Fail::cannot(verb, pid.to_string(), "there is none")
            }
            _ => fail,
        };
        if !common::proc::is_mounted() {
            return Err(Fail::cannot(verb, pid.to_string(), "/proc is not mounted"));
        }
        let text = read(Path::new(&path)).cannot("read", &path).map_err(gone)?;
        let text = String::from_utf8_lossy(&text);
        Self::parse(&text)
            .ok_or_else(|| Fail::cannot("read", path, "it is not understood"))
    }

    /// Reads a /proc/PID/status file.
    pub fn parse(text: &str) -> Option<Self> {
        let set = |name: &str| status_mask(text, name).map(CapSet);
        let field = |name: &str| status_field(text, name);
        let three = |name: &str| numbers(field(name)?)?.first_chunk::<3>().copied();
        Some(Self {
            pid: field("Pid")?.parse().ok()?,
            parent: field("PPid")?.parse().ok()?,
            name: field("Name")?.to_owned(),
            uids: three("Uid")?,
            gids: three("Gid")?,
            groups: numbers(field("Groups")?)?,
            caps: Caps {
                bounding: set("CapBnd")?,
                permitted: set("CapPrm")?,
                effective: set("CapEff")?,
                inheritable: set("CapInh")?,
                // Since Linux 4.3.
                ambient: set("CapAmb").unwrap_or_default(),
            },
            no_new_privs: field("NoNewPrivs") == Some("1"),
            seccomp: match field("Seccomp") {
                Some("1") => Seccomp::Strict,
                Some("2") => Seccomp::Filter,
                Some(_) | None => Seccomp::None,
            },
            umask: field("Umask").and_then(|mode| u32::from_str_radix(mode, 8).ok()),
            own: None,
        })
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    // Groups are at most 65536.
    Ok(bounded::read(file, 1 << 20, 4096)?.unwrap_or_default())
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    text.split_whitespace().map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_old_and_new_kernels_are_read() {
        let text = "Name:\ta\\nb\nUmask:\t0022\nPid:\t7\nPPid:\t1\nUid:\t0\t1\t2\t3\n\
            Gid:\t4\t5\t6\t7\nGroups:\t8 9 \nCapInh:\t0\nCapPrm:\t3\nCapEff:\t1\n\
            CapBnd:\t1ffffffffff\nCapAmb:\t2\nNoNewPrivs:\t1\nSeccomp:\t2\n";

        let process = Process::parse(text).unwrap();

        assert_eq!((process.pid, process.parent, &*process.name), (7, 1, "a\\nb"));
        assert_eq!((process.uids, process.gids), ([0, 1, 2], [4, 5, 6]));
        assert_eq!(process.groups, [8, 9]);
        assert_eq!((process.caps.permitted.0, process.caps.ambient.0), (3, 2));
        assert_eq!((process.no_new_privs, process.seccomp), (true, Seccomp::Filter));
        assert_eq!(process.umask, Some(0o22));
        let old = text.lines().filter(|line| !line.starts_with("CapAmb"));
        let old = Process::parse(&old.collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(old.caps.ambient, CapSet::NONE);
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        arbtest::arbtest(|u| {
            let _ = Process::parse(u.arbitrary()?);
            Ok(())
        });
        assert_eq!(Process::parse("Pid:\t1\n"), None);
    }
}
