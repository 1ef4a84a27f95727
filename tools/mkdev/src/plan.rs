//! What to make in /dev, decided without a system call.

use std::path::PathBuf;

use common::explain::Explain;
use common::fail::quote;
use common::idmap::IdMap;
use common::mount::Attr;
use common::{Context, Fail, proc, sys};

use crate::cli::Cli;

/// The facts of the host that the plan depends on.
#[derive(Debug)]
pub struct Host {
    /// Device nodes can be made: in the first user namespace only, with `CAP_MKNOD`.
    pub can_mknod: bool,
    /// Whether gid 5, the customary `tty`, means something here.
    pub has_tty_gid: bool,
}

impl Host {
    /// Reads them.
    pub fn read() -> Result<Self, Fail> {
        Ok(Self {
            can_mknod: proc::in_initial_userns()? && has_cap_mknod()?,
            has_tty_gid: IdMap::own("gid_map")?.has_inside(5),
        })
    }
}

fn has_cap_mknod() -> Result<bool, Fail> {
    let [effective, ..] = sys::capget().failed_to("read the capabilities")?;
    Ok(effective & 1 << CAP_MKNOD != 0)
}

/// capabilities(7).
const CAP_MKNOD: u32 = 27;

/// A device of the set that every container has: runtime-spec, config-linux.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Its name in /dev.
    pub name: &'static str,
    /// Its major number.
    pub major: u64,
    /// Its minor number.
    pub minor: u64,
}

const fn device(name: &'static str, major: u64, minor: u64) -> Device {
    Device { name, major, minor }
}

/// The six, all character devices, mode 666.
pub const DEVICES: [Device; 6] = [
    device("null", 1, 3),
    device("zero", 1, 5),
    device("full", 1, 7),
    device("random", 1, 8),
    device("urandom", 1, 9),
    device("tty", 5, 0),
];

/// The links: runtime-spec, runtime-linux.md, "Dev symbolic links", and ptmx, core.
pub const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// One thing to do in the new /dev.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A fresh tmpfs over the directory; all that follows is made in it.
    Tmpfs {
        /// The directory.
        target: PathBuf,
    },
    /// A device node of our own, bound onto itself.
    Mknod(Device),
    /// The host's node, bound onto an empty file.
    Bind(Device),
    /// A symbolic link.
    Link {
        /// Its name.
        name: &'static str,
        /// What it says.
        to: &'static str,
    },
    /// A directory with a file system of its own.
    Mount {
        /// Its name in /dev.
        name: &'static str,
        /// The type.
        fstype: &'static str,
        /// `MOUNT_ATTR_*`.
        attr: Attr,
        /// `key=value` of the file system.
        options: Vec<(&'static str, String)>,
    },
    /// No other node works there: a container that may make nodes reaches no disk.
    NoDevices,
}

/// What mkdev is going to do.
#[derive(Debug)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Decides.
    pub fn new(cli: &Cli, host: &Host) -> Self {
        let bind = cli.bind || (!cli.mknod && !host.can_mknod);
        let mut steps = vec![Step::Tmpfs { target: cli.target.clone() }];
        steps.extend(DEVICES.map(|d| if bind { Step::Bind(d) } else { Step::Mknod(d) }));
        steps.extend(LINKS.map(|(name, to)| Step::Link { name, to }));
        steps.push(Self::pts(host));
        steps.push(Step::Mount {
            name: "shm",
            fstype: "tmpfs",
            attr: Attr::NOSUID.and(Attr::NODEV).and(Attr::NOEXEC),
            options: vec![
                ("source", "tmpfs".into()),
                ("mode", "1777".into()),
                ("size", cli.shm.to_string()),
            ],
        });
        steps.push(Step::NoDevices);
        Self { steps }
    }

    /// Every devpts mount is a new instance since Linux 4.7; gid 5 must be mapped.
    fn pts(host: &Host) -> Step {
        let mut options = vec![
            ("source", "devpts".into()),
            ("ptmxmode", "666".into()),
            ("mode", "620".into()),
        ];
        if host.has_tty_gid {
            options.push(("gid", "5".into()));
        }
        let attr = Attr::NOSUID.and(Attr::NOEXEC);
        Step::Mount { name: "pts", fstype: "devpts", attr, options }
    }
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Tmpfs { target } => {
                format!("fsopen('tmpfs'); fsmount(); move_mount({})", quote(target))
            }
            Self::Mknod(d) => {
                let Device { name, major, minor } = d;
                format!(
                    "mknodat('{name}', S_IFCHR|0666, makedev({major}, {minor})); open_tree(); move_mount()"
                )
            }
            Self::Bind(Device { name, .. }) => {
                format!("open_tree('/dev/{name}', OPEN_TREE_CLONE); move_mount('{name}')")
            }
            Self::Link { name, to } => format!("symlinkat('{to}', '{name}')"),
            Self::NoDevices => "mount_setattr('.', MOUNT_ATTR_NODEV)".into(),
            Self::Mount { name, fstype, attr, .. } => {
                format!(
                    "fsopen('{fstype}'); fsmount({}); move_mount('{name}')",
                    attr.names()
                )
            }
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Tmpfs { .. } => "a /dev of its own".into(),
            Self::Mknod(_) => "a device that every program expects".into(),
            Self::Bind(_) => "nodes cannot be made in a user namespace".into(),
            Self::Link { .. } => "a name that programs expect".into(),
            Self::NoDevices => "nodes that the container makes lead nowhere".into(),
            Self::Mount { options, .. } => options
                .iter()
                .filter(|(key, _)| *key != "source")
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
                .join(","),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn plan(args: &[&str], can_mknod: bool, has_tty_gid: bool) -> Plan {
        let args = ["mkdev"].iter().chain(args).map(OsString::from).collect();
        let cli: Cli = common::cli::parse(args).unwrap();
        Plan::new(&cli, &Host { can_mknod, has_tty_gid })
    }

    #[test]
    fn nodes_are_made_where_they_can_be_and_bound_elsewhere() {
        assert_eq!(plan(&["d"], true, true).steps[1], Step::Mknod(DEVICES[0]));
        assert_eq!(plan(&["d"], false, true).steps[1], Step::Bind(DEVICES[0]));
        assert_eq!(plan(&["--bind", "d"], true, true).steps[1], Step::Bind(DEVICES[0]));
        assert_eq!(
            plan(&["--mknod", "d"], false, true).steps[1],
            Step::Mknod(DEVICES[0])
        );
    }

    #[test]
    fn terminals_belong_to_the_tty_group_only_where_it_is_mapped() {
        let pts =
            |mapped| Plan::pts(&Host { can_mknod: true, has_tty_gid: mapped }).why();

        assert_eq!(pts(true), "ptmxmode=666,mode=620,gid=5");
        assert_eq!(pts(false), "ptmxmode=666,mode=620");
    }
}
