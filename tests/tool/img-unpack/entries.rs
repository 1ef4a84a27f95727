//! Entries that mean no good, or that few builders write: the same for anybody, for root
//! and in a user namespace.

use std::fs;
use std::os::unix::fs::MetadataExt;

use kit::image::{Image, Layer};
use kit::{Expect, Run, expect, need};

use super::cases::{hardlinks, headers, kinds, links, names, whiteouts};
use super::look::{layers, line, merged};
use super::{ANYBODY, base};

/// How each case ends: what a mount would show, or what is said.
fn told(run: impl Fn() -> Run) -> String {
    let mut text = String::new();
    let all = [names(), links(), hardlinks(), whiteouts(), headers(), kinds()];
    let all = all.into_iter().flatten();
    for (name, layers) in all {
        text += &format!("{name}\n{}", end(run(), layers));
    }
    text
}

fn end(run: Run, stack: Vec<Layer>) -> String {
    let image = stack.into_iter().fold(Image::default(), Image::layer).oci("x");
    let run = run.args(["image.tar", "box"]);
    fs::write(run.tmp().join("image.tar"), image).unwrap();
    let out = run.run();
    if !out.status.success() {
        assert!(!out.tmp().join("box").exists(), "something is left");
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        let said = said.replace("img-unpack: ", "");
        return format!("    ! {}\n", short(said.trim_end()));
    }
    let printed = String::from_utf8(out.stdout.clone()).unwrap();
    let found = merged(&layers(out.tmp(), &printed));
    let shown = found.iter().filter(|(name, _)| !name.is_empty());
    let lines =
        shown.map(|(name, path)| format!("    {}\n", short(line(name, path).trim_end())));
    let lines: Vec<_> = lines.collect();
    match lines.as_slice() {
        [] => "    nothing\n".to_owned(),
        [first, .., last] if lines.len() > 10 => format!("{first}    …\n{last}"),
        lines => lines.concat(),
    }
}

