//! What every tool's command line has in common, and how its mistakes are told.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Args, Command, Parser};

use crate::Fail;
use crate::fail::escape;

/// The end of every link's command line.
#[derive(Args, Debug, Clone, Default)]
pub struct Link {
    /// Print the plan as system calls and do nothing
    #[arg(long)]
    pub explain: bool,

    /// The program to become, and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// Parses the arguments (the program's name first) or says in one line why not.
///
/// # Errors
/// Usage mistakes (125), or the text of `--help` and `--version` (0).
pub fn parse<C: Parser>(args: Vec<OsString>) -> Result<C, Fail> {
    let command = C::command();
    let own = OsStr::new(command.get_name());
    let name = args.first().map_or(own, |name| basename(name)).to_owned();
    C::try_parse_from(args).map_err(|e| complaint(&e, &name.to_string_lossy()))
}

/// Rewrites `-n/path` and `-n:ID` to `-n=/path` and `-n=:ID`, which clap reads, for options
/// with a value that must be attached; anything else behind a letter is more letters.
pub fn attach(args: Vec<OsString>, command: &Command) -> Vec<OsString> {
    let mut args = args.into_iter();
    let mut all: Vec<_> = args.next().into_iter().collect();
    while let Some(word) = args.next() {
        let is_option = word.len() > 1 && word.as_bytes().starts_with(b"-");
        if word == "--" || !is_option {
            all.push(word);
            break;
        }
        let (word, takes_next) = match word.as_bytes().strip_prefix(b"--") {
            Some(long) => (word.clone(), long_takes_next(command, long)),
            None => attach_letters(command, &word),
        };
        all.push(word);
        all.extend(takes_next.then(|| args.next()).flatten());
    }
    all.extend(args);
    all
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn long_takes_next(command: &Command, long: &[u8]) -> bool {
    let is_meant = |name: &str| name.as_bytes().starts_with(long);
    let meant = |arg: &&Arg| arg.get_long().is_some_and(is_meant);
    let exact = |arg: &&Arg| arg.get_long().is_some_and(|l| l.as_bytes() == long);
    let arg = command.get_arguments().find(exact);
    let arg = arg.or_else(|| command.get_arguments().find(meant));
    arg.is_some_and(|arg| takes_value(arg) && !arg.is_require_equals_set())
}

/// The word, and whether the next is the value of its last letter.
fn attach_letters(command: &Command, word: &OsStr) -> (OsString, bool) {
    let letters = word.as_bytes();
    for at in 1..letters.len() {
        let tail = letters.get(at.saturating_add(1)..).unwrap_or_default();
        let letter = letters.get(at).map(|b| char::from(*b));
        let arg = command.get_arguments().find(|arg| arg.get_short() == letter);
        match arg {
            Some(arg) if takes_value(arg) && !arg.is_require_equals_set() => {
                return (word.to_owned(), tail.is_empty());
            }
            Some(arg) if takes_value(arg) && matches!(tail, [b'/' | b':', ..]) => {
                let head = letters.get(..=at).unwrap_or_default();
                return (OsString::from_vec([head, b"=", tail].concat()), false);
            }
            _ => {}
        }
    }
    (word.to_owned(), false)
}

/// A descriptor number the caller opened for us.
///
/// # Errors
/// When it is no small number.
pub fn fd(text: &str) -> Result<RawFd, String> {
    text.parse::<RawFd>()
        .ok()
        .filter(|n| *n >= 0 && !text.starts_with('+'))
        .ok_or_else(|| "not a file descriptor number".to_owned())
}

fn complaint(error: &clap::Error, tool: &str) -> Fail {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Fail::output(error.render());
    }
    let said = error.render().to_string();
    let first = said.strip_prefix("error: ").unwrap_or(&said);
    // clap puts the names of what is missing on lines of their own.
    let fail = if error.kind() == ErrorKind::MissingRequiredArgument {
        let missing = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(names)) => names.join(" "),
            _ => String::new(),
        };
        Fail::new(format_args!("missing {missing}"))
    } else {
        Fail::new(escape(&first_sentence(first)))
    };
    fail.hint(format_args!("try '{tool} --help'"))
}

