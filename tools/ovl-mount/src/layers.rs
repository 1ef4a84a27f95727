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

/// The one format of image.json that is understood.
const FORMAT: u64 = 1;

/// The layers of an unpacked image, bottom first.
pub(crate) fn of_image(dir: &Path) -> Result<Vec<PathBuf>, Fail> {
    let record = dir.join("image.json");
    let file = openat(AT_FDCWD, &record, READ, Mode::empty()).cannot("open", &record);
    let text = limited(File::from(file?), &record)?;
    let names = diff_ids(&text).cannot("use", &record)?;
    Ok(names.into_iter().map(|hex| dir.join("layers").join(hex)).collect())
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
    let names = text.split(|b| *b == separator).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsString::from_vec(name.to_owned()).into()).collect())
}

fn limited(from: impl Read, path: &Path) -> Result<Vec<u8>, Fail> {
    let text = bounded::read(from, MOST_BYTES, 0).cannot("read", path)?;
    text.ok_or_else(|| Fail::cannot("read", path, "it is larger than 4 MiB"))
}

/// The digests in an image.json, checked to be plain names: they become paths.
fn diff_ids(text: &[u8]) -> Result<Vec<String>, String> {
    let record: Value = serde_json::from_slice(text).map_err(|_| "it is not JSON")?;
    if record.get("format-version").and_then(Value::as_u64) != Some(FORMAT) {
        return Err("its format-version is not 1".to_owned());
    }
    let layers = record.get("layers").and_then(Value::as_array);
    let layers = layers.ok_or("it has no list of layers")?;
    layers.iter().map(|layer| hex(layer).ok_or_else(|| bad(layer))).collect()
}

fn hex(layer: &Value) -> Option<String> {
    let hex = layer.get("diff-id")?.as_str()?.strip_prefix("sha256:")?;
    let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    (hex.len() == 64 && hex.bytes().all(is_digit)).then(|| hex.to_owned())
}

fn bad(layer: &Value) -> String {
    let id = layer.get("diff-id").and_then(Value::as_str).unwrap_or_default();
    let id: String = id.chars().take(80).collect();
    format!("{} is no digest sha256:HEX", common::fail::quote(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: u32, id: &str) -> Vec<u8> {
        format!(r#"{{"format-version":{version},"layers":[{{"diff-id":"{id}"}}]}}"#)
            .into()
    }

    #[test]
    fn a_digest_becomes_a_name() {
        let hex = "0123456789abcdef".repeat(4);

        assert_eq!(diff_ids(&record(1, &format!("sha256:{hex}"))), Ok(vec![hex]));
    }

    #[test]
    fn what_is_no_digest_never_becomes_a_path() {
        let upper = format!("sha256:{}", "ABCDEF0123456789".repeat(4));
        for id in ["", "sha256:", "sha256:../../../etc", &upper, "sha512:00"] {
            let reason = diff_ids(&record(1, id)).unwrap_err();

            assert_eq!(reason, format!("'{id}' is no digest sha256:HEX"));
        }
    }

    #[test]
    fn a_record_of_another_format_is_refused() {
        assert_eq!(diff_ids(b"{"), Err("it is not JSON".into()));
        assert_eq!(
            diff_ids(&record(2, "")),
            Err("its format-version is not 1".to_owned())
        );
        assert_eq!(
            diff_ids(br#"{"format-version":1}"#),
            Err("it has no list of layers".to_owned())
        );
    }

    #[test]
    fn a_damaged_record_is_a_reason_and_never_a_panic() {
        let good = record(1, &format!("sha256:{}", "0".repeat(64)));

        for at in 0..good.len() {
            assert!(diff_ids(&good[..at]).is_err());
            for byte in [b'"', b'}', b'\\', 0, 0xff] {
                let mut text = good.clone();
                text[at] = byte;
                let _ = diff_ids(&text);
            }
        }
    }
}
