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
    /// The same, and its letter takes one as `-x=VALUE`, `-x/PATH` or `-x:ID`; else others
    /// follow.
    Cluster(fn(&mut C, Option<&str>) -> Option<()>),
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
    /// The program whose place we take does not have it: its abbreviations come first.
    is_extra: bool,
}

impl<C> Opt<C> {
    /// A row of the table.
    pub const fn new(short: Option<char>, long: &'static str, set: Set<C>) -> Self {
        Self { short, long, set, is_extra: false }
    }

    /// The same, of an option that the peer lacks.
    #[must_use]
    pub const fn extra(short: Option<char>, long: &'static str, set: Set<C>) -> Self {
        Self { short, long, set, is_extra: true }
    }
}

/// How an option is found by what was written behind `--`.
type Find<C> = for<'t> fn(&'t [Opt<C>], &str) -> Option<&'t Opt<C>>;

fn exact<'t, C>(table: &'t [Opt<C>], long: &str) -> Option<&'t Opt<C>> {
    table.iter().find(|option| option.long == long)
}

/// getopt_long(3): the option itself, or the only one that begins so; what only we have
/// takes no abbreviation from the peer's.
fn abbreviated<'t, C>(table: &'t [Opt<C>], long: &str) -> Option<&'t Opt<C>> {
    let only = |is_extra| {
        let mut all = table.iter().filter(|option| {
            option.is_extra == is_extra && option.long.starts_with(long)
        });
        (all.next(), all.next())
    };
    exact(table, long).or_else(|| match (only(false), only(true)) {
        ((Some(one), None), _) | ((None, _), (Some(one), None)) => Some(one),
        _ => None,
    })
}

/// What follows the options.
#[derive(Debug, PartialEq, Eq)]
pub struct Rest {
    words: Vec<OsString>,
    /// They ended at `--`.
    is_ended: bool,
}

impl Rest {
    /// COMMAND and its arguments, of a tool that takes nothing else.
    pub fn command(self) -> Vec<OsString> {
        self.words
    }

    /// An operand, and COMMAND behind it.
    ///
    /// None where one of them looks like an option that comes too late, and where a second
    /// `--` would be a part of COMMAND: clap knows what to say.
    pub fn operand(self) -> Option<(OsString, Vec<OsString>)> {
        let is_word = |word: &OsString| !word.as_encoded_bytes().starts_with(b"-");
        let mut words = self.words.into_iter();
        let operand = words.next().filter(|word| is_word(word) && !word.is_empty())?;
        let mut command = words.peekable();
        match command.peek() {
            Some(word) if word == "--" && !self.is_ended => drop(command.next()),
            Some(word) if !is_word(word) => return None,
            Some(_) | None => {}
        }
        Some((operand, command.collect()))
    }
}

/// Reads the options, and what follows them.
///
/// None where a word is not as plain as that.
pub fn read<C: Default>(args: &[OsString], table: &[Opt<C>]) -> Option<(C, Rest)> {
    read_by(args, table, exact)
}

/// As [`read`], of a table that has every option: abbreviations are known here.
pub fn read_all<C: Default>(args: &[OsString], table: &[Opt<C>]) -> Option<(C, Rest)> {
    read_by(args, table, abbreviated)
}

fn read_by<C: Default>(
    args: &[OsString],
    table: &[Opt<C>],
    find: Find<C>,
) -> Option<(C, Rest)> {
    let mut read = C::default();
    let mut words = args.get(1..)?;
    while let Some((word, rest)) = words.split_first() {
        let text = match word.to_str() {
            Some("--") => {
                return Some((read, Rest { words: rest.to_vec(), is_ended: true }));
            }
            Some(text) if text.len() > 1 && text.starts_with('-') => text,
            Some(_) | None => break,
        };
        words = rest;
        let taken = match text.strip_prefix("--") {
            Some(long) => name(&mut read, |long| find(table, long), long, words)?,
            None => letters(&mut read, table, text, words)?,
        };
        words = words.get(taken..)?;
    }
    Some((read, Rest { words: words.to_vec(), is_ended: false }))
}

/// As [`cli::parse`], by clap only where it must be.
pub fn parse<C: Parser + Default>(
    args: Vec<OsString>,
    table: &[Opt<C>],
    finish: impl FnOnce(C, Rest) -> Option<C>,
) -> Result<C, Fail> {
    match read(&args, table).and_then(|(read, rest)| finish(read, rest)) {
        Some(read) => Ok(read),
        None => cli::parse(args),
    }
}

