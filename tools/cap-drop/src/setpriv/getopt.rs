//! getopt_long(3) over the table of setpriv's options.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use common::Fail;

use super::usage;

/// What an option is, whichever way it is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Dump,
    NoNewPrivs,
    AmbientCaps,
    InhCaps,
    BoundingSet,
    Ruid,
    Euid,
    Rgid,
    Egid,
    Reuid,
    Regid,
    ClearGroups,
    KeepGroups,
    InitGroups,
    ListCaps,
    Groups,
    Securebits,
    Pdeathsig,
    Ptracer,
    SelinuxLabel,
    ApparmorProfile,
    LandlockAccess,
    LandlockRule,
    LandlockSupport,
    ListLandlockAccess,
    ListLandlockRights,
    SeccompFilter,
    ResetEnv,
    Help,
    Version,
}

/// An option of setpriv.
#[derive(Debug)]
pub struct Opt {
    pub(super) name: Name,
    /// Its letter.
    pub short: Option<char>,
    /// Its name.
    pub long: &'static str,
    /// What its value is; empty where it takes none.
    pub value: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
}

const fn opt(
    name: Name,
    long: &'static str,
    value: &'static str,
    help: &'static str,
) -> Opt {
    Opt { name, short: None, long, value, help }
}

const fn letter(short: char, name: Name, long: &'static str, help: &'static str) -> Opt {
    Opt { name, short: Some(short), long, value: "", help }
}

/// In the order of the help text.
pub const OPTIONS: &[Opt] = &[
    letter(
        'd',
        Name::Dump,
        "dump",
        "Show the state and run nothing; more with -dd, -ddd",
    ),
    opt(Name::NoNewPrivs, "nnp", "", "Let no exec grant privileges"),
    opt(Name::NoNewPrivs, "no-new-privs", "", "The same"),
    opt(Name::AmbientCaps, "ambient-caps", "LIST", "Change the ambient set"),
    opt(Name::InhCaps, "inh-caps", "LIST", "Change the inheritable set"),
    opt(Name::BoundingSet, "bounding-set", "LIST", "Change the bounding set"),
    opt(Name::Ruid, "ruid", "USER", "Set the real uid"),
    opt(Name::Euid, "euid", "USER", "Set the effective uid"),
    opt(Name::Rgid, "rgid", "GROUP", "Set the real gid"),
    opt(Name::Egid, "egid", "GROUP", "Set the effective gid"),
    opt(Name::Reuid, "reuid", "USER", "Set the real and the effective uid"),
    opt(Name::Regid, "regid", "GROUP", "Set the real and the effective gid"),
    opt(Name::ClearGroups, "clear-groups", "", "Leave no supplementary group"),
    opt(
        Name::KeepGroups,
        "keep-groups",
        "",
        "Leave the supplementary groups as they are",
    ),
    opt(Name::InitGroups, "init-groups", "", "Take the groups of the user"),
    opt(Name::ListCaps, "list-caps", "", "List the capabilities of the kernel"),
    opt(Name::Groups, "groups", "LIST", "Set the supplementary groups"),
    opt(Name::Securebits, "securebits", "LIST", "Change the securebits"),
    opt(
        Name::Pdeathsig,
        "pdeathsig",
        "SIGNAL",
        "Be sent this when the parent dies; or keep, clear",
    ),
    opt(Name::Ptracer, "ptracer", "PID", "Let a process trace this one; or any, none"),
    opt(
        Name::SelinuxLabel,
        "selinux-label",
        "LABEL",
        "Change the SELinux label at the exec",
    ),
    opt(
        Name::ApparmorProfile,
        "apparmor-profile",
        "PROFILE",
        "Change the AppArmor profile at the exec",
    ),
    opt(Name::LandlockAccess, "landlock-access", "ACCESS", "Forbid what no rule allows"),
    opt(
        Name::LandlockRule,
        "landlock-rule",
        "RULE",
        "Allow what --landlock-access forbids",
    ),
    opt(
        Name::LandlockSupport,
        "landlock-support",
        "",
        "Say what the kernel's Landlock can do",
    ),
    opt(Name::ListLandlockAccess, "list-landlock-access", "", "List the kinds of access"),
    opt(
        Name::ListLandlockRights,
        "list-landlock-rights",
        "ACCESS",
        "List the rights of a kind",
    ),
    opt(
        Name::SeccompFilter,
        "seccomp-filter",
        "FILE",
        "Load a seccomp filter, in the kernel's form",
    ),
    opt(Name::ResetEnv, "reset-env", "", "Start with the environment of a login"),
    letter('h', Name::Help, "help", "Print help"),
    letter('V', Name::Version, "version", "Print version"),
];

/// An option as it was found, with its value.
pub(super) type Found = (Name, OsString);

/// The options of a command line, and where they end.
pub(super) struct Words<'a> {
    rest: &'a [OsString],
    /// What is left of `-dd`.
    letters: Vec<u8>,
}

