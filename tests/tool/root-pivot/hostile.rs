//! Roots that an attacker made: each CVE by its number.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use kit::{Run, World, expect, need};

use super::{USERNS, listing, pivot, root, shell};

fn linked(names: &[&str], to_absolute: bool) -> (Run, PathBuf) {
    let run = Run::sandboxed(USERNS, "root-pivot");
    let (root, host) = (root(run.tmp()), run.tmp().join("host"));
    fs::create_dir(&host).unwrap();
    fs::write(host.join("file"), "of the host's").unwrap();
    let target = if to_absolute { host.clone() } else { "../../../../host".into() };
    for name in names {
        symlink(&target, root.join(name)).unwrap();
    }
    (run, host)
}

#[test]
fn cve_2023_27561_proc_or_sys_as_a_link_is_refused() {
    need!("userns");
    for (name, fstype) in [("proc", "proc"), ("sys", "sysfs")] {
        for to_absolute in [false, true] {
            let (run, host) = linked(&[name], to_absolute);
            let before = listing(&host);

            let out = run.args(["--std", "root", "/probe"]).run().code(125);

            assert_eq!(listing(&host), before);
            let expected = format!(
                "root-pivot: cannot mount {fstype} on '/{name}': Not a directory; a symbolic link is not followed there\n"
            );
            assert_eq!(String::from_utf8_lossy(&out.stderr), expected);
        }
    }
}

#[test]
fn cve_2024_45310_links_lead_to_nothing_outside_the_root() {
    need!("userns");
    for name in ["run", "tmp", "data"] {
        let (run, host) = linked(&[name], true);
        let before = listing(&host);
        let args = ["--run", "--tmp", "--tmpfs", "/data/x", "root", "/probe"];

        let out = run.args(args).run().code(125);

        assert_eq!(listing(&host), before);
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        let refusal = format!("root-pivot: cannot mount tmpfs on '/{name}");
        assert!(stderr.starts_with(&refusal), "{stderr}");
    }
}

#[test]
fn cve_2021_30465_a_link_that_swaps_with_a_directory_changes_no_host() {
    need!("userns");
    let (run, host) = linked(&["link"], true);
    let tmp = run.tmp().to_owned();
    fs::create_dir(tmp.join("root/data")).unwrap();
    let before = listing(&host);
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapper = {
        let done = done.clone();
        let [link, data] = ["link", "data"].map(|name| {
            let path = tmp.join("root").join(name).into_os_string().into_vec();
            std::ffi::CString::new(path).unwrap()
        });
        std::thread::spawn(move || {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = common::sys::exchange(&link, &data);
            }
        })
    };

    for _ in 0..100 {
        let run = Run::sandboxed(USERNS, "root-pivot").cwd(&tmp);
        let run = run.args(["--tmpfs", "/data/x", "--bind", "/etc/passwd:/data/f"]);
        let _ = run.args(["root", "/probe"]).run();
    }

    done.store(true, std::sync::atomic::Ordering::Relaxed);
    swapper.join().unwrap();
    assert_eq!(listing(&host), before);
}

#[test]
fn cve_2025_31133_the_images_null_hides_nothing() {
    need!("userns");
    let run = shell(USERNS, &["--mask", "/secret"], "echo overwritten > /secret");
    let root = run.tmp().join("root");
    fs::create_dir(root.join("dev")).unwrap();
    fs::write(root.join("target"), "kept").unwrap();
    fs::write(root.join("secret"), "secret").unwrap();
    symlink("/target", root.join("dev/null")).unwrap();

    let out = run.run();

    assert_eq!(fs::read(out.tmp().join("root/target")).unwrap(), b"kept");
    assert_eq!(fs::read(out.tmp().join("root/secret")).unwrap(), b"secret");
    assert_eq!(out.ok(), "");
}

#[test]
fn cve_2019_16884_nothing_but_proc_is_mounted_on_proc() {
    need!("userns");
    let refused = |dst: &str, expected| {
        let run = Run::sandboxed(USERNS, "root-pivot").args(["--proc", "--bind"]);
        let run = run.arg(format!("host:{dst}")).args(["root", "/probe"]);
        fs::create_dir(run.tmp().join("host")).unwrap();
        symlink("/proc", root(run.tmp()).join("link")).unwrap();
        run.run().refused(125, expected);
    };

    refused(
        "/proc",
        expect![[r#"
        root-pivot: cannot mount on '/proc': only proc may be mounted there
    "#]],
    );
    refused(
        "/link/self/attr",
        expect![[r#"
        root-pivot: cannot mount on '/link/self/attr': only proc may be mounted there
    "#]],
    );
}

#[test]
fn cve_2024_21626_no_directory_of_the_host_stays_open() {
    need!("userns");
    let world = World::of(pivot(USERNS, &["--std", "--bind", "/etc:/etc"]));

    assert_eq!(world.get("fds"), World::here().get("fds"));
    assert_eq!(world.get("cwd"), "/");
}
