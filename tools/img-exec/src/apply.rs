//! Becomes the image's process.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::chain::Chain;
use common::fail::Hint;
use common::inroot::Root;
use common::spawn::keep_bond;
use common::{Context, Fail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{Mode, umask};
use nix::unistd::fchdir;

use crate::plan::Step;

/// As many links as the kernel follows in one path, path_resolution(7).
const MAX_LINKS: usize = 40;

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
    let made = make(&root, dir.to_owned());
    umask(kept);
    made.and_then(fchdir)
        .cannot("start in", dir)
        .hint_on(Errno::ELOOP, "it leads out of the root or in a circle")
        .hint_on(Errno::EACCES, "this user may not enter it")
}

/// As docker makes it: where a link leads nowhere, what it names is made, in the root.
fn make(root: &Root, mut dir: PathBuf) -> Result<OwnedFd, Errno> {
    for _ in 0..MAX_LINKS {
        match root.make_dirs(&dir, Mode::from_bits_truncate(0o755)) {
            Err(Errno::ENOTDIR) => dir = past_link(root, &dir)?,
            other => return other,
        }
    }
    Err(Errno::ELOOP)
}

/// The path without its first link that leads nowhere, `ENOTDIR` where it has none.
fn past_link(root: &Root, dir: &Path) -> Result<PathBuf, Errno> {
    let mut above: Vec<_> = dir.ancestors().collect();
    above.reverse();
    for part in above {
        if root.resolve(part, OFlag::O_PATH).err() != Some(Errno::ENOENT) {
            continue;
        }
        let link = root.resolve(part, OFlag::O_PATH | OFlag::O_NOFOLLOW)?;
        let target = readlinkat(&link, "").map_err(|_| Errno::ENOTDIR)?;
        let place = part.parent().unwrap_or(Path::new("/"));
        let rest = dir.strip_prefix(part).unwrap_or(Path::new(""));
        // Without a slash at the end, by which the next link would be followed.
        return Ok(place.join(target).join(rest).components().collect());
    }
    Err(Errno::ENOTDIR)
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
