//! Builds image archives of every layout, for tests and for the demo.

use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// One layer: a tar that is written entry by entry.
pub struct Layer(Builder<Vec<u8>>);

impl Default for Layer {
    fn default() -> Self {
        Self(Builder::new(Vec::new()))
    }
}

impl Layer {
    /// A directory.
    #[must_use]
    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(path, EntryType::Directory, mode, &[])
    }

    /// A regular file.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, EntryType::Regular, mode, content.as_ref())
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, to: &str) -> Self {
        self.link(path, EntryType::Symlink, to)
    }

    /// A hard link to another path of the image.
    #[must_use]
    pub fn hardlink(self, path: &str, to: &str) -> Self {
        self.link(path, EntryType::Link, to)
    }

    /// Takes a path of the layers below away.
    #[must_use]
    pub fn whiteout(self, path: &str) -> Self {
        let path = Path::new(path);
        let name = format!(".wh.{}", path.file_name().unwrap().to_str().unwrap());
        let mark = path.with_file_name(name);
        self.file(mark.to_str().unwrap(), 0o644, [])
    }

    /// Hides what the layers below have in a directory.
    #[must_use]
    pub fn opaque(self, dir: &str) -> Self {
        self.file(&format!("{dir}/.wh..wh..opq"), 0o644, [])
    }

    /// Any entry, with a header made by the caller.
    #[must_use]
    pub fn raw(mut self, header: &Header, content: &[u8]) -> Self {
        self.0.append(header, content).unwrap();
        self
    }

    /// Extended headers for the entry that comes next.
    #[must_use]
    pub fn pax(mut self, records: &[(&str, &str)]) -> Self {
        let records = records.iter().map(|(key, value)| (*key, value.as_bytes()));
        self.0.append_pax_extensions(records).unwrap();
        self
    }

    /// Any entry owned by root.
    #[must_use]
    pub fn entry(
        mut self,
        path: &str,
        kind: EntryType,
        mode: u32,
        content: &[u8],
    ) -> Self {
        let mut header = header(kind, mode, content.len());
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    fn link(mut self, path: &str, kind: EntryType, to: &str) -> Self {
        let mut header = header(kind, 0o777, 0);
        self.0.append_link(&mut header, path, to).unwrap();
        self
    }

    /// The tar.
    pub fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(u64::try_from(size).unwrap());
    header.set_mtime(1_700_000_000);
    header
}

/// An image: layers, bottom first, and the `config` object of its configuration.
#[derive(Default)]
pub struct Image {
    layers: Vec<Blob>,
    config: Map<String, Value>,
}

/// A layer as it is stored.
struct Blob {
    diff_id: String,
    data: Vec<u8>,
    media_type: String,
}

impl Image {
    /// Adds a layer on top.
    #[must_use]
    pub fn layer(self, layer: Layer) -> Self {
        self.layer_tar(layer.tar())
    }

    /// Adds a layer on top, as bytes.
    #[must_use]
    pub fn layer_tar(self, tar: Vec<u8>) -> Self {
        let diff_id = hex(&tar);
        self.blob(&diff_id, tar, "application/vnd.oci.image.layer.v1.tar")
    }

    /// Adds a layer on top, as it is stored: compressed, or with a lie about it.
    #[must_use]
    pub fn blob(mut self, diff_id: &str, data: Vec<u8>, media_type: &str) -> Self {
        let (diff_id, media_type) = (diff_id.to_owned(), media_type.to_owned());
        self.layers.push(Blob { diff_id, data, media_type });
        self
    }

