//! Real images come out as the reference unpackers make them.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use kit::image::Image;
use kit::tree::{Tree, differences, parse};
use kit::{Run, expect, need, tool};

/// Unpacks by img-unpack and shows the image in two ways: merged by overlayfs, through
/// ovl-mount, and by the kit's own reading of the layers.
const OURS: &str = r#"
"$UNPACK" $ARGS "$IMAGE" box >layers || exit 3
"$TREE" $(cat layers) >model && "$OVL" --image box m && "$TREE" m >overlay
"#;

/// Unpacks by umoci what skopeo makes an OCI layout of. umoci takes neither zstd nor
/// Docker's media types, so layers are made plain and then gzip on the way.
const THEIRS: &str = r#"
set -e
copy() { skopeo $FLAGS --insecure-policy --tmpdir "$PWD" copy -q --format oci "$@"; }
case $IMAGE in *.tar.gz)
    gunzip -c "$IMAGE" >plain.tar
    IMAGE=plain.tar
esac
case $KIND in
docker) from=docker-archive:$IMAGE$REF ;;
oci) from=oci-archive:$IMAGE$REF ;;
dir) from=oci:$IMAGE$REF ;;
layout)
    umoci unpack --image "$IMAGE:1" bundle
    "$TREE" bundle/rootfs >peer
    exit
    ;;
tar)
    # umoci knows no sparse files.
    mkdir root
    tar -xpf "${IMAGE%.tar}.layer" -C root
    touch -d @0 root
    "$TREE" root >peer
    exit
    ;;
esac
copy --dest-decompress "$from" dir:plain
copy dir:plain oci:layout:x
umoci unpack --image layout:x bundle
"$TREE" bundle/rootfs >peer
"#;

/// One image of an archive.
struct Case {
    archive: PathBuf,
    /// Options of img-unpack.
    args: &'static str,
    /// The reference as skopeo has it, and its options.
    skopeo: (&'static str, &'static str),
}

/// Archives with several images: options of img-unpack, and the same for skopeo.
const CHOICES: [(&str, &str, (&str, &str)); 7] = [
    ("stereoscope-valid-oci-dir", "", (":latest", "")),
    ("ggcr-layout-test_index", "--ref 1", (":1", "")),
    ("ggcr-layout-test_index", "--ref 3", (":3", "")),
    ("ggcr-layout-test_index", "--ref 4", (":4", "")),
    (
        "ggcr-test_link.tar",
        "--ref bazel/v1/tarball:test_image_1",
        (":bazel/v1/tarball:test_image_1", ""),
    ),
    (
        "ggcr-test_link.tar",
        "--ref bazel/v1/tarball:test_image_3",
        (":bazel/v1/tarball:test_image_3", ""),
    ),
    ("stereoscope-valid-oci-dir", "--ref 1.0", (":1.0", "")),
];

fn environment(run: Run, case: &Case, kind: &str) -> Run {
    let run = run
        .env("UNPACK", tool("img-unpack"))
        .env("OVL", tool("ovl-mount"))
        .env("TREE", tool("tree"))
        .env("ARGS", case.args)
        .env("IMAGE", &case.archive)
        .env("KIND", kind)
        .env("REF", case.skopeo.0)
        .env("FLAGS", case.skopeo.1)
        .env("HOME", "/root");
    run.timeout(240)
}

