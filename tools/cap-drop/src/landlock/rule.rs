//! Rules of Landlock as one writes them.
//!
//! `rx:/usr`, `write-file:/var/log/x`, `connect:443,80`, `bind:8080` let something pass;
//! `fs`, `net`, `scope`, `fs:ioctl-dev`, `scope:signal` say what is forbidden otherwise.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use common::fail::quote;

use super::rights::{self, Kind, Rights};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// What no rule lets pass is forbidden.
    Restrict(Rights),
    /// May be done with a file, or beneath a directory.
    Path {
        /// What.
        rights: Rights,
        /// Whether the letters said so, which leave out what a file has not.
        in_letters: InLetters,
        /// Where.
        path: PathBuf,
    },
    /// May be done with ports.
    Ports {
        /// What.
        rights: Rights,
        /// Which.
        ports: Vec<u16>,
    },
}

/// How rights were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InLetters {
    /// As `rwx`.
    Yes,
    /// By their names.
    No,
}

impl Rule {
    /// Reads one.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &OsStr) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let colon = bytes.iter().position(|byte| *byte == b':');
        let (head, rest) = match colon.and_then(|at| bytes.split_at_checked(at)) {
            Some((head, rest)) => (head, rest.get(1..)),
            None => (bytes, None),
        };
        let head = str::from_utf8(head).map_err(|_| no_rule(text))?;
        if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == head) {
            return restriction(kind, rest).map(Self::Restrict);
        }
        let rest = rest.filter(|rest| !rest.is_empty()).ok_or_else(|| no_rule(text))?;
        let rest = OsStr::from_bytes(rest);
        if let Some(rights) = letters(head) {
            return Ok(Self::Path {
                rights,
                in_letters: InLetters::Yes,
                path: rest.into(),
            });
        }
        if let Ok(rights) = ports_rights(head) {
            return Ok(Self::Ports { rights, ports: ports(rest)? });
        }
        let rights = rights::list(Kind::Fs, head).map_err(|_| no_rule(text))?;
        Ok(Self::Path { rights, in_letters: InLetters::No, path: rest.into() })
    }

    /// What it is about.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Restrict(_) => None,
            Self::Path { .. } => Some(Kind::Fs),
            Self::Ports { .. } => Some(Kind::Net),
        }
    }
}

fn no_rule(text: &OsStr) -> String {
    format!("{} is no Landlock rule such as rx:/usr, connect:443 or scope", quote(text))
}

fn restriction(kind: Kind, rest: Option<&[u8]>) -> Result<Rights, String> {
    match rest {
        None => Ok(Rights::of(kind)),
        Some(rest) => rights::list(kind, &String::from_utf8_lossy(rest)),
    }
}

fn letters(head: &str) -> Option<Rights> {
    let of = |letter: char| match letter {
        'r' => Some(Rights::READ),
        'w' => Some(Rights::WRITE),
        'x' => Some(Rights::EXECUTE),
        _ => None,
    };
    let some = (!head.is_empty()).then_some(Rights::NONE)?;
    head.chars().try_fold(some, |all, letter| {
        let right = of(letter)?;
        all.and(right).is_empty().then(|| all.or(right))
    })
}

fn ports_rights(head: &str) -> Result<Rights, String> {
    head.split(',').try_fold(Rights::NONE, |all, word| {
        let name = match word {
            "connect" => "connect-tcp",
            "bind" => "bind-tcp",
            other => other,
        };
        Ok(all.or(rights::list(Kind::Net, name)?))
    })
}

fn ports(list: &OsStr) -> Result<Vec<u16>, String> {
    let text = list.to_string_lossy();
    let port = |word: &str| {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| word.parse().ok()).flatten();
        number.ok_or_else(|| format!("{} is no port from 0 to 65535", quote(word)))
    };
    text.split(',').map(port).collect()
}

/// The rules of a file: one a line, empty lines and those that begin with `#` left out.
///
/// # Errors
/// With the number of the line.
pub fn file(text: &[u8]) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for (number, line) in (1_usize..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let rule = Rule::parse(&OsString::from(OsStr::from_bytes(line)));
        rules.push(rule.map_err(|reason| format!("line {number}: {reason}"))?);
    }
    if rules.is_empty() {
        return Err("there is no rule in it".to_owned());
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rule, String> {
        Rule::parse(OsStr::new(text))
    }

    fn named(kind: Kind, names: &str) -> Rights {
        rights::list(kind, names).unwrap()
    }

    #[test]
    fn letters_names_and_ports_let_pass() {
        let path = |rights, in_letters, path: &str| Rule::Path {
            rights,
            in_letters,
            path: path.into(),
        };

        assert_eq!(
            parse("rx:/usr"),
            Ok(path(Rights::READ.or(Rights::EXECUTE), InLetters::Yes, "/usr"))
        );
        assert_eq!(parse("w:a:b"), Ok(path(Rights::WRITE, InLetters::Yes, "a:b")));
        assert_eq!(
            parse("read-file,truncate:/x"),
            Ok(path(named(Kind::Fs, "read-file,truncate"), InLetters::No, "/x"))
        );
        assert_eq!(
            parse("connect,bind-tcp:80,443"),
            Ok(Rule::Ports { rights: Rights::of(Kind::Net), ports: vec![80, 443] })
        );
    }

    #[test]
    fn a_kind_or_a_right_of_it_is_forbidden() {
        assert_eq!(parse("fs"), Ok(Rule::Restrict(Rights::of(Kind::Fs))));
        assert_eq!(
            parse("scope:signal"),
            Ok(Rule::Restrict(named(Kind::Scope, "signal")))
        );
        assert_eq!(
            parse("fs:ioctl-dev,execute"),
            Ok(Rule::Restrict(named(Kind::Fs, "ioctl-dev,execute")))
        );
    }

    #[test]
    fn a_path_need_not_be_text() {
        let rule = Rule::parse(OsStr::from_bytes(b"r:/caf\xe9")).unwrap();

        let Rule::Path { path, .. } = rule else { panic!("{rule:?}") };
        assert_eq!(path.as_os_str().as_bytes(), b"/caf\xe9");
    }

    #[test]
    fn anything_else_is_refused() {
        let none = |text: &str| {
            format!("'{text}' is no Landlock rule such as rx:/usr, connect:443 or scope")
        };
        for text in [
            "", "r", "r:", ":/", "rr:/", "rwz:/", "read:/", "remove:/", "connect", "Fs",
            "/usr",
        ] {
            assert_eq!(parse(text), Err(none(text)));
        }
        for (text, reason) in [
            ("connect:http", "'http' is no port from 0 to 65535"),
            ("bind:65536", "'65536' is no port from 0 to 65535"),
            ("bind:+1", "'+1' is no port from 0 to 65535"),
            ("bind:1,", "'' is no port from 0 to 65535"),
            ("fs:", "'' is no fs right"),
            ("fs:remove", "'remove' is no fs right"),
            ("scope:signals", "'signals' is no scope right"),
        ] {
            assert_eq!(parse(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_file_has_one_rule_a_line() {
        let text = b"# what a server needs\n\n  rx:/usr \nbind:80\n";

        assert_eq!(
            file(text).unwrap(),
            [parse("rx:/usr").unwrap(), parse("bind:80").unwrap()]
        );
        assert_eq!(file(b"# nothing\n").unwrap_err(), "there is no rule in it");
        assert_eq!(file(b"fs\nnet:all\n").unwrap_err(), "line 2: 'all' is no net right");
    }
}
