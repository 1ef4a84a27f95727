//! What a process sees of its image: ours against docker's, case by case.
//!
//! docker's answers are recorded in img-exec.jsonl (`./just peer-docker` asks again), since a
//! daemon that is started for a test takes minutes, root and cgroups, and is the same on
//! every machine. Where ours is another, `ours` says what and `why` says why; an entry
//! that is no other any more is stale.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's errors are failed tests"
)]

use std::path::Path;
use std::process::Stdio;

use kit::peer::{CALLER, Case, refusal, seen};
use kit::{Run, need, tool};
use nix::pty::openpty;
use serde_json::{Value, json};

mod caps;

const TABLE: &str = include_str!("img-exec.jsonl");

/// The end of a chain as root, in namespaces that hide it from the machine.
const CHAIN: &str = "ns-run --mount --uts --hostname box -- \
     ovl-mount --image box/ --tmpfs root/ -- root-pivot --proc root/ -- img-exec";

/// The case by our tools.
fn ours(case: &Case, probe: &[u8]) -> Value {
    let mut words = CHAIN.split_whitespace();
    let run = Run::program("sh")
        .args(["-c", "exec \"$@\" 9<env-file", "sh"])
        .arg(tool(words.next().unwrap()))
        .args(words);
    // By the time that img-exec looks for a file, the root is the image's.
    let options = case.options();
    let options =
        options.iter().map(|w| if w == "env-file" { "fd:9" } else { w.as_str() });
    let run = run.args(options).arg("--").args(case.args());
    let run = CALLER.into_iter().fold(run, |run, (key, value)| run.env(key, value));
    std::fs::write(run.tmp().join("env-file"), case.env_file().unwrap_or("")).unwrap();
    if let Err(refused) = unpack(case, probe, run.tmp()) {
        return refused;
    }
    let mut command = run.command();
    let terminal = openpty(None, None).unwrap();
    if case.has_terminal() {
        command.stdin(Stdio::from(terminal.slave));
    }
    let out = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match out.status.code() {
        Some(0) => seen(&text(&out.stdout)),
        code => refusal(code.unwrap_or(-1), &text(&out.stderr)),
    }
}

/// The image as `box/`, or why it is refused already.
fn unpack(case: &Case, probe: &[u8], dir: &Path) -> Result<(), Value> {
    let archive = case.image(probe).docker_save("peer:latest");
    std::fs::write(dir.join("image.tar"), archive).unwrap();
    std::fs::create_dir(dir.join("root")).unwrap();
    let out = Run::tool("img-unpack").args(["image.tar", "box"]).cwd(dir).run();
    match out.status.code() {
        Some(0) => Ok(()),
        code => Err(refusal(code.unwrap_or(-1), &String::from_utf8_lossy(&out.stderr))),
    }
}

/// An answer as far as two programs can agree: not in the words of a refusal, nor in the
/// order of what was asked for by option, which docker's client shuffles.
fn comparable(answer: &Value, case: &Case) -> Value {
    if let Some(status) = answer.get("status") {
        return json!({ "status": status });
    }
    let mut answer = answer.clone();
    let is_shuffled =
        case.options().iter().any(|w| w.starts_with("-e") || w.starts_with("--env"));
    let env = answer.get_mut("env").and_then(Value::as_array_mut);
    if let Some(env) = env.filter(|_| is_shuffled) {
        env.sort_by_key(Value::to_string);
    }
    answer
}

/// What is wrong with a line of the table, where something is.
fn complaint(case: &Case, ours: &Value) -> Option<String> {
    let field = |key: &str| case.0.get(key).map(|answer| comparable(answer, case));
    let name = case.name();
    let Some(docker) = field("docker") else {
        return Some(format!("{name}: docker was not asked: ./just peer-docker"));
    };
    let got = comparable(ours, case);
    if let Some(known) = field("ours") {
        if case.0.get("why").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Some(format!("{name}: says not why it differs"));
        }
        if known == docker {
            return Some(format!("{name}: is listed to differ and does not"));
        }
        return (got != known).then(|| format!("{name}: {ours}, listed as {known}"));
    }
    (got != docker).then(|| format!("{name}: {ours}\n    docker: {docker}"))
}

#[test]
fn every_case_has_a_name_of_its_own_and_an_answer() {
    let table = Case::table(TABLE);
    let mut names: Vec<_> = table.iter().map(Case::name).collect();
    names.sort_unstable();

    assert!(table.len() > 150);
    assert!(names.windows(2).all(|two| two[0] != two[1]));
    assert!(table.iter().all(|case| case.0.contains_key("docker")));
}

mod root {
    use super::*;

    #[test]
    fn a_process_sees_what_docker_lets_it_see() {
        need!("root");
        let probe = std::fs::read(tool("probe")).unwrap();
        let table = Case::table(TABLE);

        let wrong: Vec<_> = table
            .iter()
            .filter_map(|case| complaint(case, &ours(case, &probe)))
            .collect();

        assert!(
            wrong.is_empty(),
            "{} of {}:\n{}",
            wrong.len(),
            table.len(),
            wrong.join("\n")
        );
    }
}
