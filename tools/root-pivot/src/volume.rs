//! `--volume NAME:DST[:OPTIONS]`: a directory that outlives the container.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::Fail;
use common::fail::{Hint, quote};

use crate::bind::How;
use crate::inside::{Inside, inside, parts};

/// A directory of the caller's that is made where it is missing, and filled where it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// A path, or one word, which is a directory in that of `--volumes`.
    pub name: PathBuf,
    /// Where it is shown.
    pub at: Inside,
    /// How.
    pub how: How,
    /// Whether an empty one gets what the new root has there.
    pub copy: bool,
}

/// Reads `NAME:DST[:OPTIONS]`.
///
/// # Errors
/// When it is something else.
pub fn volume(text: &OsStr) -> Result<Volume, String> {
    let form = || "not NAME:DST or NAME:DST:OPTIONS".to_owned();
    let parts = parts(text, 3);
    let (name, at, options) = match parts.as_slice() {
        [name, at] => (name, at, OsStr::new("")),
        [name, at, options] => (name, at, options.as_os_str()),
        _ => return Err(form()),
    };
    let name = PathBuf::from(name);
    if name.file_name().is_none() {
        return Err("not the name of a volume".to_owned());
    }
    let (mut copy, mut rest) = (true, Vec::new());
    for option in crate::inside::options(options) {
        match option.as_bytes() {
            b"nocopy" => copy = false,
            other => rest.extend([other, b","].concat()),
        }
    }
    let how = How::read(OsStr::from_bytes(&rest))?;
    let at = inside(at)?;
    if at.is_in_proc() {
        return Err("only proc may be mounted there".to_owned());
    }
    Ok(Volume { name, at, how, copy })
}

impl Volume {
    /// Its directory.
    ///
    /// # Errors
    /// When it is one word and nobody said where volumes are.
    pub fn directory(&self, volumes: Option<&Path>) -> Result<PathBuf, Fail> {
        if self.name.as_os_str().as_bytes().contains(&b'/') {
            return Ok(self.name.clone());
        }
        let all = volumes.ok_or_else(|| {
            Fail::cannot("find volume", &self.name, "no directory of volumes is named")
        });
        let here = quote(Path::new(".").join(&self.name));
        let all = all.hint(format_args!("--volumes DIR, or {here} for one here"))?;
        Ok(all.join(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_a_name_and_a_place() {
        let read = volume("data:/var/lib/x:ro,nocopy,noexec".as_ref()).unwrap();

        let how = How::read("ro,noexec".as_ref()).unwrap();
        let at = Inside("var/lib/x".into());
        assert_eq!(read, Volume { name: "data".into(), at, how, copy: false });
        for bad in ["", "data", "data:", ":/x", "..:/x", "/:/x", "data:/x:z", "d:/proc"] {
            assert!(volume(bad.as_ref()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_word_is_looked_for_among_the_volumes_and_a_path_is_not() {
        let named = |name: &str| volume(format!("{name}:/x").as_ref()).unwrap();
        let all = Some(Path::new("/vol"));

        assert_eq!(named("data").directory(all).unwrap(), Path::new("/vol/data"));
        assert_eq!(named("./data").directory(all).unwrap(), Path::new("./data"));
        assert_eq!(
            named("data").directory(None).unwrap_err().text,
            "cannot find volume 'data': no directory of volumes is named; --volumes DIR, or './data' for one here"
        );
    }

    #[test]
    fn any_text_is_read_or_refused() {
        const WORDS: [&str; 8] = ["a", "/a", ":", ",", "ro", "nocopy", "..", "\\"];
        arbtest::arbtest(|u| {
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=9)? {
                text.push_str(u.choose(&WORDS)?);
            }
            if let Ok(volume) = volume(text.as_ref()) {
                assert!(
                    volume.name.file_name().is_some() && volume.at.depth() > 0,
                    "{text}"
                );
            }
            Ok(())
        });
    }
}
