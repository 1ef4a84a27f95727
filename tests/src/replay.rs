//! The same command line through a tool of ours and through the program that it replaces.
//!
//! What is compared is how each ends and the world that `probe` sees at its end. What may
//! differ stands in a list with its reason, and what no longer differs must leave it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{Run, World, need};

/// A difference that is meant.
#[derive(Debug)]
pub struct Known {
    /// What is another: a topic of `probe`, `code`, or `works` where only ours succeeds.
    pub topic: &'static str,
    /// The command lines that show it: those with one of these words.
    pub words: &'static [&'static str],
    /// Why ours is right.
    pub why: &'static str,
}

/// How a program ended, and what it saw.
#[derive(Debug)]
pub struct Seen {
    /// Its exit status; none where it was killed.
    pub code: Option<i32>,
    /// What `probe` saw, where it came to that.
    pub world: Option<World>,
    /// What was printed before that.
    pub printed: String,
    /// What stands on stderr.
    pub said: String,
}

/// A line of the corpus.
#[derive(Debug, Clone)]
pub struct Line {
    /// The options, as they stood in a script, with placeholders (`<DIR>`).
    pub argv: String,
    /// The other columns by their titles.
    pub columns: Vec<(String, String)>,
}

impl Line {
    /// A column by its title; empty where there is none.
    pub fn column(&self, title: &str) -> &str {
        let found = self.columns.iter().find(|(name, _)| name == title);
        found.map_or("", |(_, value)| value)
    }
}

/// The lines of `../shared/corpus/NAME.tsv`, which has titles in its first line.
///
/// # Panics
/// When there is no such file: `need!("shared")` comes first.
pub fn corpus(name: &str) -> Vec<Line> {
    let dir = need::shared().unwrap().join("corpus");
    let text = std::fs::read_to_string(dir.join(name).with_extension("tsv")).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned));
    let titles: Vec<String> = lines.next().unwrap().collect();
    lines
        .map(|mut fields| Line {
            argv: fields.next().unwrap(),
            columns: titles.iter().skip(1).cloned().zip(fields).collect(),
        })
        .collect()
}

/// Runs what ends in `probe`.
pub fn see(run: Run) -> Seen {
    let out = run.run();
    let (printed, world) = take_apart(&String::from_utf8_lossy(&out.stdout));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    Seen { code: out.status.code(), world, printed, said }
}

/// What stands before the JSON at the end of the lines, and that.
fn take_apart(text: &str) -> (String, Option<World>) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line == "{\n"
            && let (before, end) = text.split_at(at)
            && let Ok(world) = serde_json::from_str(end)
        {
            return (before.to_owned(), Some(World(world)));
        }
        at = at.saturating_add(line.len());
    }
    (text.to_owned(), None)
}

/// What differs between two ends: `code` or `works` alone where one of them saw nothing.
pub fn differences(ours: &Seen, theirs: &Seen) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    if ours.code != theirs.code {
        let topic = if ours.code == Some(0) { "works" } else { "code" };
        all.insert(topic.to_owned());
    }
    if without_pids(&ours.printed) != without_pids(&theirs.printed) {
        all.insert("stdout".to_owned());
    }
    if let (Some(ours), Some(theirs)) = (&ours.world, &theirs.world) {
        let (ours, theirs) = (comparable(ours), comparable(theirs));
        let differs = |topic: &&String| ours.get(*topic) != theirs.get(*topic);
        all.extend(ours.keys().filter(differs).cloned());
    }
    all
}

