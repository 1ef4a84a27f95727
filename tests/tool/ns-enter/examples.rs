//! The examples of the man page run as they stand there.

use kit::need::project;
use kit::{Run, need};

use crate::Target;

mod root {
    use super::*;

    #[test]
    fn every_example_of_the_man_page_runs() {
        need!("root", "program:ss", "program:ps");
        let page = std::fs::read_to_string(project().join("man/ns-enter.1")).unwrap();
        let examples = page.split(".Sh EXAMPLES").nth(1).unwrap();
        let examples = examples.split(".Sh COMPATIBILITY").next().unwrap();
        let target = Target::new(&["-mnpuiC", "--mount-proc"]);
        let blocks = examples.split(".Bd -literal").skip(1);
        for block in blocks {
            let lines = block
                .lines()
                .filter_map(|l| l.strip_prefix("# ").or_else(|| l.strip_prefix("$ ")));
            let script = lines.collect::<Vec<_>>().join("\n");
            // What was started in the background ends with the example.
            let script = script.replace("4242", &target.pid).replace(
                "box.json &\n",
                "box.json &\n\
                trap 'kill $!' EXIT; until [ -s box.json ]; do sleep 0.01; done\n",
            );

            let out = Run::program("sh").args(["-ec", &script]).tools_in_path().run();

            assert!(
                out.status.success() && out.stderr.is_empty(),
                "{script}: {}",
                String::from_utf8_lossy(&out.stderr)
            );
        }
    }
}
