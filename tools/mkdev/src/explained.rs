//! The plan as the system calls that it will make.

use common::explain::Explain;
use common::fail::quote;

use crate::device::{Device, Node};
use crate::plan::Step;

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Tmpfs { target } => {
                format!("fsopen('tmpfs'); fsmount(); move_mount({})", quote(target))
            }
            Self::InPlace { target } => {
                format!("open({}, O_PATH|O_DIRECTORY|O_NOFOLLOW)", quote(target))
            }
            Self::Mknod(Node { name, device, mode, owner, .. }) => {
                let Device { kind, major, minor } = device;
                let (name, kind) = (quote(&name.0), kind.flag_name());
                let (user, group) = owner;
                let owned = if *owner == (0, 0) {
                    String::new()
                } else {
                    format!(" fchownat({user}, {group});")
                };
                format!(
                    "mknodat({name}, {kind}|{mode:#o}, makedev({major}, {minor}));{owned} open_tree(); move_mount()"
                )
            }
            Self::Bind(Node { host, name, .. }) => {
                let (host, name) = (quote(host), quote(&name.0));
                format!("open_tree({host}, OPEN_TREE_CLONE); move_mount({name})")
            }
            Self::Link { name, to } => format!("symlinkat('{to}', '{name}')"),
            Self::Console(fd) => {
                format!(
                    "open_tree({fd}, AT_EMPTY_PATH|OPEN_TREE_CLONE); move_mount('console')"
                )
            }
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
            Self::InPlace { .. } => "the directory as it is".into(),
            Self::Mknod(_) => "a device node of its own".into(),
            Self::Bind(Node { device: Device { kind, major, minor }, .. }) => {
                format!("the host's, if it is the {} {major}:{minor}", kind.name())
            }
            Self::Link { .. } => "a name that programs expect".into(),
            Self::Console(_) => "the caller's terminal".into(),
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
