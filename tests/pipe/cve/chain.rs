//! Ways back to the host through what runs: its file, its descriptors, its /proc.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use kit::{Run, World, need, tool};

use super::{Arena, PRIVATE};
use crate::killed::family;

/// Links as a user has them who could write to them.
fn own_tools() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["ns-run", "root-pivot", "cap-drop"] {
        fs::copy(tool(name), dir.path().join(name)).unwrap();
    }
    dir
}

/// Opens the file that a process runs, and writes to it when nobody runs it any more.
fn overwrite(run: &Run, name: &str) -> i32 {
    let started = run.start();
    let start = std::time::Instant::now();
    let mut exe = None;
    while exe.is_none() && start.elapsed().as_secs() < 5 {
        // The last one is the container's.
        let Some(pid) = family(started.pid()).pop() else { continue };
        let path = format!("/proc/{pid}/exe");
        let is_it = fs::read_link(&path).is_ok_and(|at| at == std::path::Path::new(name));
        exe = is_it.then(|| fs::File::open(&path).ok()).flatten();
    }
    drop(started);
    let exe = exe.unwrap();
    let path = format!("/proc/self/fd/{}", exe.as_raw_fd());
    for _ in 0..1000 {
        let error = fs::OpenOptions::new().write(true).open(&path).err();
        match error.map(|e| e.raw_os_error().unwrap()) {
            Some(nix::libc::ETXTBSY) => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            other => return other.unwrap_or(0),
        }
    }
    nix::libc::ETXTBSY
}

mod userns {
    use super::*;

    #[test]
    fn cve_2019_5736_the_program_that_starts_the_container_is_overwritten() {
        need!("userns");
        let naive = "cp \"$PAUSE\" runtime; ./runtime >ready & while ! test -s ready; do :; done; \
             exec 9</proc/$!/exe; kill $!; wait || :; \
             echo overwritten > /proc/self/fd/9; grep -q overwritten runtime";
        let arena = Arena::new();
        let sandbox = Run::tool("sandbox").args(["--user", "--", "sh", "-ec", naive]);
        let _ = sandbox.env("PAUSE", tool("pause")).run().code(0);
        // What the kernel runs for this shell is the link that runs it, over and over.
        fs::create_dir(arena.path("root/bin")).unwrap();
        let shell = arena.path("root/bin/sh");
        fs::write(&shell, "#!/proc/self/exe --no-new-privs").unwrap();
        fs::set_permissions(&shell, PermissionsExt::from_mode(0o755)).unwrap();
        let tools = own_tools();
        let run = Run::program(tools.path().join("ns-run")).args(["-Urmpf", "--"]);
        let run = run.args(["root-pivot", "--proc", "root", "--", "cap-drop"]);
        let run = run.args(["--no-new-privs", "--", "/bin/sh"]).cwd(arena.path(""));

        assert_eq!(overwrite(&run, "/cap-drop"), nix::libc::EROFS);
    }

    #[test]
    fn cve_2024_21626_a_working_directory_leads_through_a_descriptor() {
        need!("userns");
        let arena = Arena::new();
        let naive = "exec 9<host; for d in bin lib lib64 usr proc; do mkdir -p root/$d; \
             mount --rbind /$d root/$d; done; \
             exec chroot root /bin/sh -c 'cd /proc/self/fd/9; cat file'";
        for fd in 3..12 {
            let config = format!(
                r#"{{"config":{{"Entrypoint":["/probe"],"WorkingDir":"/proc/self/fd/{fd}"}}}}"#
            );
            fs::write(arena.path("config.json"), config).unwrap();
            let before = arena.host();

            let out = arena.run("root-pivot --std --image . root img-exec").run();

            assert!(!String::from_utf8_lossy(&out.stdout).contains("host"));
            assert_eq!(arena.host(), before);
            let _ = out.code(125);
        }
        let plain = World::of(arena.run("root-pivot --std root /probe"));
        assert_eq!(plain.get("fds"), World::here().get("fds"));
        assert_eq!(arena.naive(naive).ok(), "of the host's\n");
    }

    #[test]
    fn cve_2025_52881_what_is_written_to_proc_goes_to_another_file() {
        need!("userns");
        let fake = "mount -t tmpfs x /proc; mkdir /proc/self /proc/self/ns; \
             for f in uid_map gid_map setgroups ns/user ns/mnt status; do : > /proc/self/$f; done; ";
        let run = |script: &str| {
            let run = Run::tool("sandbox").args(PRIVATE).args(["--", "sh", "-ec"]);
            run.arg(format!("{fake} {script}")).args([tool("ns-run"), tool("noop")])
        };

        let ours = run("exec \"$0\" -r \"$1\"").run();

        let said = String::from_utf8_lossy(&ours.stderr).into_owned();
        assert!(
            said.starts_with("ns-run: cannot ") && said.lines().count() == 1,
            "{said}"
        );
        let _ = ours.code(125);
        let naive =
            "echo '0 0 1' > /proc/self/uid_map; grep -q '0 0 1' /proc/self/uid_map";
        let _ = run(naive).run().code(0);
    }
}

mod root {
    use super::*;

    #[test]
    fn cve_2026_41163_a_program_that_was_made_setuid_does_what_its_user_may_not() {
        need!("root", "program:setpriv");
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::write(&secret, "secret").unwrap();
        fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        let as_nobody = |program: &std::path::Path, args: &[&str]| {
            let copy = dir.path().join("copy");
            fs::copy(program, &copy).unwrap();
            fs::set_permissions(&copy, PermissionsExt::from_mode(0o4755)).unwrap();
            let ids = ["--reuid=65534", "--regid=65534", "--clear-groups"];
            Run::program("setpriv").args(ids).arg(copy).args(args).cwd(dir.path()).run()
        };

        for name in ["ns-run", "ovl-mount", "mkdev", "root-pivot", "cap-drop", "img-exec"]
        {
            let said =
                String::from_utf8_lossy(&as_nobody(&tool(name), &[]).code(125).stderr)
                    .into_owned();
            assert!(said.contains("cannot run with raised privileges"), "{said}");
        }
        assert_eq!(
            as_nobody(std::path::Path::new("/bin/cat"), &["secret"]).ok(),
            "secret"
        );
    }
}
