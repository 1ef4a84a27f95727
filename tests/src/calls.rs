//! Which system calls a tool makes between its start and its COMMAND.

use crate::Run;

/// The calls of a tool that becomes `noop`, a line for each mount. `run` starts it below
/// whatever it needs, with strace as the last program before it.
///
/// Without what the C library does before main, and what only a debug build does.
///
/// # Panics
/// When it fails, or never comes to COMMAND.
pub fn to_command(run: Run) -> String {
    let log = run.tmp().join("log");
    let out = run.run();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = std::fs::read_to_string(log).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once('(')?.0.rsplit(' ').next())
        .skip(1)
        .collect();
    let end = names.iter().rposition(|name| name.starts_with("exec")).unwrap();
    let silent = ["arch_prctl", "set_tid_address", "fcntl", "close"];
    let told: Vec<_> =
        names.into_iter().take(end).filter(|name| !silent.contains(name)).collect();
    let lines = told.split_inclusive(|name| *name == "move_mount").map(line);
    let lines: Vec<String> = lines.collect();
    let rows = lines.chunk_by(|a, b| a == b).map(|row| match row.len() {
        1 => row[0].clone(),
        n => format!("{n} times: {}", row[0]),
    });
    rows.collect::<Vec<_>>().join("\n") + "\n"
}

/// A number before what is called several times in a row.
fn line(names: &[&str]) -> String {
    let words = names.chunk_by(|a, b| a == b).map(|row| match row.len() {
        1 => row[0].to_owned(),
        n => format!("{n} {}", row[0]),
    });
    words.collect::<Vec<_>>().join(" ")
}
