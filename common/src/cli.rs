//! What every tool's command line has in common, and how its mistakes are told.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser};

use crate::Fail;

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
    C::try_parse_from(args).map_err(|e| complaint(&e, C::command().get_name()))
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
        Fail::new(first.lines().next().unwrap_or_default())
    };
    fail.hint(format_args!("try '{tool} --help'"))
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
        assert_eq!(text(&[]), "missing <TARGET>; try 'toy --help'");
        assert_eq!(
            text(&["--number", "x", "t"]),
            "invalid value 'x' for '--number <NUMBER>': not an id from 0 to 4294967294; try 'toy --help'"
        );
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
