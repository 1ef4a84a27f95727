//! The options of a command line, read in their order.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use common::{Fail, sys};
use nix::libc::{self, c_int, c_ulong};

use super::files::{Files, Login};
use super::getopt::{Name, Words};
use super::landlock::{self, Landlock};
use super::{dump, help, privilege, securebits, signal, usage};

/// A real and an effective id, where they were named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) real: Option<u32>,
    pub(super) effective: Option<u32>,
}

/// Which of a pair an option is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Real,
    Effective,
    Both,
}

impl Pair {
    /// The option's name, where it is said for the first time.
    fn refuse_again(self, which: Which, id: &str) -> Result<String, Fail> {
        let (is_said, option, both) = match which {
            Which::Real => (self.real.is_some(), format!("r{id}"), format!("r{id}")),
            Which::Effective => {
                (self.effective.is_some(), format!("e{id}"), format!("e{id}"))
            }
            Which::Both => {
                (self.is_named(), format!("re{id}"), format!("r{id} or e{id}"))
            }
        };
        if is_said { Err(usage(format_args!("duplicate {both}"))) } else { Ok(option) }
    }

    fn set(&mut self, which: Which, id: u32) {
        if which != Which::Effective {
            self.real = Some(id);
        }
        if which != Which::Real {
            self.effective = Some(id);
        }
    }

    pub(super) fn is_named(self) -> bool {
        self.real.is_some() || self.effective.is_some()
    }
}

/// What was said of the supplementary groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Groups {
    Clear,
    Keep,
    Init,
    These(Vec<u32>),
}

impl Groups {
    /// The option that says so.
    fn option(&self) -> &'static str {
        match self {
            Self::Clear => "clear-groups",
            Self::Keep => "keep-groups",
            Self::Init => "init-groups",
            Self::These(_) => "groups",
        }
    }
}

/// What to show instead of running anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Show {
    Capabilities,
    LandlockSupport,
    LandlockAccess,
    LandlockRights(OsString),
}

impl Show {
    /// The option that asks for it.
    fn option(&self) -> &'static str {
        match self {
            Self::Capabilities => "list-caps",
            Self::LandlockSupport => "landlock-support",
            Self::LandlockAccess => "list-landlock-access",
            Self::LandlockRights(_) => "list-landlock-rights",
        }
    }
}

/// All that was said.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// How many options there were.
    count: u32,
    dump: u32,
    show: Option<Show>,
    pub(super) no_new_privs: bool,
    pub(super) uids: Pair,
    pub(super) gids: Pair,
    /// The line of the real user, where it was named.
    pub(super) login: Option<Login>,
    pub(super) groups: Option<Groups>,
    pub(super) inheritable: Option<String>,
    pub(super) ambient: Option<String>,
    pub(super) bounding: Option<String>,
    pub(super) securebits: Option<u32>,
    /// 0 is none.
    pub(super) death_signal: Option<c_int>,
    pub(super) ptracer: Option<c_ulong>,
    pub(super) selinux: Option<String>,
    pub(super) apparmor: Option<String>,
    pub(super) landlock: Landlock,
    pub(super) seccomp: Option<PathBuf>,
    pub(super) reset_env: bool,
}

/// Reads the options, and what follows them.
///
/// # Errors
/// Mistakes, and the texts of `--help` and `--version`.
pub(super) fn read<'a>(
    args: &'a [OsString],
    files: &Files,
) -> Result<(Options, &'a [OsString]), Fail> {
    let mut words = Words::new(args);
    let mut options = Options::default();
    while let Some((name, value)) = words.next()? {
        options.count = options.count.saturating_add(1);
        options.take(name, &value, files)?;
    }
    Ok((options, words.command()))
}

/// Refuses what is said twice.
fn once<T>(place: Option<&T>, option: &str) -> Result<(), Fail> {
    match place {
        Some(_) => Err(usage(format_args!("duplicate --{option} option"))),
        None => Ok(()),
    }
}

