//! Images unpacked by us and by others, on new file systems.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use common::Fail;

use crate::medium::{Medium, Place, Room};
use crate::rows::{GZIP, Outcome, PLAIN, Row, ZSTD};
use crate::sample::{Sample, Samples};
use crate::source::Source;
use crate::{Bench, sample, say, source, synthetic, tally};

/// A row that took as long as this in all is not run again and again.
const PATIENCE: f64 = 30.0;

/// Cores kept busy by others that are worth a word: more than the kernel's own threads.
const BUSY: f64 = 0.15;

/// `bench images`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where NAME.docker.tar and NAME.oci/ are, as make_images.sh writes them
    dir: Option<PathBuf>,
    /// Runs of each row
    #[arg(long, default_value = "5")]
    runs: u32,
    /// Only tables with these words in their title
    #[arg(long)]
    only: Vec<String>,
    /// Only ours and rows with this in their name
    #[arg(long)]
    peer: Option<String>,
}

/// A table: an image in one form, on one kind of file system.
struct Table<'a> {
    source: &'a Source,
    form: &'static str,
    archive: &'a Path,
    layers: &'a Path,
    rows: &'static [Row],
    medium: Medium,
}

pub(crate) fn table(bench: &Bench, options: &Options) -> Result<(), Fail> {
    let own = bench.work.path().join("images");
    let dir = if let Some(dir) = &options.dir {
        dir
    } else {
        synthetic::write(&own)?;
        &own
    };
    for source in &source::find(bench, dir)? {
        for medium in [Medium::Tmpfs, Medium::Disk] {
            let table = |form, archive, layers, rows| Table {
                source,
                form,
                archive,
                layers,
                rows,
                medium,
            };
            let [plain, gzip, zstd] = &source.layers;
            for table in [
                table("plain", &source.docker, plain, PLAIN),
                table("gzip", &source.gzip, gzip, GZIP),
                table("zstd", &source.zstd, zstd, ZSTD),
            ] {
                let title = table.title();
                if options.only.iter().all(|word| title.contains(word)) {
                    say(&table.measure(bench, options)?)?;
                }
            }
        }
    }
    Ok(())
}

impl Table<'_> {
    fn title(&self) -> String {
        let size = std::fs::metadata(self.archive).map_or(0, |m| m.len());
        format!(
            "{}, {}, to {}: {} layers, {} paths, {} MB",
            self.source.name,
            self.form,
            self.medium.name(),
            self.source.number,
            self.source.tally.layers,
            size / 1_000_000,
        )
    }

    /// All rows in turn, again and again.
    fn measure(&self, bench: &Bench, options: &Options) -> Result<String, Fail> {
        let title = self.title();
        if !self.archive.exists() {
            let name = self.archive.display();
            return Ok(format!("\n{title}\nLEFT OUT: there is no {name}\n"));
        }
        if let Err(fail) = Place::fresh(bench, self.medium, self.room()) {
            return Ok(format!("\n{title}\nLEFT OUT: {}\n", fail.text));
        }
        let wanted = |row: &&Row| {
            let peer = options.peer.as_deref();
            row.result != Outcome::Any || peer.is_none_or(|word| row.name.contains(word))
        };
        let rows: Vec<&Row> = self.rows.iter().filter(wanted).collect();
        let mut results: Vec<Result<Samples, String>> = rows
            .iter()
            .map(|row| match row.needs.iter().find(|program| !bench.has(program)) {
                Some(program) => Err(format!("there is no {program}")),
                None => Ok(Samples::default()),
            })
            .collect();
        for _ in 0..options.runs {
            for (row, result) in rows.iter().zip(&mut results) {
                let Ok(samples) = result else { continue };
                if samples.0.iter().map(|s| s.wall).sum::<f64>() > PATIENCE {
                    continue;
                }
                match self.run(bench, row)? {
                    Ok(sample) => samples.0.push(sample),
                    Err(reason) => *result = Err(reason),
                }
            }
        }
        let lines: Vec<(&str, Result<Samples, String>)> =
            rows.iter().map(|row| row.name).zip(results).collect();
        Ok(format!("\n{title}\n{}", lay_out(&lines)))
    }

    /// One run, and whether its result is whole; or why the row is left out.
    fn run(&self, bench: &Bench, row: &Row) -> Result<Result<Sample, String>, Fail> {
        let place = Place::fresh(bench, self.medium, self.room())?;
        let path = |path: &Path| path.as_os_str().to_owned();
        let variables: [(&str, OsString); 5] = [
            ("ARCHIVE", path(self.archive)),
            ("OCI", path(&self.source.oci)),
            ("LAYERS", path(self.layers)),
            ("TAG", OsString::from(&self.source.tag)),
            ("D", path(&place.dir)),
        ];
        let (sample, said) = sample::run(bench, row.script, &variables)?;
        if row.result == Outcome::Any {
            return Ok(Ok(sample));
        }
        if sample.status != 0 {
            let said = said.lines().next().unwrap_or("it says nothing");
            return Ok(Err(format!("status {}: {said}", sample.status)));
        }
        let tally = self.source.tally;
        let (dir, least, most) = if row.result == Outcome::Flat {
            ("box/rootfs", tally.flat, tally.flat)
        } else {
            // Beside each layer's directory lies its record.
            let own = self.source.number.saturating_mul(2);
            let layers = tally.layers.saturating_add(own);
            ("box/layers", layers, layers.saturating_add(tally.marks))
        };
        let found = tally::found(&place.dir.join(dir)).unwrap_or(0);
        if found < least || found > most {
            return Ok(Err(format!(
                "it made {found} paths, not {least} to {most}: BROKEN"
            )));
        }
        Ok(Ok(sample))
    }

    fn room(&self) -> Room {
        let size = std::fs::metadata(&self.source.docker).map_or(0, |m| m.len());
        Room { bytes: size, files: self.source.tally.layers }
    }
}

/// A row's name and figures a line; the first row is what the others are compared to.
fn lay_out(lines: &[(&str, Result<Samples, String>)]) -> String {
    let mut text = format!(
        "{:<50} {:>7} {:>7} {:>7} {:>6} {:>4}  times ours\n",
        "seconds", "min", "median", "cpu", "MiB", "runs"
    );
    let ours = lines.first().and_then(|(_, result)| result.as_ref().ok());
    let ours = ours.map_or(f64::NAN, |samples| samples.median(|s| s.wall));
    for (name, result) in lines {
        // Writing to a String cannot fail.
        let _ = match result {
            Err(reason) => writeln!(text, "{name:<50} LEFT OUT: {reason}"),
            Ok(samples) => {
                let median = samples.median(|s| s.wall);
                let status = match samples.status() {
                    0 => String::new(),
                    status => format!("  (exits with {status})"),
                };
                writeln!(
                    text,
                    "{name:<50} {:>7.2} {median:>7.2} {:>7.2} {:>6.0} {:>4}  {:>10.2}{status}",
                    samples.min(),
                    samples.median(|s| s.cpu),
                    samples.peak(),
                    samples.0.len(),
                    median / ours,
                )
            }
        };
    }
    let samples = lines.iter().filter_map(|(_, result)| result.as_ref().ok());
    let all = Samples(samples.flat_map(|samples| samples.0.iter().copied()).collect());
    let others = all.median(|s| s.others);
    if others > BUSY {
        let _ = writeln!(text, "NOT ALONE: others kept {others:.1} cores busy meanwhile");
    }
    text
}
