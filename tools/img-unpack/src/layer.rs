//! What a tar entry means in a layer, decided without a system call.

use crate::entry::{Entry, Kind};

/// What is to be done for an entry. Paths are relative, of plain names only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// The root directory's own attributes.
    Root,
    /// The entry is a file of this kind.
    Put,
    /// The name is hidden in the layers below.
    Whiteout,
    /// All of the directory is hidden in the layers below.
    Opaque,
    /// Left over from AUFS, or above what is wanted.
    Nothing,
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Where AUFS kept the targets of hard links, `.wh..wh.plnk`.
const LINKS: &[u8] = b".wh..wh.plnk";

/// A path of plain names joined by `/`, without its first `strip` parts; empty is the root.
/// None for what lies above that.
///
/// # Errors
/// `..` is refused rather than folded: no builder writes it, and readers disagree.
pub(crate) fn clean(path: &[u8], strip: usize) -> Result<Option<Vec<u8>>, String> {
    if path.contains(&0) {
        return Err("a name with a NUL".to_owned());
    }
    let parts = path.split(|b| *b == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let parts: Vec<&[u8]> = parts.collect();
    if parts.contains(&&b".."[..]) {
        return Err("a name that climbs with '..'".to_owned());
    }
    Ok(parts.get(strip..).map(|parts| parts.join(&b'/')))
}

/// The directory and the last name of a path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => {
            let (dir, name) = path.split_at_checked(at).unwrap_or_default();
            (dir, name.strip_prefix(b"/").unwrap_or(name))
        }
        None => (&[], path),
    }
}

/// A name in a directory.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

/// What the entry means, and the path that it means it for.
///
/// # Errors
/// What no layer may contain, without the name.
pub(crate) fn decide(entry: &Entry, strip: usize) -> Result<(Op, Vec<u8>), String> {
    let path = clean(&entry.path, strip)?;
    if entry.path.is_empty() {
        return Err("an entry without a name".to_owned());
    }
    let Some(path) = path else { return Ok((Op::Nothing, Vec::new())) };
    if path.is_empty() {
        // CVE-2021-29136: a link in the root's place.
        return if entry.kind == Kind::Directory {
            Ok((Op::Root, path))
        } else {
            Err("a root that is no directory".to_owned())
        };
    }
    let (dir, name) = split(&path);
    if dir.split(|b| *b == b'/').any(is_plnk) {
        return Ok((Op::Put, path));
    }
    if dir.split(|b| *b == b'/').any(|part| part.starts_with(WHITEOUT)) {
        return Err("a name below a whiteout".to_owned());
    }
    let Some(hidden) = name.strip_prefix(WHITEOUT) else {
        if let Kind::Char(0, 0) = entry.kind {
            // To overlayfs it would hide what is below.
            return Err("a device 0:0, which hides files".to_owned());
        }
        return Ok((Op::Put, path));
    };
    match hidden {
        _ if name == OPAQUE => Ok((Op::Opaque, dir.to_vec())),
        _ if hidden.starts_with(WHITEOUT) => Ok((Op::Nothing, path)),
        b"" | b"." | b".." => Err("a whiteout that names nothing".to_owned()),
        hidden => Ok((Op::Whiteout, join(dir, hidden))),
    }
}

fn is_plnk(part: &[u8]) -> bool {
    part == LINKS
}

/// Whether a path lies where AUFS kept link targets: taken away when the layer is done.
pub(crate) fn aufs_links(path: &[u8]) -> Option<&[u8]> {
    let mut end = 0_usize;
    for part in path.split(|b| *b == b'/') {
        end = end.saturating_add(part.len());
        if is_plnk(part) {
            return path.get(..end);
        }
        end = end.saturating_add(1);
    }
    None
}

/// Attributes that belong to the machine the image was built on, or to overlayfs, and
/// ACLs that name somebody whom only that machine knows.
pub(crate) fn is_foreign_xattr(name: &[u8]) -> bool {
    // An image that sets trusted.overlay.redirect would show files of other layers.
    name.starts_with(b"trusted.overlay.")
        || name.starts_with(b"user.overlay.")
        || name.starts_with(b"SCHILY.")
        || matches!(
            name,
            b"security.selinux" | b"security.ima" | b"security.evm" | b"system.nfs4_acl"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Meta;

    fn decided(path: &str, kind: Kind) -> Result<(Op, String), String> {
        let entry = Entry {
            path: path.into(),
            kind,
            link: Vec::new(),
            size: 0,
            sparse: None,
            meta: Meta::default(),
        };
        let (op, path) = decide(&entry, 0)?;
        Ok((op, String::from_utf8(path).unwrap()))
    }

    #[test]
    fn names_lose_slashes_and_dots() {
        for path in ["/a/b", "./a/b", "a//b/", "a/./b"] {
            assert_eq!(
                decided(path, Kind::File).unwrap(),
                (Op::Put, "a/b".into()),
                "{path}"
            );
        }
        for path in ["./", "/", "."] {
            assert_eq!(
                decided(path, Kind::Directory).unwrap(),
                (Op::Root, String::new())
            );
        }
    }

    #[test]
    fn leading_parts_are_taken_off() {
        let cleaned = |path: &str| clean(path.as_bytes(), 1).unwrap();

        assert_eq!(cleaned("./rootfs/etc/passwd"), Some(b"etc/passwd".to_vec()));
        assert_eq!(cleaned("rootfs/"), Some(Vec::new()));
        assert_eq!(cleaned("./"), None);
    }

    #[test]
    fn whiteouts_say_what_they_hide() {
        for (path, op, what) in [
            ("d/.wh.x", Op::Whiteout, "d/x"),
            (".wh.x", Op::Whiteout, "x"),
            (".wh...x", Op::Whiteout, "..x"),
            ("d/.wh..wh..opq", Op::Opaque, "d"),
            (".wh..wh..opq", Op::Opaque, ""),
            (".wh..wh.aufs", Op::Nothing, ".wh..wh.aufs"),
            (".wh..wh.plnk/1.2", Op::Put, ".wh..wh.plnk/1.2"),
        ] {
            assert_eq!(
                decided(path, Kind::File).unwrap(),
                (op, what.to_owned()),
                "{path}"
            );
        }
    }

    #[test]
    fn what_no_layer_may_contain_is_refused() {
        for (path, kind, why) in [
            ("a/../b", Kind::File, "a name that climbs with '..'"),
            ("..", Kind::Directory, "a name that climbs with '..'"),
            ("", Kind::File, "an entry without a name"),
            (".", Kind::Symlink, "a root that is no directory"),
            ("./", Kind::File, "a root that is no directory"),
            ("a\0b", Kind::File, "a name with a NUL"),
            (".wh.", Kind::File, "a whiteout that names nothing"),
            ("d/.wh..", Kind::File, "a whiteout that names nothing"),
            (".wh...", Kind::File, "a whiteout that names nothing"),
            (".wh.d/x", Kind::File, "a name below a whiteout"),
            ("dev/x", Kind::Char(0, 0), "a device 0:0, which hides files"),
        ] {
            assert_eq!(decided(path, kind), Err(why.to_owned()), "{path}");
        }
    }

    #[test]
    fn the_directory_of_aufs_links_is_found_in_a_path() {
        assert_eq!(aufs_links(b".wh..wh.plnk/1"), Some(&b".wh..wh.plnk"[..]));
        assert_eq!(aufs_links(b"a/.wh..wh.plnk/1"), Some(&b"a/.wh..wh.plnk"[..]));
        assert_eq!(aufs_links(b"a/b"), None);
    }
}
