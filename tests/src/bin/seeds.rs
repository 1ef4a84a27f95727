//! `seeds DIR`: tars for the fuzz targets to begin with, one of each kind of entry.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is written here is right"
)]

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use common::{Context, Fail};
use kit::image::Layer;
use tar::{Builder, EntryType, Header};

common::entry!("seeds", run);

fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let Some(dir) = args.into_iter().nth(1).map(PathBuf::from) else {
        return Err(Fail::new("usage: seeds DIR"));
    };
    std::fs::create_dir_all(&dir).cannot("make directory", &dir)?;
    for (name, tar) in [
        ("files", files()),
        ("upper", upper()),
        ("links", links()),
        ("pax", pax()),
        ("sparse", sparse()),
        ("old-sparse", old_sparse()),
        ("long", long()),
    ] {
        let path: &Path = &dir.join(name);
        // The bytes in front are options of the targets.
        std::fs::write(path, [&[0, 4][..], &tar].concat()).cannot("write", path)?;
    }
    Err(Fail::done())
}

fn files() -> Vec<u8> {
    let layer = Layer::default()
        .dir("d", 0o750)
        .file("d/a", 0o4755, "a")
        .symlink("d/s", "../../../canary")
        .file("d/s/file", 0o644, "through it")
        .symlink("abs", "/d")
        .entry("fifo", EntryType::Fifo, 0o600, &[])
        .entry("null", EntryType::Char, 0o666, &[])
        .entry("more", EntryType::Continuous, 0o600, b"7");
    layer.tar()
}

fn upper() -> Vec<u8> {
    let layer = Layer::default()
        .dir("d", 0o755)
        .file("d/a", 0o644, "1")
        .whiteout("d/a")
        .opaque("d")
        .file(".wh..wh.plnk/1", 0o644, "p")
        .file("d", 0o644, "in the place of a tree");
    layer.tar()
}

fn links() -> Vec<u8> {
    let layer = Layer::default()
        .hardlink("early", "d/later")
        .file("d/later", 0o644, "1")
        .hardlink("late", "/d/later")
        .hardlink("self", "self");
    layer.tar()
}

/// An entry behind an extended header.
fn behind(records: &[(&str, &[u8])], name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions(records.iter().copied()).unwrap();
    let mut header = Header::new_ustar();
    header.set_size(u64::try_from(content.len()).unwrap());
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

fn pax() -> Vec<u8> {
    let records: [(&str, &[u8]); 9] = [
        ("path", b"long/name"),
        ("size", b"3"),
        ("uid", b"1000"),
        ("mtime", b"-1.5"),
        ("atime", b"1.25"),
        ("SCHILY.xattr.user.a", b"line\nline\0"),
        ("SCHILY.acl.access", b"user::rw-,user:7:r--,group::r--,mask::r--,other::---"),
        ("LIBARCHIVE.xattr.user.b", b"YQ=="),
        ("linkpath", b"d/x"),
    ];
    behind(&records, "short", b"abc")
}

fn sparse() -> Vec<u8> {
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"holes"),
        ("GNU.sparse.realsize", b"4096"),
    ];
    let mut content = b"1\n1024\n4\n".to_vec();
    content.resize(512, 0);
    content.extend_from_slice(b"data");
    behind(&records, "GNUSparseFile.0/holes", &content)
}

fn old_sparse() -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_path("holes").unwrap();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(512);
    header.set_mode(0o644);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.set_real_size(4096);
    gnu.sparse[0].set_offset(1024);
    gnu.sparse[0].set_length(512);
    header.set_cksum();
    Layer::default().raw(&header, &[7; 512]).tar()
}

fn long() -> Vec<u8> {
    let name = vec!["directory"; 15].join("/");
    Layer::default().file(&name, 0o644, "1").symlink("l", &name).tar()
}