/// `--long` and how many words after it belong to it.
fn name<'t, C: 't>(
    read: &mut C,
    find: impl FnOnce(&str) -> Option<&'t Opt<C>>,
    long: &str,
    rest: &[OsString],
) -> Option<usize> {
    let (long, value) = match long.split_once('=') {
        Some((long, value)) => (long, Some(value)),
        None => (long, None),
    };
    match (&find(long)?.set, value) {
        (Set::Flag(set), None) => set(read),
        (Set::Optional(set), None) => set(read, None),
        (Set::Optional(set), Some(value)) => set(read, Some(plain(value)?)),
        (Set::Cluster(set), None) => set(read, None)?,
        (Set::Cluster(set), Some(value)) => set(read, Some(plain(value)?))?,
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
            Set::Cluster(set) => {
                let tail = letters.get(at.checked_add(letter.len_utf8())?..)?;
                if tail.starts_with(['/', ':']) {
                    set(read, Some(tail))?;
                    return Some(0);
                }
                if let Some(value) = tail.strip_prefix('=') {
                    set(read, Some(plain(value)?))?;
                    return Some(0);
                }
                set(read, None)?;
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
        net: Option<String>,
    }

    const TABLE: [Opt<Toy>; 5] = [
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
        Opt::new(
            Some('n'),
            "net",
            Set::Cluster(|t, net| {
                t.net = Some(net.unwrap_or("").into());
                Some(())
            }),
        ),
        Opt::extra(None, "new", Set::Flag(|t| t.all = true)),
    ];

    fn rest(line: &str) -> Option<(Toy, Rest)> {
        let words: Vec<_> = std::iter::once("toy").chain(line.split(' ')).collect();
        read(&words.into_iter().map(OsString::from).collect::<Vec<_>>(), &TABLE)
    }

    fn toy(line: &str) -> Option<(Toy, Vec<OsString>)> {
        rest(line).map(|(toy, rest)| (toy, rest.command()))
    }

    #[test]
    fn an_operand_is_told_from_command() {
        let operand = |line: &str| {
            let (operand, command) = rest(line)?.1.operand()?;
            let words: Vec<_> = std::iter::once(operand).chain(command).collect();
            Some(words.join(std::ffi::OsStr::new(" ")).into_string().unwrap())
        };

        assert_eq!(operand("-a dir").as_deref(), Some("dir"));
        assert_eq!(operand("-a dir x -y").as_deref(), Some("dir x -y"));
        assert_eq!(operand("dir -- -x").as_deref(), Some("dir -x"));
        assert_eq!(operand("dir -- -- x").as_deref(), Some("dir -- x"));
        assert_eq!(operand("-- dir x").as_deref(), Some("dir x"));
        for line in ["-a", "-- -x", "dir -x", "-- dir -- x"] {
            assert_eq!(operand(line), None, "{line}");
        }
    }

    #[test]
    fn options_end_at_the_first_other_word() {
        for line in
            ["-ap 7 x -a -- y", "--all --pid=7 -- x -a -- y", "-ap7 --all x -a -- y"]
        {
            let (toy, rest) = toy(line).unwrap();

            assert_eq!(toy, Toy { all: true, pid: Some("7".into()), ..Toy::default() });
            assert_eq!(rest, ["x", "-a", "--", "y"], "{line}");
        }
        assert_eq!(toy("--dir x").unwrap().0.dir.as_deref(), Some("/"));
        assert_eq!(toy("--dir=/d x").unwrap().0.dir.as_deref(), Some("/d"));
    }

    #[test]
    fn a_letter_in_a_cluster_takes_a_path_and_no_other_letter() {
        let net = |line: &str| {
            let (toy, _) = toy(line).unwrap();
            (toy.all, toy.net)
        };

        assert_eq!(net("-na x"), (true, Some(String::new())));
        assert_eq!(net("-an/p x"), (true, Some("/p".into())));
        assert_eq!(net("-n:7 x"), (false, Some(":7".into())));
        assert_eq!(net("-n=p x"), (false, Some("p".into())));
        assert_eq!(net("--net=p x"), (false, Some("p".into())));
    }

    #[test]
    fn an_abbreviation_is_the_peers_before_it_is_ours() {
        let read = |word: &str| {
            let (toy, _) = read_all(&["toy".into(), word.into()], &TABLE)?;
            Some((toy.all, toy.net.is_some()))
        };

        assert_eq!(read("--n"), Some((false, true)));
        assert_eq!(read("--ne"), Some((false, true)));
        assert_eq!(read("--new"), Some((true, false)));
        assert_eq!(read("--x"), None);
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
