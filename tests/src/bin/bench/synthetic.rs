//! An image of our own, the same on every machine: where there is no real one.

use std::path::Path;
use std::process::Command;

use common::{Context, Fail};
use kit::image::{Image, Layer, hex};

/// Numbers that look random and are always the same: xorshift64*.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    /// Bytes that gzip makes a third of, as it does of a distribution's files.
    pub(crate) fn bytes(&mut self, size: u64) -> Vec<u8> {
        let size = usize::try_from(size).unwrap_or(0);
        let mut bytes = Vec::with_capacity(size.saturating_add(64));
        while bytes.len() < size {
            // Some that are new, then some that were there already.
            bytes.extend(self.next().to_le_bytes());
            let back = usize::try_from(self.below(4096)).unwrap_or(0);
            let from = bytes.len().saturating_sub(back.saturating_add(24));
            let again = bytes.get(from..).unwrap_or_default();
            let again = again.get(..24).unwrap_or(again).to_vec();
            bytes.extend(again);
        }
        bytes.truncate(size);
        bytes
    }
}

/// A layer of directories of a hundred small files each.
pub(crate) fn small_files(
    numbers: &mut Numbers,
    top: &str,
    files: u64,
    most: u64,
) -> Layer {
    let mut layer = Layer::default().dir(top, 0o755);
    for i in 0..files {
        let dir = format!("{top}/{:04}", i / 100);
        if i % 100 == 0 {
            layer = layer.dir(&dir, 0o755);
        }
        // Most files are small.
        let cubed = numbers.below(1000).pow(3) / 1_000_000;
        let size = cubed.saturating_mul(most) / 1000;
        layer = layer.file(&format!("{dir}/file{i}"), 0o644, numbers.bytes(size));
    }
    layer
}

/// Writes the image in the forms that make_images.sh writes: three layers, 20,000 small
/// files and some large ones, 250 MB.
pub(crate) fn write(dir: &Path) -> Result<(), Fail> {
    std::fs::create_dir(dir).cannot("make directory", dir)?;
    let mut numbers = Numbers::new();
    let base = small_files(&mut numbers, "usr", 8000, 16 << 10);
    let mut large = Layer::default().dir("lib", 0o755).dir("usr", 0o755);
    for i in 0..16 {
        let size = numbers.below(16 << 20);
        large = large.file(&format!("lib/large{i}"), 0o755, numbers.bytes(size));
    }
    for i in (0..4000).step_by(10) {
        large = large.whiteout(&format!("usr/{:04}/file{i}", i / 100));
    }
    let top = small_files(&mut numbers, "srv", 12_000, 16 << 10);
    let layers: Vec<Vec<u8>> = [base, large, top].map(Layer::tar).into();
    let plain =
        layers.iter().fold(Image::default(), |image, l| image.layer_tar(l.clone()));
    let archive = dir.join("synthetic.docker.tar");
    let name = "localhost/synthetic:1";
    std::fs::write(&archive, plain.docker_save(name)).cannot("write", &archive)?;
    drop(plain);
    'program: for (program, ending) in [("gzip", "oci"), ("zstd", "oci-zstd")] {
        let mut image = Image::default();
        for layer in &layers {
            let Some(data) = compressed(dir, layer, program)? else { continue 'program };
            let media_type = format!("application/vnd.oci.image.layer.v1.tar+{program}");
            image = image.blob(&hex(layer), data, &media_type);
        }
        let layout = image.oci("1");
        let archive = dir.join(format!("synthetic.{ending}.tar"));
        std::fs::write(&archive, &layout).cannot("write", &archive)?;
        let oci = dir.join(format!("synthetic.{ending}"));
        tar::Archive::new(layout.as_slice()).unpack(&oci).cannot("write", &oci)?;
    }
    Ok(())
}

/// What the program makes of it; nothing where there is no such program.
fn compressed(dir: &Path, data: &[u8], program: &str) -> Result<Option<Vec<u8>>, Fail> {
    let file = dir.join("layer");
    std::fs::write(&file, data).cannot("write", &file)?;
    let input = std::fs::File::open(&file).cannot("open", &file)?;
    std::fs::remove_file(&file).cannot("remove", &file)?;
    match Command::new(program).arg("-c").stdin(input).output() {
        Ok(output) if output.status.success() => Ok(Some(output.stdout)),
        Ok(_) => Err(Fail::cannot("run", program, "it failed")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).cannot("run", program),
    }
}
