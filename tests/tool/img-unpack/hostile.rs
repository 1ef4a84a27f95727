//! Hostile and real archives beside the project: each ends as it should.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kit::{Out, Run, expect, need};
use serde_json::Value;

use super::ANYBODY;
use super::look::{is_opaque, is_whiteout, layers, letter, merged, paths};

/// Unpacks the hostile archives one by one, with a canary of the host's where they aim.
const HOSTILE: &str = r#"
mount -t tmpfs none /tmp
mkdir /tmp/evil-canary box
echo host >/tmp/evil-canary/file
look() { find /tmp -printf '%p %y %m %U %G %T@ %s\n'; }
before=$(look)
while read -r name file args; do
    case $args in
    stdin*) cat "$file" | "$@" - "box/$name" ;;
    *) "$@" $args "$file" "box/$name" </dev/null ;;
    esac >"$name.out" 2>"$name.err"
    echo $? >"$name.rc"
    test "$(look)" = "$before" || echo "$name" >>escaped
done <list
"#;

fn hostile(sandbox: &[&str], flags: &[&str]) {
    need!("shared");
    let shared = need::shared().unwrap().join("evil");
    let table = fs::read(shared.join("open.json")).unwrap();
    // Names that are no Unicode stand in it as Python writes them.
    let table = String::from_utf8(table).unwrap().replace("\\udce9", "\\\\xe9");
    let table: Value = serde_json::from_str(&table).unwrap();
    let run = Run::tool("sandbox").args(sandbox).args(["--", "sh", "-c", HOSTILE, "sh"]);
    let run = run.arg(kit::tool("img-unpack")).args(flags).timeout(60);
    let mut list = String::new();
    for case in table.as_array().unwrap() {
        let args = if let Some(size) = case["args"]["max_bytes"].as_u64() {
            format!("--max-size {size}")
        } else if let Some(image) = case["args"]["image"].as_str() {
            format!("--ref {image}")
        } else if case["args"]["stdin"].as_bool() == Some(true) {
            "stdin".to_owned()
        } else {
            String::new()
        };
        let (name, file) =
            (case["name"].as_str().unwrap(), case["file"].as_str().unwrap());
        list += &format!("{name} {} {args}\n", shared.join(file).display());
    }
    fs::write(run.tmp().join("list"), list).unwrap();

    let out = run.run().code(0);

    assert!(!out.tmp().join("escaped").exists(), "an archive reached the host");
    let is_root = !flags.contains(&ANYBODY[0]);
    let wrong: Vec<_> = table
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|case| judge(&out, case, is_root).err())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether a hostile archive ended as it should.
fn judge(out: &Out, case: &Value, is_root: bool) -> Result<(), String> {
    let name = case["name"].as_str().unwrap();
    let read =
        |end: &str| fs::read_to_string(out.tmp().join(format!("{name}.{end}"))).unwrap();
    let (status, said) = (read("rc"), read("err"));
    let wrong = |what: String| Err(format!("{name}: {what}: {said}"));
    match (status.trim(), case["expect"].as_str().unwrap()) {
        ("125", "refuse" | "either") => {
            let is_left = out.tmp().join("box").join(name).exists();
            let is_one_line =
                said.starts_with("img-unpack: ") && said.lines().count() == 1;
            return match (is_left, is_one_line) {
                (false, true) => Ok(()),
                _ => wrong(format!("left {is_left}, one line {is_one_line}")),
            };
        }
        ("0", "ok" | "either") => {}
        (status, _) => return wrong(format!("status {status}")),
    }
    if name == "dir-readonly" && !nix::unistd::geteuid().is_root() {
        // As its owner without privilege we cannot look into it; it was filled.
        return Ok(());
    }
    let layers = layers(out.tmp(), &read("out"));
    let is_flat = layers.iter().any(|layer| layer.ends_with("rootfs"));
    if let Some(list) = case["layers"].as_array().filter(|_| !is_flat) {
        for (layer, expected) in layers.iter().zip(list) {
            overlay_form(layer, expected).or_else(wrong)?;
        }
    }
    let Some(flat) = case["flat"].as_object() else { return Ok(()) };
    let found = merged(&layers);
    for (path, expected) in flat {
        let kind = expected["t"].as_str().unwrap();
        if !is_root && matches!(kind, "c" | "b") {
            continue;
        }
        let Some(at) = found.get(path) else { return wrong(format!("no {path}")) };
        compare(at, expected, is_root).or_else(|e| wrong(format!("{path}: {e}")))?;
    }
    match found.keys().find(|path| !path.is_empty() && !flat.contains_key(*path)) {
        Some(extra) => wrong(format!("there is {extra}")),
        None => Ok(()),
    }
}

