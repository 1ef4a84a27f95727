//! The one error type: what we tried, on what, why not, and a hint.

use std::ffi::OsStr;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

/// Why a tool ends without running COMMAND.
///
/// The text is one line, `cannot VERB 'OBJECT': REASON[; HINT]`; the tool's name is
/// put in front of it where it is printed. The status follows env(1): 125 the tool
/// failed, 126 COMMAND was found but cannot be executed, 127 it was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    /// What the process exits with.
    pub status: u8,
    /// The line without the tool's name; empty when everything was said already.
    pub text: String,
    /// Data that was asked for (`--help`, `--version`, `--explain`): goes to stdout.
    pub output: bool,
    /// The system's reason, where there was one.
    pub errno: Option<Errno>,
}

impl Fail {
    /// A failure of the tool itself: status 125.
    pub fn new(text: impl Display) -> Self {
        Self { status: 125, text: text.to_string(), output: false, errno: None }
    }

    /// `WHAT: REASON` where the reason is the system's.
    pub fn os(what: impl Display, errno: Errno) -> Self {
        let mut fail = Self::new(format_args!("{what}: {}", errno.desc()));
        fail.errno = Some(errno);
        fail
    }

    /// `cannot VERB 'OBJECT': REASON`.
    pub fn cannot(verb: &str, object: impl AsRef<OsStr>, reason: impl Display) -> Self {
        Self::new(format_args!("cannot {verb} {}: {reason}", quote(object)))
    }

    /// The end of a tool that has no COMMAND left to run: status 0, nothing said.
    pub fn done() -> Self {
        Self::exit(0)
    }

    /// The end with a status of somebody else's, who has said everything.
    pub fn exit(status: u8) -> Self {
        Self { status, text: String::new(), output: false, errno: None }
    }

    /// Data that was asked for, printed to stdout as it is; status 0.
    pub fn output(text: impl Display) -> Self {
        Self { status: 0, text: text.to_string(), output: true, errno: None }
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.text = format!("{}; {hint}", self.text);
        self
    }

    /// Replaces the exit status.
    #[must_use]
    pub fn status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }
}

/// Adds verb and object to a system error, where the object is known.
pub trait Context<T> {
    /// `cannot VERB 'OBJECT': REASON`.
    fn cannot(self, verb: &str, object: impl AsRef<OsStr>) -> Result<T, Fail>;
    /// `cannot WHAT: REASON`, for what has no name to quote.
    fn failed_to(self, what: impl Display) -> Result<T, Fail>;
}

impl<T, E: Into<Reason>> Context<T> for Result<T, E> {
    fn cannot(self, verb: &str, object: impl AsRef<OsStr>) -> Result<T, Fail> {
        self.map_err(|e| e.into().fail(format_args!("cannot {verb} {}", quote(object))))
    }

    fn failed_to(self, what: impl Display) -> Result<T, Fail> {
        self.map_err(|e| e.into().fail(format_args!("cannot {what}")))
    }
}

/// A system error of either family, or a text.
#[derive(Debug)]
pub enum Reason {
    /// errno(3).
    Errno(Errno),
    /// A reason without an errno.
    Text(String),
}

impl Reason {
    fn fail(self, what: impl Display) -> Fail {
        match self {
            Self::Errno(e) => Fail::os(what, e),
            Self::Text(t) => Fail::new(format_args!("{what}: {t}")),
        }
    }
}

impl From<Errno> for Reason {
    fn from(e: Errno) -> Self {
        Self::Errno(e)
    }
}

impl From<std::io::Error> for Reason {
    fn from(e: std::io::Error) -> Self {
        match e.raw_os_error() {
            Some(n) => Self::Errno(Errno::from_raw(n)),
            None => Self::Text(e.to_string()),
        }
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Adds a hint to a failure on its way up.
pub trait Hint {
    /// Appends `; HINT`.
    #[must_use]
    fn hint(self, hint: impl Display) -> Self;
    /// Appends `; HINT` where this was the system's reason.
    #[must_use]
    fn hint_on(self, errno: Errno, hint: impl Display) -> Self;
}

impl<T> Hint for Result<T, Fail> {
    fn hint(self, hint: impl Display) -> Self {
        self.map_err(|f| f.hint(hint))
    }

    fn hint_on(self, errno: Errno, hint: impl Display) -> Self {
        self.map_err(|f| if f.errno == Some(errno) { f.hint(hint) } else { f })
    }
}

/// A name in single quotes with everything that could fool a terminal escaped.
///
/// Names may come from an attacker's archive: control bytes, quotes, backslashes and
/// what is not UTF-8 are shown as `\xHH`.
pub fn quote(name: impl AsRef<OsStr>) -> String {
    let mut out = String::from("'");
    for chunk in name.as_ref().as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut out, c, matches!(c, '\'' | '\\'));
        }
        out.extend(chunk.invalid().iter().map(|b| format!("\\x{b:02x}")));
    }
    out.push('\'');
    out
}

/// A line that has somebody's words in it, as [`quote`] would show them.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        push(&mut out, c, false);
    }
    out
}

fn push(out: &mut String, c: char, is_special: bool) {
    if is_special || c.is_control() || matches!(c, '\u{202a}'..='\u{202e}') {
        let mut buf = [0; 4];
        out.extend(c.encode_utf8(&mut buf).bytes().map(|b| format!("\\x{b:02x}")));
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_error_is_one_line_without_numbers() {
        let fail = Err::<(), _>(Errno::ENOENT).cannot("open", "/x").unwrap_err();

        assert_eq!(fail.text, "cannot open '/x': No such file or directory");
        assert_eq!(fail.status, 125);
    }

    #[test]
    fn a_hint_follows_a_semicolon() {
        let fail = Fail::cannot("map", "gid 0", "Operation not permitted")
            .hint("see user_namespaces(7)");

        assert_eq!(
            fail.text,
            "cannot map 'gid 0': Operation not permitted; see user_namespaces(7)"
        );
    }

    #[test]
    fn untrusted_names_cannot_reach_the_terminal() {
        assert_eq!(quote("a\x1b[2Jb\n"), r"'a\x1b[2Jb\x0a'");
        assert_eq!(quote(OsStr::from_bytes(b"caf\xe9")), r"'caf\xe9'");
        assert_eq!(quote("it's"), r"'it\x27s'");
    }
}
