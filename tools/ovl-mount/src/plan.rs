//! What to stack, and where changes go, decided without a system call.

use std::os::fd::RawFd;
use std::path::PathBuf;

use common::idmapped::IdMapped;
use common::parse::Bytes;
use common::{Fail, proc};

use crate::cli::Cli;
use crate::layers;
use crate::option::{self, Setting};

/// As many layers as overlayfs stacks, `OVL_MAX_STACK`.
pub const MOST_LAYERS: usize = 500;

/// The facts of the host that the plan depends on.
#[derive(Debug)]
pub struct Host {
    /// Only there may `trusted.*` attributes be set.
    pub initial_userns: bool,
    /// What `--image` or `--layers` names, bottom first.
    pub layers: Vec<PathBuf>,
}

impl Host {
    /// Reads them.
    pub fn read(cli: &Cli) -> Result<Self, Fail> {
        let layers = match (&cli.image, &cli.layers) {
            (Some(dir), _) => layers::of_image(dir)?,
            (None, Some(file)) => {
                layers::listed(file, if cli.null { b'\0' } else { b'\n' })?
            }
            (None, None) => Vec::new(),
        };
        Ok(Self { initial_userns: proc::in_initial_userns()?, layers })
    }
}

/// The extended attributes that hold what overlayfs notes on files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Xattrs {
    /// `trusted.overlay.*`, in the first user namespace.
    Trusted,
    /// `user.overlay.*`, elsewhere. Since Linux 5.11.
    User,
}

/// What to do where the kernel mounts no overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Say why.
    Fail,
    /// Let fuse-overlayfs do it.
    Fuse,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Takes the number for the mount, before a file of ours gets it.
    Reserve(RawFd),
    /// Opens the config.json of an image's directory, to be handed on to img-exec.
    Config(PathBuf),
    /// Opens a layer; the topmost comes first.
    Lower(PathBuf),
    /// Opens a layer that only files' contents are taken from.
    Data(PathBuf),
    /// Shows the layers' files with other ids.
    Idmap(IdMapped),
    /// Starts the overlay, which takes the right to mount: nothing was made yet.
    Fsopen(Refused),
    /// Opens the directories that take the changes.
    Upper {
        /// The changes.
        upper: PathBuf,
        /// The kernel's own.
        work: PathBuf,
    },
    /// Makes both in one directory.
    Rw(PathBuf),
    /// Makes both on a tmpfs that is mounted nowhere.
    Tmpfs(Option<Bytes>),
    /// Nothing else has them, nor is about to.
    Exclusive(Xattrs),
    /// Clears the work directory.
    ResetWork,
    /// Configures the overlay.
    Overlay {
        /// Where it makes its notes.
        xattrs: Xattrs,
        /// What was asked for beside.
        settings: Vec<Setting>,
    },
    /// One layer that nobody may change: a bind does, an overlay takes two layers.
    Bind(Refused),
    /// Puts the mount into its place.
    Attach(PathBuf),
    /// Gives COMMAND the mount by this number.
    HandOver(RawFd),
}

/// What ovl-mount is going to do.
#[derive(Debug)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// When there are no layers, more than the kernel stacks, or options that exclude each
    /// other.
    pub fn new(cli: &Cli, host: Host) -> Result<Self, Fail> {
        let lowers = if cli.lower.is_empty() {
            topmost_first(host.layers)
        } else {
            cli.lower.clone()
        };
        let settings = settings(cli, host.initial_userns)?;
        let writable = writable(cli);
        let is_one = lowers.len() == 1 && cli.data_only.is_empty() && writable.is_none();
        count(lowers.len(), cli.data_only.len())?;
        if let Some(setting) = settings.first().filter(|_| is_one) {
            let reason = "one layer that nobody may change is a bind, not an overlay";
            return Err(Fail::cannot("use", setting.to_string(), reason));
        }
        let mut steps = beginning(cli)?;
        steps.extend(lowers.into_iter().map(Step::Lower));
        steps.extend(cli.data_only.iter().cloned().map(Step::Data));
        steps.extend(cli.idmap.clone().map(Step::Idmap));
        let refused = if cli.fuse { Refused::Fuse } else { Refused::Fail };
        if is_one {
            steps.push(Step::Bind(refused));
        } else {
            steps.push(Step::Fsopen(refused));
            let is_kept = matches!(writable, Some(Step::Upper { .. } | Step::Rw(_)));
            steps.extend(writable);
            let overlay = overlay(host.initial_userns, settings);
            if let (true, Step::Overlay { xattrs, .. }) = (is_kept, &overlay) {
                steps.push(Step::Exclusive(*xattrs));
            }
            steps.extend(cli.reset_work.then_some(Step::ResetWork));
            steps.push(overlay);
        }
        let hand_over = cli.fd.map(Step::HandOver);
        let attach = cli.target.as_ref().map(|target| Step::Attach(target.into()));
        steps.extend(hand_over.or(attach));
        Ok(Self { steps })
    }
}

