//! What becomes of a system call.

use nix::errno::Errno;

/// The action of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It is made.
    Allow,
    /// It is made, and the audit log has a line on it.
    Log,
    /// It fails with this errno(3).
    Errno(u16),
    /// The thread gets a SIGSYS.
    Trap,
    /// The thread ends as by SIGSYS.
    KillThread,
    /// The process ends as by SIGSYS.
    KillProcess,
}

/// The kernel has no larger one, `MAX_ERRNO`.
pub const MAX_ERRNO: u16 = 4095;

/// What an action without a number of its own fails with.
pub const EPERM: u16 = 1;
/// Not implemented.
pub const ENOSYS: u16 = 38;

impl Action {
    /// What a filter returns for it: `SECCOMP_RET_*` of linux/seccomp.h.
    pub fn value(self) -> u32 {
        match self {
            Self::Allow => 0x7fff_0000,
            Self::Log => 0x7ffc_0000,
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Self::Trap => 0x0003_0000,
            Self::KillThread => 0,
            Self::KillProcess => 0x8000_0000,
        }
    }

    /// Whether the call is made.
    pub fn lets_pass(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }

    /// The action of a profile, with its errno where it takes one.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn parse(name: &str, errno: u16) -> Result<Self, String> {
        match name {
            "SCMP_ACT_ALLOW" => Ok(Self::Allow),
            "SCMP_ACT_LOG" => Ok(Self::Log),
            "SCMP_ACT_ERRNO" => Ok(Self::Errno(errno)),
            "SCMP_ACT_TRAP" => Ok(Self::Trap),
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Ok(Self::KillThread),
            "SCMP_ACT_KILL_PROCESS" => Ok(Self::KillProcess),
            "SCMP_ACT_TRACE" => {
                Err(needs(name, "a tracer, and nothing here traces COMMAND"))
            }
            "SCMP_ACT_NOTIFY" => {
                Err(needs(name, "a listener, and none outlives the start of COMMAND"))
            }
            _ => Err(format!("{} is no action", common::fail::quote(name))),
        }
    }
}

fn needs(name: &str, what: &str) -> String {
    format!("{name} takes {what}")
}

/// The number of an errno by name, as podman writes it.
pub fn errno(name: &str) -> Option<u16> {
    // The highest there is, EHWPOISON, is 133.
    (1..=133_u16).find(|number| {
        let errno = Errno::from_raw((*number).into());
        errno != Errno::UnknownErrno && format!("{errno:?}") == name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_is_found_by_its_name() {
        for (name, number) in
            [("EPERM", 1), ("EINVAL", 22), ("ENOSYS", 38), ("EHWPOISON", 133)]
        {
            assert_eq!(errno(name), Some(number));
        }
        for name in ["", "eperm", "EPER", "UnknownErrno", "1"] {
            assert_eq!(errno(name), None, "{name}");
        }
    }

    #[test]
    fn what_nobody_would_serve_is_refused_with_the_reason() {
        assert_eq!(
            Action::parse("SCMP_ACT_NOTIFY", 1).unwrap_err(),
            "SCMP_ACT_NOTIFY takes a listener, and none outlives the start of COMMAND"
        );
        assert_eq!(Action::parse("ALLOW", 1).unwrap_err(), "'ALLOW' is no action");
    }
}
