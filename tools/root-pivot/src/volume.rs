//! What the caller wants to see in the new root, as the command line says it.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use common::parse::{self, Bytes};

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
}

impl fmt::Display for Inside {
    /// As the program in the new root would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&common::fail::quote(self.absolute()))
    }
}

impl Inside {
    /// As the program in the new root would write it.
    pub fn absolute(&self) -> PathBuf {
        Path::new("/").join(&self.0)
    }
}

/// Whether what is bound may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// As where it comes from.
    Same,
    /// It and all that is mounted in it is read-only.
    ReadOnly,
}

/// `SRC:DST[:ro]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// A path of the caller's.
    pub source: PathBuf,
    /// Where it is shown.
    pub at: Inside,
    /// Whether it may be changed.
    pub access: Access,
}

/// `DST[:size=SIZE,mode=MODE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where it is mounted.
    pub at: Inside,
    /// The most it holds; else half of the memory.
    pub size: Option<Bytes>,
    /// The mode of its root; 1777 as docker has it.
    pub mode: u32,
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

/// Reads `SRC:DST[:ro]`.
///
/// # Errors
/// When it is something else.
pub fn bind(text: &OsStr) -> Result<Bind, String> {
    let parts: Vec<&OsStr> = split(text, b':').collect();
    let (source, at, access) = match parts.as_slice() {
        [source, at] => (source, at, Access::Same),
        [source, at, options] if *options == "ro" => (source, at, Access::ReadOnly),
        _ => return Err("not SRC:DST or SRC:DST:ro".to_owned()),
    };
    if source.is_empty() {
        return Err("not SRC:DST or SRC:DST:ro".to_owned());
    }
    Ok(Bind { source: source.into(), at: inside(at)?, access })
}

/// Reads `DST[:size=SIZE,mode=MODE]`.
///
/// # Errors
/// When it is something else.
pub fn tmpfs(text: &OsStr) -> Result<Tmpfs, String> {
    let mut parts = split(text, b':');
    let at = inside(parts.next().unwrap_or_default())?;
    if at.is_in_proc() {
        return Err("only proc may be mounted there".to_owned());
    }
    let mut tmpfs = Tmpfs { at, size: None, mode: 0o1777 };
    let options = parts.next().unwrap_or_default();
    for option in split(options, b',').filter(|option| !option.is_empty()) {
        match option.to_str().and_then(|option| option.split_once('=')) {
            Some(("size", size)) => tmpfs.size = Some(parse::tmpfs_size(size)?),
            Some(("mode", mode)) => tmpfs.mode = parse::mode(mode)?,
            _ => return Err("not an option of size=SIZE, mode=MODE".to_owned()),
        }
    }
    match parts.next() {
        None => Ok(tmpfs),
        Some(_) => Err("not DST or DST:size=SIZE,mode=MODE".to_owned()),
    }
}

fn split(text: &OsStr, separator: u8) -> impl Iterator<Item = &OsStr> {
    text.as_bytes().split(move |b| *b == separator).map(OsStr::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> Inside {
        Inside(path.into())
    }

    #[test]
    fn a_path_inside_has_no_slash_in_front_and_never_climbs() {
        for (text, path) in [("/a/b", "a/b"), ("a//b/", "a/b"), ("/./a", "a")] {
            assert_eq!(inside(text.as_ref()), Ok(at(path)), "{text}");
        }
        for text in ["", "/", ".", "/..", "a/../b"] {
            assert!(inside(text.as_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bind_is_two_names_and_perhaps_ro() {
        let bound = |access| Bind { source: "/srv".into(), at: at("a"), access };

        assert_eq!(bind("/srv:/a".as_ref()), Ok(bound(Access::Same)));
        assert_eq!(bind("/srv:/a:ro".as_ref()), Ok(bound(Access::ReadOnly)));
        for text in ["", "/srv", ":/a", "/srv:", "/srv:/", "/srv:/a:rw,x", "/a:/b:ro:c"] {
            assert!(bind(text.as_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_are_not_utf8_are_names() {
        let text = OsStr::from_bytes(b"/caf\xe9:/x\xff");

        let bind = bind(text).unwrap();

        assert_eq!(bind.source.as_os_str().as_bytes(), b"/caf\xe9");
        assert_eq!(bind.at.0.as_os_str().as_bytes(), b"x\xff");
    }

    #[test]
    fn a_tmpfs_has_a_size_and_a_mode() {
        let plain = Tmpfs { at: at("x"), size: None, mode: 0o1777 };
        let given = Tmpfs { size: Some(Bytes(1 << 20)), mode: 0o700, ..plain.clone() };

        assert_eq!(tmpfs("/x".as_ref()), Ok(plain));
        assert_eq!(tmpfs("/x:size=1M,mode=700".as_ref()), Ok(given));
        for text in
            ["/x:1M", "/x:size", "/x:size=0", "/x:size=1M:", "/proc/x", "/x:mode=9", ""]
        {
            assert!(tmpfs(text.as_ref()).is_err(), "{text}");
        }
    }
}