impl<'a> Words<'a> {
    /// Of argv with the program's name.
    pub(super) fn new(args: &'a [OsString]) -> Self {
        Self { rest: args.get(1..).unwrap_or_default(), letters: Vec::new() }
    }

    /// What follows the options.
    pub(super) fn command(self) -> &'a [OsString] {
        self.rest
    }

    /// The next option; none at the first other word, or behind `--`.
    ///
    /// # Errors
    /// When there is no such option, or its value is missing or too much.
    pub(super) fn next(&mut self) -> Result<Option<Found>, Fail> {
        if let Some((letter, tail)) = self.letters.clone().split_first() {
            tail.clone_into(&mut self.letters);
            let letter = char::from(*letter);
            let known = OPTIONS.iter().find(|opt| opt.short == Some(letter));
            let known =
                known.ok_or_else(|| mistake(&format!("invalid option -- '{letter}'")))?;
            return Ok(Some((known.name, OsString::new())));
        }
        let Some((word, tail)) = self.rest.split_first() else { return Ok(None) };
        match word.as_bytes() {
            b"--" => {
                self.rest = tail;
                Ok(None)
            }
            [b'-', b'-', long @ ..] => {
                self.rest = tail;
                self.long(long).map(Some)
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                self.rest = tail;
                letters.clone_into(&mut self.letters);
                self.next()
            }
            _ => Ok(None),
        }
    }

    fn long(&mut self, word: &[u8]) -> Result<Found, Fail> {
        let equals = word.iter().position(|b| *b == b'=');
        let (long, value) =
            word.split_at_checked(equals.unwrap_or(word.len())).unwrap_or((word, b""));
        let opt = find(long, word)?;
        let value = value.strip_prefix(b"=").map(|v| OsString::from_vec(v.to_vec()));
        match (opt.value, value) {
            ("", None) => Ok((opt.name, OsString::new())),
            ("", Some(_)) => {
                let text = format!("option '--{}' doesn't allow an argument", opt.long);
                Err(mistake(&text))
            }
            (_, Some(value)) => Ok((opt.name, value)),
            (_, None) => {
                let (value, tail) = self.rest.split_first().ok_or_else(|| {
                    mistake(&format!("option '--{}' requires an argument", opt.long))
                })?;
                self.rest = tail;
                Ok((opt.name, value.clone()))
            }
        }
    }
}

/// The option itself, or the only one that begins so.
fn find(long: &[u8], word: &[u8]) -> Result<&'static Opt, Fail> {
    if let Some(opt) = OPTIONS.iter().find(|opt| opt.long.as_bytes() == long) {
        return Ok(opt);
    }
    let begins: Vec<_> =
        OPTIONS.iter().filter(|opt| opt.long.as_bytes().starts_with(long)).collect();
    let word = String::from_utf8_lossy(word);
    match &*begins {
        [] => Err(mistake(&format!("unrecognized option '--{word}'"))),
        [first, others @ ..] if others.iter().all(|opt| opt.name == first.name) => {
            Ok(first)
        }
        all => {
            let names = all.iter().map(|opt| format!(" '--{}'", opt.long));
            let names = names.collect::<String>();
            Err(mistake(&format!(
                "option '--{word}' is ambiguous; possibilities:{names}"
            )))
        }
    }
}

fn mistake(text: &str) -> Fail {
    usage(text).hint("try 'setpriv --help'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(Vec<(Name, String)>, usize), String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let mut words = Words::new(&words);
        let mut all = Vec::new();
        while let Some((name, value)) = words.next().map_err(|f| f.text)? {
            all.push((name, value.into_string().unwrap()));
        }
        Ok((all, words.command().len()))
    }

    #[test]
    fn options_end_at_the_first_other_word() {
        let found = |all: &[(Name, &str)]| -> Vec<(Name, String)> {
            all.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
        };

        assert_eq!(
            read("setpriv -dd --nnp --reu=5 --inh -all -- -d x"),
            Ok((
                found(&[
                    (Name::Dump, ""),
                    (Name::Dump, ""),
                    (Name::NoNewPrivs, ""),
                    (Name::Reuid, "5"),
                    (Name::InhCaps, "-all"),
                ]),
                2
            ))
        );
        assert_eq!(read("setpriv --n - -d"), Ok((found(&[(Name::NoNewPrivs, "")]), 2)));
        assert_eq!(read("setpriv x -d"), Ok((vec![], 2)));
    }

    #[test]
    fn mistakes_are_told_as_the_c_library_tells_them() {
        for (line, text) in [
            ("--caps=-all", "unrecognized option '--caps=-all'"),
            ("-x", "invalid option -- 'x'"),
            ("--ruid", "option '--ruid' requires an argument"),
            ("--nnp=1", "option '--nnp' doesn't allow an argument"),
            ("--reg-", "unrecognized option '--reg-'"),
            (
                "--re",
                "option '--re' is ambiguous; possibilities: '--reuid' '--regid' '--reset-env'",
            ),
        ] {
            let text = format!("{text}; try 'setpriv --help'");
            assert_eq!(read(&format!("setpriv {line}")), Err(text));
        }
    }
}
