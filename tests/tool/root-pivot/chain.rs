//! The links in a row, from layers to a program in its own root.

use std::fs;

use kit::world::CHAIN_TREE;
use kit::{Run, World, need, tool};

use super::{USERNS, root};

/// The links in a row, in a user namespace, as far as COMMAND.
fn chain(command: &[&str]) -> Run {
    let run = Run::sandboxed(USERNS, "ovl-mount")
        .args(["--lower", "image", "--tmpfs", "root/", "--", "mkdev", "root/dev"])
        .args(["--", "root-pivot", "--std", "root/", "--"])
        .args(command);
    fs::rename(root(run.tmp()), run.tmp().join("image")).unwrap();
    run
}

#[test]
fn the_chain_gives_the_tree_of_the_slides() {
    need!("userns");
    let world = World::of(chain(&["/probe"]));

    let (tree, masks) = world.tree();
    assert_eq!(tree, CHAIN_TREE);
    assert!(masks.contains(&"/proc/sys proc".to_owned()), "{masks:?}");
    assert!(masks.contains(&"/proc/keys devtmpfs".to_owned()), "{masks:?}");
    assert_eq!(world.get("pid"), 1);
    assert_eq!(world.get("cwd"), "/");
}

#[test]
fn the_chain_hands_on_no_descriptor_and_no_variable() {
    need!("userns");
    let world = World::of(chain(&["/probe"]));

    assert_eq!(world.get("fds"), World::here().get("fds"));
    let env = world.get("env").to_string();
    assert!(!env.contains("BORDMITTEL"), "{env}");
}

#[test]
fn only_the_root_changes_for_the_command() {
    need!("userns");
    let before = World::sandboxed(USERNS);
    let after = World::of(chain(&["/probe"]));

    let mut changed = after.changed_from(&before);
    // Each run has namespaces of its own.
    changed.retain(|topic| topic != "ns");
    assert_eq!(changed, ["mounts"]);
}

#[test]
fn the_config_of_an_image_goes_on_to_img_exec() {
    need!("userns");
    let run = Run::sandboxed(USERNS, "root-pivot").args(["--std", "--image", "box"]);
    let run = run.args(["box/rootfs", "--", "img-exec"]);
    fs::create_dir(run.tmp().join("box")).unwrap();
    fs::rename(root(run.tmp()), run.tmp().join("box/rootfs")).unwrap();
    let config = r#"{"config":{"Entrypoint":["/probe","of","the","image"]}}"#;
    fs::write(run.tmp().join("box/config.json"), config).unwrap();

    let world = World::of(run);

    assert_eq!(world.get("argv").as_array().unwrap().len(), 4);
    assert_eq!(world.get("fds"), World::here().get("fds"));
}

#[test]
fn a_link_that_the_image_brings_along_is_not_run() {
    need!("userns");
    // root-pivot again, as the link that follows: it has no host to look into.
    let run = chain(&["root-pivot", "--explain", "/", "true"])
        .env("PATH", "/bin:/usr/bin:/sbin");
    for dir in ["image/bin", "image/usr/bin", "image/sbin"] {
        let dir = run.tmp().join(dir);
        fs::create_dir_all(&dir).unwrap();
        fs::copy(tool("probe"), dir.join("root-pivot")).unwrap();
    }

    let text = run.run().ok();

    assert!(text.ends_with("# become COMMAND\n"), "{text}");
}
