//! The steps to a new root, and how `--explain` tells them.

use std::path::PathBuf;

use common::explain::Explain;
use common::fail::quote;
use common::mount::{Attr, Depth, Propagation};

use crate::bind::{Bind, How};
use crate::file::{Content, Given, Origin};
use crate::inside::Inside;
use crate::volume::Volume;

/// What to do where there is nothing to hide or protect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Go on: what this kernel does not have it does not tell.
    Skip,
    /// Fail: the caller named it.
    Refuse,
}

/// A file system of the kernel's, new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// Its type.
    pub fstype: &'static str,
    /// What findmnt(8) calls it.
    pub source: &'static str,
    /// Where it goes.
    pub at: Inside,
    /// `MOUNT_ATTR_*`.
    pub attr: Attr,
    /// `key=value`.
    pub options: Vec<(&'static str, String)>,
}

/// One thing to do in the new root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Opens the config of an image, for img-exec.
    Image(PathBuf),
    /// Keeps what happens here from other mount namespaces.
    Private,
    /// Makes a directory a mount point where it is none.
    Root(PathBuf),
    /// A file system of the kernel's.
    Fresh(Fresh),
    /// A file or directory of the caller's.
    Bind(Bind),
    /// A directory of the caller's, made and filled where that is needed.
    Volume(PathBuf, Volume),
    /// A file that is written for the new root.
    File(Given),
    /// Nothing is to be seen there.
    Mask(Inside, Missing),
    /// Nothing is to be changed there.
    Protect(Inside, Missing),
    /// What holds for the root itself, but not for what is mounted in it.
    Attributes(Attr),
    /// The root is the new one, and the old one is gone.
    Pivot,
}

impl Step {
    /// A bind that mounts come into later, or go out of.
    pub fn spreading(&self) -> Option<&Bind> {
        let Self::Bind(bind) = self else { return None };
        (bind.how.propagation != Propagation::Private).then_some(bind)
    }

    /// Where it attaches something.
    pub fn place(&self) -> Option<&Inside> {
        match self {
            Self::Fresh(Fresh { at, .. })
            | Self::Bind(Bind { at, .. })
            | Self::Volume(_, Volume { at, .. })
            | Self::File(Given { at, .. })
            | Self::Mask(at, _)
            | Self::Protect(at, _) => Some(at),
            Self::Image(_)
            | Self::Private
            | Self::Root(_)
            | Self::Attributes(_)
            | Self::Pivot => None,
        }
    }
}

impl Explain for Step {
    fn call(&self) -> String {
        match self {
            Self::Image(dir) => format!("open({})", quote(dir.join("config.json"))),
            Self::Private => {
                "mount_setattr('/', AT_RECURSIVE, propagation MS_PRIVATE)".into()
            }
            Self::Root(path) => {
                let path = quote(path);
                format!(
                    "open_tree({path}, OPEN_TREE_CLONE|AT_RECURSIVE); move_mount({path})"
                )
            }
            Self::Fresh(Fresh { fstype, at, attr, .. }) => {
                format!("fsopen('{fstype}'); fsmount({}); move_mount({at})", attr.names())
            }
            Self::Bind(Bind { source, at, how }) => {
                format!("{}; move_mount({at})", clone(source, how))
            }
            Self::Volume(dir, Volume { at, how, .. }) => {
                format!("mkdir({}); {}; move_mount({at})", quote(dir), clone(dir, how))
            }
            Self::File(Given { at, mode, .. }) => {
                format!(
                    "fsopen('tmpfs'); open(O_CREAT, {mode:#o}); write(); move_mount({at})"
                )
            }
            Self::Mask(at, _) => {
                format!("openat2({at}, RESOLVE_IN_ROOT); move_mount({at})")
            }
            Self::Protect(at, _) => {
                format!(
                    "open_tree({at}); mount_setattr(MOUNT_ATTR_RDONLY); move_mount({at})"
                )
            }
            Self::Attributes(attr) => format!("mount_setattr('.', {})", attr.names()),
            Self::Pivot => {
                "pivot_root('.', '.'); umount2('.', MNT_DETACH); chdir('/')".into()
            }
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Image(_) => "what img-exec reads when its path is out of reach".into(),
            Self::Private => "no mount of ours in another namespace".into(),
            Self::Root(_) => "a mount point, where it is none yet".into(),
            Self::Fresh(fresh) if fresh.options.is_empty() => {
                "every program expects it".into()
            }
            Self::Fresh(Fresh { options, .. }) => {
                let all: Vec<_> =
                    options.iter().map(|(k, v)| format!("{k}={v}")).collect();
                all.join(",")
            }
            Self::Bind(bind) => shown("of the caller's", &bind.how),
            Self::Volume(_, Volume { copy: true, how, .. }) => {
                shown("of the caller's, filled where it is empty", how)
            }
            Self::Volume(_, Volume { how, .. }) => shown("of the caller's", how),
            Self::File(given) => origin(&given.content),
            Self::Mask(_, Missing::Skip) => "hidden where it exists".into(),
            Self::Mask(_, Missing::Refuse) => "hidden".into(),
            Self::Protect(_, Missing::Skip) => "read-only where it exists".into(),
            Self::Protect(_, Missing::Refuse) => "read-only".into(),
            Self::Attributes(_) => "for the root, not for what is mounted in it".into(),
            Self::Pivot => "the old root is gone".into(),
        }
    }
}

fn clone(source: &std::path::Path, how: &How) -> String {
    let depth = if how.depth == Depth::Tree { "|AT_RECURSIVE" } else { "" };
    format!("open_tree({}, OPEN_TREE_CLONE{depth})", quote(source))
}

fn shown(what: &str, how: &How) -> String {
    let mut all = Vec::new();
    if how.attr != Attr::NONE {
        all.push(how.attr.names());
    }
    if how.idmap.is_some() {
        all.push("MOUNT_ATTR_IDMAP".to_owned());
    }
    if how.propagation != Propagation::Private {
        all.push(how.propagation.name().to_owned());
    }
    if all.is_empty() {
        return what.to_owned();
    }
    let depth = if how.depth == Depth::Tree { "AT_RECURSIVE, " } else { "" };
    format!("{what}, mount_setattr({depth}{})", all.join("|"))
}

fn origin(content: &Content) -> String {
    let of = |origin: &Origin| match origin {
        Origin::New => "what every machine has".to_owned(),
        Origin::Host => "the caller's".to_owned(),
        Origin::File(path) => format!("a copy of {}", quote(path)),
    };
    match content {
        Content::Text(_) => "the text".to_owned(),
        Content::Fd(fd) => format!("what descriptor {fd} gives"),
        Content::Resolv(from) => of(from),
        Content::Hosts(from, more) if more.is_empty() => of(from),
        Content::Hosts(from, more) => format!("{}, and {} more", of(from), more.len()),
        Content::Hostname => "the host name".to_owned(),
    }
}
