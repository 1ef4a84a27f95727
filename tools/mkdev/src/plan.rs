//! What to make in /dev, decided without a system call.

use std::os::fd::RawFd;
use std::path::PathBuf;

use common::Fail;
use common::mount::Attr;

use crate::cli::Cli;
use crate::device::{Access, Device, Kind, Name, Node};
use crate::host::Host;

const fn device(name: &str, major: u64, minor: u64) -> (&str, Device) {
    (name, Device { kind: Kind::Character, major, minor })
}

/// The six that every container has, all of mode 666: runtime-spec, config-linux.md.
pub const DEVICES: [(&str, Device); 6] = [
    device("null", 1, 3),
    device("zero", 1, 5),
    device("full", 1, 7),
    device("random", 1, 8),
    device("urandom", 1, 9),
    device("tty", 5, 0),
];

/// The links: runtime-spec, runtime-linux.md, "Dev symbolic links", and core.
pub const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// The link that programs open to get a terminal.
const PTMX: (&str, &str) = ("ptmx", "pts/ptmx");

/// Names of our own that no device can have.
const TAKEN: [&str; 9] =
    ["fd", "stdin", "stdout", "stderr", "core", "ptmx", "pts", "shm", "mqueue"];

/// One thing to do in the new /dev.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A fresh tmpfs over the directory; all that follows is made in it.
    Tmpfs {
        /// The directory.
        target: PathBuf,
    },
    /// The directory itself; all that follows is made in it.
    InPlace {
        /// The directory.
        target: PathBuf,
    },
    /// A device node of our own.
    Mknod(Node),
    /// The host's node, bound onto an empty file.
    Bind(Node),
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
    /// The caller's terminal, by a descriptor of it.
    Console(RawFd),
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
    ///
    /// # Errors
    /// When two nodes have one name, a bound one is to be limited, or there is no terminal.
    pub fn new(cli: &Cli, host: &Host) -> Result<Self, Fail> {
        let bind = cli.bind || (!cli.mknod && !host.can_mknod);
        let target = cli.target.clone();
        let mut steps = vec![if cli.in_place {
            Step::InPlace { target }
        } else {
            Step::Tmpfs { target }
        }];
        for node in nodes(cli, host)? {
            if bind {
                refuse_limits(&node)?;
            }
            steps.push(if bind { Step::Bind(node) } else { Step::Mknod(node) });
        }
        let more = (!cli.minimal).then_some(PTMX);
        let links = LINKS.into_iter().chain(more);
        steps.extend(links.map(|(name, to)| Step::Link { name, to }));
        if !cli.minimal {
            steps.push(Self::pts(host));
            steps.push(shm(cli));
        }
        steps.extend(cli.mqueue.then(mqueue));
        if cli.console {
            let reason = "no standard descriptor is a terminal";
            let none = || Fail::cannot("bind the terminal on", "console", reason);
            steps.push(Step::Console(host.terminal.ok_or_else(none)?));
        }
        // In place, that is the file system's own affair.
        steps.extend((!cli.in_place).then_some(Step::NoDevices));
        Ok(Self { steps })
    }

    /// Every devpts mount is a new instance since Linux 4.7; gid 5 must be mapped.
    pub(crate) fn pts(host: &Host) -> Step {
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

fn shm(cli: &Cli) -> Step {
    let options = vec![
        ("source", "tmpfs".into()),
        ("mode", "1777".into()),
        ("size", cli.shm.to_string()),
    ];
    Step::Mount { name: "shm", fstype: "tmpfs", attr: DATA, options }
}

fn mqueue() -> Step {
    let options = vec![("source", "mqueue".into())];
    Step::Mount { name: "mqueue", fstype: "mqueue", attr: DATA, options }
}

const DATA: Attr = Attr::NOSUID.and(Attr::NODEV).and(Attr::NOEXEC);

/// The six, and those that were asked for: each name once, none below another.
fn nodes(cli: &Cli, host: &Host) -> Result<Vec<Node>, Fail> {
    let six = DEVICES.map(|(name, device)| Node {
        host: std::path::Path::new("/dev").join(name),
        name: Name::own(name),
        device,
        mode: 0o666,
        owner: (0, 0),
        access: Access::ALL,
    });
    let mut all = Vec::from(six);
    for node in &host.nodes {
        let refuse =
            |reason: &str| Err(Fail::cannot("make device", node.name.absolute(), reason));
        let is_taken = |name: &&str| node.name.0.starts_with(name);
        if TAKEN.iter().any(is_taken) || cli.console && is_taken(&"console") {
            return refuse("mkdev makes something else of that name");
        }
        match all.iter().find(|known| overlaps(&known.name, &node.name)) {
            None => all.push(node.clone()),
            Some(same) if same.name == node.name && same.device == node.device => {}
            Some(other) if other.name == node.name => {
                return refuse("that name is given twice");
            }
            Some(_) => return refuse("a device has no directory's name"),
        }
    }
    Ok(all)
}

fn overlaps(one: &Name, other: &Name) -> bool {
    one.0.starts_with(&other.0) || other.0.starts_with(&one.0)
}

/// A bound node has the host's permissions: what changed them would change the host's.
fn refuse_limits(node: &Node) -> Result<(), Fail> {
    if node.access == Access::ALL {
        return Ok(());
    }
    let reason = "a bound one has the host's permissions";
    Err(Fail::cannot("limit device", &node.host, reason)
        .hint("--mknod makes one of its own"))
}

#[cfg(test)]
mod tests;
