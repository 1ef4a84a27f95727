//! Landlock: what is forbidden to COMMAND whoever it is, landlock(7).

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::fail::Hint;
use common::{Context, Fail, bounded, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};

pub mod rights;
pub mod rule;

use rights::{Kind, Rights};
use rule::{InLetters, Rule};

/// What to do where the kernel cannot forbid all that is to be forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// Fail.
    #[default]
    Hard,
    /// Forbid what it can.
    Best,
}

/// What is forbidden, and what is let pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruleset {
    /// What is forbidden where nothing lets it pass.
    pub handled: Rights,
    /// Beneath a directory, or on a file.
    pub paths: Vec<Beneath>,
    /// On a port.
    pub ports: Vec<(Rights, u16)>,
}

/// Rights on a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beneath {
    /// Which.
    pub rights: Rights,
    /// Those that a file has not are left out where it is one.
    pub in_letters: InLetters,
    /// The place.
    pub path: PathBuf,
}

impl Ruleset {
    /// Puts rules together: one that lets something pass forbids all else of its kind, if
    /// no other says what of that kind is forbidden.
    ///
    /// # Errors
    /// Where a rule lets pass what is not forbidden.
    pub fn new(rules: &[Rule]) -> Result<Self, String> {
        let mut set = Self::default();
        for rule in rules {
            match rule {
                Rule::Restrict(rights) => set.handled = set.handled.or(*rights),
                Rule::Path { rights, in_letters, path } => {
                    let (rights, in_letters) = (*rights, *in_letters);
                    set.paths.push(Beneath { rights, in_letters, path: path.clone() });
                }
                Rule::Ports { rights, ports } => {
                    set.ports.extend(ports.iter().map(|port| (*rights, *port)));
                }
            }
        }
        let said = set.handled;
        for rule in rules {
            let Some(kind) = rule.kind().filter(|kind| said.only(*kind).is_empty())
            else {
                continue;
            };
            set.handled = set.handled.or(Rights::of(kind)).or(set.granted().only(kind));
        }
        let open = set.granted().without(set.handled);
        if open.is_empty() {
            Ok(set)
        } else {
            Err(format!("a rule lets {open} pass, which no rule forbids"))
        }
    }

    fn granted(&self) -> Rights {
        let paths = self.paths.iter().map(|beneath| beneath.rights);
        let ports = self.ports.iter().map(|(rights, _)| *rights);
        paths.chain(ports).fold(Rights::NONE, Rights::or)
    }

    /// What of it a kernel with this version of the interface does; none at all is 0.
    ///
    /// # Errors
    /// Where that is less, and less is not asked for.
    pub fn fit(self, abi: u32, effort: Effort) -> Result<Self, Fail> {
        let known = Rights::known(abi);
        let lacking = self.handled.without(known);
        if lacking.is_empty() {
            return Ok(self);
        }
        if effort == Effort::Hard {
            let what = match abi {
                0 => "this kernel has no Landlock, or it is not in its lsm= list"
                    .to_owned(),
                _ => format!("this kernel cannot forbid {lacking}"),
            };
            let since = lacking.since();
            return Err(Fail::new(format_args!("cannot restrict COMMAND: {what}")).hint(
                format_args!("Linux {since} can, --landlock-best-effort goes on without"),
            ));
        }
        let left = |rights: Rights| Some(rights.and(known)).filter(|r| !r.is_empty());
        let paths = self.paths.into_iter().filter_map(|beneath| {
            Some(Beneath { rights: left(beneath.rights)?, ..beneath })
        });
        let ports = self.ports.into_iter();
        Ok(Self {
            handled: self.handled.and(known),
            paths: paths.collect(),
            ports: ports
                .filter_map(|(rights, port)| Some((left(rights)?, port)))
                .collect(),
        })
    }

    /// Hands it to the kernel: `landlock_create_ruleset(2)`, `landlock_add_rule(2)`.
    ///
    /// # Errors
    /// Where a path cannot be opened, or has not the rights.
    pub fn create(&self) -> Result<OwnedFd, Fail> {
        let Rights { fs, net, scope } = self.handled;
        let ruleset = sys::landlock_ruleset([fs, net, scope])
            .failed_to("make a Landlock ruleset")?;
        for beneath in &self.paths {
            beneath.allow(&ruleset)?;
        }
        for (rights, port) in &self.ports {
            sys::landlock_allow_port(ruleset.as_fd(), rights.net, *port)
                .cannot("allow port", port.to_string())?;
        }
        Ok(ruleset)
    }
}