/// The image by overlayfs and by the kit; none where img-unpack refuses it.
fn ours(case: &Case) -> Result<(Tree, Tree), String> {
    let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-c", OURS]);
    let out = environment(run, case, "").run();
    if out.status.code() == Some(3) {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    let out = out.code(0);
    let read = |name| parse(&fs::read_to_string(out.tmp().join(name)).unwrap());
    Ok((read("overlay"), read("model")))
}

fn theirs(case: &Case, kind: &str) -> Result<Tree, String> {
    let run = Run::program("sh").args(["-c", THEIRS]);
    let out = environment(run, case, kind).run();
    match fs::read_to_string(out.tmp().join("peer")) {
        Ok(text) if out.status.success() => Ok(parse(&text)),
        _ => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || (pattern.ends_with('*') && last.is_empty())
}

/// What differs in one image, each line with the image's name, or why it is refused.
fn compare(case: &Case) -> Result<Vec<String>, String> {
    let name = case.archive.file_name().unwrap().to_string_lossy();
    let name = format!("{name} {}", case.args).trim_end().to_owned();
    let (overlay, model) = ours(case)?;
    let named = |what: &str, all: Vec<String>| {
        let line = |line| format!("{name}: {what}{line}");
        all.into_iter().map(line).collect::<Vec<_>>()
    };
    let mut all = named("(by the kit) ", differences(&overlay, &model));
    let kinds: &[_] = match &case.archive {
        dir if dir.is_dir() => &["dir"],
        layer if layer.with_extension("layer").exists() => &["oci", "tar"],
        _ => &["docker", "oci"],
    };
    let mut complaints = String::new();
    for kind in kinds {
        match theirs(case, kind) {
            Ok(tree) => {
                all.extend(named("", differences(&overlay, &tree)));
                return Ok(all);
            }
            Err(complaint) => complaints += &complaint,
        }
    }
    all.extend(named("", vec![format!("the peer fails: {complaints}")]));
    Ok(all)
}

/// What came of several images.
#[derive(Default)]
struct Found {
    compared: usize,
    refused: Vec<String>,
    differences: Vec<String>,
}

/// Compares all; `explained` are patterns of what may differ, with the reason why. How many
/// were compared, and what was refused.
fn judge(cases: &[Case], explained: &[(&str, &str)]) -> (usize, String) {
    let next = Mutex::new(cases.iter());
    let found = Mutex::new(Found::default());
    let work = || {
        loop {
            let Some(case) = next.lock().unwrap().next() else { return };
            let result = compare(case);
            let mut found = found.lock().unwrap();
            if let Ok(lines) = result {
                found.compared += 1;
                found.differences.extend(lines);
            } else {
                let name = case.archive.file_name().unwrap().display();
                found.refused.push(format!("{name}\n"));
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let mut found = found.into_inner().unwrap();
    let all = &found.differences;
    let is_explained = |line: &&String| explained.iter().any(|(p, _)| fits(p, line));
    let open: Vec<_> = all.iter().filter(|line| !is_explained(line)).collect();
    assert!(open.is_empty(), "{} differences: {open:#?}", open.len());
    let is_of_use = |pattern: &str| all.iter().any(|line| fits(pattern, line));
    let over: Vec<_> = explained.iter().filter(|(p, _)| !is_of_use(p)).collect();
    assert!(over.is_empty(), "no longer different: {over:#?}");
    found.refused.sort();
    (found.compared, found.refused.concat())
}

/// An archive of `../shared/images`.
fn real(name: &str) -> PathBuf {
    need::shared().unwrap().join("images").join(name)
}

fn names() -> Vec<String> {
    let all = fs::read_dir(real("")).unwrap();
    let mut all: Vec<_> =
        all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    all.retain(|name| !matches!(name.as_str(), "make_images.sh" | "sources.json"));
    all.sort();
    all
}

/// Whether it is read as an image at all, rightly or not.
fn is_image(name: &str) -> bool {
    let out = Run::tool("img-unpack").arg("--explain").arg(real(name)).arg("box").run();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    !said.contains("cannot find an image") && !said.contains("not a tar archive")
}

mod root {
    use super::*;

    #[test]
    fn real_images_are_what_umoci_makes_of_them() {
        need!("root", "shared", "program:umoci", "program:skopeo");
        let mut cases: Vec<_> = CHOICES
            .map(|(name, args, skopeo)| Case { archive: real(name), args, skopeo })
            .into();
        let is_chosen = |name: &String| CHOICES.iter().any(|(of, ..)| of == name);
        for name in names().iter().filter(|n| !is_chosen(n) && is_image(n)) {
            cases.push(Case { archive: real(name), args: "", skopeo: ("", "") });
        }

        let (compared, refused) = judge(
            &cases,
            &[
                (
                    "ggcr-layout-test_index --ref 4: the peer fails: *no descriptor found*",
                    "skopeo looks for OCI's media types only",
                ),
                (
                    "ggcr-test_link.tar --ref *test_image_3: the peer fails: *expected 0*",
                    "skopeo takes a layer that is a link for empty",
                ),
            ],
        );

        assert!(compared >= 23, "only {compared} images");
        expect![[r#"
            cimage-oci-delete_multiple
            cimage-two_images_manifest
            ggcr-null_manifest.tar
        "#]]
        .assert_eq(&refused);
    }

    #[test]
    fn real_layers_are_what_umoci_makes_of_them() {
        need!("root", "shared", "program:umoci", "program:skopeo");
        let dir = tempfile::tempdir().unwrap();
        let wrap = |name: &String| {
            let layer = fs::read(real(name)).unwrap();
            let archive = dir.path().join(name);
            fs::write(archive.with_extension("layer"), &layer).unwrap();
            fs::write(&archive, Image::default().layer_tar(layer).oci("x")).unwrap();
            Case { archive, args: "", skopeo: ("", "") }
        };
        let cases: Vec<_> = names()
            .iter()
            .filter(|name| real(name).is_file() && !is_image(name))
            .map(wrap)
            .collect();

        let (compared, refused) = judge(&cases, &[]);

        assert!(compared >= 12, "only {compared} layers");
        expect![[r#"
            tarrs-empty_filename.tar
        "#]]
        .assert_eq(&refused);
    }

    /// All archives of one image are what umoci makes of the layout.
    fn big(layout: &str, archives: &[(&str, &'static str)]) {
        need!("root", "big-image", "program:umoci");
        let dir = need::big_image().unwrap();
        let case = |name, args| Case { archive: dir.join(name), args, skopeo: ("", "") };
        let peer = theirs(&case(layout, ""), "layout").unwrap();
        assert!(peer.len() > 7000);
        for (name, args) in archives {
            let (overlay, model) = ours(&case(name, args)).unwrap();
            assert_eq!(differences(&overlay, &model), [""; 0], "{name}, by the kit");
            assert_eq!(differences(&overlay, &peer), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_big_image_is_what_umoci_makes_of_it() {
        let archives = [
            ("debian-nginx.oci", ""),
            ("debian-nginx.oci.tar", ""),
            ("debian-nginx.oci-zstd.tar", ""),
            ("debian-nginx.docker.tar", ""),
            ("debian-nginx.docker.tar.gz", ""),
            ("debian-nginx.docker25.tar", ""),
            ("both.docker.tar", "--ref localhost/debian-nginx:1"),
        ];
        big("debian-nginx.oci", &archives);
    }

    #[test]
    fn a_very_big_image_is_what_umoci_makes_of_it() {
        let archives =
            [("debian-python.docker.tar", ""), ("debian-python.oci-zstd.tar", "")];
        big("debian-python.oci", &archives);
    }
}
