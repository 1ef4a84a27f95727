//! The examples of man pages, to be run as they stand there.

use crate::need::project;

/// The command lines of each example of a page, as a script: what stands behind a prompt,
/// and what goes on behind a backslash. What they print is left out.
pub fn examples(name: &str) -> Vec<String> {
    let page = std::fs::read_to_string(project().join(format!("man/{name}.1"))).unwrap();
    let (_, examples) = page.split_once(".Sh EXAMPLES").unwrap();
    let (examples, _) = examples.split_once("\n.Sh ").unwrap();
    examples.split(".Bd -literal").skip(1).map(script).collect()
}

fn script(block: &str) -> String {
    let mut lines = Vec::new();
    let mut goes_on = false;
    for line in block.lines().skip(1).take_while(|line| *line != ".Ed") {
        let typed = line.strip_prefix("# ").or_else(|| line.strip_prefix("$ "));
        if let Some(typed) = typed.or(goes_on.then_some(line)) {
            let typed = typed.replace("\\e", "\\").replace("\\-", "-");
            goes_on = typed.ends_with('\\') || is_open(&lines, &typed);
            lines.push(typed);
        }
    }
    lines.join("\n")
}

/// A quote was opened and not closed.
fn is_open(before: &[String], line: &str) -> bool {
    let all = before.iter().map(String::as_str).chain([line]);
    all.flat_map(str::chars).filter(|c| *c == '\'').count() % 2 == 1
}
