//! `ns-enter` into a container of the whole chain: what `docker exec` is.

use kit::image::{Image, Layer};
use kit::{Run, Started, World, need, tool};
use serde_json::{Value, json};

use crate::{CHAIN, chain, image_with, unpack};

/// An image with programs of the names of ours that would run them free, and a shell that is
/// `probe`.
fn hostile() -> Image {
    let noop = std::fs::read(tool("noop")).unwrap();
    let probe = std::fs::read(tool("probe")).unwrap();
    let evil = ["cap-drop", "ns-enter", "ns-run", "sh.real"];
    let layer = evil.iter().fold(Layer::default(), |layer, name| {
        let layer = layer.file(&format!("bin/{name}"), 0o4755, &noop);
        layer.file(&format!("usr/bin/{name}"), 0o755, &noop)
    });
    image_with(&["pause"])
        .layer(layer.file("bin/sh", 0o755, &probe))
        .set("Entrypoint", json!(["/bin/pause"]))
        .set("Env", json!(["PATH=/bin", "SECRET=of the image"]))
}

/// A container that runs, and what its ns-run told of it.
fn started(image: &Image) -> (Run, Started, Value) {
    let words = CHAIN.replacen("ns-run ", "ns-run --status-fd=1 ", 1);
    let run = chain(&words);
    unpack(image, run.tmp());
    let mut container = run.start();
    let status = serde_json::from_str(&container.line()).unwrap();
    assert_eq!(container.line(), "ready\n");
    (run, container, status)
}

mod userns {
    use super::*;

    #[test]
    fn a_shell_in_a_container_has_its_world_and_no_more_rights_than_it() {
        need!("userns");
        let (_run, container, status) = started(&hostile());
        let pid = status["pid"].to_string();
        let words = format!("ns-enter -t {pid} -a -- cap-drop --profile docker -- sh");

        let world = World::of(chain(&words).env("PATH", "/bin"));

        let theirs = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let bounding = common::proc::status_mask(&theirs, "CapBnd").unwrap();
        assert_eq!(world.get("caps.bnd"), format!("{bounding:016x}"));
        assert_eq!(world.get("caps.eff"), format!("{bounding:016x}"));
        assert_eq!(world.get("argv"), json!(["sh"]));
        assert_eq!(world.get("hostname"), "box\n");
        assert_eq!(world.get("cwd"), "/");
        let here = World::here();
        for kind in ["user", "mnt", "pid", "ipc", "uts", "net"] {
            let of = |world: &World| world.get(&format!("ns.{kind}"));
            assert_eq!((of(&world) == status["ns"][kind], kind), (true, kind));
            assert_ne!(of(&world), of(&here), "{kind}");
        }
        let fds = world.get("fds");
        let fds: Vec<_> = fds.as_object().unwrap().keys().collect();
        assert_eq!(fds, ["0", "1", "2"]);
        assert!(!world.get("env").to_string().contains("BORDMITTEL"));
        assert_eq!(world.tree().0, kit::world::CHAIN_TREE);
        drop(container);
    }

    #[test]
    fn without_cap_drop_it_would_have_more() {
        need!("userns");
        let (_run, container, status) = started(&hostile());
        let pid = status["pid"].to_string();

        let words = format!("ns-enter -t {pid} -a -- sh");
        let world = World::of(chain(&words).env("PATH", "/bin"));

        // CAP_SYS_ADMIN, over all that is inside.
        let effective = world.get("caps.eff");
        let effective = u64::from_str_radix(effective.as_str().unwrap(), 16).unwrap();
        assert_ne!(effective & 1 << 21, 0);
        drop(container);
    }

    #[test]
    fn the_record_and_the_environment_of_the_container_can_be_taken() {
        need!("userns");
        let (run, container, status) = started(&hostile());
        std::fs::write(run.tmp().join("record"), status.to_string()).unwrap();
        let record = run.tmp().join("record").display().to_string();

        let words =
            format!("ns-enter -t file:{record} -a -e -- cap-drop --keep none -- sh");
        let world = World::of(chain(&words));

        let env = world.get("env").to_string();
        assert!(env.contains("SECRET=of the image") && !env.contains("LC_ALL"), "{env}");
        assert_eq!(world.get("caps.bnd"), "0000000000000000");
        drop(container);
    }
}
