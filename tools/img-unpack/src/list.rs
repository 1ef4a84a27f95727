//! `--list`: which images an archive holds, as its documents tell.

use common::Fail;
use common::fail::quote;
use serde_json::{Value, json};

use crate::cli::{Cli, Print};
use crate::manifest::{Image, all};
use crate::members::Members;

/// The text, as the failure that ends the tool with status 0.
pub(crate) fn list(cli: &Cli, members: &dyn Members) -> Result<Fail, Fail> {
    let images = chosen(cli, all(members)?);
    if images.is_empty() {
        let text = format!("cannot find an image in {}: there is none", members.shown());
        return Err(Fail::new(text));
    }
    let end = if cli.null { '\0' } else { '\n' };
    let text = match cli.print {
        Print::Json => {
            let images: Vec<_> =
                images.iter().map(|image| record(members, image)).collect();
            format!("{:#}{end}", json!({ "format-version": 1, "images": images }))
        }
        Print::Layers | Print::Sh => table(members, &images, end),
        Print::None => String::new(),
    };
    Ok(Fail::output(text))
}

/// What `--ref` and `--platform` leave.
fn chosen(cli: &Cli, mut images: Vec<(usize, Image)>) -> Vec<(usize, Image)> {
    if let Some(wanted) = &cli.reference {
        images.retain(|(place, image)| {
            wanted.place() == Some(*place)
                || image.names.iter().any(|name| wanted.is(name))
                || wanted.text == image.config_digest.to_string()
        });
    }
    if let Some(platform) = &cli.platform {
        images.retain(|(_, image)| platform.takes(&image.platform));
    }
    images
}

/// Bytes of each layer as it is stored.
fn sizes(members: &dyn Members, image: &Image) -> Vec<u64> {
    image.layers.iter().map(|l| members.size(&l.member).unwrap_or(0)).collect()
}

fn record(members: &dyn Members, (place, image): &(usize, Image)) -> Value {
    let sizes = sizes(members, image);
    let layers = image.layers.iter().zip(&sizes).map(|(layer, size)| {
        json!({ "diff-id": layer.diff_id.to_string(), "stored-size": size })
    });
    json!({
        "ref": format!("@{place}"),
        "names": image.names,
        "platform": image.platform.to_string(),
        "config-digest": image.config_digest.to_string(),
        "layers": layers.collect::<Vec<_>>(),
        "stored-size": sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)),
    })
}

/// One line an image, in columns; names are a stranger's.
fn table(members: &dyn Members, images: &[(usize, Image)], end: char) -> String {
    let plain = |text: &str| quote(text).trim_matches('\'').to_owned();
    let head = ["REF", "NAME", "PLATFORM", "LAYERS", "SIZE", "CONFIG"].map(str::to_owned);
    let rows = images.iter().map(|(place, image)| {
        let names: Vec<_> = image.names.iter().map(|name| plain(name)).collect();
        let sizes = sizes(members, image).into_iter();
        [
            format!("@{place}"),
            if names.is_empty() { "-".to_owned() } else { names.join(",") },
            plain(&image.platform.to_string()),
            image.layers.len().to_string(),
            size(sizes.fold(0, u64::saturating_add)),
            image.config_digest.hex().chars().take(12).collect(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &[String; 6]| {
        let wide = |(column, cell): (usize, &String)| {
            let width = width(column);
            format!("{cell:width$}")
        };
        let cells: Vec<_> = row.iter().enumerate().map(wide).collect();
        format!("{}{end}", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Bytes as people read them, with three digits.
fn size(bytes: u64) -> String {
    let mut unit = 1_u64;
    for suffix in ["", "K", "M", "G", "T", "P"] {
        let whole = bytes.checked_div(unit).unwrap_or(0);
        if whole < 1024 {
            let rest = bytes.checked_rem(unit).unwrap_or(0);
            let tenth = rest.saturating_mul(10).checked_div(unit).unwrap_or(0);
            return match suffix {
                "" => whole.to_string(),
                _ if whole < 10 => format!("{whole}.{tenth}{suffix}"),
                _ => format!("{whole}{suffix}"),
            };
        }
        unit = unit.saturating_mul(1024);
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (3584, "3.5K"),
            (10 << 10, "10K"),
            (332_273_664, "316M"),
            (u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
