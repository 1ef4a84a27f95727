//! `--landlock-access` and `--landlock-rule`, and what the kernel has of it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use common::fail::quote;
use common::{Fail, sys};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;

use super::{privilege, usage};
use crate::landlock::rights::{Kind, RIGHTS, Rights, begun, exact};

/// What is forbidden, and what is allowed of that.
#[derive(Debug, Default)]
pub(super) struct Landlock {
    handled: Rights,
    /// Places that were opened as the user that the caller is; no right is all.
    paths: Vec<(Rights, OwnedFd)>,
    ports: Vec<(Rights, u16)>,
}

/// What the running kernel has.
fn supported() -> Result<Rights, Fail> {
    Ok(Rights::known(abi()?))
}

fn abi() -> Result<u32, Fail> {
    let version = sys::landlock_abi().map_err(|e| {
        let what = if e == Errno::ENOSYS {
            "Landlock is not supported"
        } else if e == Errno::EOPNOTSUPP {
            "Landlock is supported but currently disabled"
        } else {
            "failed to obtain Landlock ABI version"
        };
        Fail::os(what, e).status(1)
    })?;
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

/// A right as setpriv calls what it is.
fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Fs => "fs access",
        Kind::Net => "net access",
        Kind::Scope => "scope restriction",
    }
}

/// `write,remove-file`: for files the only beginning serves, as it does with the peer;
/// where several begin so the peer takes the first, and leaves the others allowed.
fn list(kind: Kind, text: &str, supported: Rights) -> Result<Rights, Fail> {
    let bad = || usage(format_args!("could not parse Landlock {}: {text}", noun(kind)));
    let right = |name: &str| match kind {
        Kind::Fs => match begun(kind, name) {
            Ok(right) => Ok(right),
            Err(none) if none.is_empty() => Err(bad()),
            Err(several) => Err(bad().hint(format_args!(
                "{} could be {}",
                quote(name),
                several.join(", ")
            ))),
        },
        Kind::Net | Kind::Scope => exact(kind, name).ok_or_else(bad),
    };
    let all = text
        .split(',')
        .try_fold(Rights::NONE, |all, name| Ok::<_, Fail>(all.or(right(name)?)))?;
    match all.without(supported).each().next() {
        None => Ok(all),
        Some(lacking) => {
            let noun = if kind == Kind::Scope {
                noun(kind).to_owned()
            } else {
                format!("{} right", noun(kind))
            };
            Err(usage(format_args!(
                "Landlock {noun} is not supported by the running kernel: {}",
                lacking.name
            )))
        }
    }
}

impl Landlock {
    /// `fs`, `net:bind-tcp`, `scope:signal`.
    pub(super) fn access(&mut self, text: &str) -> Result<(), Fail> {
        let supported = supported()?;
        let (name, rights) = text.split_once(':').unwrap_or((text, ""));
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind =
            kind.ok_or_else(|| usage(format_args!("invalid Landlock access: {text}")))?;
        let all = supported.only(kind);
        let rights = match rights {
            "" if all.is_empty() => {
                return Err(usage(format_args!("Landlock {name} is not supported")));
            }
            "" => all,
            list_of => list(kind, list_of, supported)?,
        };
        self.handled = self.handled.or(rights);
        Ok(())
    }

