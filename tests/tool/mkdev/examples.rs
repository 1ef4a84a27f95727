//! The examples of the man page run as they stand there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kit::image::demo;
use kit::{Run, need, page, tool};

/// What a vendor's generator would write, of devices that are everywhere.
const SPEC: &str = r#"{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[{"name":"all",
    "containerEdits":{"deviceNodes":[{"path":"/dev/nvidia0","hostPath":"/dev/full"}]}}],
    "containerEdits":{"env":["NVIDIA_VISIBLE_DEVICES=void"],"mounts":[
    {"hostPath":"lib","containerPath":"/lib/nvidia","options":["ro","bind"]}]}}"#;

mod root {
    use super::*;

    #[test]
    fn every_example_of_the_man_page_runs() {
        need!("root", "program:jq");
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let noop = fs::read(tool("noop")).unwrap();
        let image =
            demo(&noop).layer(kit::image::Layer::default().file("bin/sh", 0o755, &*noop));
        fs::write(path("web.tar"), image.docker_save("web:1")).unwrap();
        fs::write(path("spec.json"), SPEC).unwrap();
        for name in ["root/bin", "image", "lib"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::copy(tool("noop"), path("root/bin/nvidia-smi")).unwrap();
        fs::write(path("lib/nvidia-ctk"), "#!/bin/sh\ncat spec.json\n").unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(path("lib/nvidia-ctk"), executable).unwrap();
        let begin = "PATH=$PWD/lib:$PATH; img-unpack --quiet web.tar web/ >/dev/null";
        let examples = page::examples("mkdev");
        assert!(examples.len() > 3);

        for script in examples {
            let script = format!("{begin}\n{script}");
            let pty = nix::pty::openpty(None, None).unwrap();
            let run = Run::tool("sandbox").args(["--mount", "--", "sh", "-ec", &script]);
            let run = run.cwd(dir.path()).tools_in_path();

            let out = run.command().stdin(pty.slave).output().unwrap();

            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(out.status.success() && said.is_empty(), "{script}: {said}");
        }
    }
}