/// Lines without the number of a process before their first colon.
fn without_pids(text: &str) -> Vec<String> {
    let is_pid = |word: &str| word.parse::<u32>().is_ok();
    let line = |line: &str| match line.split_once(": ") {
        Some((pid, rest)) if is_pid(pid) => format!("PID: {rest}"),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect()
}

/// A world without what differs between any two runs.
fn comparable(world: &World) -> Map<String, Value> {
    let here = World::here();
    let mut topics = world.0.as_object().unwrap().clone();
    for (kind, inode) in topics["ns"].as_object_mut().unwrap() {
        *inode = json!(if *inode == here.0["ns"][kind] { "the same" } else { "new" });
    }
    // Two that reset it have it in another order.
    topics["env"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    let (pid, ppid) = (world.0["pid"].clone(), world.0["ppid"].clone());
    for id in ["pgid", "sid"] {
        let is_own = topics[id] == pid;
        topics.insert(id.to_owned(), json!(if is_own { "its own" } else { "another's" }));
    }
    topics.insert("pid".to_owned(), json!(pid == 1));
    topics.insert("ppid".to_owned(), json!(ppid == 0));
    for mount in topics["mounts"].as_array_mut().unwrap() {
        // Of a kept namespace, its number.
        let root = mount["root"].as_str().unwrap().split(":[").next().unwrap().to_owned();
        mount["root"] = root.into();
        for tag in mount["tags"].as_array_mut().unwrap() {
            let kind = tag.as_str().unwrap().split(':').next().unwrap().to_owned();
            *tag = kind.into();
        }
    }
    topics
}

/// Compares command lines one by one and collects what nobody has explained.
#[derive(Debug)]
pub struct Replay<'k> {
    known: &'k [Known],
    used: BTreeSet<usize>,
    wrong: Vec<String>,
}

impl<'k> Replay<'k> {
    /// With the list of the differences that are meant.
    pub fn new(known: &'k [Known]) -> Self {
        Self { known, used: BTreeSet::new(), wrong: Vec::new() }
    }

    /// Compares one command line.
    pub fn compare(&mut self, argv: &str, ours: &Seen, theirs: &Seen) {
        for topic in differences(ours, theirs) {
            self.explain(argv, &topic, ours, theirs);
        }
    }

    fn explain(&mut self, argv: &str, topic: &str, ours: &Seen, theirs: &Seen) {
        let explains = |known: &Known| {
            let has = |word: &str| known.words.iter().any(|w| is_option(word, w));
            known.topic == topic && argv.split_whitespace().any(has)
        };
        match self.known.iter().position(explains) {
            Some(at) => {
                self.used.insert(at);
            }
            None => self.wrong.push(story(argv, topic, ours, theirs)),
        }
    }

    /// Compares our end alone with a code that is known from elsewhere.
    pub fn expect_code(&mut self, argv: &str, ours: &Seen, code: i32) {
        if ours.code != Some(code) {
            let (is, said) = (ours.code, &ours.said);
            self.wrong.push(format!("{argv}: {is:?} instead of {code}: {said}"));
        }
    }

    /// Compares what is said where both fail: ours begins with the peer's words.
    pub fn compare_words(&mut self, argv: &str, ours: &Seen, theirs: &Seen) {
        let failed = ours.code != Some(0) && ours.code == theirs.code;
        let first = theirs.said.lines().next().unwrap_or_default();
        if failed && !ours.said.starts_with(first) {
            self.explain(argv, "stderr", ours, theirs);
        }
    }

    /// Passes when everything is explained; `all` also wants each explanation used.
    ///
    /// # Panics
    /// When it is not so.
    pub fn finish(self, all: bool) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        let stale = |(at, _): &(usize, &Known)| !self.used.contains(at);
        let stale: Vec<_> = self.known.iter().enumerate().filter(stale).collect();
        assert!(!all || stale.is_empty(), "no longer differs: {stale:?}");
    }
}

/// Whether a word of a command line is the option, alone, with a value or in a cluster.
fn is_option(word: &str, option: &str) -> bool {
    match (option.strip_prefix("--"), option.strip_prefix('-')) {
        (None, Some(letter)) => {
            word.starts_with('-') && !word.starts_with("--") && word.contains(letter)
        }
        _ => word == option || word.starts_with(&format!("{option}=")),
    }
}

fn story(argv: &str, topic: &str, ours: &Seen, theirs: &Seen) -> String {
    let of = |seen: &Seen| match (topic, &seen.world) {
        ("code" | "works", _) | (_, None) => {
            format!("{:?} {}", seen.code, seen.said.trim())
        }
        (_, Some(world)) => comparable(world)[topic].to_string(),
    };
    format!("{argv}: {topic}\n  ours   {}\n  theirs {}", of(ours), of(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(code: i32, world: Option<World>) -> Seen {
        Seen { code: Some(code), world, printed: String::new(), said: String::new() }
    }

    #[test]
    fn what_was_printed_before_the_world_is_told_from_it() {
        let (printed, world) = take_apart("12: =ep\n{\n\"a\": {\n}\n}\n");

        assert_eq!((&*printed, world), ("12: =ep\n", Some(World(json!({"a": {}})))));
        assert_eq!(take_apart("{\nno JSON\n"), ("{\nno JSON\n".to_owned(), None));
        assert_eq!(without_pids("12: =ep\nx: y\n"), ["PID: =ep", "x: y"]);
    }

    #[test]
    fn two_runs_of_the_same_do_not_differ() {
        let (a, b) = (seen(0, Some(World::here())), seen(0, Some(World::here())));

        assert_eq!(differences(&a, &b), BTreeSet::new());
        assert_eq!(differences(&a, &seen(1, None)), ["works".to_owned()].into());
        assert_eq!(differences(&seen(1, None), &a), ["code".to_owned()].into());
    }

    #[test]
    fn an_option_is_found_in_a_cluster_and_with_its_value() {
        assert!(is_option("-Urpf", "-f") && is_option("--pid=/x", "--pid"));
        assert!(!is_option("--pid-file", "--pid") && !is_option("--fork", "-f"));
    }

    #[test]
    #[should_panic(expected = "no longer differs")]
    fn an_explanation_that_explains_nothing_is_refused() {
        let known = [Known { topic: "code", words: &["-f"], why: "" }];
        Replay::new(&known).finish(true);
    }
}
