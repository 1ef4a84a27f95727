//! Whoever changes the root, the next link is the host's and never the image's.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kit::{Run, World, need, tool};

/// A root with programs that are called as our links are and would end the chain unseen,
/// wherever PATH may lead, and the probe.
fn root(run: &Run) {
    let root = run.tmp().join("root");
    for dir in ["bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "proc"] {
        fs::create_dir_all(root.join(dir)).unwrap();
        for name in common::chain::LINKS {
            let program = root.join(dir).join(name);
            fs::copy(tool("noop"), &program).unwrap();
            fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    fs::copy(tool("probe"), root.join("probe")).unwrap();
}

/// A chain behind which no_new_privs is set by the host's cap-drop.
fn is_the_hosts(words: &str) {
    let words =
        format!("{words} -- cap-drop --no-new-privs -- img-exec --entrypoint /probe");
    let run = crate::chain(&format!("{words} --config /"));
    root(&run);
    fs::write(run.tmp().join("root/config.json"), r#"{"config":{}}"#).unwrap();

    let world = World::of(run);

    assert_eq!(world.get("no-new-privs"), "1", "{words}");
    assert_eq!(world.get("cwd"), "/", "{words}");
    assert_eq!(world.get("fds"), World::here().get("fds"), "{words}");
}

mod userns {
    use super::*;

    #[test]
    fn behind_each_link_that_changes_the_root_comes_the_hosts_own() {
        need!("userns");
        for words in [
            "ns-run -Urmpf -- root-pivot --proc root",
            "ns-run -Urmpf --mount-proc --root root",
            "ns-run -Urmpf --mount-proc=root/proc -- cap-drop --root root",
        ] {
            is_the_hosts(words);
        }
    }

    #[test]
    fn behind_an_entered_container_comes_the_hosts_own() {
        need!("userns");
        let container =
            crate::chain("ns-run -Urmpf --status-fd=1 -- root-pivot --proc root");
        root(&container);
        fs::copy(tool("pause"), container.tmp().join("root/pause")).unwrap();
        let container = container.arg("/pause");
        let mut started = container.start();
        let record: serde_json::Value = serde_json::from_str(&started.line()).unwrap();
        assert_eq!(started.line(), "ready\n");

        let world = World::of(crate::chain(&format!(
            "ns-enter -t {} -a -r -- cap-drop --no-new-privs -- /probe",
            record["pid"]
        )));

        assert_eq!(world.get("no-new-privs"), "1");
    }
}
