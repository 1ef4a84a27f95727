//! The plan as the system calls that it will make.

use std::path::Path;

use common::explain::Explain;
use common::fail::quote;
use common::idmapped::IdMapped;

use crate::plan::{Refused, Step, Xattrs};

fn open(path: &Path) -> String {
    format!("open({}, O_PATH|O_DIRECTORY)", quote(path))
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Reserve(fd) => format!("dup3(…, {fd}, O_CLOEXEC)"),
            Self::Config(dir) => format!("open({}, O_RDONLY)", quote(dir.join("config.json"))),
            Self::Lower(path) | Self::Data(path) => open(path),
            Self::Idmap(IdMapped::Namespace(path)) => {
                let path = quote(path);
                format!("open({path}); open_tree(…); mount_setattr(MOUNT_ATTR_IDMAP)")
            }
            Self::Idmap(IdMapped::Map(_)) => {
                "clone3(CLONE_NEWUSER); open_tree(…); mount_setattr(MOUNT_ATTR_IDMAP)".into()
            }
            Self::Fsopen(_) => "fsopen('overlay')".into(),
            Self::Upper { upper, work } => format!("{}; {}", open(upper), open(work)),
            Self::Rw(dir) => {
                let below = |name| quote(dir.join(name));
                format!("mkdirat({}); mkdirat({})", below("upper"), below("work"))
            }
            Self::Tmpfs(size) => {
                let size = size.map(|n| format!("'size={n}'")).unwrap_or_default();
                format!("fsopen('tmpfs'); fsmount({size}); mkdirat(…)")
            }
            Self::Exclusive(_) => "flock(work, LOCK_EX|LOCK_NB)".into(),
            Self::ResetWork => "unlinkat(work, 'work'); unlinkat(work, 'index')".into(),
            Self::Overlay { xattrs, settings } => {
                let user = match xattrs {
                    Xattrs::Trusted => "",
                    Xattrs::User => "fsconfig('userxattr'); ",
                };
                let all = settings.iter().map(|s| format!("fsconfig({}); ", quote(s.to_string())));
                let all = all.collect::<String>();
                format!("fsconfig('lowerdir+', …); {user}{all}fsmount(MOUNT_ATTR_NODEV)")
            }
            Self::Bind(_) => "open_tree(…, OPEN_TREE_CLONE|AT_RECURSIVE); mount_setattr(MOUNT_ATTR_RDONLY|MOUNT_ATTR_NODEV)".into(),
            Self::Attach(target) => format!("move_mount({})", quote(target)),
            Self::HandOver(fd) => format!("dup3(…, {fd}, 0)"),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Reserve(_) => "the number that COMMAND gets",
            Self::Config(_) => "the image's config, for img-exec",
            Self::Lower(_) => "a layer, below those before it",
            Self::Data(_) => "contents only, below all layers",
            Self::Idmap(_) => "each layer with other ids",
            Self::Fsopen(Refused::Fail) => "an overlay",
            Self::Fsopen(Refused::Fuse) => {
                "an overlay; fuse-overlayfs where it is refused"
            }
            Self::Upper { .. } => "what takes the changes",
            Self::Rw(_) => "what takes the changes, kept",
            Self::Tmpfs(_) => "what takes the changes, in memory and never visible",
            Self::Exclusive(_) => "no other overlay has them",
            Self::ResetWork => "what an earlier overlay left there",
            Self::Overlay { xattrs: Xattrs::Trusted, .. } => "the layers as one tree",
            Self::Overlay { xattrs: Xattrs::User, .. } => {
                "the layers as one tree; trusted.* attributes take real root"
            }
            Self::Bind(_) => "one layer, read-only",
            Self::Attach(_) => "in its place, made where it is missing",
            Self::HandOver(_) => "COMMAND has it, no path leads to it",
        }
        .into()
    }
}
