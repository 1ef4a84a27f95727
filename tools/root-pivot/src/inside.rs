//! Paths in the new root, and how the words of the command line are taken apart.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// A path in the new root, without the slash in front; never the root itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside(pub PathBuf);

impl Inside {
    /// How many directories deep: parents are mounted before what is in them.
    pub fn depth(&self) -> usize {
        self.0.components().count()
    }

    /// Whether it is /proc or in it.
    pub fn is_in_proc(&self) -> bool {
        self.0.starts_with("proc")
    }

    /// As the program in the new root would write it.
    pub fn absolute(&self) -> PathBuf {
        Path::new("/").join(&self.0)
    }
}

impl fmt::Display for Inside {
    /// As the program in the new root would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&common::fail::quote(self.absolute()))
    }
}

/// Reads a path in the new root.
///
/// # Errors
/// When it is the root or climbs: what `..` means is nothing to guess about.
pub fn inside(text: &OsStr) -> Result<Inside, String> {
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => return Err("a path with '..'".to_owned()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if path.as_os_str().is_empty() {
        return Err("not a path below the root".to_owned());
    }
    Ok(Inside(path))
}

/// Up to `most` parts between colons; the last one keeps its colons. A colon of a name has
/// a backslash in front, and so has a backslash before a colon.
pub fn parts(text: &OsStr, most: usize) -> Vec<OsString> {
    let mut parts = vec![Vec::new()];
    let mut bytes = text.as_bytes().iter().peekable();
    while let Some(byte) = bytes.next() {
        let is_last = parts.len() >= most;
        let escaped =
            bytes.next_if(|next| *byte == b'\\' && matches!(**next, b':' | b'\\'));
        match (byte, escaped, parts.last_mut()) {
            (b':', ..) if !is_last => parts.push(Vec::new()),
            (byte, escaped, Some(part)) => part.push(*escaped.unwrap_or(byte)),
            (_, _, None) => {}
        }
    }
    parts.into_iter().map(OsString::from_vec).collect()
}

/// The words between commas, without empty ones.
pub fn options(text: &OsStr) -> impl Iterator<Item = &OsStr> {
    let all = text.as_bytes().split(|b| *b == b',').map(OsStr::from_bytes);
    all.filter(|option| !option.is_empty())
}

/// `KEY=VALUE`, or the key alone.
pub fn key_value(option: &OsStr) -> (&[u8], Option<&OsStr>) {
    let bytes = option.as_bytes();
    match bytes.iter().position(|b| *b == b'=').and_then(|at| bytes.split_at_checked(at))
    {
        Some((key, value)) => (key, value.get(1..).map(OsStr::from_bytes)),
        None => (bytes, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_inside_has_no_slash_in_front_and_never_climbs() {
        for (text, path) in [("/a/b", "a/b"), ("a//b/", "a/b"), ("/./a", "a")] {
            assert_eq!(inside(text.as_ref()), Ok(Inside(path.into())), "{text}");
        }
        for text in ["", "/", ".", "/..", "a/../b"] {
            assert!(inside(text.as_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_colon_of_a_name_has_a_backslash_in_front() {
        for (text, expected) in [
            ("a:b", vec!["a", "b"]),
            (r"a\:b:c", vec!["a:b", "c"]),
            (r"a\\:b", vec![r"a\", "b"]),
            (r"a\b", vec![r"a\b"]),
            (r"a\", vec![r"a\"]),
            ("a:b:c:d", vec!["a", "b", "c:d"]),
            ("", vec![""]),
            ("::", vec!["", "", ""]),
        ] {
            assert_eq!(parts(text.as_ref(), 3), expected, "{text}");
        }
    }

    #[test]
    fn any_name_can_be_written_as_a_part() {
        arbtest::arbtest(|u| {
            let names: [Vec<u8>; 2] = u.arbitrary()?;
            let written = names.each_ref().map(|name| {
                let escaped = name.iter().flat_map(|b| match b {
                    b':' | b'\\' => vec![b'\\', *b],
                    b => vec![*b],
                });
                escaped.collect::<Vec<_>>()
            });
            let read = parts(OsStr::from_bytes(&written.join(&b':')), 3);
            assert_eq!(read, names.map(OsString::from_vec));
            Ok(())
        });
    }

    #[test]
    fn no_text_leads_out_of_the_root() {
        arbtest::arbtest(|u| {
            let text: Vec<u8> = u.arbitrary()?;
            if let Ok(Inside(path)) = inside(OsStr::from_bytes(&text)) {
                assert!(path.components().all(|c| matches!(c, Component::Normal(_))));
            }
            Ok(())
        });
    }
}