/// Without digests and with the middle of what is long left out.
fn short(text: &str) -> String {
    let text = match text.split_once("sha256:") {
        Some((before, digest)) => format!("{before}…{}", &digest[64..]),
        None => text.to_owned(),
    };
    let all: Vec<char> = text.chars().collect();
    if all.len() <= 120 {
        return text;
    }
    let (head, tail) = (&all[..50], &all[all.len().saturating_sub(50)..]);
    format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

#[allow(clippy::too_many_lines, reason = "one golden text")]
fn expected() -> Expect {
    expect![[r#"
        dotdot-middle
            ! cannot unpack layer '…': it has a name that climbs with '..': 'a/../b'
        dotdot-pax-path
            ! cannot unpack layer '…': it has a name that climbs with '..': '../b'
        dotdot-first
            ! cannot unpack layer '…': it has a name that climbs with '..': '../b'
        empty-name
            ! cannot unpack layer '…': it has an entry without a name: ''
        root-symlink-dotdot
            ! cannot unpack layer '…': it has a name that climbs with '..': './..'
        root-hardlink
            ! cannot unpack layer '…': it has a root that is no directory: './'
        root-whiteout
            nothing
        root-whiteout-dot
            ! cannot unpack layer '…': it has a whiteout that names nothing: '.wh..'
        root-opaque
            n 644 ""
        name-too-long
            ! cannot make file 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…nnnnnnnnnnnnnnnnnnnnnnnnnnnnn': File name too long
        path-long
            pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp 755/
            …
            pppppppppppppppppppppppppppppppppppppppppppppppppp…pppppppppppppppppppppppppppppppppppppppp/f 644 "x"
        bomb-depth
            d 755/
            …
            d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/…/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/f 644 "x"
        hdrcharset
            g 644 ""
        symlink-chain
            a -> b
            b -> c/../c
            c -> /tmp
            tmp 755/
            tmp/x 644 "x"
        symlink-dir-same-layer
            s 700/
            s/x 644 "x"
        symlink-file-same-layer
            s 600 "x"
        symlink-to-itself
            ! cannot open directory 's': Too many symbolic links encountered
        symlink-mode
            s -> t
        hardlink-with-data
            ! cannot read layer '…': a link with content
        hardlink-metadata
            f 4755 "1"
            g 4755 "1"
        hardlink-self
            ! cannot link 'f': it is its own target
        hardlink-self-alone
            ! cannot link 'f': it is its own target
        hardlink-dotdot
            ! cannot link 'g': its target has a name that climbs with '..'
        hardlink-to-directory
            ! cannot link 'g': Operation not permitted; its target is a directory, or not ours to link
        hardlink-to-nothing
            ! cannot link 'g': 'nothing' is not there
        hardlink-over-directory
            d 644 "1"
            f 644 "1"
        hardlink-to-whiteout
            ! cannot link 'g': 'd/a' is not there
        wh-missing
            d 750/
            d/a 644 "1"
            d/b 644 "2"
        wh-twice
            d 750/
            d/b 644 "2"
        wh-dir-recreate
            d 700/ opaque
        wh-dir-recreate-reverse
            d 700/ opaque
        wh-dir-recreate-implied
            d 755/ opaque
            d/n 644 "n"
        wh-of-directory-below-file
            d 644 "f"
        wh-is-directory
            d 750/
            d/b 644 "2"
        wh-with-content
            d 750/
            d/b 644 "2"
        wh-below
            ! cannot unpack layer '…': it has a name below a whiteout: '.wh.d/x'
        opaque-via-symlink
            d 755/ opaque
            d/n 644 "n"
            s -> d
        wh-via-symlink
            d 755/
            s -> d
        opaque-nowhere
            d 750/
            d/a 644 "1"
            d/b 644 "2"
        opaque-on-file
            f 644 ""
        longname-huge
            ! cannot read layer '…': an extended header above 1 MiB
        longlink-huge
            ! cannot read layer '…': an extended header above 1 MiB
        pax-huge
            ! cannot read layer '…': an extended header above 1 MiB
        pax-malformed-huge
            ! cannot read layer '…': an extended header above 1 MiB
        pax-empty-key
            ! cannot read layer '…': a malformed extended header
        pax-size-over-nonzero
            f 644 "ab"
        pax-size-negative
            ! cannot read layer '…': a malformed size
        size-negative
            ! cannot read layer '…': a negative size
        size-no-number
            ! cannot read layer '…': a malformed number
        ids-overflow
            ! cannot read layer '…': an owner that is no id from 0 to 4294967294
        ids-negative
            ! cannot read layer '…': an owner that is no id from 0 to 4294967294
        mtime-no-number
            ! cannot read layer '…': a malformed time
        mtime-out-of-range
            ! cannot read layer '…': a malformed time
        type-contiguous
            f 644 "x"
        type-unknown
            ! cannot read layer '…': an entry of a type that is not known
        type-multivolume
            ! cannot read layer '…': an entry of a type that is not known
        directory-with-content
            ! cannot read layer '…': a directory with content
        sparse
            f 644 "ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\…0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0cd"
        sparse-overlap
            ! cannot read layer '…': a sparse map that leaves the file
        sparse-beyond
            ! cannot read layer '…': a sparse map that leaves the file
        sparse-short
            ! cannot read layer '…': a sparse map that does not match the content
        device-0-0
            ! cannot unpack layer '…': it has a device 0:0, which hides files: 'f'
        xattr-user-on-symlink
            s -> t
        xattr-overlay
            f 644 ""
        xattr-without-name
            ! cannot read layer '…': a malformed attribute
        acl-malformed
            ! cannot read layer '…': a malformed ACL
    "#]]
}

#[test]
fn entries_end_as_they_should_for_anybody() {
    expected().assert_eq(&told(|| Run::tool("img-unpack").args(ANYBODY)));
}

/// `PATH SECONDS NANOS` of a directory that an upper layer adds a file to, and of the root.
#[test]
fn a_directory_keeps_its_time_when_an_upper_layer_adds_to_it() {
    let upper = Layer::default().file("d/new", 0o644, "n");
    let image = Image::default().layer(base()).layer(upper).oci("x");
    let run = Run::tool("img-unpack").args(ANYBODY).args(["image.tar", "box"]);
    fs::write(run.tmp().join("image.tar"), image).unwrap();

    let out = run.run().code(0);

    let printed = String::from_utf8(out.stdout.clone()).unwrap();
    for layer in layers(out.tmp(), &printed) {
        let meta = fs::metadata(layer.join("d")).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_700_000_000, 0));
    }
}

#[test]
fn a_layer_of_more_entries_than_allowed_is_refused() {
    let many =
        (0..50).fold(Layer::default(), |layer, n| layer.file(&n.to_string(), 0o644, ""));
    let image = Image::default().layer(many);
    let refused = |args: &[&str]| {
        let run =
            Run::tool("img-unpack").args(ANYBODY).args(args).args(["image.tar", "box"]);
        fs::write(run.tmp().join("image.tar"), image.oci("x")).unwrap();
        let out = run.run().code(125);
        assert!(!out.tmp().join("box").exists());
        short(String::from_utf8(out.stderr).unwrap().trim_end())
    };

    expect!["img-unpack: cannot read layer '…': it has more entries than --max-files"]
        .assert_eq(&refused(&["--max-files", "49"]));
    expect![
        "img-unpack: cannot unpack 'image.tar': it has 1 layers, more than --max-layers"
    ]
    .assert_eq(&refused(&["--max-layers", "0"]));
    expect!["img-unpack: cannot read layer '…': it unpacks to more than --max-size"]
        .assert_eq(&refused(&["--max-size", "20K"]));
}

mod userns {
    use super::*;

    #[test]
    fn entries_end_as_they_should() {
        need!("userns");

        expected().assert_eq(&told(|| Run::sandboxed(&["--user"], "img-unpack")));
    }
}

mod root {
    use super::*;

    #[test]
    fn entries_end_as_they_should() {
        need!("root");

        expected().assert_eq(&told(|| Run::tool("img-unpack")));
    }
}
