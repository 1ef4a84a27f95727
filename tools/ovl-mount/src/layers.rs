//! Which layers there are: the record of img-unpack, or a list of names.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use common::{Context, Fail, bounded};
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use serde_json::Value;

/// The record of an image with 500 layers has 100 KiB.
const MOST_BYTES: u64 = 4 << 20;

/// What most of them fit into.
const ROOM: usize = 8192;

/// The one format of image.json that is understood.
const FORMAT: u64 = 1;

/// The layers of an unpacked image, bottom first.
pub(crate) fn of_image(dir: &Path) -> Result<Vec<PathBuf>, Fail> {
    let record = dir.join("image.json");
    let file = openat(AT_FDCWD, &record, READ, Mode::empty()).cannot("open", &record);
    let text = limited(File::from(file?), &record)?;
    let directories = directories(&text).cannot("use", &record)?;
    Ok(directories.into_iter().map(|inside| dir.join(inside)).collect())
}

/// A regular file, not waited for where it is something else.
pub(crate) const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);

/// The layers that a file or stdin lists, one a line.
pub(crate) fn listed(file: &Path, separator: u8) -> Result<Vec<PathBuf>, Fail> {
    let text = if file.as_os_str() == "-" {
        limited(std::io::stdin().lock(), file)?
    } else {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let list = openat(AT_FDCWD, file, flags, Mode::empty()).cannot("open", file)?;
        limited(File::from(list), file)?
    };
    Ok(names(&text, separator))
}

/// The names in a list; empty lines are none.
pub fn names(text: &[u8], separator: u8) -> Vec<PathBuf> {
    let names = text.split(|b| *b == separator).filter(|name| !name.is_empty());
    names.map(|name| OsString::from_vec(name.to_owned()).into()).collect()
}

fn limited(from: impl Read, path: &Path) -> Result<Vec<u8>, Fail> {
    let text = bounded::read(from, MOST_BYTES, ROOM).cannot("read", path)?;
    text.ok_or_else(|| Fail::cannot("read", path, "it is larger than 4 MiB"))
}

/// The directories in an image.json: `layers/DIGEST` there or in a store, or the one root.
///
/// # Errors
/// The reason, for the caller to say with the file's name.
pub fn directories(text: &[u8]) -> Result<Vec<String>, String> {
    let record: Value = serde_json::from_slice(text).map_err(|_| "it is not JSON")?;
    if record.get("format-version").and_then(Value::as_u64) != Some(FORMAT) {
        return Err("its format-version is not 1".to_owned());
    }
    if record.get("rootfs").is_some() {
        return Ok(vec!["rootfs".to_owned()]);
    }
    let layers = record.get("layers").and_then(Value::as_array);
    let layers = layers.ok_or("it has no list of layers")?;
    layers.iter().map(directory).collect()
}

/// A path that nothing but img-unpack would write: it is looked up on the host.
fn directory(layer: &Value) -> Result<String, String> {
    let text = |key| layer.get(key).and_then(Value::as_str);
    let shown =
        |text: &str| common::fail::quote(text.chars().take(240).collect::<String>());
    let Some(path) = text("directory") else {
        let id = text("diff-id").unwrap_or_default();
        let hex = id.strip_prefix("sha256:").filter(|hex| is_hex(hex));
        return hex
            .map(|hex| format!("layers/{hex}"))
            .ok_or_else(|| format!("{} is no digest sha256:HEX", shown(id)));
    };
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_name = name.split('-').all(is_hex) && name.split('-').count() <= 2;
    let is_store = above.starts_with('/') && above.ends_with("/layers");
    let climbs = above.split('/').any(|part| part == "..");
    if is_name && (above == "layers" || (is_store && !climbs)) {
        return Ok(path.to_owned());
    }
    Err(format!("{} is no layer's directory", shown(path)))
}

/// The digits of a SHA-256 digest.
fn is_hex(text: &str) -> bool {
    let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 64 && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: u32, directory: &str) -> Vec<u8> {
        format!(
            r#"{{"format-version":{version},"layers":[{{"directory":"{directory}"}}]}}"#
        )
        .into()
    }

    #[test]
    fn layers_lie_in_the_images_directory_or_in_a_store() {
        let hex = "0123456789abcdef".repeat(4);

        for place in
            [format!("layers/{hex}"), format!("/var/lib/store/layers/{hex}-{hex}")]
        {
            assert_eq!(directories(&record(1, &place)), Ok(vec![place.clone()]));
        }
        assert_eq!(
            directories(br#"{"format-version":1,"layers":[],"rootfs":"x"}"#),
            Ok(vec!["rootfs".to_owned()])
        );
    }

    #[test]
    fn a_digest_alone_is_a_layer_in_the_images_directory() {
        let layer = |id: &str| {
            directories(
                format!(r#"{{"format-version":1,"layers":[{{"diff-id":"{id}"}}]}}"#)
                    .as_bytes(),
            )
        };
        let hex = "0123456789abcdef".repeat(4);

        assert_eq!(layer(&format!("sha256:{hex}")), Ok(vec![format!("layers/{hex}")]));
        assert_eq!(
            layer("sha256:../../../etc"),
            Err("'sha256:../../../etc' is no digest sha256:HEX".to_owned())
        );
    }

    #[test]
    fn what_is_no_layer_never_becomes_a_path() {
        let hex = "0".repeat(64);
        for place in [
            "",
            "layers/",
            "layers/../../etc",
            &format!("layers/{}", "ABCDEF0123456789".repeat(4)),
            &format!("../layers/{hex}"),
            &format!("/a/../layers/{hex}"),
            &format!("layers/{hex}-{hex}-{hex}"),
            &hex,
        ] {
            let reason = directories(&record(1, place)).unwrap_err();

            assert_eq!(reason, format!("'{place}' is no layer's directory"));
        }
    }

    #[test]
    fn a_record_of_another_format_is_refused() {
        assert_eq!(directories(b"{"), Err("it is not JSON".into()));
        assert_eq!(
            directories(&record(2, "")),
            Err("its format-version is not 1".to_owned())
        );
        assert_eq!(
            directories(br#"{"format-version":1}"#),
            Err("it has no list of layers".to_owned())
        );
    }

    #[test]
    fn a_damaged_record_is_a_reason_and_never_a_panic() {
        let good = record(1, &format!("layers/{}", "0".repeat(64)));

        for at in 0..good.len() {
            assert!(directories(&good[..at]).is_err());
            for byte in [b'"', b'}', b'\\', 0, 0xff] {
                let mut text = good.clone();
                text[at] = byte;
                let _ = directories(&text);
            }
        }
    }
}
