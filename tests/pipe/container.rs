//! What a container looks like from inside.

use kit::image::{Image, Layer};
use kit::world::CHAIN_TREE;
use kit::{World, expect, need, tool};
use serde_json::json;

use crate::{CHAIN, chain, image_with, unpack};

/// The capabilities of docker's default set that this process has itself.
fn docker_set() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = common::proc::status_mask(&status, "CapBnd").unwrap();
    format!("{:016x}", own & 0xa804_25fb)
}

fn probe_image() -> Image {
    image_with(&["probe"])
        .set("Entrypoint", json!(["probe"]))
        .set("Env", json!(["PATH=/bin", "A=it's \"quoted\""]))
        .set("WorkingDir", json!("/srv/made"))
}

fn inside(image: &Image) -> World {
    let run = chain(CHAIN);
    unpack(image, run.tmp());
    World::of(run)
}

mod userns {
    use super::*;

    #[test]
    fn the_command_is_process_one_of_a_world_of_its_own() {
        need!("userns");

        let (here, world) = (World::here(), inside(&probe_image()));

        assert_eq!(world.get("pid"), 1);
        assert_eq!(world.get("hostname"), "box\n");
        for kind in ["user", "mnt", "pid", "ipc", "uts", "net"] {
            assert_ne!(world.get("ns")[kind], here.get("ns")[kind], "{kind}");
        }
        assert_eq!(world.get("cwd"), "/srv/made");
        assert_eq!(world.get("argv"), json!(["probe"]));
    }

    #[test]
    fn its_privileges_are_dockers_and_cannot_grow() {
        need!("userns");

        let world = inside(&probe_image());

        assert_eq!(world.get("caps.bnd"), docker_set());
        assert_eq!(world.get("caps.eff"), docker_set());
        assert_eq!(world.get("caps.inh"), "0000000000000000");
        assert_eq!(world.get("caps.amb"), "0000000000000000");
        assert_eq!(world.get("no-new-privs"), "1");
    }

    #[test]
    fn nothing_of_the_callers_comes_in_but_three_files() {
        need!("userns");

        let world = inside(&probe_image());

        let fds = world.get("fds");
        assert_eq!(
            fds.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["0", "1", "2"],
            "{fds}"
        );
        let env = world.get("env");
        let names: Vec<_> =
            env.as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
        assert!(
            names.contains(&"A=it's \"quoted\"") && names.contains(&"PATH=/bin"),
            "{env}"
        );
        assert!(!env.to_string().contains("BORDMITTEL"), "{env}");
        assert!(!env.to_string().contains("LC_ALL"), "{env}");
    }

    #[test]
    fn its_mounts_are_the_slides_and_nothing_of_the_host() {
        need!("userns");

        let world = inside(&probe_image());

        assert_eq!(world.tree().0, CHAIN_TREE);
    }

    #[test]
    fn layers_are_stacked_with_their_whiteouts() {
        need!("userns");
        let guest = std::fs::read(tool("guest")).unwrap();
        let run = chain(CHAIN);
        unpack(&kit::image::demo(&guest), run.tmp());

        let text = run.run().ok();

        let line = |name: &str| {
            text.lines().find(|l| l.starts_with(name)).unwrap_or("").to_owned()
        };
        assert!(line("/etc/motd").ends_with("from layer 3, the top"), "{text}");
        assert!(line("/opt").contains(" new "), "{text}");
        assert!(line("/var/cache").contains(" empty "), "{text}");
        assert!(line("processes").ends_with(" 1 guest"), "{text}");
        assert!(line("interfaces").ends_with(" lo"), "{text}");
    }

    #[test]
    fn tools_of_the_same_name_in_the_image_are_not_run() {
        need!("userns");
        // Would each end the chain with status 0 and without a word.
        let noop = std::fs::read(tool("noop")).unwrap();
        let evil = ["cap-drop", "img-exec", "root-pivot", "mkdev"];
        let layer = evil.iter().fold(Layer::default(), |layer, name| {
            let bin = layer.file(&format!("bin/{name}"), 0o755, &noop);
            bin.file(&format!("usr/bin/{name}"), 0o755, &noop)
        });
        let image = probe_image().layer(layer);

        let world = inside(&image);

        assert_eq!(world.get("no-new-privs"), "1");
        assert_eq!(world.get("caps.bnd"), docker_set());
    }

    #[test]
    fn an_image_cannot_name_a_tool_of_ours_as_its_program() {
        need!("userns");
        let image = probe_image().set("Entrypoint", json!(["ns-enter", "--help"]));
        let run = chain(CHAIN);
        unpack(&image, run.tmp());

        run.run().refused(
            127,
            expect![[r#"
            img-exec: cannot run 'ns-enter': No such file or directory
        "#]],
        );
    }
}

mod elsewhere {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn run_file(content: &[u8], words: &str) -> kit::Run {
        let run = chain(words);
        let path = run.tmp().join("file");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        run
    }

    #[test]
    fn a_program_for_another_machine_is_told_as_such() {
        run_file(b"\x7fELF\x02\x01\x01 of no machine", "ns-run ./file").run().refused(
            126,
            expect![[r#"
                ns-run: cannot run './file': Exec format error; it is a program for another kind of machine
            "#]],
        );
    }

    #[test]
    fn a_script_without_an_interpreter_is_the_shells() {
        let run = run_file(b"echo ran $1\n", "ns-run ./file word");

        assert_eq!(run.run().ok(), "ran word\n");
    }
}

mod root {
    use super::*;

    #[test]
    fn without_a_user_namespace_root_gets_the_same_container() {
        need!("root");
        let run = chain(&CHAIN.replace("--user --map-root-user ", ""));
        unpack(&probe_image(), run.tmp());

        let world = World::of(run);

        assert_eq!(world.get("pid"), 1);
        assert_eq!(world.get("caps.bnd"), docker_set());
        assert_eq!(world.get("fds").as_object().unwrap().len(), 3);
    }

    #[test]
    fn in_a_cgroup_the_limits_hold_and_the_group_goes_away() {
        need!("root");
        let image = image_with(&["guest"]).set("Entrypoint", json!(["guest"]));
        let run =
            chain(&format!("cg-limit --memory 256M --pids 128 -- {CHAIN} -- hello"));
        unpack(&image, run.tmp());

        assert_eq!(run.run().ok(), "hello\n");
        assert_eq!(crate::killed::left_groups(), Vec::<String>::new());
    }
}
