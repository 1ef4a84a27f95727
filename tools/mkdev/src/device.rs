//! Device nodes: what is asked for, as `--device` says it, and what a host has.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::sys::stat::SFlag;

/// A character or block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `S_IFCHR`.
    Character,
    /// `S_IFBLK`.
    Block,
}

impl Kind {
    /// The bits of a mode.
    pub fn flag(self) -> SFlag {
        match self {
            Self::Character => SFlag::S_IFCHR,
            Self::Block => SFlag::S_IFBLK,
        }
    }

    /// The name of the bits.
    pub fn flag_name(self) -> &'static str {
        match self {
            Self::Character => "S_IFCHR",
            Self::Block => "S_IFBLK",
        }
    }

    /// How people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Character => "character device",
            Self::Block => "block device",
        }
    }
}

/// Which device it is: what a node is proved by after it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Of which kind.
    pub kind: Kind,
    /// Its major number.
    pub major: u64,
    /// Its minor number.
    pub minor: u64,
}

/// A path below /dev, without that; no part of it climbs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub PathBuf);

impl Name {
    /// Reads `/dev/net/tun` or `net/tun`.
    pub fn parse(path: &Path) -> Option<Self> {
        let inside = path.strip_prefix("/dev").unwrap_or(path);
        let is_normal = |part: Component<'_>| matches!(part, Component::Normal(_));
        let is_name =
            !inside.as_os_str().is_empty() && inside.components().all(is_normal);
        is_name.then(|| Self(inside.components().collect()))
    }

    /// Of one of our own, which is known to be one.
    pub fn own(name: &str) -> Self {
        Self(name.into())
    }

    /// As the program in the container would write it.
    pub fn absolute(&self) -> PathBuf {
        Path::new("/dev").join(&self.0)
    }
}

/// Which accesses a node of ours allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// `r`.
    pub read: bool,
    /// `w`.
    pub write: bool,
}

impl Access {
    /// As without a word; `m`, making nodes, is never possible.
    pub const ALL: Self = Self { read: true, write: true };

    /// Reads `rwm` or some of it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let at = |letter: &u8| text.iter().position(|other| other == letter);
        let last = |letter: &u8| text.iter().rposition(|other| other == letter);
        let is_access =
            |letter: &u8| b"rwm".contains(letter) && at(letter) == last(letter);
        (!text.is_empty() && text.iter().all(is_access))
            .then(|| Self { read: text.contains(&b'r'), write: text.contains(&b'w') })
    }

    /// The bits of a mode that are left.
    pub fn limit(self, mode: u32) -> u32 {
        let denied = |is: bool, bits| if is { 0 } else { bits };
        mode & !denied(self.read, 0o444) & !denied(self.write, 0o222)
    }
}

/// What somebody wants to have in /dev.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The caller's node, or a directory of nodes.
    pub host: PathBuf,
    /// What it is called in the container.
    pub name: Name,
    /// What is allowed with it.
    pub access: Access,
    /// The device it must be.
    pub device: Option<Device>,
    /// Its permissions, where not those of the caller's node.
    pub mode: Option<u32>,
    /// Its user and group, likewise.
    pub owner: (Option<u32>, Option<u32>),
}

/// Reads `HOST[:CONTAINER[:rwm]]`; `HOST:rwm` will do, as in docker.
///
/// # Errors
/// The reason, without the text itself, which the argument parser names.
pub fn asked(text: &OsStr) -> Result<Asked, String> {
    let parts: Vec<&[u8]> = text.as_bytes().split(|b| *b == b':').collect();
    let (host, name, access) = match parts.as_slice() {
        [host] => (*host, *host, None),
        [host, access] if Access::parse(access).is_some() => {
            (*host, *host, Some(*access))
        }
        [host, name] => (*host, *name, None),
        [host, name, access] => (*host, *name, Some(*access)),
        _ => return Err("not HOST[:CONTAINER[:rwm]]".to_owned()),
    };
    if !host.starts_with(b"/") {
        return Err("the caller's device needs an absolute path".to_owned());
    }
    let name = Path::new(OsStr::from_bytes(name));
    let name =
        Name::parse(name).ok_or("a node can be made below /dev only: HOST:/dev/NAME")?;
    let access = access.map_or(Some(Access::ALL), Access::parse);
    let access = access.ok_or("what is allowed is one or more of r, w, m")?;
    let host = OsString::from(OsStr::from_bytes(host)).into();
    Ok(Asked { host, name, access, device: None, mode: None, owner: (None, None) })
}

/// A node to be made or bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The caller's.
    pub host: PathBuf,
    /// Where it goes.
    pub name: Name,
    /// Which device it is.
    pub device: Device,
    /// Permissions, as the host's udev gives them.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// What is allowed with it.
    pub access: Access,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String, Access), String> {
        asked(text.as_ref()).map(|asked| {
            let shown = |path: &Path| path.display().to_string();
            (shown(&asked.host), shown(&asked.name.0), asked.access)
        })
    }

    #[test]
    fn a_device_is_written_as_docker_has_it() {
        let access = |read, write| Access { read, write };
        let is = |host: &str, name: &str, access| {
            Ok((host.to_owned(), name.to_owned(), access))
        };

        assert_eq!(read("/dev/kvm"), is("/dev/kvm", "kvm", Access::ALL));
        assert_eq!(read("/dev/kvm:r"), is("/dev/kvm", "kvm", access(true, false)));
        assert_eq!(read("/dev/net/tun:tun"), is("/dev/net/tun", "tun", Access::ALL));
        assert_eq!(read("/x:/dev/a/./b:wm"), is("/x", "a/b", access(false, true)));
        assert_eq!(read("/dev//net//tun"), is("/dev//net//tun", "net/tun", Access::ALL));
    }

    #[test]
    fn what_would_lie_outside_of_dev_is_refused() {
        for text in [
            "",
            "kvm",
            "/kvm",
            "/dev",
            "/dev/",
            "/dev/x:/etc/y",
            "/dev/x:../y",
            "/dev/x:a/../../y",
            "/dev/x:/dev/../y",
            "/dev/x::rw",
            "/dev/x:y:rr",
            "/dev/x:y:z",
            "/dev/x:y:rw:z",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_word_becomes_a_name_that_climbs() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            if let Ok(asked) = asked(OsStr::from_bytes(&bytes)) {
                let mut parts = asked.name.0.components();
                assert!(parts.all(|part| matches!(part, Component::Normal(_))));
                assert!(asked.host.is_absolute());
            }
            Ok(())
        });
    }

    #[test]
    fn what_is_not_allowed_is_not_in_the_mode() {
        assert_eq!(Access::ALL.limit(0o660), 0o660);
        assert_eq!(Access { read: true, write: false }.limit(0o666), 0o444);
        assert_eq!(Access { read: false, write: false }.limit(0o666), 0);
    }
}
