//! The id maps that unshare of util-linux 2.43 writes, case by case.

use kit::need;
use kit::replay::Seen;

use crate::place::{Place, user};

/// What is meant to be another, by the options that show it.
const KNOWN: [(&str, &str, &str); 7] = [
    ("ROOT --map-auto", "id=0:0", "root of the namespace, not nobody"),
    ("ROOT --map-users 0:100000:10", "id=0:65534", "the same"),
    ("ROOT --map-users 100000,0,10 --map-groups all", "id=0:0", "the same"),
    ("ROOT --map-users 0:100:10 --map-users 20:200:5", "id=0:65534", "the same"),
    ("UID1000 --map-auto", "id=0:0", "the same"),
    ("UID1000 --map-users 0:200000:10", "id=0:65534", "the same"),
    (
        "ROOT -r --setgroups deny",
        "u 0 0 1, g 0 0 1, setgroups=deny id=0:0",
        "once is enough",
    ),
];

/// A case of the file: who, with what, and what comes of it, lines joined by commas.
struct Vector {
    who: String,
    options: String,
    outcome: String,
}

fn vectors() -> Vec<Vector> {
    let path = need::shared().unwrap().join("corpus/id-map-vectors.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut all: Vec<Vector> = Vec::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let joined = words.join(" ");
        match (line.starts_with(' '), all.last_mut(), words.first()) {
            (_, _, None) => {}
            (false, _, Some(who))
                if line.starts_with("ROOT") || line.starts_with("UID") =>
            {
                let options = words[1..].join(" ");
                all.push(Vector {
                    who: (*who).to_owned(),
                    options,
                    outcome: String::new(),
                });
            }
            (_, Some(last), _) => {
                let comma = if last.outcome.is_empty() { "" } else { ", " };
                last.outcome = format!("{}{comma}{joined}", last.outcome);
            }
            (_, None, _) => {}
        }
    }
    all
}

/// In the words of the file.
fn outcome(seen: &Seen) -> String {
    let Some(world) = &seen.world else { return seen.said.trim().to_owned() };
    let map = |key: &str, letter: &str| -> Vec<String> {
        let text = world.get(key);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines = text.as_str().unwrap().lines().map(words);
        let lines: Vec<_> = lines.map(|line| format!("{letter} {line}")).collect();
        if lines.is_empty() { Vec::new() } else { vec![lines.join(" ")] }
    };
    let id = |key: &str| {
        let ids = world.get(key);
        ids.as_str().unwrap().split_whitespace().nth(1).unwrap().to_owned()
    };
    let setgroups = world.get("setgroups");
    let last = format!(
        "setgroups={} id={}:{}",
        setgroups.as_str().unwrap().trim(),
        id("uid"),
        id("gid")
    );
    [map("uid-map", "u"), map("gid-map", "g"), vec![last]].concat().join(", ")
}

mod root {
    use super::*;

    #[test]
    fn ids_are_mapped_as_unshare_maps_them() {
        need!("root", "shared", "program:setpriv", "program:newuidmap");
        let subids = "root:100000:65536\n1000:200000:65536\n";
        let user = user(1000);
        let user = Place::new(subids, &user.each_ref().map(|word| &**word));
        let root = Place::new(subids, &[]);
        let (vectors, mut wrong) = (vectors(), Vec::new());
        assert!(vectors.len() >= 42);

        for Vector { who, options, outcome: expected } in vectors {
            let seen =
                if who == "ROOT" { root.ours(&options) } else { user.ours(&options) };

            let (name, got) = (format!("{who} {options}"), outcome(&seen));
            let known = KNOWN.iter().find(|(known, ..)| *known == name);
            let expected = match known {
                Some((_, whole, _)) if whole.starts_with("u ") => (*whole).to_owned(),
                Some((_, id, _)) => {
                    let at = expected.find("id=").unwrap();
                    format!("{}{id}", &expected[..at])
                }
                None => expected,
            };
            let is_refused =
                expected.starts_with("newuidmap: ") && got.contains("not allowed");
            if got != expected && !is_refused {
                wrong.push(format!("{name}\n  {got}\n  {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
