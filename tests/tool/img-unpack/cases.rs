//! Layers whose entries mean no good, or that few builders write, by name.

use kit::image::Layer;
use tar::{EntryType, Header};

use super::base;

/// A header with a name that the builder would refuse.
fn header(name: &[u8], kind: u8, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(1_700_000_000);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    header
}

fn raw(name: &str, kind: u8, content: &[u8]) -> Layer {
    let size = u64::try_from(content.len()).unwrap();
    Layer::default().raw(&header(name.as_bytes(), kind, size), content)
}

/// An extended header in front of what its own header says.
fn pax(records: &[(&str, &str)], header: &Header, content: &[u8]) -> Layer {
    Layer::default().pax(records).raw(header, content)
}

fn link(name: &str, kind: u8, to: &str, size: u64, mode: u32) -> Header {
    let mut header = header(name.as_bytes(), kind, size);
    header.set_link_name(to).unwrap();
    header.set_mode(mode);
    header.set_cksum();
    header
}

fn file(size: u64) -> Header {
    header(b"f", b'0', size)
}

/// A field of a header as it should not be.
fn with_field(at: std::ops::Range<usize>, value: &[u8]) -> Layer {
    let mut header = file(0);
    header.as_mut_bytes()[at].copy_from_slice(value);
    header.set_cksum();
    Layer::default().raw(&header, &[])
}

fn sparse(map: &str) -> Layer {
    let records = [("GNU.sparse.size", "100"), ("GNU.sparse.map", map)];
    pax(&records, &file(4), b"abcd")
}

pub(crate) fn names() -> Vec<(&'static str, Vec<Layer>)> {
    let deep = vec!["d"; 1500].join("/");
    vec![
        ("dotdot-middle", vec![raw("a/../b", b'0', b"x")]),
        ("dotdot-pax-path", vec![pax(&[("path", "../b")], &file(0), &[])]),
        ("dotdot-first", vec![raw("../b", b'0', b"x")]),
        ("empty-name", vec![raw("", b'0', b"x")]),
        (
            "root-symlink-dotdot",
            vec![Layer::default().raw(&link("./..", b'2', "/", 0, 0o777), &[])],
        ),
        (
            "root-hardlink",
            vec![Layer::default().raw(&link("./", b'1', "f", 0, 0o777), &[])],
        ),
        ("root-whiteout", vec![base(), Layer::default().file(".wh.d", 0o644, "")]),
        ("root-whiteout-dot", vec![base(), Layer::default().file(".wh..", 0o644, "")]),
        (
            "root-opaque",
            vec![
                base(),
                Layer::default().file(".wh..wh..opq", 0o644, "").file("n", 0o644, ""),
            ],
        ),
        ("name-too-long", vec![pax(&[("path", &"n".repeat(256))], &file(0), &[])]),
        (
            "path-long",
            vec![Layer::default().file(
                &format!("{}/f", vec!["p".repeat(100); 30].join("/")),
                0o644,
                "x",
            )],
        ),
        (
            "bomb-depth",
            vec![Layer::default().file(&format!("{deep}/f"), 0o644, "x").whiteout("no")],
        ),
        (
            "hdrcharset",
            vec![pax(&[("hdrcharset", "BINARY"), ("path", "g")], &file(0), &[])],
        ),
    ]
}

pub(crate) fn links() -> Vec<(&'static str, Vec<Layer>)> {
    let host = "/tmp";
    let entry = |header: &Header| Layer::default().raw(header, &[]);
    vec![
        (
            "symlink-chain",
            vec![
                Layer::default()
                    .symlink("a", "b")
                    .symlink("b", "c/../c")
                    .symlink("c", host),
                Layer::default().file("a/x", 0o644, "x"),
            ],
        ),
        (
            "symlink-dir-same-layer",
            vec![
                Layer::default()
                    .symlink("s", host)
                    .dir("s", 0o700)
                    .file("s/x", 0o644, "x"),
            ],
        ),
        (
            "symlink-file-same-layer",
            vec![Layer::default().symlink("s", "/etc/passwd").file("s", 0o600, "x")],
        ),
        (
            "symlink-to-itself",
            vec![Layer::default().symlink("s", "s").file("s/x", 0o644, "x")],
        ),
        ("symlink-mode", vec![entry(&link("s", b'2', "t", 0, 0))]),
    ]
}

pub(crate) fn hardlinks() -> Vec<(&'static str, Vec<Layer>)> {
    vec![
        (
            "hardlink-with-data",
            vec![
                Layer::default()
                    .file("f", 0o644, "1")
                    .raw(&link("g", b'1', "f", 512, 0o644), &[0; 512]),
            ],
        ),
        (
            "hardlink-metadata",
            vec![
                Layer::default()
                    .file("f", 0o4755, "1")
                    .raw(&link("g", b'1', "f", 0, 0o600), &[]),
            ],
        ),
        (
            "hardlink-self",
            vec![Layer::default().file("f", 0o644, "1").hardlink("f", "f")],
        ),
        ("hardlink-self-alone", vec![Layer::default().hardlink("f", "./f")]),
        ("hardlink-dotdot", vec![Layer::default().hardlink("g", "../../etc/passwd")]),
        (
            "hardlink-to-directory",
            vec![Layer::default().dir("d", 0o755).hardlink("g", "d")],
        ),
        ("hardlink-to-nothing", vec![Layer::default().hardlink("g", "nothing")]),
        (
            "hardlink-over-directory",
            vec![
                Layer::default()
                    .file("f", 0o644, "1")
                    .dir("d", 0o755)
                    .file("d/x", 0o644, "")
                    .hardlink("d", "f"),
            ],
        ),
        (
            "hardlink-to-whiteout",
            vec![base(), Layer::default().whiteout("d/a").hardlink("g", "d/a")],
        ),
    ]
}

