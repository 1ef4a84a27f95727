//! What the caller's system has: rights, a terminal, the devices that are asked for.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use common::fail::Hint;
use common::idmap::IdMap;
use common::inroot::kind;
use common::{Context, Fail, bounded, proc, sys};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, major, minor};

use crate::cli::Cli;
use crate::device::{Asked, Device, Kind, Name, Node};
use crate::spec::{self, Wanted};

/// The facts that the plan depends on.
#[derive(Debug, Default)]
pub struct Host {
    /// Device nodes can be made: in the first user namespace only, with `CAP_MKNOD`.
    pub can_mknod: bool,
    /// Whether gid 5, the customary `tty`, means something here.
    pub has_tty_gid: bool,
    /// The nodes that are asked for beside the six.
    pub nodes: Vec<Node>,
    /// A descriptor of the caller's terminal, where one is asked for.
    pub terminal: Option<RawFd>,
}

/// capabilities(7).
const CAP_MKNOD: u32 = 27;

/// A specification of a vendor's with all its GPUs has some 100 KiB.
const MOST_BYTES: u64 = 4 << 20;

/// More nodes than any directory of devices has.
const MOST_NODES: usize = 1000;

/// Directories in directories of devices: `/dev/snd/by-path`.
const MOST_DEPTH: usize = 4;

impl Host {
    /// Reads them.
    pub fn read(cli: &Cli) -> Result<Self, Fail> {
        let mut asked = cli.device.clone();
        if let Some(file) = &cli.from_spec {
            asked.extend(specified(file, cli)?);
        }
        let mut nodes = Vec::new();
        for one in &asked {
            look(one, &mut nodes, MOST_DEPTH)?;
        }
        Ok(Self {
            can_mknod: proc::in_initial_userns()? && has_cap_mknod()?,
            has_tty_gid: IdMap::own("gid_map")?.has_inside(5),
            nodes,
            terminal: if cli.console { terminal() } else { None },
        })
    }
}

fn has_cap_mknod() -> Result<bool, Fail> {
    let [effective, ..] = sys::capget().failed_to("read the capabilities")?;
    Ok(effective & 1 << CAP_MKNOD != 0)
}

/// The first of the standard descriptors that is one.
fn terminal() -> Option<RawFd> {
    let all = [
        (0, std::io::stdin().is_terminal()),
        (1, std::io::stdout().is_terminal()),
        (2, std::io::stderr().is_terminal()),
    ];
    all.into_iter().find(|(_, is)| *is).map(|(fd, _)| fd)
}

fn specified(file: &Path, cli: &Cli) -> Result<Vec<Asked>, Fail> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let opened = openat(AT_FDCWD, file, flags, Mode::empty()).cannot("open", file)?;
    let text = bounded::read(File::from(opened), MOST_BYTES, 0).cannot("read", file)?;
    let text =
        text.ok_or_else(|| Fail::cannot("read", file, "it is larger than 4 MiB"))?;
    let wanted = Wanted { devices: &cli.spec_device, nodes_only: cli.nodes_only };
    spec::nodes(&text, wanted).cannot("use", file)
}

/// Looks a device up, or all that a directory has.
fn look(asked: &Asked, nodes: &mut Vec<Node>, depth: usize) -> Result<(), Fail> {
    let verb = "use device";
    let fd =
        openat(AT_FDCWD, &asked.host, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .cannot(verb, &asked.host)
            .hint_on(
                Errno::ENOENT,
                "the kernel has it when its driver is there: modprobe",
            )?;
    let stat = fstat(&fd).cannot(verb, &asked.host)?;
    if let Some(device) = device(&stat) {
        if let Some(wanted) = asked.device.filter(|wanted| *wanted != device) {
            return Err(Fail::cannot(verb, &asked.host, mismatch(wanted)));
        }
        nodes.push(node(asked, &stat, device));
        return Ok(());
    }
    if kind(&stat) != SFlag::S_IFDIR {
        return Err(Fail::cannot(verb, &asked.host, "neither a device nor a directory"));
    }
    let before = nodes.len();
    look_inside(asked, fd.as_raw_fd(), nodes, depth)?;
    if nodes.len() == before && depth == MOST_DEPTH {
        return Err(Fail::cannot(verb, &asked.host, "there is no device in it"));
    }
    Ok(())
}

/// The nodes of a directory and of those in it; whatever else there is is left out.
fn look_inside(
    asked: &Asked,
    dir: RawFd,
    nodes: &mut Vec<Node>,
    depth: usize,
) -> Result<(), Fail> {
    let verb = "list devices in";
    let list =
        std::fs::read_dir(format!("/proc/self/fd/{dir}")).cannot(verb, &asked.host)?;
    let mut entries = list.collect::<Result<Vec<_>, _>>().cannot(verb, &asked.host)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().cannot(verb, &asked.host)?;
        let is_node = kind.is_char_device() || kind.is_block_device();
        let below = depth.checked_sub(1).filter(|_| kind.is_dir());
        if !is_node && below.is_none() {
            continue;
        }
        if nodes.len() >= MOST_NODES {
            let reason = format!("more than {MOST_NODES} devices");
            return Err(Fail::cannot(verb, &asked.host, reason));
        }
        let one = Asked {
            host: asked.host.join(entry.file_name()),
            name: Name(asked.name.0.join(entry.file_name())),
            ..asked.clone()
        };
        look(&one, nodes, below.unwrap_or(0))?;
    }
    Ok(())
}

/// Which device a node is, if it is one.
pub(crate) fn device(stat: &FileStat) -> Option<Device> {
    let of =
        |kind| Device { kind, major: major(stat.st_rdev), minor: minor(stat.st_rdev) };
    match kind(stat) {
        SFlag::S_IFCHR => Some(of(Kind::Character)),
        SFlag::S_IFBLK => Some(of(Kind::Block)),
        _ => None,
    }
}

/// Owner and permissions are those that the host's udev has given.
fn node(asked: &Asked, stat: &FileStat, device: Device) -> Node {
    let (user, group) = asked.owner;
    Node {
        host: asked.host.clone(),
        name: asked.name.clone(),
        device,
        mode: asked.access.limit(asked.mode.unwrap_or(stat.st_mode & 0o777)),
        owner: (user.unwrap_or(stat.st_uid), group.unwrap_or(stat.st_gid)),
        access: asked.access,
    }
}

/// How a node that is another than it should be is told.
pub(crate) fn mismatch(device: Device) -> String {
    let Device { kind, major, minor } = device;
    format!("not the {} {major}:{minor}", kind.name())
}
