//! The capabilities of a file: the attribute `security.capability`, capabilities(7).

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;

use common::fail::Hint;
use common::{Context, Fail, sys};
use nix::errno::Errno;

use crate::sets::CapSet;

/// What a file gives a process that executes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileCaps {
    /// Whatever the process has, within the bounding set.
    pub permitted: CapSet,
    /// Where the process has it inheritable.
    pub inheritable: CapSet,
    /// Whether they are effective at once.
    pub effective: bool,
    /// The uid that root is in the user namespace where they mean something.
    pub rootid: u32,
}

const EFFECTIVE: u32 = 1;

impl FileCaps {
    /// Reads those of a file.
    ///
    /// # Errors
    /// When it has none.
    pub fn read(path: impl AsRef<OsStr>) -> Result<Self, Fail> {
        let path = path.as_ref();
        let verb = "read the capabilities of";
        let file = File::open(path).cannot(verb, path)?;
        let mut value = [0; 64];
        let len = sys::fgetxattr(file.as_fd(), c"security.capability", &mut value)
            .cannot(verb, path)
            .hint_on(Errno::ENODATA, "it has none: setcap(8) gives them")?;
        let value = value.get(..len).unwrap_or_default();
        Self::parse(value)
            .ok_or_else(|| Fail::cannot(verb, path, "the attribute is not understood"))
    }

    /// Reads `struct vfs_ns_cap_data` of revision 1, 2 or 3.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (words, rest) = value.as_chunks::<4>();
        let words: Vec<u32> =
            words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (magic, words) = words.split_first()?;
        let (revision, flags) = (magic >> 24, magic & 0x00ff_ffff);
        let join = |low: u32, high: u32| CapSet(u64::from(low) | u64::from(high) << 32);
        let (permitted, inheritable, rootid) = match (revision, words) {
            (1, [p, i]) => (join(*p, 0), join(*i, 0), 0),
            (2, [p, i, p_high, i_high]) => (join(*p, *p_high), join(*i, *i_high), 0),
            (3, [p, i, p_high, i_high, rootid]) => {
                (join(*p, *p_high), join(*i, *i_high), *rootid)
            }
            _ => return None,
        };
        let effective = flags & EFFECTIVE != 0;
        let is_known = flags & !EFFECTIVE == 0 && rest.is_empty();
        is_known.then_some(Self { permitted, inheritable, effective, rootid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn every_revision_is_read() {
        let some = FileCaps {
            permitted: CapSet(0x2000),
            inheritable: CapSet(0x20),
            effective: true,
            rootid: 0,
        };
        let high = CapSet(0x1_0000_2000);

        assert_eq!(FileCaps::parse(&value(&[0x0100_0001, 0x2000, 0x20])), Some(some));
        assert_eq!(
            FileCaps::parse(&value(&[0x0200_0000, 0x2000, 0x20, 1, 0])),
            Some(FileCaps { permitted: high, effective: false, ..some })
        );
        assert_eq!(
            FileCaps::parse(&value(&[0x0300_0001, 0x2000, 0x20, 0, 0, 1000])),
            Some(FileCaps { rootid: 1000, ..some })
        );
    }

    #[test]
    fn what_is_no_such_attribute_is_refused_without_a_panic() {
        for words in [
            &[][..],
            &[0x0200_0000],
            &[0x0400_0000, 0, 0, 0, 0],
            &[0x0200_0002, 0, 0, 0, 0],
        ] {
            assert_eq!(FileCaps::parse(&value(words)), None);
        }
        arbtest::arbtest(|u| {
            let _ = FileCaps::parse(u.arbitrary()?);
            Ok(())
        });
    }
}