fn overlay_form(layer: &Path, expected: &Value) -> Result<(), String> {
    let expected = expected.as_object().unwrap();
    let found = paths(layer);
    for (path, at) in &found {
        let kind = expected.get(path).map(|e| e["t"].as_str().unwrap());
        let is = if is_whiteout(at) {
            "w"
        } else if at.is_dir() && is_opaque(at) {
            "o"
        } else {
            letter(at)
        };
        if kind != Some(is) {
            return Err(format!("{path} is {is}, not {kind:?}"));
        }
    }
    let missing = expected.keys().find(|path| !found.contains_key(*path));
    missing.map_or(Ok(()), |path| Err(format!("no {path}")))
}

fn compare(at: &Path, expected: &Value, is_root: bool) -> Result<(), String> {
    let meta = fs::symlink_metadata(at).unwrap();
    let link = || fs::read_link(at).unwrap_or_default().to_string_lossy().into_owned();
    let content = || fs::read(at).unwrap_or_default();
    for (key, value) in expected.as_object().unwrap() {
        let number = |n: i64| n.to_string();
        let wanted = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let found = match key.as_str() {
            "t" => letter(at).to_owned(),
            "c" => String::from_utf8_lossy(&content()).into_owned(),
            "sha256" => kit::image::hex(&content()),
            "size" => meta.size().to_string(),
            "l" => link(),
            "mode" => format!("{:o}", meta.mode() & 0o7777),
            "mtime" => number(meta.mtime()),
            "uid" if is_root => meta.uid().to_string(),
            "gid" if is_root => meta.gid().to_string(),
            "rdev" => {
                let (rdev, minor) = (
                    nix::sys::stat::major(meta.rdev()),
                    nix::sys::stat::minor(meta.rdev()),
                );
                format!("{rdev}:{minor}")
            }
            "x" if is_root => {
                let file = fs::File::open(at).unwrap();
                let mut bytes = [0; 64];
                let n = common::sys::fgetxattr(
                    file.as_fd(),
                    c"security.capability",
                    &mut bytes,
                );
                let hex: String = bytes[..n.unwrap_or(0)]
                    .iter()
                    .fold(String::new(), |text, b| text + &format!("{b:02x}"));
                if hex == value["security.capability"].as_str().unwrap() {
                    continue;
                }
                hex
            }
            _ => continue,
        };
        if found != wanted {
            return Err(format!("{key} is {found:?}, not {wanted:?}"));
        }
    }
    Ok(())
}

/// How each image ends, those of one end together.
fn told(images: &Path, names: Vec<OsString>) -> String {
    let mut ends: BTreeMap<String, String> = BTreeMap::new();
    for name in names {
        let image = images.join(&name);
        let out = Run::tool("img-unpack").args(ANYBODY).arg(&image).arg("box").run();
        let end = if out.status.success() {
            let count = String::from_utf8(out.stdout).unwrap().lines().count();
            format!("{count} layers")
        } else {
            assert!(!out.tmp().join("box").exists());
            let said = String::from_utf8(out.stderr).unwrap();
            assert_eq!(said.lines().count(), 1, "{said}");
            said.trim_end().replace(image.to_str().unwrap(), "$IMAGE")
        };
        let names = ends.entry(end).or_default();
        *names += &format!("    {}\n", name.display());
    }

    ends.iter().map(|(end, names)| end.clone() + "\n" + names).collect()
}

