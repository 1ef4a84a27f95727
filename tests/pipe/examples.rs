//! The runnable recipes run.

use kit::image::demo;
use kit::{Run, World, need, tool};

use crate::{image_with, unpack};

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

    #[test]
    fn every_example_of_root_pivots_man_page_runs() {
        need!("userns");
        let page =
            std::fs::read_to_string(need::project().join("man/root-pivot.1")).unwrap();
        let examples = page.split(".Sh EXAMPLES").nth(1).unwrap();
        let examples = examples.split(".Sh COMPATIBILITY").next().unwrap();
        let blocks: Vec<_> = examples.split(".Bd -literal").skip(1).collect();
        assert!(blocks.len() > 3);
        for block in blocks {
            let run = example_of(block);
            // What the page calls web/ and root/, a home directory and a key.
            let image = image_with(&["probe"])
                .set("Entrypoint", serde_json::json!(["/bin/probe"]));
            unpack(&image, run.tmp());
            std::fs::rename(run.tmp().join("box"), run.tmp().join("web")).unwrap();
            for dir in ["web/rootfs/bin", "root/bin", "site"] {
                std::fs::create_dir_all(run.tmp().join(dir)).unwrap();
            }
            for root in ["web/rootfs", "root"] {
                let program = run.tmp().join(root).join("bin/probe");
                std::fs::copy(tool("probe"), program).unwrap();
            }
            std::fs::write(run.tmp().join("key"), "secret").unwrap();

            let world = World::of(run);

            assert_eq!(world.get("cwd"), "/", "{block}");
        }
    }

    /// The command line of a block, with the probe for a shell.
    fn example_of(block: &str) -> Run {
        let text = block.split_once("$ ").unwrap().1.split(".Ed").next().unwrap();
        let text = text.replace("\\e\n", " ").replace("-- sh", "-- /bin/probe");
        let run = Run::program("sh").args(["-ec", &text]).tools_in_path();
        let home = run.tmp().display().to_string();
        run.env("HOME", home)
    }
}
