//! From a path to the disk that it is or lies on, and to a device's number.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::libc::{major, minor};

use crate::device::{Kind, Which};

/// Major and minor number of a block device.
pub(crate) type Number = (u32, u32);

/// The whole disk: I/O is limited there, not for a partition.
pub(crate) fn of(path: &Path) -> Result<Number, String> {
    if let Some(number) = path.to_str().and_then(number) {
        return Ok(number);
    }
    let meta = fs::metadata(path).map_err(|e| match e.raw_os_error() {
        Some(n) => nix::errno::Errno::from_raw(n).desc().to_owned(),
        None => e.to_string(),
    })?;
    let device =
        if meta.file_type().is_block_device() { meta.rdev() } else { meta.dev() };
    let own = (major(device), minor(device));
    // /sys/dev/block has a link for each, sysfs(5); a partition lies in its disk's directory.
    let dir = Path::new("/sys/dev/block").join(format!("{}:{}", own.0, own.1));
    if !dir.exists() {
        return Err("its file system is on no disk of its own, name the disk".to_owned());
    }
    if !dir.join("partition").exists() {
        return Ok(own);
    }
    let disk = fs::read_to_string(dir.join("../dev")).unwrap_or_default();
    number(disk.trim_end()).ok_or_else(|| "its disk is not found in /sys".to_owned())
}

/// `8:0`
fn number(text: &str) -> Option<Number> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The device that a node is of.
pub(crate) fn node(path: &Path) -> Option<Which> {
    let meta = fs::metadata(path).ok()?;
    let kind = match meta.file_type() {
        t if t.is_char_device() => Kind::Char,
        t if t.is_block_device() => Kind::Block,
        _ => return None,
    };
    let device = meta.rdev();
    Some(Which::Number(kind, Some(major(device)), Some(minor(device))))
}
