//! What Landlock can forbid, by name: landlock(7) and linux/landlock.h.

use std::fmt;

use common::fail::quote;

/// What a right is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `LANDLOCK_ACCESS_FS_*`
    Fs,
    /// `LANDLOCK_ACCESS_NET_*`
    Net,
    /// `LANDLOCK_SCOPE_*`
    Scope,
}

/// One right.
#[derive(Debug, Clone, Copy)]
pub struct Right {
    /// What it is about.
    pub kind: Kind,
    /// As setpriv(1) calls it.
    pub name: &'static str,
    /// Its bit within the kind.
    pub bit: u64,
    /// The version of the kernel's interface that has it first.
    pub abi: u32,
}

const fn right(kind: Kind, name: &'static str, place: u32, abi: u32) -> Right {
    Right { kind, name, bit: 1 << place, abi }
}

/// All of them, by kind and bit.
pub const RIGHTS: [Right; 23] = [
    right(Kind::Fs, "execute", 0, 1),
    right(Kind::Fs, "write-file", 1, 1),
    right(Kind::Fs, "read-file", 2, 1),
    right(Kind::Fs, "read-dir", 3, 1),
    right(Kind::Fs, "remove-dir", 4, 1),
    right(Kind::Fs, "remove-file", 5, 1),
    right(Kind::Fs, "make-char", 6, 1),
    right(Kind::Fs, "make-dir", 7, 1),
    right(Kind::Fs, "make-reg", 8, 1),
    right(Kind::Fs, "make-sock", 9, 1),
    right(Kind::Fs, "make-fifo", 10, 1),
    right(Kind::Fs, "make-block", 11, 1),
    right(Kind::Fs, "make-sym", 12, 1),
    right(Kind::Fs, "refer", 13, 2),
    right(Kind::Fs, "truncate", 14, 3),
    right(Kind::Fs, "ioctl-dev", 15, 5),
    right(Kind::Fs, "resolve-unix", 16, 9),
    right(Kind::Net, "bind-tcp", 0, 4),
    right(Kind::Net, "connect-tcp", 1, 4),
    right(Kind::Net, "bind-udp", 2, 10),
    right(Kind::Net, "connect-send-udp", 3, 10),
    right(Kind::Scope, "abstract-unix-socket", 0, 6),
    right(Kind::Scope, "signal", 1, 6),
];

/// The kernel version of each version of the interface that brought a right.
const KERNELS: [(u32, &str); 8] = [
    (1, "5.13"),
    (2, "5.19"),
    (3, "6.2"),
    (4, "6.7"),
    (5, "6.10"),
    (6, "6.12"),
    (9, "7.1"),
    (10, "7.2"),
];

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fs, Self::Net, Self::Scope];

    /// As setpriv(1) calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fs => "fs",
            Self::Net => "net",
            Self::Scope => "scope",
        }
    }
}

/// A set of rights of all kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights {
    /// `handled_access_fs`
    pub fs: u64,
    /// `handled_access_net`
    pub net: u64,
    /// `scoped`
    pub scope: u64,
}

impl Rights {
    /// None.
    pub const NONE: Self = Self { fs: 0, net: 0, scope: 0 };
    /// Read files, list directories.
    pub const READ: Self = Self { fs: 0b1100, ..Self::NONE };
    /// Run programs.
    pub const EXECUTE: Self = Self { fs: 0b1, ..Self::NONE };
    /// Change, make, remove and move anything.
    pub const WRITE: Self = Self { fs: 0x7ff2, ..Self::NONE };
    /// Those that a file has that is no directory.
    pub const FILE: Self = Self { fs: 0x1_c007, ..Self::NONE };

    /// What a kind stands for as a whole. That does not depend on the kernel: a newer one
    /// shall not forbid more, nor an older one less.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Fs => Self::READ.or(Self::WRITE).or(Self::EXECUTE),
            Kind::Net => Self { net: 0b11, ..Self::NONE },
            Kind::Scope => Self { scope: 0b11, ..Self::NONE },
        }
    }

    /// All that a kernel with this version of the interface has.
    pub fn known(abi: u32) -> Self {
        let known = RIGHTS.iter().filter(|right| right.abi <= abi);
        known.fold(Self::NONE, |all, right| all.or((*right).into()))
    }

    /// What is in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            fs: self.fs | other.fs,
            net: self.net | other.net,
            scope: self.scope | other.scope,
        }
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            fs: self.fs & other.fs,
            net: self.net & other.net,
            scope: self.scope & other.scope,
        }
    }

    /// What is in this and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self {
            fs: self.fs & !other.fs,
            net: self.net & !other.net,
            scope: self.scope & !other.scope,
        }
    }

    /// Those of one kind.
    #[must_use]
    pub fn only(self, kind: Kind) -> Self {
        match kind {
            Kind::Fs => Self { fs: self.fs, ..Self::NONE },
            Kind::Net => Self { net: self.net, ..Self::NONE },
            Kind::Scope => Self { scope: self.scope, ..Self::NONE },
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Those with names, in the order of the table.
    pub fn each(self) -> impl Iterator<Item = Right> {
        RIGHTS.into_iter().filter(move |right| !self.and((*right).into()).is_empty())
    }

    /// The kernel version that has all of these.
    pub fn since(self) -> &'static str {
        let abi = self.each().map(|right| right.abi).max().unwrap_or(0);
        KERNELS.iter().find(|(has, _)| *has >= abi).map_or("", |(_, kernel)| kernel)
    }
}

