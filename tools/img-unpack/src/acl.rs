//! POSIX ACLs as archives write them out, acl(5), for the attribute that the kernel reads.

/// What acl_to_text(3) writes, one entry a line or behind a comma, and how the kernel
/// takes it: `struct posix_acl_xattr_entry` of linux/posix_acl_xattr.h.
///
/// None where it names somebody without a number: only the machine that the archive was
/// made on could tell who that is. bsdtar and star write the number behind the entry.
///
/// # Errors
/// When it is no ACL.
pub(crate) fn value(text: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| BAD)?;
    let mut entries = Vec::new();
    for line in text.split(['\n', ',']) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match entry(line)? {
            Some(entry) => entries.push(entry),
            None => return Ok(None),
        }
    }
    entries.sort_unstable();
    check(&entries)?;
    // Version 2.
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, id, permissions) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    Ok(Some(value))
}

const BAD: &str = "a malformed ACL";

/// What the kernel has where an entry is for nobody in particular.
const NOBODY: u32 = u32::MAX;

/// Tag, id and permissions, which is the order that the kernel wants them in.
type Entry = (u16, u32, u16);

const USER_OBJ: u16 = 1;
const USER: u16 = 2;
const GROUP_OBJ: u16 = 4;
const GROUP: u16 = 8;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// `TAG:NAME:PERMISSIONS`, with the id behind it or for the name.
fn entry(line: &str) -> Result<Option<Entry>, &'static str> {
    let mut parts = line.split(':').map(str::trim);
    let (tag, name) = (parts.next().unwrap_or_default(), parts.next().ok_or(BAD)?);
    let permissions = permissions(parts.next().ok_or(BAD)?)?;
    let number = parts.next();
    if parts.next().is_some() {
        return Err(BAD);
    }
    let tag = match (tag, name.is_empty()) {
        ("user" | "u", true) => USER_OBJ,
        ("user" | "u", false) => USER,
        ("group" | "g", true) => GROUP_OBJ,
        ("group" | "g", false) => GROUP,
        ("mask" | "m", true) => MASK,
        ("other" | "o", true) => OTHER,
        _ => return Err(BAD),
    };
    if name.is_empty() {
        return Ok(Some((tag, NOBODY, permissions)));
    }
    match number.unwrap_or(name).parse() {
        Ok(NOBODY) => Err(BAD),
        Ok(id) => Ok(Some((tag, id, permissions))),
        // A name has no number, or one too large for an id.
        Err(_) if number.is_none() && !name.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(None)
        }
        Err(_) => Err(BAD),
    }
}

fn permissions(text: &str) -> Result<u16, &'static str> {
    let mut bits = 0;
    for letter in text.bytes() {
        bits |= match letter {
            b'r' => 4,
            b'w' => 2,
            b'x' => 1,
            b'-' => 0,
            _ => return Err(BAD),
        };
    }
    Ok(bits)
}

/// One of each that there must be, none twice, and a mask where somebody is named.
fn check(entries: &[Entry]) -> Result<(), &'static str> {
    let count = |wanted: u16| entries.iter().filter(|(tag, ..)| *tag == wanted).count();
    let is_twice = entries.windows(2).any(|pair| match pair {
        [(tag, id, _), (next, other, _)] => tag == next && id == other,
        _ => false,
    });
    let is_named = count(USER) > 0 || count(GROUP) > 0;
    let has_all = [USER_OBJ, GROUP_OBJ, OTHER].iter().all(|tag| count(*tag) == 1);
    if has_all && !is_twice && (count(MASK) == 1 || !is_named) {
        Ok(())
    } else {
        Err(BAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// user::rw-, user 33 rwx, user 1000 rw-, group::r--, mask::rw-, other::---
    const VALUE: &[u8] = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x07\0\x21\0\0\0\
        \x02\0\x06\0\xe8\x03\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x06\0\xff\xff\xff\xff\
        \x20\0\0\0\xff\xff\xff\xff";

    #[test]
    fn what_each_tar_writes_is_one_value() {
        for text in [
            "user::rw-\nuser:33:rwx\nuser:1000:rw-\ngroup::r--\nmask::rw-\nother::---\n",
            "user::rw-,group::r--,other::---,user:www-data:rwx:33,user:me:rw-:1000,mask::rw-",
            "u::rw\nu:1000:rw-\t#effective:rw-\nu:33:rwx\ng::r\nm::rw\no::-\n",
        ] {
            assert_eq!(value(text.as_bytes()), Ok(Some(VALUE.to_vec())), "{text}");
        }
    }

    #[test]
    fn a_name_without_a_number_is_nobody_here() {
        let text = "user::rw-\nuser:me:rwx\ngroup::r--\nmask::rwx\nother::---\n";

        assert_eq!(value(text.as_bytes()), Ok(None));
    }

    #[test]
    fn what_is_no_acl_is_refused() {
        for text in [
            "",
            "user::rw-",
            "user::rw-,group::r--",
            "user::rwz,group::r--,other::r--",
            "user::rw-,user::rw-,group::r--,other::r--",
            "user::rw-,user:1:r--,group::r--,other::r--",
            "user::rw-,user:1:r--,user:1:rw-,group::r--,mask::r--,other::r--",
            "user::rw-,user:4294967295:r--,group::r--,mask::r--,other::r--",
            "user::rw-,user:a:r--:99999999999,group::r--,mask::r--,other::r--",
            "default:user::rw-,group::r--,other::r--",
            "user::rw-:0:0,group::r--,other::r--",
        ] {
            assert_eq!(value(text.as_bytes()), Err(BAD), "{text}");
        }
    }
}
