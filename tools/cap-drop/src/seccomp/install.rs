//! Hands a filter to the kernel, and looks whether it has it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, IntoRawFd};

use common::fail::Hint;
use common::{Context, Fail, proc, sys};
use nix::errno::Errno;
use nix::libc::{self, c_long, sock_filter};

use super::bpf::{Data, Program, run};
use super::{Action, Arch, Flag};

impl Program {
    /// Installs it for this thread and all that it becomes.
    ///
    /// # Errors
    /// Where the kernel does not take it, or has it not afterwards.
    pub fn install(&self) -> Result<(), Fail> {
        let what = "install the seccomp filter";
        // What is open now can be read then, if the filter lets that pass.
        let before = Counted::open();
        let code: Vec<sock_filter> = self
            .code
            .iter()
            .map(|insn| sock_filter {
                code: insn.code,
                jt: insn.jt,
                jf: insn.jf,
                k: insn.k,
            })
            .collect();
        let flags = self.flags.iter().fold(0, |all, flag| all | flag.bit());
        sys::seccomp_filter(flags, &code)
            .failed_to(what)
            .hint_on(Errno::EACCES, "it takes --no-new-privs or CAP_SYS_ADMIN")
            .hint_on(Errno::EINVAL, "the kernel does not take this program or flag")?;
        match before {
            Some(before) => before.verify(self),
            None => Ok(()),
        }
    }

    /// Whether a call with these arguments is made; nothing where it cannot be told.
    pub fn lets_pass(&self, number: c_long, args: [u64; 6]) -> Option<bool> {
        let number = u32::try_from(number).ok()?;
        let answer = run(&self.code, &Data { number, audit: Arch::HERE.audit(), args })?;
        let passes = [Action::Allow, Action::Log].map(|action| action.value() >> 16);
        Some(passes.contains(&(answer.value >> 16)))
    }

    /// The call that starts COMMAND, where it is not let pass: that of a path, or that of
    /// a descriptor.
    pub fn forbids_exec(&self, by_fd: bool) -> Option<&'static str> {
        let (name, number) = if by_fd {
            ("execveat", libc::SYS_execveat)
        } else {
            ("execve", libc::SYS_execve)
        };
        (self.lets_pass(number, [0; 6]) == Some(false)).then_some(name)
    }
}

impl Flag {
    /// `SECCOMP_FILTER_FLAG_*` of linux/seccomp.h.
    fn bit(self) -> u32 {
        match self {
            // For the only thread there is it means nothing, and is refused beside
            // listeners; the last is about notifications and refused without.
            Self::Tsync | Self::WaitKillableRecv => 0,
            Self::Log => 1 << 1,
            Self::SpecAllow => 1 << 2,
        }
    }
}

/// /proc/self/status, twice open, and how many filters it has told of.
struct Counted {
    file: File,
    filters: u64,
}

impl Counted {
    /// Nothing where there is no /proc, or no count in it (before Linux 5.9).
    fn open() -> Option<Self> {
        if !proc::is_mounted() {
            return None;
        }
        let filters = count(File::open("/proc/self/status").ok()?)?;
        Some(Self { file: File::open("/proc/self/status").ok()?, filters })
    }

    fn verify(self, program: &Program) -> Result<(), Fail> {
        let fd = u64::try_from(self.file.as_raw_fd()).unwrap_or_default();
        let may_read = program.lets_pass(libc::SYS_read, [fd, 0, 4096, 0, 0, 0]);
        if may_read != Some(true) {
            // Closing it could be forbidden as well; the exec closes it.
            let _ = self.file.into_raw_fd();
            return Ok(());
        }
        let is_there = count(&self.file) > Some(self.filters);
        let _ = self.file.into_raw_fd();
        if is_there {
            Ok(())
        } else {
            Err(Fail::new(
                "cannot install the seccomp filter: it is not in /proc/self/status",
            ))
        }
    }
}

/// `Seccomp_filters:` where `Seccomp:` is 2, `SECCOMP_MODE_FILTER`, or 0.
fn count(mut status: impl Read) -> Option<u64> {
    let mut bytes = [0; 8192];
    let length = status.read(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(bytes.get(..length)?);
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_prefix(':')?.trim().parse().ok()
    };
    let filters = field("Seccomp_filters")?;
    Some(if field("Seccomp")? == 2 { filters } else { 0 })
}
