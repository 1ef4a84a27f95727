//! What may be done to files on this machine: owners, devices, limits.

use common::idmap::IdMap;
use common::{Fail, proc, sys};

use crate::cli::Cli;

/// The facts of the host that the plan depends on.
#[derive(Debug, Clone)]
pub struct Host {
    /// The caller's ids: what new files belong to.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
    /// Effective capabilities.
    pub caps: u64,
    /// Device nodes and `trusted.*` attributes can be made only in the first one.
    pub initial_userns: bool,
    /// The ids that mean something here.
    pub uids: IdMap,
    /// See `uids`.
    pub gids: IdMap,
}

impl Host {
    /// Reads them.
    pub fn read() -> Result<Self, Fail> {
        let caps = sys::capget().map_err(|e| Fail::os("cannot read capabilities", e))?;
        let [effective, _, _] = caps;
        Ok(Self {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            caps: effective,
            initial_userns: proc::in_initial_userns()?,
            uids: IdMap::own("uid_map")?,
            gids: IdMap::own("gid_map")?,
        })
    }

    /// Whether a capability is in force, by its number in capabilities(7).
    fn can(&self, capability: u32) -> bool {
        1_u64.checked_shl(capability).is_some_and(|bit| self.caps & bit != 0)
    }
}

const CAP_CHOWN: u32 = 0;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_MKNOD: u32 = 27;

/// How the entries of layers become files.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Who new files belong to at first.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
    /// The ids that owners are taken from; none where all become the caller's.
    pub owners: Option<(IdMap, IdMap)>,
    /// What becomes of device nodes.
    pub devices: Devices,
    /// Whether `trusted.*` attributes can be set.
    pub trusted: bool,
    /// Whether attributes that take privilege may be left out.
    pub lenient: bool,
    /// Bytes that may be unpacked.
    pub max_size: u64,
    /// Entries that may be unpacked.
    pub max_files: u64,
    /// How many times its size a compressed stream may become.
    pub max_ratio: u64,
    /// Leading parts of names that do not count.
    pub strip: usize,
    /// Whether all is to be on the disk before it gets its name.
    pub sync: bool,
}

/// What becomes of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// It is made.
    Make,
    /// It is left out.
    Skip,
    /// Nobody here can make it.
    Refuse,
}

impl Policy {
    /// Decides.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        if !cli.squash_ids && !host.can(CAP_CHOWN) {
            return Err(Fail::new("cannot keep the owners of files: Operation not permitted")
                .hint("ns-run --user --map-auto --map-root-user -- img-unpack …, or --squash-ids"));
        }
        let devices = match (cli.skip_devices, host.initial_userns && host.can(CAP_MKNOD))
        {
            (true, _) => Devices::Skip,
            (false, true) => Devices::Make,
            (false, false) => Devices::Refuse,
        };
        Ok(Self {
            uid: host.uid,
            gid: host.gid,
            owners: (!cli.squash_ids).then(|| (host.uids.clone(), host.gids.clone())),
            devices,
            trusted: host.initial_userns && host.can(CAP_SYS_ADMIN),
            lenient: cli.squash_ids,
            max_size: cli.max_size.0,
            max_files: cli.max_files,
            max_ratio: cli.max_ratio,
            strip: cli.strip_components,
            sync: cli.sync,
        })
    }

    /// Which owners the files have, to tell whether a layer serves a second time.
    pub fn owners_record(&self) -> String {
        match &self.owners {
            Some((uids, gids)) => {
                let one_line =
                    |map: &IdMap| map.to_string().trim_end().replace('\n', ", ");
                format!("kept: uids {}; gids {}", one_line(uids), one_line(gids))
            }
            None => format!("squashed: {}:{}", self.uid, self.gid),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn policy(args: &[&str], caps: u64, initial_userns: bool) -> Result<Policy, Fail> {
        let args = ["img-unpack"].iter().chain(args).map(OsString::from);
        let cli: Cli =
            common::cli::parse(args.chain(["i".into(), "d".into()]).collect())?;
        let all = IdMap::from_kernel("0 0 4294967295");
        let (uids, gids) = (all.clone(), all);
        let host = Host { uid: 0, gid: 0, caps, initial_userns, uids, gids };
        Policy::new(&cli, &host)
    }

    #[test]
    fn devices_are_made_by_real_root_and_left_out_when_asked() {
        let devices =
            |args: &[&str], initial| policy(args, u64::MAX, initial).unwrap().devices;

        assert_eq!(devices(&[], true), Devices::Make);
        assert_eq!(devices(&[], false), Devices::Refuse);
        assert_eq!(devices(&["--skip-devices"], true), Devices::Skip);
    }

    #[test]
    fn owners_are_kept_or_it_is_said_how() {
        assert!(policy(&[], 0, true).is_err());
        assert!(policy(&["--squash-ids"], 0, true).unwrap().owners.is_none());
        assert!(policy(&[], u64::MAX, true).unwrap().owners.is_some());
    }
}
