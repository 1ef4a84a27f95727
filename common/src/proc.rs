//! What /proc says of this process and its mounts.

use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs, statfs};

use crate::nstype::INITIAL_USERNS;
use crate::{Context, Fail};

/// Whether this process is in the first user namespace, where the kernel checks for
/// device nodes and `trusted.*` attributes.
///
/// Told by the namespace's inode: an identity map proves nothing (systemd writes one).
pub fn in_initial_userns() -> Result<bool, Fail> {
    let path = "/proc/self/ns/user";
    let meta = fs::metadata(path).cannot("read", path)?;
    Ok(meta.ino() == INITIAL_USERNS)
}

/// Whether /proc is procfs: an image can have files of any kind there.
pub fn is_mounted() -> bool {
    statfs("/proc").is_ok_and(|fs| fs.filesystem_type() == PROC_SUPER_MAGIC)
}

/// Whether an open file is procfs's own. What is written to another that lies in its place
/// changes nothing (CVE-2025-52881).
pub fn is_own(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|fs| fs.filesystem_type() == PROC_SUPER_MAGIC)
}

/// A line of /proc/self/mountinfo, proc_pid_mountinfo(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo {
    /// The mount's id; unique while it is mounted.
    pub id: u64,
    /// The id of the mount that it lies on.
    pub parent: u64,
    /// The part of the file system that is the mount's root.
    pub root: PathBuf,
    /// Where it is mounted, as this process sees it.
    pub target: PathBuf,
    /// The mount's own options.
    pub options: String,
    /// Propagation: `shared:N`, `master:N`.
    pub tags: Vec<String>,
    /// The file system's type.
    pub fstype: String,
    /// What was mounted.
    pub source: OsString,
    /// The superblock's options.
    pub super_options: String,
}

/// Reads a mountinfo file; a line that is not understood is left out.
pub fn mountinfo(text: &[u8]) -> Vec<MountInfo> {
    text.split(|b| *b == b'\n').filter_map(mountinfo_line).collect()
}

fn mountinfo_line(line: &[u8]) -> Option<MountInfo> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let dash = fields.iter().position(|f| *f == b"-")?;
    let get = |i: usize| fields.get(i).copied();
    let text = |i: usize| get(i).map(|f| String::from_utf8_lossy(f).into_owned());
    Some(MountInfo {
        id: text(0)?.parse().ok()?,
        parent: text(1)?.parse().ok()?,
        root: unescape(get(3)?).into(),
        target: unescape(get(4)?).into(),
        options: text(5)?,
        tags: (6..dash).filter_map(text).collect(),
        fstype: text(dash.checked_add(1)?)?,
        source: unescape(get(dash.checked_add(2)?)?),
        super_options: text(dash.checked_add(3)?)?,
    })
}

/// Undoes the octal escapes of proc_pid_mounts(5): `\040` is a blank.
fn unescape(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let byte = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
    }
    OsString::from_vec(out)
}

/// A line `NAME:\tVALUE` of /proc/PID/status.
pub fn status_field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A line of /proc/PID/status that is a mask in hexadecimal.
pub fn status_mask(text: &str, name: &str) -> Option<u64> {
    u64::from_str_radix(status_field(text, name)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mountinfo_line_is_taken_apart() {
        let line = b"36 35 98:0 /a\\040b /mnt\\134x rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n";

        let all = mountinfo(line);

        assert_eq!(
            all,
            [MountInfo {
                id: 36,
                parent: 35,
                root: "/a b".into(),
                target: "/mnt\\x".into(),
                options: "rw,noatime".into(),
                tags: vec!["master:1".into(), "shared:2".into()],
                fstype: "ext3".into(),
                source: "/dev/root".into(),
                super_options: "rw,errors=continue".into(),
            }]
        );
    }

    #[test]
    fn broken_lines_are_left_out_and_never_panic() {
        arbtest::arbtest(|u| {
            let _ = mountinfo(u.arbitrary()?);
            Ok(())
        });
        assert!(mountinfo(b"1 2 - \n\n- - - -\n").is_empty());
    }

    #[test]
    fn status_masks_are_hexadecimal() {
        let text = "Name:\tx\nCapBnd:\t00000000a80425fb\n";

        assert_eq!(status_mask(text, "CapBnd"), Some(0xa804_25fb));
        assert_eq!(status_mask(text, "CapAmb"), None);
    }
}
