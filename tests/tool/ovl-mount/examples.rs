//! The examples of the man page run as they stand there.

use kit::image::demo;
use kit::{Run, need, page, tool};

mod root {
    use super::*;

    #[test]
    fn every_example_of_the_man_page_runs() {
        need!("root", "program:make");
        let dir = tempfile::tempdir().unwrap();
        let archive = demo(&std::fs::read(tool("noop")).unwrap()).docker_save("web:1");
        std::fs::write(dir.path().join("web.tar"), archive).unwrap();
        for name in ["root", "src"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("src/Makefile"), "all:\n\ttouch made\n").unwrap();
        let examples = page::examples("ovl-mount");
        assert!(examples.len() > 4);

        for script in examples {
            let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", &script]);
            let out = run.cwd(dir.path()).tools_in_path().run();

            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            // A shell without a terminal says so.
            assert!(out.status.success() && !said.contains("cannot"), "{script}: {said}");
        }
        assert!(dir.path().join("out/upper/made").exists());
    }
}
