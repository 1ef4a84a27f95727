//! What capabilities a process has: ours against docker's and podman's, case by case.
//!
//! The answers in cap-drop.jsonl were recorded (`./just peer-caps` asks again) where the
//! engines lacked CAP_SYS_RESOURCE, which ours is denied too. Where ours is another,
//! `ours-docker` or `ours-podman` says what and why.

use kit::peer::{Case, refusal, seen_caps};
use kit::{Run, need, tool};
use serde_json::Value;

const TABLE: &str = include_str!("cap-drop.jsonl");

/// The options of `docker run` as ours.
fn options(case: &Case) -> Vec<String> {
    let words = case.options();
    let (pairs, rest) = words.as_chunks::<2>();
    assert!(rest.is_empty(), "{words:?}");
    let mut ours = Vec::new();
    for [option, value] in pairs {
        match option.as_str() {
            "--cap-add" => ours.extend(["--add".to_owned(), value.clone()]),
            "--cap-drop" => ours.extend(["--drop".to_owned(), value.clone()]),
            "--user" => ours.extend(["--user".to_owned(), value.clone()]),
            "--security-opt" => ours.push(format!("--{}", short(value))),
            other => panic!("{other} is none of ours"),
        }
    }
    ours
}

fn short(value: &str) -> &str {
    if value == "no-new-privileges" { "no-new-privs" } else { value }
}

fn ours(case: &Case, engine: &str) -> Value {
    let run = Run::tool("cap-drop").args(["--drop", "sys_resource", "--"]);
    let run = run.arg(tool("cap-drop")).args(["--profile", engine]);
    let out = run.args(options(case)).arg("--").arg(tool("probe")).run();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match out.status.code() {
        Some(0) => seen_caps(&text(&out.stdout)),
        code => refusal(code.unwrap_or(-1), &text(&out.stderr)),
    }
}

/// What is wrong with an engine's part of a line, where something is.
fn complaint(case: &Case, engine: &str) -> Option<String> {
    let got = ours(case, engine);
    let is_refusal = |answer: &Value| answer.get("status").is_some();
    let alike = |a: &Value, b: &Value| a == b || is_refusal(a) && is_refusal(b);
    let name = case.name();
    let Some(peer) = case.0.get(engine) else {
        return Some(format!("{name}: {engine} was not asked: ./just peer-caps"));
    };
    let Some(listed) = case.0.get(&format!("ours-{engine}")) else {
        return (!alike(&got, peer))
            .then(|| format!("{name}: {got}\n  {engine}: {peer}"));
    };
    let (known, why) = (listed.get(0)?, listed.get(1)?);
    if alike(known, peer) || why.as_str().is_none_or(str::is_empty) {
        return Some(format!("{name}: is listed to differ from {engine} and does not"));
    }
    (got != *known).then(|| format!("{name}: {got}, listed as {known}"))
}

mod root {
    use super::*;

    #[test]
    fn the_capabilities_are_those_that_docker_and_podman_leave() {
        need!("root");
        let table = Case::table(TABLE);
        assert!(table.len() > 60);

        let asked = table.iter().flat_map(|c| ["docker", "podman"].map(|e| (c, e)));
        let wrong: Vec<_> = asked.filter_map(|(c, e)| complaint(c, e)).collect();

        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    }
}
