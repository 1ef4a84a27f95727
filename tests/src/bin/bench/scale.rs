//! What a file, a layer or a removal costs when there are more of them: a cost that grows
//! with their number shows here.

use std::fmt::Write;
use std::path::Path;

use common::{Context, Fail};
use kit::image::{Image, Layer};

use crate::medium::{Medium, Place, Room};
use crate::sample::Samples;
use crate::synthetic::{Numbers, small_files};
use crate::{Bench, sample, say, tally};

/// `bench scale`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs of each row
    #[arg(long, default_value = "5")]
    runs: u32,
    /// Only tables with this in their title
    #[arg(long)]
    only: Option<String>,
}

/// A series of images of which one thing grows.
struct Series {
    title: &'static str,
    /// What is counted.
    what: &'static str,
    steps: &'static [u64],
    make: fn(u64) -> Image,
    /// How many times what is counted is the work.
    work: fn(u64) -> u64,
}

const FILES: u64 = 12_800;

const ALL: &[Series] = &[
    Series {
        title: "files of up to 4 KiB in one layer",
        what: "files",
        steps: &[1000, 10_000, 50_000, 200_000],
        make: |n| Image::default().layer(small_files(&mut Numbers::new(), "d", n, 4096)),
        work: |n| n,
    },
    Series {
        title: "12,800 files in more and more layers",
        what: "layers",
        steps: &[1, 8, 32, 128],
        make: layers,
        work: |_| FILES,
    },
    Series {
        title: "12,800 files whose 100 directories are in the lowest layer only",
        what: "layers",
        steps: &[1, 8, 32, 128],
        make: implied,
        // Each layer gets the directories anew.
        work: |n| FILES.saturating_add(n.saturating_mul(100)),
    },
    Series {
        title: "files of a lower layer hidden one by one, 32 layers",
        what: "whiteouts",
        steps: &[1000, 4000, 16_000],
        make: whiteouts,
        work: |n| n,
    },
    Series {
        title: "hard links to files of a lower layer",
        what: "links",
        steps: &[1000, 4000, 16_000],
        make: links,
        work: |n| n,
    },
    Series {
        title: "directories that a file of the same layer replaces",
        what: "directories",
        steps: &[1000, 4000, 16_000],
        make: replaced,
        work: |n| n,
    },
    Series {
        title: "bytes in one file, MB",
        what: "megabytes",
        steps: &[16, 64, 256],
        make: |n| {
            let bytes = Numbers::new().bytes(n.saturating_mul(1_000_000));
            Image::default().layer(Layer::default().file("large", 0o644, bytes))
        },
        work: |n| n,
    },
];

fn layers(n: u64) -> Image {
    let mut numbers = Numbers::new();
    let each = FILES.checked_div(n).unwrap_or(0);
    let layer = |i| small_files(&mut numbers, &format!("d{i}"), each, 4096);
    (0..n).map(layer).fold(Image::default(), Image::layer)
}

/// The directories are in the lowest layer, the files in all.
fn implied(n: u64) -> Image {
    let dirs = (0..100).fold(Layer::default().dir("d", 0o755), |layer, i| {
        layer.dir(&format!("d/{i}"), 0o700)
    });
    let each = FILES.checked_div(n).unwrap_or(0);
    let layer = |i| {
        (0..each).fold(Layer::default(), |layer, k| {
            layer.file(&format!("d/{}/{i}-{k}", k % 100), 0o644, "x")
        })
    };
    (0..n).map(layer).fold(Image::default().layer(dirs), Image::layer)
}

fn whiteouts(n: u64) -> Image {
    let empty = |i| Layer::default().dir(&format!("other{i}"), 0o755);
    let base = Image::default().layer(small_files(&mut Numbers::new(), "d", n, 100));
    let hide = (0..n).fold(Layer::default(), |layer, i| {
        layer.whiteout(&format!("d/{:04}/file{i}", i / 100))
    });
    (0..30).map(empty).fold(base, Image::layer).layer(hide)
}

fn links(n: u64) -> Image {
    let base = Image::default().layer(small_files(&mut Numbers::new(), "d", n, 100));
    let links = (0..n).fold(Layer::default().dir("l", 0o755), |layer, i| {
        layer.hardlink(&format!("l/{i}"), &format!("d/{:04}/file{i}", i / 100))
    });
    base.layer(links)
}

fn replaced(n: u64) -> Image {
    let dir = |layer: Layer, i| layer.dir(&format!("d/{i}"), 0o755);
    let file = |layer: Layer, i| layer.file(&format!("d/{i}"), 0o644, "x");
    let dirs = (0..n).fold(Layer::default().dir("d", 0o755), dir);
    Image::default().layer((0..n).fold(dirs, file))
}

pub(crate) fn table(bench: &Bench, options: &Options) -> Result<(), Fail> {
    for series in ALL {
        if options.only.as_deref().is_none_or(|word| series.title.contains(word)) {
            say(&series.measure(bench, options.runs)?)?;
        }
    }
    Ok(())
}

impl Series {
    fn measure(&self, bench: &Bench, runs: u32) -> Result<String, Fail> {
        let mut text = format!(
            "\n{}, to tmpfs\n{:>12} {:>8} {:>8} {:>8} {:>8} {:>9} {:>7}\n",
            self.title, self.what, "min s", "median", "MB/s", "us each", "growth", "MiB"
        );
        let archive = bench.work.path().join("scale.tar");
        let mut first = None;
        for step in self.steps {
            let bytes = (self.make)(*step).docker_save("localhost/scale:1");
            std::fs::write(&archive, &bytes).cannot("write", &archive)?;
            let size = u64::try_from(bytes.len()).unwrap_or(0);
            let samples = measure(bench, &archive, size, runs)?;
            let work = float((self.work)(*step));
            let median = samples.median(|s| s.wall);
            let each = median * 1e6 / work;
            let first = *first.get_or_insert(each);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{step:>12} {:>8.3} {median:>8.3} {:>8.0} {each:>8.2} {:>8.2}x {:>7.1}",
                samples.min(),
                float(size) / 1e6 / median,
                each / first,
                samples.peak(),
            );
        }
        Ok(text)
    }
}

fn measure(
    bench: &Bench,
    archive: &Path,
    bytes: u64,
    runs: u32,
) -> Result<Samples, Fail> {
    let mut samples = Samples::default();
    for _ in 0..runs {
        let room = Room { bytes, files: 300_000 };
        let place = Place::fresh(bench, Medium::Tmpfs, room)?;
        let variables = [
            ("ARCHIVE", archive.as_os_str().to_owned()),
            ("D", place.dir.as_os_str().to_owned()),
        ];
        let script = r#"exec img-unpack --quiet "$ARCHIVE" "$D/box""#;
        let (sample, said) = sample::run(bench, script, &variables)?;
        let found = tally::found(&place.dir).unwrap_or(0);
        if sample.status != 0 || found == 0 {
            let said = said.lines().next().unwrap_or("it says nothing");
            return Err(Fail::cannot("time", "img-unpack", said));
        }
        samples.0.push(sample);
    }
    Ok(samples)
}

/// Exact for all that is counted here.
fn float(n: u64) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
