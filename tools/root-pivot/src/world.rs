//! Whose mounts these are: the host's are not for us to pivot.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use common::chain::Chain;
use common::proc::status_field;
use common::{Context, Fail, sys};

/// The inode of the first mount namespace: fixed since Linux 6.18; before, it was the
/// first or second that was ever given out, and is never given back.
const INITIAL: [u64; 3] = [0xEFFF_FFF8, 0xF000_0000, 0xF000_0001];

const OWN: &str = "/proc/self/ns/mnt";

/// Refuses to go on in a mount namespace that others live in.
///
/// pivot_root(2) moves every process of the namespace that has the old root as its own.
/// Ours is not our own when it is the first one, or that of an init process which is
/// neither us nor the link that waits for us; where init's cannot be read, we have no
/// rights over its namespace either.
pub(crate) fn refuse_the_hosts(chain: &Chain) -> Result<(), Fail> {
    let own = inode(OWN).cannot("read", OWN)?;
    let is_inits = || inode("/proc/1/ns/mnt").is_ok_and(|init| init == own);
    if INITIAL.contains(&own) || (is_inits() && !is_init_of_ours(chain)) {
        let text = "cannot change the root: this is the mount namespace of the system";
        return Err(Fail::new(text).hint("put ns-run --mount -- before root-pivot"));
    }
    Ok(())
}

/// Whether the init process of the visible /proc is this process or the link that made
/// the namespace for it: numbers of the same /proc, which may not be our pid namespace's.
fn is_init_of_ours(chain: &Chain) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_1 = |field| status_field(&status, field) == Some("1");
    is_1("Pid") || (is_1("PPid") && chain.parent.is_some())
}

/// Whether a namespace of this process belongs to its user namespace, and is not one
/// that was there before.
pub(crate) fn owns(file: &str) -> bool {
    let owner = || {
        let ns = fs::File::open(format!("/proc/self/ns/{file}")).ok()?;
        let owner = sys::userns_of(ns.as_fd()).ok()?;
        fs::File::from(owner).metadata().ok()
    };
    let own = inode("/proc/self/ns/user").ok();
    owner().is_some_and(|owner| Some(owner.ino()) == own)
}

fn inode(path: &str) -> std::io::Result<u64> {
    fs::metadata(path).map(|meta| meta.ino())
}

/// Whether this is the first cgroup namespace, which shows the groups of the whole system.
pub(crate) fn has_all_cgroups() -> bool {
    const INITIAL: u64 = 0xEFFF_FFFB;
    inode("/proc/self/ns/cgroup").is_ok_and(|own| own == INITIAL)
}