/// The first line, with the list that it may end in: of a long one, the beginning.
fn first_sentence(said: &str) -> String {
    let mut lines = said.lines();
    let first = lines.next().unwrap_or_default();
    let Some(before) = first.strip_suffix(':') else { return first.to_owned() };
    let list: Vec<_> = lines.map(str::trim).take_while(|line| !line.is_empty()).collect();
    let shown = list.get(..3).unwrap_or(&list);
    let more = if shown.len() < list.len() { " and others" } else { "" };
    format!("{before} {}{more}", shown.join(", "))
}

/// The name a program was called by: the last part of argv\[0\].
pub fn basename(path: &OsStr) -> &OsStr {
    std::path::Path::new(path).file_name().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    #[command(name = "toy", version, infer_long_args = true)]
    struct Toy {
        /// A number
        #[arg(long, value_parser = crate::parse::id)]
        number: Option<u32>,
        /// Where
        #[arg(value_name = "TARGET")]
        target: OsString,
        #[command(flatten)]
        link: Link,
    }

    fn toy(args: &[&str]) -> Result<Toy, Fail> {
        parse(std::iter::once(&"toy").chain(args).map(OsString::from).collect())
    }

    #[test]
    fn mistakes_are_one_line_with_status_125() {
        let text = |args: &[&str]| {
            let fail = toy(args).unwrap_err();
            assert_eq!(fail.status, 125);
            fail.text
        };

        assert_eq!(
            text(&["--nope"]),
            "unexpected argument '--nope' found; try 'toy --help'"
        );
        assert_eq!(
            text(&["--x\u{1b}[2J\u{99}"]),
            "unexpected argument '--x\\x1b[2J\\xc2\\x99' found; try 'toy --help'"
        );
        assert_eq!(text(&[]), "missing <TARGET>; try 'toy --help'");
        assert_eq!(
            text(&["--number", "x", "t"]),
            "invalid value 'x' for '--number <NUMBER>': not an id from 0 to 4294967294; try 'toy --help'"
        );
    }

    #[test]
    fn a_list_below_the_first_line_belongs_to_it() {
        let said = "'--a' goes not with:\n  --b <B>\n  --c\n\nUsage: x\n";

        assert_eq!(first_sentence(said), "'--a' goes not with --b <B>, --c");
        assert_eq!(first_sentence("with:\n a\n b\n c\n d\n"), "with a, b, c and others");
        assert_eq!(first_sentence("no\n  such\n"), "no");
    }

    #[test]
    fn a_value_behind_its_letter_is_told_from_more_letters() {
        let command = Command::new("toy")
            .arg(Arg::new("net").short('n').num_args(0..=1).require_equals(true))
            .arg(Arg::new("pid").short('p').long("pid"))
            .arg(Arg::new("all").short('a').action(clap::ArgAction::SetTrue));
        let attached = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            attach(words, &command).join(OsStr::new(" ")).into_string().unwrap()
        };

        assert_eq!(attached("toy -an/f x -n/f"), "toy -an=/f x -n/f");
        assert_eq!(attached("toy -n:7 -na -n=/f"), "toy -n=:7 -na -n=/f");
        assert_eq!(attached("toy -p -n/f -n/f"), "toy -p -n/f -n=/f");
        assert_eq!(attached("toy --pi -n/f -n/f"), "toy --pi -n/f -n=/f");
        assert_eq!(attached("toy -pn/f -- -n/f"), "toy -pn/f -- -n/f");
    }

    #[test]
    fn the_command_keeps_every_argument_behind_its_first_word() {
        for args in [
            &["t", "--", "cmd", "--flag", "--", "x"][..],
            &["t", "cmd", "--flag", "--", "x"],
            &["--num", "4", "t", "cmd", "--flag", "--", "x"],
        ] {
            let toy = toy(args).unwrap();

            assert_eq!(toy.target, "t");
            assert_eq!(toy.link.command, ["cmd", "--flag", "--", "x"], "{args:?}");
        }
    }
}
