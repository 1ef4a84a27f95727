//! Extended attributes in the records of an archive: star's, bsdtar's, and ACLs.

use std::ffi::CString;
use std::io;

use crate::acl;
use crate::entry::Xattr;
use crate::pax::Records;
use crate::tar::bad;

/// All attributes of an entry, each once; the last record of a key counts.
///
/// Of two spellings of one attribute that stands which most unpackers read: raw bytes,
/// then bsdtar's, then an ACL's text. An ACL for a name that has no number here keeps the
/// archive's name, see [`crate::layer::is_foreign_xattr`].
pub(crate) fn all(pax: &Records) -> io::Result<Vec<Xattr>> {
    let (mut raw, mut encoded, mut acls) = (Vec::new(), Vec::new(), Vec::new());
    for (key, value) in pax.iter() {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            put(&mut raw, name, value.to_vec())?;
        } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
            let malformed = || bad("a malformed attribute");
            let name = percent(name).ok_or_else(malformed)?;
            put(&mut encoded, &name, base64(value).ok_or_else(malformed)?)?;
        } else if let Some(name) = acl_name(key).filter(|_| !value.is_empty()) {
            match acl::value(value).map_err(bad)? {
                Some(value) => put(&mut acls, name, value)?,
                None => put(&mut acls, key, value.to_vec())?,
            }
        }
    }
    for (name, value) in encoded.into_iter().chain(acls) {
        if raw.iter().all(|(known, _)| *known != name) {
            raw.push((name, value));
        }
    }
    // Capabilities last: what is set on a file before may take them away.
    raw.sort_by_key(|(name, _)| name.as_c_str() == c"security.capability");
    Ok(raw)
}

fn acl_name(key: &[u8]) -> Option<&'static [u8]> {
    match key {
        b"SCHILY.acl.access" => Some(b"system.posix_acl_access"),
        b"SCHILY.acl.default" => Some(b"system.posix_acl_default"),
        _ => None,
    }
}

fn put(all: &mut Vec<Xattr>, name: &[u8], value: Vec<u8>) -> io::Result<()> {
    let name = CString::new(name).ok().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| bad("a malformed attribute"))?;
    all.retain(|(known, _)| *known != name);
    all.push((name, value));
    Ok(())
}

/// `%HH` for what libarchive does not take for a plain character.
fn percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let mut digit = || char::from(*rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push(u8::try_from(high << 4 | low).ok()?);
    }
    Some(out)
}

/// RFC 4648, the padding left out as libarchive leaves it.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |at| at.saturating_add(1));
    let mut out = Vec::new();
    for four in text.get(..end)?.chunks(4) {
        let mut bits = 0_u32;
        for byte in four {
            let value = match byte {
                b'A'..=b'Z' => byte.checked_sub(b'A')?,
                b'a'..=b'z' => byte.checked_sub(b'a')?.checked_add(26)?,
                b'0'..=b'9' => byte.checked_sub(b'0')?.checked_add(52)?,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        // Two characters are one byte, three are two.
        let missing = 4_usize.checked_sub(four.len())?;
        let [_, bytes @ ..] = (bits << missing.checked_mul(6)?).to_be_bytes();
        let count = 3_usize.checked_sub(missing).filter(|count| *count > 0)?;
        out.extend_from_slice(bytes.get(..count)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(records: &[&str]) -> Vec<(String, Vec<u8>)> {
        let mut text = Vec::new();
        for record in records {
            // Of two digits or of three, LEN counts itself.
            let length =
                record.len().saturating_add(if record.len() < 95 { 4 } else { 5 });
            text.extend(format!("{length} {record}\n").into_bytes());
        }
        let all = all(&Records::parse(&text).unwrap()).unwrap();
        all.into_iter()
            .map(|(name, value)| (name.into_string().unwrap(), value))
            .collect()
    }

    #[test]
    fn an_attribute_in_two_spellings_is_one() {
        let found = read(&[
            "LIBARCHIVE.xattr.user.a=MQoy",
            "SCHILY.xattr.user.a=raw",
            "LIBARCHIVE.xattr.user.b%3d%20=MQ",
            "LIBARCHIVE.creationtime=1",
            "RHT.security.selinux=system_u:object_r:usr_t:s0",
            "hdrcharset=BINARY",
        ]);

        assert_eq!(
            found,
            [
                ("user.a".to_owned(), b"raw".to_vec()),
                ("user.b= ".to_owned(), b"1".to_vec())
            ]
        );
    }

    #[test]
    fn an_acl_is_an_attribute_and_one_of_names_is_set_nowhere() {
        let mode = "user::rw-\ngroup::r--\nother::r--\n";
        let named = format!("user:me:rwx\nmask::rwx\n{mode}");
        let found = read(&[
            &format!("SCHILY.acl.access={named}"),
            &format!("SCHILY.acl.default={mode}"),
        ]);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();

        assert_eq!(names, ["SCHILY.acl.access", "system.posix_acl_default"]);
        assert!(crate::layer::is_foreign_xattr(names[0].as_bytes()));
        assert_eq!(found[1].1.len(), 4 + 3 * 8);
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("MQ", b"1"),
            ("MQ==", b"1"),
            ("MQo", b"1\n"),
            ("MQoy", b"1\n2"),
            ("/+8A", b"\xff\xef\0"),
        ] {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
        for text in ["M", "MQoyM", "M Q", "MQ=o"] {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
    }
}
