//! What is run on an image: ours, and what people type without it.

/// A line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// For sh(1), with ARCHIVE, OCI (a directory), LAYERS (a directory of the layers in
    /// order) and D, an empty directory.
    pub(crate) script: &'static str,
    /// Programs that a machine may lack.
    pub(crate) needs: &'static [&'static str],
    pub(crate) result: Outcome,
}

/// What is checked after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A peer's result is its own business; its status is told.
    Any,
    /// All layers, complete, in D/box/layers.
    Layers,
    /// One root, complete, in D/box/rootfs.
    Flat,
}

const fn ours(name: &'static str, script: &'static str, result: Outcome) -> Row {
    Row { name, script, needs: &[], result }
}

const fn peer(
    name: &'static str,
    needs: &'static [&'static str],
    script: &'static str,
) -> Row {
    Row { name, script, needs, result: Outcome::Any }
}

const FILE: Row = ours(
    "img-unpack ARCHIVE DIR",
    r#"exec img-unpack --quiet "$ARCHIVE" "$D/box""#,
    Outcome::Layers,
);
const PIPE: Row = ours(
    "cat ARCHIVE | img-unpack - DIR",
    r#"cat "$ARCHIVE" | img-unpack --quiet - "$D/box""#,
    Outcome::Layers,
);
const FLAT: Row = ours(
    "img-unpack --flat ARCHIVE DIR",
    r#"exec img-unpack --quiet --flat "$ARCHIVE" "$D/box""#,
    Outcome::Flat,
);
const PODMAN: Row = peer(
    "podman load, podman image mount",
    &["podman"],
    r#"p() { podman --root "$D/root" --runroot "$D/run" --storage-driver overlay "$@"; }
       p load -q -i "$ARCHIVE" && p image mount "$(p images -q)""#,
);

/// The image in a docker-archive, its layers not compressed.
pub(crate) const PLAIN: &[Row] = &[
    FILE,
    PIPE,
    FLAT,
    peer(
        "tar, layers lying there, a directory each",
        &["tar"],
        r#"for l in "$LAYERS"/*; do
               mkdir "$D/${l##*/}" && tar -xf "$l" -C "$D/${l##*/}" || exit
           done"#,
    ),
    peer(
        "tar, layers lying there, one root",
        &["tar"],
        r#"s=0; for l in "$LAYERS"/*; do tar -xf "$l" -C "$D" || s=$?; done; exit $s"#,
    ),
    peer(
        "tar -xO ARCHIVE LAYER | tar -x, a directory each",
        &["tar", "jq"],
        r#"for l in $(tar -xOf "$ARCHIVE" manifest.json | jq -r '.[0].Layers[]'); do
               mkdir -p "$D/$l" && tar -xOf "$ARCHIVE" "$l" | tar -x -C "$D/$l" || exit
           done"#,
    ),
    peer(
        "tar -xO | jq | xargs tar --to-command=tar",
        &["tar", "jq"],
        r#"cd "$D" && tar --to-stdout -xf "$ARCHIVE" manifest.json | jq '.[0].Layers[]' -r |
           xargs -I{} tar --overwrite -xf "$ARCHIVE" {} --to-command="tar xf -""#,
    ),
    PODMAN,
    peer(
        "skopeo copy to an OCI layout, umoci unpack",
        &["skopeo", "umoci"],
        r#"skopeo --insecure-policy copy -q "docker-archive:$ARCHIVE" "oci:$D/oci:x" &&
           umoci unpack --image "$D/oci:x" "$D/bundle""#,
    ),
];

/// The image as an OCI layout, its layers in gzip.
pub(crate) const GZIP: &[Row] = &[
    FILE,
    PIPE,
    FLAT,
    ours(
        "img-unpack LAYOUT DIR",
        r#"exec img-unpack --quiet "$OCI" "$D/box""#,
        Outcome::Layers,
    ),
    peer(
        "tar -xz, layers lying there, a directory each",
        &["tar", "gzip"],
        r#"for l in "$LAYERS"/*; do
               mkdir "$D/${l##*/}" && tar -xzf "$l" -C "$D/${l##*/}" || exit
           done"#,
    ),
    peer(
        "tar -I pigz, layers lying there, a directory each",
        &["tar", "pigz"],
        r#"for l in "$LAYERS"/*; do
               mkdir "$D/${l##*/}" && tar -I pigz -xf "$l" -C "$D/${l##*/}" || exit
           done"#,
    ),
    PODMAN,
    peer(
        "umoci unpack LAYOUT",
        &["umoci"],
        r#"umoci unpack --image "$OCI:$TAG" "$D/bundle""#,
    ),
];

/// The image as an OCI layout, its layers in zstd.
pub(crate) const ZSTD: &[Row] = &[
    FILE,
    PIPE,
    FLAT,
    peer(
        "tar --zstd, layers lying there, a directory each",
        &["tar", "zstd"],
        r#"for l in "$LAYERS"/*; do
               mkdir "$D/${l##*/}" && tar --zstd -xf "$l" -C "$D/${l##*/}" || exit
           done"#,
    ),
    PODMAN,
];
