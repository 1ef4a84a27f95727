//! The examples of the man page run as they stand there, and print what stands there.

use kit::need::project;
use kit::{Run, need};

/// The commands of the page with what they print.
fn examples() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(project().join("man/cap-drop.1")).unwrap();
    let examples = page.split(".Sh EXAMPLES").nth(1).unwrap();
    let examples = examples.split(".Sh COMPATIBILITY").next().unwrap();
    let mut all: Vec<(String, String)> = Vec::new();
    for block in examples.split(".Bd -literal").skip(1) {
        let block = block.split(".Ed").next().unwrap();
        for line in block.lines().skip(1) {
            if let Some(command) = line.strip_prefix("# ").or(line.strip_prefix("$ ")) {
                all.push((command.to_owned(), String::new()));
            } else {
                let (_, printed) = all.last_mut().unwrap();
                printed.push_str(line);
                printed.push('\n');
            }
        }
    }
    all
}

mod root {
    use super::*;

    #[test]
    fn every_example_of_the_man_page_prints_what_it_says() {
        need!("root", "program:setcap");
        let examples = examples();
        assert!(examples.len() > 7);

        for (command, printed) in examples {
            let run = Run::program("sh").args(["-c", &command]).tools_in_path();
            let out = run.run();

            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(text + &said, printed, "{command}");
        }
    }
}
