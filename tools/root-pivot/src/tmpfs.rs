//! `--tmpfs DST[:OPTIONS]`: an empty directory in memory.

use std::ffi::OsStr;

use common::mount::Attr;
use common::parse::{self, Bytes};

use crate::attribute;
use crate::inside::{Inside, inside, key_value, options, parts};

/// A tmpfs and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where it is mounted.
    pub at: Inside,
    /// The most it holds; else half of the memory.
    pub size: Option<Bytes>,
    /// The most files it holds; else by the memory.
    pub inodes: Option<u32>,
    /// The mode of its root; 1777 as docker has it.
    pub mode: u32,
    /// Who owns its root; else the caller.
    pub owner: [Option<u32>; 2],
    /// Its attributes; nosuid, nodev unless others are named.
    pub attr: Attr,
}

impl Tmpfs {
    fn at(at: Inside) -> Self {
        let attr = Attr::NOSUID.and(Attr::NODEV);
        Self { at, size: None, inodes: None, mode: 0o1777, owner: [None; 2], attr }
    }

    /// What the kernel is told.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        let [uid, gid] = self.owner;
        let mode = Some(("mode", format!("{:o}", self.mode)));
        let size = self.size.map(|size| ("size", size.to_string()));
        let inodes = self.inodes.map(|n| ("nr_inodes", n.to_string()));
        let uid = uid.map(|id| ("uid", id.to_string()));
        let gid = gid.map(|id| ("gid", id.to_string()));
        [mode, size, inodes, uid, gid].into_iter().flatten().collect()
    }

    fn set(&mut self, key: &[u8], value: &OsStr) -> Result<(), String> {
        let text = value.to_str().ok_or_else(unknown)?;
        match key {
            b"size" => self.size = Some(parse::tmpfs_size(text)?),
            b"mode" => self.mode = parse::mode(text)?,
            b"nr_inodes" => self.inodes = Some(inodes(text)?),
            b"uid" => self.owner = [Some(parse::id(text)?), self.owner[1]],
            b"gid" => self.owner = [self.owner[0], Some(parse::id(text)?)],
            _ => return Err(unknown()),
        }
        Ok(())
    }
}

/// 0 would mean "no limit", and without one for its root a tmpfs cannot be.
fn inodes(text: &str) -> Result<u32, String> {
    match parse::id(text)? {
        0 => Err("0 would be no limit".to_owned()),
        n => Ok(n),
    }
}

fn unknown() -> String {
    "not an option of size=SIZE, mode=MODE, nr_inodes=N, uid=UID, gid=GID, ro, noexec, suid, dev".to_owned()
}

/// Reads `DST[:OPTIONS]`.
///
/// # Errors
/// When it is something else.
pub fn tmpfs(text: &OsStr) -> Result<Tmpfs, String> {
    let parts = parts(text, 2);
    let at = inside(parts.first().map_or(OsStr::new(""), |at| at))?;
    if at.is_in_proc() {
        return Err("only proc may be mounted there".to_owned());
    }
    let mut tmpfs = Tmpfs::at(at);
    for option in parts.get(1).map(|text| options(text)).into_iter().flatten() {
        match key_value(option) {
            (key, Some(value)) => tmpfs.set(key, value)?,
            (word, None) => {
                tmpfs.attr = attribute::after(tmpfs.attr, word).ok_or_else(unknown)?;
            }
        }
    }
    Ok(tmpfs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tmpfs_has_a_size_and_a_mode() {
        let plain = Tmpfs::at(Inside("x".into()));
        let given = Tmpfs { size: Some(Bytes(1 << 20)), mode: 0o700, ..plain.clone() };

        assert_eq!(tmpfs("/x".as_ref()), Ok(plain));
        assert_eq!(tmpfs("/x:size=1M,mode=700".as_ref()), Ok(given));
        for text in
            ["/x:1M", "/x:size", "/x:size=0", "/x:size=1M:", "/proc/x", "/x:mode=9", ""]
        {
            assert!(tmpfs(text.as_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn dockers_own_words_are_understood() {
        let text = "/run:rw,noexec,nosuid,size=65536k,uid=7,gid=8,nr_inodes=9,dev";

        let tmpfs = tmpfs(text.as_ref()).unwrap();

        assert_eq!(tmpfs.attr, Attr::NOSUID.and(Attr::NOEXEC));
        let options = tmpfs.options().into_iter().map(|(k, v)| format!("{k}={v}"));
        let all: Vec<_> = options.collect();
        assert_eq!(all, ["mode=1777", "size=67108864", "nr_inodes=9", "uid=7", "gid=8"]);
    }

    #[test]
    fn any_text_is_read_or_refused() {
        const WORDS: [&str; 11] =
            ["/a", ":", ",", "size=", "1", "9k", "mode=", "uid=", "proc", "..", "noexec"];
        arbtest::arbtest(|u| {
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=9)? {
                text.push_str(u.choose(&WORDS)?);
            }
            if let Ok(tmpfs) = tmpfs(text.as_ref()) {
                assert!(!tmpfs.at.is_in_proc() && tmpfs.at.depth() > 0, "{text}");
                assert!(tmpfs.options().iter().all(|(_, v)| !v.is_empty()), "{text}");
            }
            Ok(())
        });
    }
}