impl Beneath {
    fn allow(&self, ruleset: &OwnedFd) -> Result<(), Fail> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let place = open(&self.path, flags, Mode::empty()).cannot("open", &self.path)?;
        let stat = fstat(&place).cannot("stat", &self.path)?;
        let is_dir = common::inroot::kind(&stat) == SFlag::S_IFDIR;
        let mut rights = self.rights;
        if !is_dir && self.in_letters == InLetters::Yes {
            rights = rights.and(Rights::FILE);
        }
        let added = sys::landlock_allow_path(ruleset.as_fd(), rights.fs, place.as_fd());
        let hint = "some of these rights only a directory has";
        added.cannot("allow access to", &self.path).hint_on(Errno::EINVAL, hint)
    }
}

/// The version of the kernel's interface; 0 where there is none.
///
/// # Errors
/// None that a sound kernel could have.
pub fn abi() -> Result<u32, Fail> {
    match sys::landlock_abi() {
        Ok(version) => Ok(u32::try_from(version).unwrap_or(u32::MAX)),
        Err(Errno::ENOSYS | Errno::EOPNOTSUPP) => Ok(0),
        Err(e) => Err(e).failed_to("ask for the version of Landlock"),
    }
}

/// Nobody writes as many rules by hand.
const MOST: u64 = 1 << 20;

/// Reads a file of rules.
///
/// # Errors
/// Where it cannot be read, or is none.
pub fn read(path: &Path) -> Result<Vec<Rule>, Fail> {
    let file = File::open(path).cannot("open", path)?;
    let text = bounded::read(file, MOST, 0).cannot("read", path)?;
    let text = text.ok_or_else(|| Fail::cannot("read", path, "it is over 1 MiB"))?;
    rule::file(&text).map_err(|reason| Fail::cannot("read", path, reason))
}

/// What is to be forbidden of a kind as a whole, in the kernel's words, for `--explain`.
pub fn summary(rights: Rights) -> String {
    let hex = |kind: Kind| {
        let Rights { fs, net, scope } = rights.only(kind);
        format!("{}={:#x}", kind.name(), fs | net | scope)
    };
    Kind::ALL.map(hex).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rules: &[&str]) -> Result<Ruleset, String> {
        let rules: Vec<_> =
            rules.iter().map(|rule| Rule::parse(rule.as_ref()).unwrap()).collect();
        Ruleset::new(&rules)
    }

    #[test]
    fn a_rule_forbids_all_else_of_its_kind() {
        let handled = |rules: &[&str]| set(rules).unwrap().handled;
        let (fs, net) = (Rights::of(Kind::Fs), Rights::of(Kind::Net));

        assert_eq!(handled(&["rx:/usr"]), fs);
        assert_eq!(handled(&["connect:443"]), net);
        assert_eq!(
            handled(&["rx:/usr", "bind:80", "scope"]),
            Rights { scope: 3, ..fs.or(net) }
        );
        let ioctl = rights::exact(Kind::Fs, "ioctl-dev").unwrap();
        assert_eq!(handled(&["ioctl-dev:/dev"]), fs.or(ioctl));
    }

    #[test]
    fn what_is_named_alone_is_all_that_is_forbidden() {
        let only = set(&["fs:execute", "x:/usr"]).unwrap();

        assert_eq!(only.handled, Rights::EXECUTE);
        assert_eq!(
            set(&["fs:execute", "rx:/usr"]).unwrap_err(),
            "a rule lets read-file,read-dir pass, which no rule forbids"
        );
    }

    #[test]
    fn a_kernel_that_can_do_less_is_refused_unless_less_will_do() {
        let fit = |abi, effort| set(&["rw:/srv", "bind:80"]).unwrap().fit(abi, effort);
        let refused = |abi| fit(abi, Effort::Hard).unwrap_err().text;

        assert_eq!(fit(4, Effort::Hard).unwrap(), set(&["rw:/srv", "bind:80"]).unwrap());
        assert_eq!(
            refused(2),
            "cannot restrict COMMAND: this kernel cannot forbid truncate,bind-tcp,connect-tcp; Linux 6.7 can, --landlock-best-effort goes on without"
        );
        assert_eq!(
            refused(0),
            "cannot restrict COMMAND: this kernel has no Landlock, or it is not in its lsm= list; Linux 6.7 can, --landlock-best-effort goes on without"
        );
        let less = fit(2, Effort::Best).unwrap();
        assert_eq!(less.handled, Rights { fs: 0x3fff, ..Rights::NONE });
        assert_eq!(less.paths[0].rights.fs, 0x3ffe & !0b1);
        assert_eq!(less.ports, []);
    }
}
