//! Calling conventions, each with a table of system calls of its own.

/// `AUDIT_ARCH_*` of linux/audit.h, and what libseccomp calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// 64 bits on x86.
    X86_64,
    /// 32 bits on x86, also as `int 0x80` in a 64-bit program.
    X86,
    /// 64-bit registers with 32-bit pointers: x86-64 with a bit in the number.
    X32,
    /// 64 bits on ARM.
    Aarch64,
    /// 32 bits on ARM.
    Arm,
}

/// `__X32_SYSCALL_BIT` of asm/unistd.h.
pub const X32_BIT: u32 = 0x4000_0000;

impl Arch {
    /// All of them, in the order of the columns of the table of names.
    pub const ALL: [Self; 5] =
        [Self::X86_64, Self::X86, Self::X32, Self::Aarch64, Self::Arm];

    /// What this program is built for.
    #[cfg(target_arch = "x86_64")]
    pub const HERE: Self = Self::X86_64;
    /// What this program is built for.
    #[cfg(target_arch = "aarch64")]
    pub const HERE: Self = Self::Aarch64;

    /// As profiles write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// As `includes` and `excludes` of a profile write it.
    pub fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
        }
    }

    /// What `seccomp_data.arch` has: EM_* of elf.h, 64 bits, little-endian.
    pub fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// What its system call numbers have set.
    pub fn bit(self) -> u32 {
        if self == Self::X32 { X32_BIT } else { 0 }
    }

    /// Whether arguments have 32 bits: what stands above is not looked at, in rules either.
    pub fn is_narrow(self) -> bool {
        matches!(self, Self::X86 | Self::X32 | Self::Arm)
    }

    /// Whether a kernel of `machine` runs its programs.
    pub fn runs_on(self, machine: Self) -> bool {
        let is_arm = |arch| matches!(arch, Self::Aarch64 | Self::Arm);
        is_arm(self) == is_arm(machine)
    }
}

/// Those that profiles name and that are none of ours.
pub const FOREIGN: [&str; 18] = [
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted_and_none_is_there_twice() {
        assert!(FOREIGN.is_sorted());
        assert!(Arch::ALL.is_sorted());
        assert!(Arch::ALL.iter().all(|arch| !FOREIGN.contains(&arch.name())));
    }
}