    /// Sets `Env`, `Cmd`, `Entrypoint`, `User` …
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "reads better with json!")]
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    /// The configuration as it is stored.
    pub fn config_json(&self) -> Vec<u8> {
        let diff_ids: Vec<_> =
            self.layers.iter().map(|l| format!("sha256:{}", l.diff_id)).collect();
        json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        })
        .to_string()
        .into_bytes()
    }

    /// As `docker save` before 25 wrote it: `ID/layer.tar`, manifest.json last.
    pub fn docker_save(&self, name: &str) -> Vec<u8> {
        let config = self.config_json();
        let config_name = format!("{}.json", hex(&config));
        let mut archive = Layer::default().file(&config_name, 0o644, &config);
        let mut paths = Vec::new();
        for (i, layer) in self.layers.iter().enumerate() {
            // Docker's ids here are of the layer's history, not of its content.
            let id = hex(format!("{i} {}", layer.diff_id).as_bytes());
            paths.push(format!("{id}/layer.tar"));
            archive = archive
                .dir(&id, 0o755)
                .file(&format!("{id}/VERSION"), 0o644, "1.0")
                .file(&format!("{id}/json"), 0o644, json!({ "id": id }).to_string())
                .file(&format!("{id}/layer.tar"), 0o644, &layer.data);
        }
        let manifest =
            json!([{ "Config": config_name, "RepoTags": [name], "Layers": paths }]);
        archive.file("manifest.json", 0o644, manifest.to_string()).tar()
    }

    /// As `docker save` since 25 writes it: an OCI layout with a manifest.json.
    pub fn docker_save_25(&self, name: &str) -> Vec<u8> {
        let (layout, config, layers) = self.layout(name);
        let manifest =
            json!([{ "Config": config, "RepoTags": [name], "Layers": layers }]);
        layout.file("manifest.json", 0o644, manifest.to_string()).tar()
    }

    /// An OCI layout as a tar.
    pub fn oci(&self, name: &str) -> Vec<u8> {
        self.layout(name).0.tar()
    }

    /// An OCI layout with the image under several names, each for another machine.
    pub fn bundle(&self, entries: &[(&str, &str, &str)]) -> Vec<u8> {
        let mut archive = Layer::default();
        let mut tops = Vec::new();
        for (name, arch, variant) in entries {
            let mut config: Value = serde_json::from_slice(&self.config_json()).unwrap();
            config["architecture"] = json!(arch);
            config["variant"] = json!(variant);
            config["author"] = json!(name);
            let config = config.to_string().into_bytes();
            let manifest = self.manifest(&config);
            let mut top = describe(&manifest, MANIFEST);
            top["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
            top["platform"] =
                json!({ "os": "linux", "architecture": arch, "variant": variant });
            tops.push(top);
            archive = archive.file(&path(&manifest), 0o644, &manifest).file(
                &path(&config),
                0o644,
                &config,
            );
        }
        for layer in &self.layers {
            archive = archive.file(&path(&layer.data), 0o644, &layer.data);
        }
        let index = json!({ "schemaVersion": 2, "manifests": tops }).to_string();
        archive.file("index.json", 0o644, index).tar()
    }

    fn manifest(&self, config: &[u8]) -> Vec<u8> {
        let layers: Vec<_> =
            self.layers.iter().map(|l| describe(&l.data, &l.media_type)).collect();
        json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": describe(config, "application/vnd.oci.image.config.v1+json"),
            "layers": layers,
        })
        .to_string()
        .into_bytes()
    }

    fn layout(&self, name: &str) -> (Layer, String, Vec<String>) {
        let config = self.config_json();
        let manifest = self.manifest(&config);
        let mut top = describe(&manifest, MANIFEST);
        top["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        let index = json!({ "schemaVersion": 2, "manifests": [top] }).to_string();
        let mut archive = Layer::default()
            .file(
                "oci-layout",
                0o644,
                json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
            )
            .file("index.json", 0o644, index)
            .file(&path(&manifest), 0o644, &manifest)
            .file(&path(&config), 0o644, &config);
        for layer in &self.layers {
            archive = archive.file(&path(&layer.data), 0o644, &layer.data);
        }
        (archive, path(&config), self.layers.iter().map(|l| path(&l.data)).collect())
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Where an OCI layout has a blob.
pub fn path(blob: &[u8]) -> String {
    format!("blobs/sha256/{}", hex(blob))
}

/// A descriptor of a blob.
pub fn describe(blob: &[u8], media_type: &str) -> Value {
    json!({
        "mediaType": media_type,
        "digest": format!("sha256:{}", hex(blob)),
        "size": blob.len(),
    })
}

/// The SHA-256 digest in hexadecimal.
pub fn hex(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The image of the demo: a static program of ours and everything a layer can do.
pub fn demo(guest: &[u8]) -> Image {
    let base = Layer::default()
        .dir("bin", 0o755)
        .file("bin/guest", 0o755, guest)
        .dir("etc", 0o755)
        .file(
            "etc/passwd",
            0o644,
            "root:x:0:0:root:/root:/bin/guest\nguest:x:1000:1000::/srv:/bin/guest\n",
        )
        .file("etc/group", 0o644, "root:x:0:\nguest:x:1000:\n")
        .file("etc/motd", 0o644, "from layer 1\n")
        .dir("var", 0o755)
        .dir("var/cache", 0o755)
        .file("var/cache/junk", 0o644, "removed by layer 2\n")
        .dir("opt", 0o755)
        .file("opt/old", 0o644, "hidden by the opaque directory of layer 2\n")
        .dir("tmp", 0o1777);
    let changes = Layer::default()
        .dir("bin", 0o755)
        .file("bin/hello", 0o755, guest)
        .hardlink("bin/tour", "bin/hello")
        .dir("var/cache", 0o755)
        .whiteout("var/cache/junk")
        .dir("opt", 0o755)
        .opaque("opt")
        .file("opt/new", 0o644, "of layer 2\n");
    let last = Layer::default()
        .dir("etc", 0o755)
        .file("etc/motd", 0o644, "from layer 3, the top\n")
        .dir("srv", 0o755);
    Image::default()
        .layer(base)
        .layer(changes)
        .layer(last)
        .set(
            "Env",
            json!(["PATH=/usr/local/bin:/usr/bin:/bin", "GREETING=it's a $ sign"]),
        )
        .set("Entrypoint", json!(["/bin/guest"]))
        .set("Cmd", json!(["tour"]))
        .set("WorkingDir", json!("/srv"))
}
