//! Names of members: keys of an index, compared and never resolved.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use common::Fail;
use common::fail::quote;

/// The name of a member, without `/` and `./` in front: `blobs/sha256/…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// A name as an archive or a manifest has it; none where it climbs or is empty.
    pub fn member(name: &[u8]) -> Option<Self> {
        Self::join(&[], name)
    }

    /// The target of a symbolic link, which is read from where the link is.
    pub fn beside(link: &Self, target: &[u8]) -> Option<Self> {
        let above = link.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        let above = if target.starts_with(b"/") { 0 } else { above };
        Self::join(link.0.get(..above).unwrap_or_default(), target)
    }

    fn join(dir: &[u8], name: &[u8]) -> Option<Self> {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in dir.split(|b| *b == b'/').chain(name.split(|b| *b == b'/')) {
            match part {
                b"" | b"." => {}
                b".." => {
                    parts.pop()?;
                }
                part => parts.push(part),
            }
        }
        (!parts.is_empty()).then(|| Self(parts.join(&b'/')))
    }

    /// What a blob of an OCI layout is called in containers/image's own layout, `dir:`.
    pub fn flat(&self) -> Vec<Self> {
        let Some(hex) = self.0.strip_prefix(b"blobs/sha256/") else { return Vec::new() };
        vec![Self(hex.to_vec()), Self([hex, b".manifest.json"].concat())]
    }

    /// As it is compared.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// For a message.
    pub fn shown(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

impl From<&str> for Name {
    /// A name of our own.
    fn from(name: &str) -> Self {
        Self(name.as_bytes().to_vec())
    }
}

/// What decides about an image needs no more of an archive than this.
pub trait Members {
    /// The size of a member that is a file.
    fn size(&self, name: &Name) -> Option<u64>;
    /// The content of a small member.
    fn document(&self, name: &Name, max: u64) -> Result<Vec<u8>, Fail>;
    /// Whether a member has such a name.
    fn has_any(&self, test: &dyn Fn(&Name) -> bool) -> bool;
    /// The archive's own name, in quotes.
    fn shown(&self) -> String;
}

/// A name out of a manifest, or why it is none.
pub fn named(text: &str) -> Result<Name, Fail> {
    Name::member(text.as_bytes())
        .ok_or_else(|| Fail::new(format!("cannot read {}: not a name", quote(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(link: &str, target: &str) -> Option<String> {
        let name = Name::beside(&Name::from(link), target.as_bytes())?;
        Some(String::from_utf8(name.0).unwrap())
    }

    #[test]
    fn links_lead_to_members_only() {
        assert_eq!(beside("a/layer.tar", "../b/layer.tar").unwrap(), "b/layer.tar");
        assert_eq!(beside("a/layer.tar", "../x.tar").unwrap(), "x.tar");
        assert_eq!(beside("layer.tar", "x.tar").unwrap(), "x.tar");
        assert_eq!(beside("a/layer.tar", "/etc/passwd").unwrap(), "etc/passwd");
        assert_eq!(beside("a/layer.tar", "../../etc/passwd"), None);
    }

    #[test]
    fn spellings_of_a_name_are_one() {
        for name in ["a/b", "./a/b", "/a//b/", "a/./b"] {
            assert_eq!(Name::member(name.as_bytes()), Some(Name::from("a/b")), "{name}");
        }
        assert_eq!(Name::member(b"./"), None);
    }
}
