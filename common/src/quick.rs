//! The plain command lines without clap, which takes longer than most links' whole work.
//!
//! What is read here is what clap would have read; a tool's test holds the two together.
//! Anything that is not plain is left to clap, which reads it again and knows what to say:
//! abbreviations, mistakes, `--help`.

use std::ffi::OsString;

use clap::Parser;

use crate::{Fail, cli};

/// What an option does to what was read so far.
#[derive(Debug)]
pub enum Set<C> {
    /// It takes no value.
    Flag(fn(&mut C)),
    /// It takes one, `--long VALUE` or `--long=VALUE`; none is given back for a bad one.
    Value(fn(&mut C, &str) -> Option<()>),
    /// It takes one only as `--long=VALUE`.
    Optional(fn(&mut C, Option<&str>)),
}

/// An option that is read here.
#[derive(Debug)]
pub struct Opt<C> {
    /// Its letter.
    pub short: Option<char>,
    /// Its name.
    pub long: &'static str,
    /// What it does.
    pub set: Set<C>,
}

impl<C> Opt<C> {
    /// A row of the table.
    pub const fn new(short: Option<char>, long: &'static str, set: Set<C>) -> Self {
        Self { short, long, set }
    }
}

/// Reads the options, and what follows them: COMMAND and its arguments.
///
/// None where a word is not as plain as that.
pub fn read<C: Default>(
    args: &[OsString],
    table: &[Opt<C>],
) -> Option<(C, Vec<OsString>)> {
    let mut read = C::default();
    let mut words = args.get(1..)?;
    while let Some((word, rest)) = words.split_first() {
        let text = match word.to_str() {
            Some("--") => return Some((read, rest.to_vec())),
            Some(text) if text.len() > 1 && text.starts_with('-') => text,
            Some(_) | None => break,
        };
        words = rest;
        let taken = match text.strip_prefix("--") {
            Some(long) => name(&mut read, table, long, words)?,
            None => letters(&mut read, table, text, words)?,
        };
        words = words.get(taken..)?;
    }
    Some((read, words.to_vec()))
}

/// As [`cli::parse`], by clap only where it must be.
pub fn parse<C: Parser + Default>(
    args: Vec<OsString>,
    table: &[Opt<C>],
    finish: impl FnOnce(C, Vec<OsString>) -> Option<C>,
) -> Result<C, Fail> {
    match read(&args, table).and_then(|(read, command)| finish(read, command)) {
        Some(read) => Ok(read),
        None => cli::parse(args),
    }
}

/// `--long` and how many words after it belong to it.
fn name<C>(
    read: &mut C,
    table: &[Opt<C>],
    long: &str,
    rest: &[OsString],
) -> Option<usize> {
    let (long, value) = match long.split_once('=') {
        Some((long, value)) => (long, Some(value)),
        None => (long, None),
    };
    let option = table.iter().find(|option| option.long == long)?;
    match (&option.set, value) {
        (Set::Flag(set), None) => set(read),
        (Set::Optional(set), None) => set(read, None),
        (Set::Optional(set), Some(value)) => set(read, Some(plain(value)?)),
        (Set::Value(set), Some(value)) => set(read, plain(value)?)?,
        (Set::Value(set), None) => {
            set(read, plain_word(rest)?)?;
            return Some(1);
        }
        (Set::Flag(_), Some(_)) => return None,
    }
    Some(0)
}

/// `-abc`, where the last may take the next word.
fn letters<C>(
    read: &mut C,
    table: &[Opt<C>],
    text: &str,
    rest: &[OsString],
) -> Option<usize> {
    let letters = text.get(1..)?;
    for (at, letter) in letters.char_indices() {
        let option = table.iter().find(|option| option.short == Some(letter))?;
        match &option.set {
            Set::Flag(set) => set(read),
            Set::Value(set) => {
                let tail = letters.get(at.checked_add(letter.len_utf8())?..)?;
                if tail.is_empty() {
                    set(read, plain_word(rest)?)?;
                    return Some(1);
                }
                set(read, plain(tail)?)?;
                return Some(0);
            }
            Set::Optional(_) => return None,
        }
    }
    Some(0)
}

fn plain_word(rest: &[OsString]) -> Option<&str> {
    plain(rest.first()?.to_str()?)
}

/// Not empty, and nothing that clap could take for an option or a separator.
fn plain(value: &str) -> Option<&str> {
    (!value.is_empty() && !value.starts_with(['-', '='])).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Toy {
        all: bool,
        dir: Option<String>,
        pid: Option<String>,
    }

    const TABLE: [Opt<Toy>; 3] = [
        Opt::new(Some('a'), "all", Set::Flag(|t| t.all = true)),
        Opt::new(
            None,
            "dir",
            Set::Optional(|t, dir| t.dir = Some(dir.unwrap_or("/").into())),
        ),
        Opt::new(
            Some('p'),
            "pid",
            Set::Value(|t, pid| (pid != "0").then(|| t.pid = Some(pid.into()))),
        ),
    ];

    fn toy(line: &str) -> Option<(Toy, Vec<OsString>)> {
        let words: Vec<_> = std::iter::once("toy").chain(line.split(' ')).collect();
        read(&words.into_iter().map(OsString::from).collect::<Vec<_>>(), &TABLE)
    }

    #[test]
    fn options_end_at_the_first_other_word() {
        for line in
            ["-ap 7 x -a -- y", "--all --pid=7 -- x -a -- y", "-ap7 --all x -a -- y"]
        {
            let (toy, rest) = toy(line).unwrap();

            assert_eq!(toy, Toy { all: true, pid: Some("7".into()), dir: None });
            assert_eq!(rest, ["x", "-a", "--", "y"], "{line}");
        }
        assert_eq!(toy("--dir x").unwrap().0.dir.as_deref(), Some("/"));
        assert_eq!(toy("--dir=/d x").unwrap().0.dir.as_deref(), Some("/d"));
    }

    #[test]
    fn what_is_not_plain_is_left_to_clap() {
        for line in
            ["--al", "-x", "--all=1", "-p", "-p=7", "--pid -1", "--pid=", "-p 0", "-h"]
        {
            assert_eq!(toy(line), None, "{line}");
        }
    }
}
