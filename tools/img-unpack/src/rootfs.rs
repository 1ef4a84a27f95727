//! Whether what was unpacked by `--rootfs` is a root file system, told by its names.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use common::Fail;
use common::fail::quote;

use crate::lower::{list, open_dir};

/// Some of these are in every root, and hardly in anything else.
const USUAL: [&[u8]; 8] =
    [b"bin", b"dev", b"etc", b"lib", b"proc", b"sbin", b"usr", b"var"];

/// What is at the top of an archive that is an image.
const IMAGE: [&[u8]; 3] = [b"manifest.json", b"oci-layout", b"index.json"];

type Names = BTreeSet<Vec<u8>>;

fn usual(names: &Names) -> usize {
    USUAL.iter().filter(|name| names.contains(**name)).count()
}

/// Looks at a root that is complete.
pub(crate) fn check(image: &str, root: BorrowedFd<'_>) -> Result<(), Fail> {
    let names = |dir: BorrowedFd<'_>| list(dir).map(Names::from_iter).unwrap_or_default();
    let top = names(root);
    let below = match top.first().filter(|_| top.len() == 1) {
        Some(only) => open_dir(root, only).map(|dir| names(dir.as_fd())),
        None => Ok(Names::new()),
    };
    judge(image, &top, &below.unwrap_or_default())
}

/// `below` is what lies in the only name at the top.
fn judge(image: &str, top: &Names, below: &Names) -> Result<(), Fail> {
    if usual(top) > 0 {
        return Ok(());
    }
    if IMAGE.iter().any(|name| top.contains(*name)) {
        let reason = "it is an image and no root file system";
        return Err(Fail::cannot("unpack", image, reason).hint("leave out --rootfs"));
    }
    match top.first() {
        Some(only) if usual(below) > 1 => {
            let reason = format!("all of it lies in {}", quote(OsStr::from_bytes(only)));
            Err(Fail::cannot("unpack", image, reason).hint("use --strip-components=1"))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_told_by_its_names() {
        let set = |names: &[&str]| names.iter().map(|n| n.as_bytes().to_vec()).collect();
        let is_root = |top: &[&str], below: &[&str]| {
            judge("r.tar", &set(top), &set(below)).map_err(|fail| fail.text)
        };

        assert_eq!(is_root(&["etc", "manifest.json"], &[]), Ok(()));
        assert_eq!(is_root(&["app"], &["app", "etc"]), Ok(()));
        assert_eq!(is_root(&[], &[]), Ok(()));
        assert!(is_root(&["manifest.json", "x"], &[]).is_err());
        assert_eq!(
            is_root(&["root\n"], &["etc", "usr"]).unwrap_err(),
            r"cannot unpack 'r.tar': all of it lies in 'root\x0a'; use --strip-components=1"
        );
    }
}
