//! Becomes the image's process.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::chain::Chain;
use common::fail::Hint;
use common::inroot::{Root, kind};
use common::spawn::keep_bond;
use common::{Context, Fail, bounded};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat, umask};
use nix::unistd::fchdir;

use crate::config::LIMIT;
use crate::plan::Step;

/// Carries the steps out; the last of them does not come back.
pub(crate) fn apply(steps: Vec<Step>, chain: Chain) -> Result<Infallible, Fail> {
    for step in steps {
        match step {
            Step::Workdir(dir) => enter(&dir)?,
            Step::Ids(step) => {
                keep_bond(chain.parent.as_ref().map(AsFd::as_fd), || step.apply())?;
            }
            Step::Exec { argv, env } => return exec(chain, &argv, env),
        }
    }
    Err(Fail::done())
}

/// The directory is the image's word: no link of /proc may lead out (CVE-2024-21626).
fn enter(dir: &Path) -> Result<(), Fail> {
    let root = Root::open(Path::new("/")).cannot("open", "/")?;
    // docker makes it with mode 755 whatever the umask, which is the caller's again.
    let kept = umask(Mode::empty());
    let made = root.make_dirs(dir, Mode::from_bits_truncate(0o755));
    umask(kept);
    made.and_then(fchdir)
        .cannot("start in", dir)
        .hint_on(Errno::ELOOP, "it leads out of the root or in a circle")
}

fn exec(chain: Chain, argv: &[OsString], env: Vec<OsString>) -> Result<Infallible, Fail> {
    let c_string = |entry: OsString| {
        CString::new(entry.as_bytes())
            .map_err(|_| Fail::cannot("set variable", entry, "it has a NUL byte"))
    };
    let env: Vec<CString> = env.into_iter().map(c_string).collect::<Result<_, _>>()?;
    let env: Vec<&CStr> = env.iter().map(CString::as_c_str).collect();
    chain.exec_image(argv, &env)
}

/// Opens the config that the caller named: a file, or a directory of img-unpack's.
pub(crate) fn open_config(path: &Path) -> Result<OwnedFd, Fail> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let open_it = || {
        let found = open(path, flags, Mode::empty())?;
        if kind(&fstat(&found)?) != SFlag::S_IFDIR {
            return Ok(found);
        }
        openat(found, "config.json", flags | OFlag::O_NONBLOCK, Mode::empty())
    };
    open_it().cannot("open config", path)
}

/// Reads a config to its end, which has to come soon.
pub(crate) fn read_config(fd: OwnedFd) -> Result<Vec<u8>, String> {
    let text = bounded::read(File::from(fd), LIMIT, 8192);
    let text = text.map_err(|e| match e.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => e.to_string(),
    })?;
    text.ok_or_else(|| format!("larger than {} MiB", LIMIT >> 20))
}