pub(crate) fn whiteouts() -> Vec<(&'static str, Vec<Layer>)> {
    vec![
        ("wh-missing", vec![base(), Layer::default().whiteout("no/such")]),
        ("wh-twice", vec![base(), Layer::default().whiteout("d/a").whiteout("d/a")]),
        ("wh-dir-recreate", vec![base(), Layer::default().whiteout("d").dir("d", 0o700)]),
        (
            "wh-dir-recreate-reverse",
            vec![base(), Layer::default().dir("d", 0o700).whiteout("d")],
        ),
        (
            "wh-dir-recreate-implied",
            vec![base(), Layer::default().whiteout("d").file("d/n", 0o644, "n")],
        ),
        (
            "wh-of-directory-below-file",
            vec![base(), Layer::default().file("d", 0o644, "f").whiteout("d")],
        ),
        ("wh-is-directory", vec![base(), Layer::default().dir("d/.wh.a", 0o755)]),
        ("wh-with-content", vec![base(), Layer::default().file("d/.wh.a", 0o644, "x")]),
        ("wh-below", vec![base(), Layer::default().file(".wh.d/x", 0o644, "x")]),
        (
            "opaque-via-symlink",
            vec![
                Layer::default()
                    .dir("d", 0o755)
                    .file("d/a", 0o644, "1")
                    .symlink("s", "d"),
                Layer::default().opaque("s").file("s/n", 0o644, "n"),
            ],
        ),
        (
            "wh-via-symlink",
            vec![
                Layer::default()
                    .dir("d", 0o755)
                    .file("d/a", 0o644, "1")
                    .symlink("s", "d"),
                Layer::default().whiteout("s/a"),
            ],
        ),
        ("opaque-nowhere", vec![base(), Layer::default().opaque("no")]),
        (
            "opaque-on-file",
            vec![Layer::default().file("f", 0o644, ""), Layer::default().opaque("f")],
        ),
    ]
}

pub(crate) fn headers() -> Vec<(&'static str, Vec<Layer>)> {
    let long = |kind: u8, size: u64| {
        raw("././@LongLink", kind, &vec![b'n'; usize::try_from(size).unwrap()])
            .raw(&file(0), &[])
    };
    vec![
        ("longname-huge", vec![long(b'L', 2 << 20)]),
        ("longlink-huge", vec![long(b'K', 2 << 20)]),
        ("pax-huge", vec![long(b'x', 2 << 20)]),
        (
            "pax-malformed-huge",
            vec![Layer::default().raw(&header(b"x", b'x', 1 << 40), &[])],
        ),
        ("pax-empty-key", vec![raw("x", b'x', b"5 =a\n").raw(&file(0), &[])]),
        ("pax-size-over-nonzero", vec![pax(&[("size", "2")], &file(1), b"ab")]),
        ("pax-size-negative", vec![pax(&[("size", "-1")], &file(0), &[])]),
        (
            "size-negative",
            vec![with_field(
                124..136,
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            )],
        ),
        ("size-no-number", vec![with_field(124..136, b"0000000000x\0")]),
        ("ids-overflow", vec![pax(&[("uid", "4294967296")], &file(0), &[])]),
        ("ids-negative", vec![with_field(108..116, b"\xff\xff\xff\xff\xff\xff\xff\xff")]),
        ("mtime-no-number", vec![pax(&[("mtime", "1e9")], &file(0), &[])]),
        (
            "mtime-out-of-range",
            vec![pax(&[("mtime", "99999999999999999999")], &file(0), &[])],
        ),
    ]
}

pub(crate) fn kinds() -> Vec<(&'static str, Vec<Layer>)> {
    vec![
        ("type-contiguous", vec![raw("f", b'7', b"x")]),
        ("type-unknown", vec![raw("f", b'Q', b"x")]),
        ("type-multivolume", vec![raw("f", b'M', b"x")]),
        ("directory-with-content", vec![raw("d/", b'5', b"x")]),
        ("sparse", vec![sparse("0,2,98,2")]),
        ("sparse-overlap", vec![sparse("0,3,2,1")]),
        ("sparse-beyond", vec![sparse("0,2,99,2")]),
        ("sparse-short", vec![sparse("0,2")]),
        ("device-0-0", vec![raw("f", b'3', b"")]),
        (
            "xattr-user-on-symlink",
            vec![pax(
                &[("SCHILY.xattr.user.a", "1")],
                &link("s", b'2', "t", 0, 0o777),
                &[],
            )],
        ),
        (
            "xattr-overlay",
            vec![pax(
                &[
                    ("SCHILY.xattr.trusted.overlay.redirect", "/etc"),
                    ("SCHILY.xattr.user.overlay.opaque", "y"),
                ],
                &file(0),
                &[],
            )],
        ),
        ("xattr-without-name", vec![pax(&[("SCHILY.xattr.", "1")], &file(0), &[])]),
        (
            "acl-malformed",
            vec![pax(&[("SCHILY.acl.access", "user::rwx")], &file(0), &[])],
        ),
    ]
}
