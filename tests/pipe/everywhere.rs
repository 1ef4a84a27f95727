//! The same container as root, as an ordinary user, and inside a container of its own kind.

use kit::{Run, World, need, tool};

use crate::{chain, image_with, unpack};

/// What findmnt(8) shows on the slide that the chain is measured by, "Docker ade", in the
/// order of the names: TARGET, SOURCE, FSTYPE.
const SLIDE: &str = "\
/ root overlay
/dev dev tmpfs
/dev/full dev[/full] devtmpfs
/dev/null dev[/null] devtmpfs
/dev/pts devpts devpts
/dev/random dev[/random] devtmpfs
/dev/shm tmpfs tmpfs
/dev/tty dev[/tty] devtmpfs
/dev/urandom dev[/urandom] devtmpfs
/dev/zero dev[/zero] devtmpfs
/proc proc proc
/run run tmpfs
/sys sys sysfs
/tmp tmp tmpfs";

/// As findmnt(8) would show it. How the devtmpfs of a machine is called differs.
fn findmnt(world: &World) -> String {
    let mounts = world.get("mounts");
    let line = |mount: &serde_json::Value| {
        let [target, root, source, fstype] = ["target", "root", "source", "fstype"]
            .map(|key| mount[key].as_str().unwrap().to_owned());
        let source = if fstype == "devtmpfs" { "dev".to_owned() } else { source };
        let part = if root == "/" { String::new() } else { format!("[{root}]") };
        format!("{target} {source}{part} {fstype}")
    };
    let mut lines: Vec<_> = mounts.as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines.join("\n")
}

/// The links behind ns-run, with only the mounts of the slide.
const LINKS: &str = "ovl-mount --image box --tmpfs root/ -- mkdev root/dev -- \
     root-pivot --proc --sys --run --tmp root/ -- cap-drop --profile docker -- img-exec";

/// A chain on an unpacked image of the probe.
fn probe(words: &str) -> Run {
    let run = chain(words);
    let image =
        image_with(&["probe"]).set("Entrypoint", serde_json::json!(["/bin/probe"]));
    unpack(&image, run.tmp());
    run
}

/// A container with the tools in /tools and this test's directory in /mnt, in which
/// `words` are run.
fn nested(outer: &str, words: &str) -> Run {
    let tools = tool("probe").parent().unwrap().display().to_string();
    let run = probe(&format!(
        "ns-run -Urmnpuif -- mkdev outer/dev -- root-pivot {outer} --bind {tools}:/tools --bind .:/mnt outer -- \
         /tools/sandbox -- {words}"
    ));
    std::fs::create_dir(run.tmp().join("outer")).unwrap();
    run
}

mod userns {
    use super::*;

    #[test]
    fn the_mounts_are_those_of_the_slide() {
        need!("userns");
        let world = World::of(probe(&format!("ns-run -Urmnpuif -- {LINKS}")));

        assert_eq!(findmnt(&world), SLIDE);
    }

    #[test]
    fn a_container_runs_in_a_container() {
        need!("userns");
        let inner = LINKS.replace("box", "/mnt/box").replace("root/", "/mnt/root/");
        let inner = format!("/tools/ns-run -Urmnpuif -- {inner}");

        let world = World::of(nested("--proc --sys --run --tmp", &inner));

        assert_eq!(findmnt(&world), SLIDE);
        assert_eq!(world.get("pid"), 1);
    }

    #[test]
    fn in_a_container_that_hides_things_they_stay_hidden() {
        need!("userns");
        let inner = LINKS.replace("box", "/mnt/box").replace("root/", "/mnt/root/");
        let refused =
            nested("--std", &format!("/tools/ns-run -Urmnpuif -- {inner}")).run();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            said.contains("parts of /proc are hidden here and must stay so"),
            "{said}"
        );
        let _ = refused.code(125);

        // The way out that it names, for both.
        let shown =
            inner.replace("--proc --sys", "--bind /proc:/proc --bind /sys:/sys:ro");
        let world =
            World::of(nested("--std", &format!("/tools/ns-run -Urmnpuif -- {shown}")));

        let mounts = findmnt(&world);
        assert!(mounts.contains("/proc proc proc\n"), "{mounts}");
        assert!(mounts.contains("/proc/keys dev[/null] devtmpfs\n"), "{mounts}");
    }
}

mod root {
    use super::*;

    #[test]
    fn real_root_gets_the_mounts_of_the_slide_but_makes_its_own_devices() {
        need!("root");
        let world = World::of(probe(&format!("ns-run -mnpuif -- {LINKS}")));

        let devices = SLIDE.replace("devtmpfs", "tmpfs");
        assert_eq!(findmnt(&world), devices);
    }

    #[test]
    fn an_ordinary_user_gets_the_mounts_of_the_slide() {
        need!("root", "program:setpriv");
        let run = probe("noop");
        for path in [run.tmp().to_owned(), run.tmp().join("box")] {
            nix::unistd::chown(&path, Some(65534.into()), Some(65534.into())).unwrap();
        }
        // Whatever nobody can read: the tools may lie in root's own directory.
        let tools = run.tmp().join("tools");
        std::fs::create_dir(&tools).unwrap();
        for name in ["ns-run", "ovl-mount", "mkdev", "root-pivot", "cap-drop", "img-exec"]
        {
            std::fs::copy(tool(name), tools.join(name)).unwrap();
        }
        let ids =
            ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"];
        let user = Run::program("setpriv").args(ids).arg(tools.join("ns-run"));
        let user = user.args(["-Urmnpuif", "--"]).args(LINKS.split_whitespace());

        assert_eq!(findmnt(&World::of(user.cwd(run.tmp()))), SLIDE);
    }
}