/// Takes a text that is said once only.
fn take_text(
    place: &mut Option<String>,
    value: &OsStr,
    option: &str,
) -> Result<(), Fail> {
    once(place.as_ref(), option)?;
    *place = Some(text(value));
    Ok(())
}

fn text(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

impl Options {
    fn take(&mut self, name: Name, value: &OsStr, files: &Files) -> Result<(), Fail> {
        match name {
            Name::Help => return Err(help::help()),
            Name::Version => return Err(help::version()),
            Name::Dump => self.dump = self.dump.saturating_add(1),
            Name::ListCaps => self.show(Show::Capabilities),
            Name::NoNewPrivs if self.no_new_privs => {
                return Err(usage("duplicate --no-new-privs option"));
            }
            Name::NoNewPrivs => self.no_new_privs = true,
            Name::Ruid => self.take_user(Which::Real, value, files)?,
            Name::Euid => self.take_user(Which::Effective, value, files)?,
            Name::Reuid => self.take_user(Which::Both, value, files)?,
            Name::Rgid => self.take_group(Which::Real, value, files)?,
            Name::Egid => self.take_group(Which::Effective, value, files)?,
            Name::Regid => self.take_group(Which::Both, value, files)?,
            Name::ClearGroups => self.take_groups(Groups::Clear)?,
            Name::KeepGroups => self.take_groups(Groups::Keep)?,
            Name::InitGroups => self.take_groups(Groups::Init)?,
            Name::Groups => {
                self.take_groups(Groups::These(Vec::new()))?;
                let what = "Invalid supplementary group id";
                let value = text(value);
                let gids = value.split(',').map(|g| files.find_group(g.as_ref(), what));
                self.groups = Some(Groups::These(gids.collect::<Result<_, _>>()?));
            }
            Name::InhCaps => take_text(&mut self.inheritable, value, "inh-caps")?,
            Name::AmbientCaps => take_text(&mut self.ambient, value, "ambient-caps")?,
            Name::BoundingSet => take_text(&mut self.bounding, value, "bounding-set")?,
            Name::Securebits => {
                once(self.securebits.as_ref(), "securebits")?;
                let now = sys::prctl(libc::PR_GET_SECUREBITS, 0, 0)
                    .map_err(privilege("getting process secure bits failed"))?;
                let now = u32::try_from(now).unwrap_or(u32::MAX);
                self.securebits = Some(securebits::change(now, &text(value))?);
            }
            Name::Pdeathsig => {
                once(self.death_signal.as_ref(), "keep-pdeathsig")?;
                self.death_signal = death_signal(&text(value))?;
            }
            Name::Ptracer => {
                once(self.ptracer.as_ref(), "ptracer")?;
                self.ptracer = Some(tracer(&text(value))?);
            }
            Name::SelinuxLabel => take_text(&mut self.selinux, value, "selinux-label")?,
            Name::ApparmorProfile => {
                take_text(&mut self.apparmor, value, "apparmor-profile")?;
            }
            Name::SeccompFilter => {
                once(self.seccomp.as_ref(), "seccomp-filter")?;
                self.seccomp = Some(value.into());
            }
            Name::ResetEnv => self.reset_env = true,
            Name::LandlockAccess => self.landlock.access(&text(value))?,
            Name::LandlockRule => self.landlock.rule(value)?,
            Name::LandlockSupport => self.show(Show::LandlockSupport),
            Name::ListLandlockAccess => self.show(Show::LandlockAccess),
            Name::ListLandlockRights => self.show(Show::LandlockRights(value.into())),
        }
        Ok(())
    }

    fn take_user(
        &mut self,
        which: Which,
        value: &OsStr,
        files: &Files,
    ) -> Result<(), Fail> {
        let word = self.uids.refuse_again(which, "uid")?;
        let (uid, login) = files.user(value, &format!("failed to parse {word}"))?;
        self.uids.set(which, uid);
        if which != Which::Effective {
            self.login = login;
        }
        Ok(())
    }

    fn take_group(
        &mut self,
        which: Which,
        value: &OsStr,
        files: &Files,
    ) -> Result<(), Fail> {
        let word = self.gids.refuse_again(which, "gid")?;
        let gid = files.find_group(value, &format!("failed to parse {word}"))?;
        self.gids.set(which, gid);
        Ok(())
    }

    fn take_groups(&mut self, groups: Groups) -> Result<(), Fail> {
        let option = groups.option();
        match &self.groups {
            Some(before) if before.option() != option => Err(usage(format_args!(
                "options --{} and --{option} cannot be combined",
                before.option()
            ))),
            Some(_) => Err(usage(format_args!("duplicate --{option} option"))),
            None => {
                self.groups = Some(groups);
                Ok(())
            }
        }
    }

    /// Of several, one is complained of.
    fn show(&mut self, what: Show) {
        let before = self.show.take().unwrap_or_else(|| what.clone());
        self.show = Some(before.min(what));
    }

    /// What is to be shown instead of running anything.
    pub(super) fn answer(&self, command: &[OsString]) -> Result<Option<String>, Fail> {
        if self.dump > 0 {
            if self.count != self.dump || !command.is_empty() {
                return Err(usage("--dump is incompatible with all other options"));
            }
            return dump::dump(self.dump).map(Some);
        }
        let Some(show) = &self.show else { return Ok(None) };
        if self.count != 1 || !command.is_empty() {
            let option = show.option();
            return Err(usage(format_args!("--{option} must be specified alone")));
        }
        match show {
            Show::Capabilities => Ok(dump::capabilities()),
            Show::LandlockSupport => landlock::support(),
            Show::LandlockAccess => landlock::kinds(),
            Show::LandlockRights(kind) => landlock::rights(kind),
        }
        .map(Some)
    }
}

/// What is kept where there is none is nothing said.
fn death_signal(text: &str) -> Result<Option<c_int>, Fail> {
    match text {
        "clear" => Ok(Some(0)),
        "keep" => {
            let now = sys::pdeathsig();
            let now = now.map_err(privilege("failed to get parent death signal"))?;
            Ok(Some(now).filter(|signal| *signal != 0))
        }
        name => match signal::parse(name) {
            Some(signal) => Ok(Some(signal)),
            None => Err(usage(format_args!("unknown signal: {name}"))),
        },
    }
}

/// `PR_SET_PTRACER_ANY` is all ones.
fn tracer(text: &str) -> Result<c_ulong, Fail> {
    let pid = || {
        let pid = text.trim_ascii_start().parse::<c_int>().ok().filter(|pid| *pid > 0);
        let pid =
            pid.ok_or_else(|| usage(format_args!("invalid PID argument: '{text}'")))?;
        Ok(c_ulong::from(pid.unsigned_abs()))
    };
    match text {
        "any" => Ok(c_ulong::MAX),
        "none" => Ok(0),
        _ => pid(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setpriv::OPTIONS;

    #[test]
    fn any_words_are_read_without_a_panic() {
        let files = Files::of(b"www:x:33:34::/w:/s\n", b"adm:x:4:www\n");
        arbtest::arbtest(|u| {
            let mut words = vec![OsString::from("setpriv")];
            for _ in 0..u.int_in_range(0..=5)? {
                let option = u.choose(OPTIONS)?.long;
                let value: &str = u.arbitrary()?;
                words.push(match u.int_in_range(0..=3)? {
                    0 => value.into(),
                    1 => format!("--{option}={value}").into(),
                    2 => format!("--{option}").into(),
                    _ => format!("-{value}").into(),
                });
            }
            if let Ok((options, command)) = read(&words, &files) {
                assert!(command.len() < words.len());
                let _ = options.answer(command);
            }
            Ok(())
        });
    }
}