#[test]
#[allow(clippy::too_many_lines, reason = "one golden text")]
fn real_archives_are_unpacked_or_refused_for_a_reason() {
    need!("shared");
    let images = need::shared().unwrap().join("images");
    let mut names: Vec<_> =
        fs::read_dir(&images).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.retain(|name| {
        let name = name.to_str().unwrap();
        Path::new(name).extension().is_none_or(|e| e != "json" && e != "sh")
    });
    names.sort();

    let told = told(&images, names);

    expect![[r#"
        1 layers
            cimage-almostempty.tar
            dive-oci-gzip-image.tar
            dive-oci-zstd-image.tar
            ggcr-hello-world-v25.tar
            ggcr-layout-one_image
            ggcr-test_image_2.tar
            rulesdocker-image_with_symlinked_layer.tar
            stereoscope-valid-oci-dir
            stereoscope-valid-oci.tar
            trivy-alpine-310.tar.gz
        14 layers
            dive-docker-image.tar
        2 layers
            jib-busybox-jib.tar
            jib-docker-save.tar
            jib-jib-image.tar
            rulesdocker-pause.tar
        3 layers
            ggcr-whiteout_image.tar
        8 layers
            dockle-symbolic.tar
        img-unpack: cannot choose an image in '$IMAGE': there are '1', '2'; use --ref or --platform
            ggcr-layout-test_index
        img-unpack: cannot choose an image in '$IMAGE': there are 'bazel/v1/tarball:test_image_1', 'bazel/v1/tarball:test_image_3'; use --ref or --platform
            ggcr-test_link.tar
        img-unpack: cannot choose an image in '$IMAGE': there are 'latest' (linux/amd64), '3.17.5', '3.16.7' (linux/amd64), '1.0.0'; use --ref or --platform
            cimage-oci-delete_multiple
        img-unpack: cannot find an image in '$IMAGE': it is a root file system; use 'docker save', not 'docker export'
            claircore-rhcos-layer-with-embedded-cs.tar
            rulesdocker-one.tar
        img-unpack: cannot find an image in '$IMAGE': neither index.json nor manifest.json is in it
            cdiff-la-croix-update.tar
            cdiff-la-croix1.tar
            cdiff-la-croix2.tar
            claircore-bad_name.tar
            claircore-oddlayer.tar
            cstorage-broken.tar
            jib-symlinks.tar
            moby-collision-1.tar
            moby-layer-511136ea.tar
            moby-layer-xattr.tar
            rulesdocker-three.tar
            tarrs-biguid_pax.tar
            tarrs-directory.tar
            tarrs-empty_filename.tar
            tarrs-link.tar
            tarrs-pax-overrides-extension-header.tar
            tarrs-pax_size.tar
            tarrs-reading_files.tar
            tarrs-sparse-large.tar
            tarrs-sparse.tar
        img-unpack: cannot open 'blobs/sha256/5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270': No such file or directory
            cimage-two_images_manifest
        img-unpack: cannot read 'manifest.json': not a list of images
            ggcr-null_manifest.tar
    "#]].assert_eq(&told);
}

mod userns {
    use super::*;

    #[test]
    fn hostile_archives_end_as_they_should_for_anybody() {
        need!("userns");
        hostile(&["--user", "--mount"], &ANYBODY);
    }

    #[test]
    fn hostile_archives_become_a_root_for_anybody_as_they_should() {
        need!("userns");
        hostile(&["--user", "--mount"], &[ANYBODY[0], ANYBODY[1], "--flat"]);
    }
}

mod root {
    use super::*;

    #[test]
    fn hostile_archives_end_as_they_should_for_root() {
        need!("root");
        hostile(&["--mount"], &[]);
    }

    #[test]
    fn hostile_archives_become_a_root_as_they_should() {
        need!("root");
        hostile(&["--mount"], &["--flat"]);
    }
}