impl From<Right> for Rights {
    fn from(right: Right) -> Self {
        match right.kind {
            Kind::Fs => Self { fs: right.bit, ..Self::NONE },
            Kind::Net => Self { net: right.bit, ..Self::NONE },
            Kind::Scope => Self { scope: right.bit, ..Self::NONE },
        }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.each().map(|right| right.name).collect();
        f.write_str(&names.join(","))
    }
}

/// A right of a kind by its full name.
pub fn exact(kind: Kind, name: &str) -> Option<Rights> {
    let found = RIGHTS.into_iter().find(|right| right.kind == kind && right.name == name);
    found.map(Rights::from)
}

/// A right of a kind by its name or the beginning of it, where only one begins so:
/// `write` for `write-file`, as setpriv(1) takes it.
///
/// # Errors
/// With those that begin so: none, or several.
pub fn begun(kind: Kind, name: &str) -> Result<Rights, Vec<&'static str>> {
    if let Some(found) = exact(kind, name) {
        return Ok(found);
    }
    let begins = |right: &Right| {
        right.kind == kind && !name.is_empty() && right.name.starts_with(name)
    };
    let mut found = RIGHTS.into_iter().filter(begins);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.into()),
        _ => Err(RIGHTS.iter().filter(|r| begins(r)).map(|right| right.name).collect()),
    }
}

/// A comma-separated list of full names of one kind.
///
/// # Errors
/// With the name that is none.
pub fn list(kind: Kind, names: &str) -> Result<Rights, String> {
    names.split(',').try_fold(Rights::NONE, |all, name| {
        let found = exact(kind, name);
        let found = found
            .ok_or_else(|| format!("{} is no {} right", quote(name), kind.name()))?;
        Ok(all.or(found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_without_gaps() {
        for kind in Kind::ALL {
            let mut bit = 1;
            for right in RIGHTS.iter().filter(|right| right.kind == kind) {
                assert_eq!(right.bit, bit, "{}", right.name);
                bit <<= 1;
            }
        }
        assert!(RIGHTS.iter().all(|r| KERNELS.iter().any(|(abi, _)| *abi == r.abi)));
        assert!(KERNELS.is_sorted());
    }

    #[test]
    fn a_kind_as_a_whole_is_what_its_first_kernels_had() {
        assert_eq!(
            Rights::of(Kind::Fs).to_string(),
            "execute,write-file,read-file,read-dir,remove-dir,remove-file,make-char,\
             make-dir,make-reg,make-sock,make-fifo,make-block,make-sym,refer,truncate"
        );
        assert_eq!(Rights::of(Kind::Net).to_string(), "bind-tcp,connect-tcp");
        assert_eq!(Rights::of(Kind::Scope).to_string(), "abstract-unix-socket,signal");
        assert_eq!(Rights::of(Kind::Fs).since(), "6.2");
        assert_eq!(
            Rights::FILE.to_string(),
            "execute,write-file,read-file,truncate,ioctl-dev,resolve-unix"
        );
    }

    #[test]
    fn the_beginning_of_a_name_serves_where_it_is_one() {
        assert_eq!(begun(Kind::Fs, "write"), Ok(exact(Kind::Fs, "write-file").unwrap()));
        assert_eq!(begun(Kind::Fs, "remove"), Err(vec!["remove-dir", "remove-file"]));
        assert_eq!(begun(Kind::Fs, ""), Err(vec![]));
        assert_eq!(begun(Kind::Net, "execute"), Err(vec![]));
        assert_eq!(list(Kind::Fs, "write"), Err("'write' is no fs right".to_owned()));
    }

    #[test]
    fn a_kernel_has_the_rights_of_its_interface() {
        assert_eq!(Rights::known(0), Rights::NONE);
        assert_eq!(Rights::known(1).fs, 0x1fff);
        assert_eq!(Rights::known(7), Rights { fs: 0xffff, net: 0b11, scope: 0b11 });
        assert_eq!(Rights::known(99), Rights { fs: 0x1_ffff, net: 0b1111, scope: 0b11 });
    }
}
