//! Chains of several tools on whole images.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's errors are failed tests"
)]

mod container;
mod cve;
mod enter;
mod everywhere;
mod examples;
mod faults;
mod images;
mod killed;
mod links;
mod race;
mod soak;
mod stacks;
mod tutorials;

use std::path::Path;

use kit::image::{Image, Layer};
use kit::{Run, tool};

/// The namespaces and everything behind them, as README.md has it, up to `img-exec`.
const CHAIN: &str = "ns-run --user --map-root-user --mount --pid --ipc --uts --net --fork --hostname box -- \
     ovl-mount --image box/ --tmpfs root/ -- mkdev root/dev -- root-pivot --std root/ -- \
     cap-drop --profile docker --no-new-privs -- img-exec";

/// An image around programs of this workspace, `/bin/NAME` each.
fn image_with(programs: &[&str]) -> Image {
    let layer =
        programs.iter().fold(Layer::default().dir("bin", 0o755), |layer, name| {
            layer.file(&format!("bin/{name}"), 0o755, std::fs::read(tool(name)).unwrap())
        });
    Image::default().layer(layer)
}

/// Puts the image below `dir` as `box/`, unpacked by img-unpack.
fn unpack(image: &Image, dir: &Path) {
    std::fs::write(dir.join("image.tar"), image.docker_save("test:latest")).unwrap();
    unpack_archive(&dir.join("image.tar"), dir);
}

fn unpack_archive(archive: &Path, dir: &Path) {
    let _ = unpacking(archive, dir).timeout(300).run().ok();
}

/// img-unpack to `box/`, as far as this user can keep owners and devices.
fn unpacking(archive: &Path, dir: &Path) -> Run {
    let root = nix::unistd::geteuid().is_root();
    let flags: &[&str] = if root { &[] } else { &["--squash-ids", "--skip-devices"] };
    Run::tool("img-unpack").args(flags).arg(archive).arg(dir.join("box"))
}

/// A chain as words; its first must be a tool.
fn chain(words: &str) -> Run {
    let mut words = words.split_whitespace();
    Run::tool(words.next().unwrap()).args(words).tools_in_path()
}