    /// `path-beneath:read-file:/usr`, `net-port:bind-tcp:8080`; without rights all.
    pub(super) fn rule(&mut self, text: &OsStr) -> Result<(), Fail> {
        let invalid =
            || usage(format_args!("invalid Landlock rule: {}", text.to_string_lossy()));
        let mut parts = text.as_bytes().splitn(3, |b| *b == b':');
        let (Some(kind), Some(rights), Some(what)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        let kind = match kind {
            b"path-beneath" => Kind::Fs,
            b"net-port" => Kind::Net,
            _ => return Err(invalid()),
        };
        let rights = match &*String::from_utf8_lossy(rights) {
            "" => Rights::NONE,
            rights => list(kind, rights, supported()?)?,
        };
        let what = OsStr::from_bytes(what);
        if kind == Kind::Fs {
            let place = open(what, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
            let complaint =
                format!("could not open file for Landlock: {}", what.to_string_lossy());
            let place = place.map_err(|e| Fail::os(complaint, e).status(1))?;
            self.paths.push((rights, place));
        } else {
            self.ports.push((rights, port(&what.to_string_lossy())?));
        }
        Ok(())
    }

    /// Refuses rules of a kind of which nothing is forbidden.
    pub(super) fn check(&self) -> Result<(), Fail> {
        if !self.paths.is_empty() && self.handled.fs == 0 {
            return Err(usage(
                "Landlock path-beneath rule requires a filesystem access restriction (--landlock-access fs)",
            ));
        }
        if !self.ports.is_empty() && self.handled.net == 0 {
            return Err(usage(
                "Landlock net-port rule requires a network access restriction (--landlock-access net)",
            ));
        }
        Ok(())
    }

    /// Forbids it to this process and what it becomes.
    pub(super) fn restrict(&self) -> Result<(), Fail> {
        if self.handled.is_empty() {
            return Ok(());
        }
        let Rights { fs, net, scope } = self.handled;
        let ruleset = sys::landlock_ruleset([fs, net, scope])
            .map_err(privilege("landlock_create_ruleset failed"))?;
        let or_all = |rights: u64, all: u64| if rights == 0 { all } else { rights };
        let added = privilege("adding Landlock rule failed");
        for (rights, place) in &self.paths {
            let rights = or_all(rights.fs, fs);
            sys::landlock_allow_path(ruleset.as_fd(), rights, place.as_fd())
                .map_err(&added)?;
        }
        for (rights, port) in &self.ports {
            let rights = or_all(rights.net, net);
            sys::landlock_allow_port(ruleset.as_fd(), rights, *port).map_err(&added)?;
        }
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
            .map_err(privilege("disallow granting new privileges for Landlock failed"))?;
        sys::landlock_restrict_self(ruleset.as_fd())
            .map_err(privilege("landlock_restrict_self failed"))
    }
}

fn port(text: &str) -> Result<u16, Fail> {
    let complaint = format!("could not parse port number: '{text}'");
    let digits = text.trim_ascii_start();
    let number: u128 = digits.parse().map_err(|_| usage(&complaint))?;
    let range = || usage(format_args!("{complaint}: Numerical result out of range"));
    u16::try_from(number).map_err(|_| range())
}

/// `--landlock-support`.
pub(super) fn support() -> Result<String, Fail> {
    let abi = abi()?;
    let errata = sys::landlock_errata().unwrap_or(0);
    Ok(support_of(abi, errata))
}

fn support_of(abi: u32, errata: i64) -> String {
    let known = Rights::known(abi);
    let fixed = (0_u32..63).filter(|bit| errata >> bit & 1 == 1);
    let fixed: String = fixed
        .flat_map(|bit| [" ".to_owned(), bit.saturating_add(1).to_string()])
        .collect();
    let kinds: Vec<_> = Kind::ALL
        .into_iter()
        .filter(|kind| !known.only(*kind).is_empty())
        .map(Kind::name)
        .collect();
    let mut text =
        format!("ABI version: {abi}\nABI errata:{fixed}\naccess: {}\n", kinds.join(" "));
    for (kind, what, rule) in [
        (Kind::Fs, "rights", Some("path-beneath")),
        (Kind::Net, "rights", Some("net-port")),
        (Kind::Scope, "restrictions", None),
    ] {
        let names: Vec<_> = known.only(kind).each().map(|right| right.name).collect();
        if names.is_empty() {
            continue;
        }
        let name = kind.name();
        text.push_str(&[name, " ", what, ": ", &names.join(" "), "\n"].concat());
        if let Some(rule) = rule {
            text.push_str(&[name, " rules: ", rule, "\n"].concat());
        }
    }
    text
}

/// `--list-landlock-access`.
pub(super) fn kinds() -> Result<String, Fail> {
    let known = supported()?;
    let some = Kind::ALL.into_iter().filter(|kind| !known.only(*kind).is_empty());
    Ok(some.flat_map(|kind| [kind.name(), "\n"]).collect())
}

/// `--list-landlock-rights`.
pub(super) fn rights(kind: &OsString) -> Result<String, Fail> {
    let text = kind.to_string_lossy();
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == text);
    let kind =
        found.ok_or_else(|| usage(format_args!("unknown Landlock access: {text}")))?;
    let known = supported()?;
    let of_kind = RIGHTS.into_iter().filter(|right| right.kind == kind);
    let some = of_kind.filter(|right| !known.and((*right).into()).is_empty());
    Ok(some.flat_map(|right| [right.name, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn rights_are_whole_names_or_the_only_beginning() {
        let known = Rights::known(7);
        let of = |kind, text: &str| list(kind, text, known).map_err(|f| f.text);

        assert_eq!(of(Kind::Fs, "write,exec").map(|r| r.fs), Ok(0b11));
        assert_eq!(of(Kind::Net, "bind-tcp").map(|r| r.net), Ok(1));
        for (kind, text, complaint) in [
            (
                Kind::Fs,
                "remove",
                "could not parse Landlock fs access: remove; 'remove' could be remove-dir, remove-file",
            ),
            (Kind::Fs, "", "could not parse Landlock fs access: "),
            (Kind::Fs, "execute,", "could not parse Landlock fs access: execute,"),
            (Kind::Net, "bind", "could not parse Landlock net access: bind"),
            (Kind::Scope, "sig", "could not parse Landlock scope restriction: sig"),
            (
                Kind::Fs,
                "resolve-unix",
                "Landlock fs access right is not supported by the running kernel: resolve-unix",
            ),
            (
                Kind::Net,
                "bind-udp",
                "Landlock net access right is not supported by the running kernel: bind-udp",
            ),
        ] {
            assert_eq!(of(kind, text), Err(complaint.to_owned()));
        }
        let old = list(Kind::Scope, "signal", Rights::known(5)).unwrap_err().text;
        assert_eq!(
            old,
            "Landlock scope restriction is not supported by the running kernel: signal"
        );
    }

    #[test]
    fn ports_are_numbers_of_sixteen_bits() {
        let of = |text: &str| port(text).map_err(|f| f.text);
        let complaint = "could not parse port number: ".to_owned();

        assert_eq!(of("8080"), Ok(8080));
        assert_eq!(
            of("65536"),
            Err(complaint.clone() + "'65536': Numerical result out of range")
        );
        assert_eq!(of("-1"), Err(complaint.clone() + "'-1'"));
        assert_eq!(of(""), Err(complaint + "''"));
    }

    #[test]
    fn an_old_kernel_has_files_alone() {
        expect![[r#"
            ABI version: 3
            ABI errata: 1 3
            access: fs
            fs rights: execute write-file read-file read-dir remove-dir remove-file make-char make-dir make-reg make-sock make-fifo make-block make-sym refer truncate
            fs rules: path-beneath
        "#]]
        .assert_eq(&support_of(3, 0b101));
    }
}
