//! The shell suites of tests/vm: on this machine, and on other kernels and layouts.

mod root {
    use std::path::Path;

    use kit::need::project;
    use kit::{Run, need, tool};

    fn script(name: &str) -> Run {
        Run::program("sh").arg(project().join("tests/vm").join(name))
    }

    /// That each line says so, and what was left out for lack of hardware.
    #[track_caller]
    fn all_well(run: Run) {
        let out = run.run();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let mistakes: Vec<_> = text.lines().filter(|l| l.starts_with("FAILED")).collect();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && mistakes.is_empty(), "{text}{said}");
        assert!(text.lines().filter(|l| l.starts_with("ok ")).count() > 10, "{text}");
    }

    #[test]
    fn the_suite_of_a_cgroup_runs_on_this_machine() {
        need!("root");
        all_well(script("cg.sh").arg(tool("cg-limit")).timeout(60));
    }

    #[test]
    fn every_limit_of_a_cgroup_binds_on_this_machine() {
        need!("root");
        all_well(script("bind.sh").arg(tool("cg-limit")).timeout(120));
    }

    #[test]
    fn command_lines_of_others_have_their_form_for_a_cgroup() {
        need!("root");
        let run = script("corpus.sh").arg(tool("cg-limit")).arg(tool("cap-drop"));
        all_well(run.timeout(60));
    }

    #[test]
    fn one_boot_runs_all_on_pure_v2_with_the_oldest_kernel() {
        need!("root", "vm");
        let bin = tool("cg-limit");
        let bin = bin.parent().unwrap_or(Path::new("/"));
        let suite = Run::program(project().join("tests/vm/suite"));
        let home = std::env::var_os("HOME").unwrap_or("/root".into());

        all_well(suite.arg(bin).args(["bookworm", "v2"]).env("HOME", home).timeout(600));
    }
}

/// A command line without what its slice is called.
fn plain(line: &str) -> String {
    let word =
        |w: &str| if w.starts_with("--slice=") { "--slice=" } else { w }.to_owned();
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn no_command_line_of_the_corpus_is_left_out() {
    kit::need!("shared");
    let shared = kit::need::shared().unwrap();
    let corpus = std::fs::read_to_string(shared.join("corpus/cg.tsv")).unwrap();
    let script =
        std::fs::read_to_string(kit::need::project().join("tests/vm/corpus.sh")).unwrap();
    let known: Vec<_> =
        script.lines().filter_map(|l| l.strip_prefix("# ")).map(plain).collect();

    for line in corpus.lines().skip(1) {
        let command = line.split('\t').nth(2).unwrap();
        assert!(known.contains(&plain(command)), "no form of: {command}");
    }
}
