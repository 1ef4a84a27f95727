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
    fn one_boot_runs_all_on_pure_v2_with_the_oldest_kernel() {
        need!("root", "vm");
        let bin = tool("cg-limit");
        let bin = bin.parent().unwrap_or(Path::new("/"));
        let suite = Run::program(project().join("tests/vm/suite"));
        let home = std::env::var_os("HOME").unwrap_or("/root".into());

        all_well(suite.arg(bin).args(["bookworm", "v2"]).env("HOME", home).timeout(600));
    }
}