fn count(lowers: usize, data: usize) -> Result<(), Fail> {
    let count = lowers.saturating_add(data);
    if lowers == 0 {
        return Err(Fail::new("cannot mount an overlay without layers"));
    }
    if count > MOST_LAYERS {
        let text = format!("cannot mount an overlay of {count} layers");
        return Err(Fail::new(text)
            .hint("the kernel's limit is 500: img-unpack --flat makes one of all"));
    }
    Ok(())
}

fn beginning(cli: &Cli) -> Result<Vec<Step>, Fail> {
    if cli.fd.is_some() && cli.link.command.is_empty() {
        return Err(Fail::new("cannot hand a mount over without COMMAND"));
    }
    let reserve = cli.fd.map(Step::Reserve);
    Ok(reserve.into_iter().chain(cli.image.clone().map(Step::Config)).collect())
}

/// What was asked for, where it goes together.
fn settings(cli: &Cli, initial_userns: bool) -> Result<Vec<Setting>, Fail> {
    let mut all = cli.settings();
    let user = Setting { key: "userxattr".to_owned(), value: None };
    if !initial_userns && !all.contains(&user) {
        all.push(user.clone());
    }
    if let Some((one, other)) = option::conflict(&all) {
        let (one, other) = if *one == user { (other, one) } else { (one, other) };
        let fail =
            Fail::cannot("use", one.to_string(), format_args!("it excludes '{other}'"));
        let is_forced = *other == user && !initial_userns;
        let hint =
            "which overlays take in a user namespace: only root outside can have it";
        return Err(if is_forced { fail.hint(hint) } else { fail });
    }
    if let Some(setting) = option::revocable(&all).filter(|_| cli.fd.is_some()) {
        let reason = "whether the kernel keeps it shows on a mounted overlay only";
        return Err(
            Fail::cannot("use", setting.to_string(), reason).hint("leave out --fd")
        );
    }
    let is_read_only = writable(cli).is_none();
    if let Some(setting) = option::writes(&all).filter(|_| is_read_only) {
        let reason = "nothing can be changed without --rw, --upper or --tmpfs";
        return Err(Fail::cannot("use", setting.to_string(), reason));
    }
    if !initial_userns {
        all.retain(|setting| *setting != user);
    }
    Ok(all)
}

fn overlay(initial_userns: bool, mut settings: Vec<Setting>) -> Step {
    let count = settings.len();
    settings.retain(|setting| setting.key != "userxattr");
    let is_trusted = initial_userns && settings.len() == count;
    let xattrs = if is_trusted { Xattrs::Trusted } else { Xattrs::User };
    Step::Overlay { xattrs, settings }
}

fn writable(cli: &Cli) -> Option<Step> {
    let dirs = cli.upper.clone().zip(cli.work.clone());
    let dirs = dirs.map(|(upper, work)| Step::Upper { upper, work });
    dirs.or_else(|| cli.rw.clone().map(Step::Rw)).or(cli.tmpfs.map(Step::Tmpfs))
}

/// Turns an image's list round. A layer that occurs again counts where it is topmost:
/// there it covers all that it could do further down, and the kernel takes it once only.
fn topmost_first(bottom_first: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = std::collections::BTreeSet::new();
    bottom_first.into_iter().rev().filter(|layer| seen.insert(layer.clone())).collect()
}

#[cfg(test)]
mod tests;
