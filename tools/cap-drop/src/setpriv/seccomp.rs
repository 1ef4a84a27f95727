//! `--seccomp-filter`: a program in the kernel's own form.

use std::fs::File;
use std::path::Path;

use common::{Fail, bounded, sys};
use nix::errno::Errno;
use nix::libc::{self, sock_filter};

use super::privilege;

/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`, as setpriv has it.
const SPEC_ALLOW: libc::c_uint = 1 << 2;

/// A program has at most `BPF_MAXINSNS`, 4096 instructions of 8 bytes.
const LIMIT: u64 = 1 << 20;

/// The instructions of a file.
#[derive(Debug)]
pub(super) struct Filter(Vec<sock_filter>);

impl Filter {
    /// Reads them.
    ///
    /// # Errors
    /// When the file cannot be read, or ends within an instruction.
    pub(super) fn read(path: &Path) -> Result<Self, Fail> {
        let failed = |what: &str, e: &std::io::Error| {
            let errno = Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO));
            privilege(&format!("{what} {}", path.display()))(errno)
        };
        let file = File::open(path).map_err(|e| failed("cannot open", &e))?;
        let bytes =
            bounded::read(file, LIMIT, 4096).map_err(|e| failed("cannot read", &e))?;
        let invalid = || Fail::new("invalid filter").status(127);
        Self::parse(&bytes.ok_or_else(invalid)?).ok_or_else(invalid)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (all, rest) = bytes.as_chunks::<8>();
        let instruction = |bytes: &[u8; 8]| {
            let [c0, c1, jt, jf, k0, k1, k2, k3] = *bytes;
            let code = u16::from_ne_bytes([c0, c1]);
            sock_filter { code, jt, jf, k: u32::from_ne_bytes([k0, k1, k2, k3]) }
        };
        rest.is_empty().then(|| Self(all.iter().map(instruction).collect()))
    }

    /// Hands it to the kernel.
    pub(super) fn install(&self) -> Result<(), Fail> {
        match sys::prctl(libc::PR_GET_SECCOMP, 0, 0) {
            Err(Errno::EINVAL) => Err(privilege("Seccomp non-functional")(Errno::EINVAL)),
            _ => Ok(()),
        }?;
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
            .map_err(privilege("Could not run prctl(PR_SET_NO_NEW_PRIVS)"))?;
        sys::seccomp_filter(SPEC_ALLOW, &self.0)
            .map_err(privilege("Could not load seccomp filter"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_of_eight_bytes() {
        let code = 0x0006_u16.to_ne_bytes();
        let k = 0x7fff_0000_u32.to_ne_bytes();
        let bytes = [&code[..], &[1, 2], &k].concat();

        let Filter(all) = Filter::parse(&bytes).unwrap();

        assert_eq!((all[0].code, all[0].jt, all[0].jf, all[0].k), (6, 1, 2, 0x7fff_0000));
        assert!(Filter::parse(&bytes[1..]).is_none());
        assert_eq!(Filter::parse(b"").unwrap().0.len(), 0);
    }
}
