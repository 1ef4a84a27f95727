//! The runnable recipes run.

use kit::image::demo;
use kit::{Run, need, tool};

fn example(name: &str) -> Run {
    Run::program(need::project().join("examples").join(name)).tools_in_path().timeout(60)
}

mod userns {
    use super::*;

    #[test]
    fn the_demo_shows_a_container_from_outside_and_inside() {
        need!("userns");

        let text = example("demo.sh").run().ok();

        for said in [
            "== 1. the image",
            "CLONE_NEWPID",
            "fsopen('overlay')",
            "pivot_root",
            "processes     1 guest",
            "no_new_privs  1",
        ] {
            assert!(text.contains(said), "no {said} in:\n{text}");
        }
    }

    #[test]
    fn sillycon_does_the_seed_scripts_whole_job() {
        need!("userns", "subuid");
        let run = example("sillycon").arg("image.tar");
        let guest = std::fs::read(tool("guest")).unwrap();
        std::fs::write(
            run.tmp().join("image.tar"),
            demo(&guest).docker_save("silly:latest"),
        )
        .unwrap();

        let text = run.run().ok();

        assert!(text.contains("hostname      sillycon\n"), "{text}");
        assert!(text.contains("processes     1 guest\n"), "{text}");
    }

    #[test]
    fn sillycon_fits_on_a_slide() {
        let script = include_str!("../../examples/sillycon");

        assert!(script.lines().count() <= 20, "{script}");
    }
}
