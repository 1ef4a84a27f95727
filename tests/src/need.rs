//! What a test needs of the machine. Unmet needs fail, unless they are allowed by name.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::proc::{mountinfo, status_mask};

use crate::tool;

/// Whether the machine has it.
///
/// # Panics
/// With the reason when it has not, unless the variable `ALLOW_SKIP` (a list with commas)
/// names the key: then a line goes to the file that `SKIP_LOG` names, and to stderr.
pub fn have(key: &str) -> bool {
    let Err(reason) = check(key) else { return true };
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let allowed = std::env::var("ALLOW_SKIP").unwrap_or_default();
    assert!(
        allowed.split(',').any(|k| k == key),
        "needs {key}: {reason} (ALLOW_SKIP={key} lets this test be skipped)"
    );
    skip(&name, key, &reason);
    false
}

/// Whether the machine has what makes a test stricter; that it has not is told only.
pub fn have_more(key: &str) -> bool {
    let Err(reason) = check(key) else { return true };
    skip(std::thread::current().name().unwrap_or("?"), key, &reason);
    false
}

fn skip(name: &str, key: &str, reason: &str) {
    let line = format!("SKIPPED {name}: needs {key}: {reason}\n");
    eprint!("{line}");
    if let Some(log) = std::env::var_os("SKIP_LOG") {
        let mut file = OpenOptions::new().append(true).create(true).open(log).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

fn check(key: &str) -> Result<(), String> {
    let yes = |is: bool, reason: &str| if is { Ok(()) } else { Err(reason.to_owned()) };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    match key {
        "root" => {
            let sys_admin = status_mask(&status, "CapEff").unwrap_or(0) & 1 << 21 != 0;
            yes(is_root && sys_admin, "not root with CAP_SYS_ADMIN")
        }
        "user" => yes(!is_root, "this is root"),
        "system-mounts" => yes(
            has_system_mounts(),
            "these are not the mounts of the system: what is refused there would be done here",
        ),
        "userns" => yes(sandbox_works(), "no unprivileged user namespaces here"),
        "subuid" => yes(
            has_subids(),
            "no line for this user in /etc/subuid and /etc/subgid, or no newuidmap",
        ),
        "cgroup-v1" => yes(has_mount("cgroup"), "no cgroup v1 hierarchy is mounted"),
        "cgroup-v2" => yes(has_mount("cgroup2"), "no cgroup v2 hierarchy is mounted"),
        "fuse" => yes(
            OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok(),
            "/dev/fuse cannot be opened",
        ),
        "vm" => can_boot(),
        "shared" => yes(shared().is_some(), "no ../shared beside the project"),
        "big-image" => yes(
            big_image().is_some(),
            "no image of make_images.sh: BIG_IMAGES names its directory",
        ),
        "landlock" => yes(has_landlock(), "no Landlock of Linux 6.12 here"),
        "cap-capable" => yes(
            has_cap_capable(),
            "no tracepoint cap_capable of Linux 6.14, or not the first namespaces",
        ),
        _ => match key.split_once(':') {
            Some(("program", program)) => yes(in_path(program), "not installed"),
            Some(("file", path)) => yes(project().join(path).is_file(), "not there"),
            _ => panic!("nobody knows how to tell whether there is {key}"),
        },
    }
}

fn has_landlock() -> bool {
    common::sys::landlock_abi().is_ok_and(|abi| abi >= 6)
}

/// Whether the kernel has the tracepoint, and traces processes by their numbers here.
fn has_cap_capable() -> bool {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let first = std::fs::read_link("/proc/self/ns/pid")
        .is_ok_and(|own| own.as_os_str() == "pid:[4026531836]");
    symbols.contains(" trace_event_raw_event_cap_capable\n")
        && first
        && common::proc::in_initial_userns().unwrap_or(false)
}

/// The first mount namespace, by the inodes that it has had, or that of process 1.
fn has_system_mounts() -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = |pid: &str| {
        std::fs::metadata(format!("/proc/{pid}/ns/mnt")).map(|m| m.ino()).ok()
    };
    let own = inode("self");
    let first = [0xEFFF_FFF8, 0xF000_0000, 0xF000_0001].map(Some);
    first.contains(&own) || (own.is_some() && inode("1") == own)
}

/// Whether there is an emulator, and a kernel for it or a mirror that has one.
fn can_boot() -> Result<(), String> {
    let needed = ["qemu-system-x86_64", "busybox", "cpio", "strip", "xz"];
    if let Some(missing) = needed.into_iter().find(|program| !in_path(program)) {
        return Err(format!(
            "no {missing}: apt-get install qemu-system-x86 busybox-static cpio binutils xz-utils"
        ));
    }
    let fetched = Command::new(project().join("tests/vm/run")).arg("-n").output();
    let said = fetched.map(|out| (out.status.success(), out.stderr));
    match said {
        Ok((true, _)) => Ok(()),
        Ok((false, text)) => Err(String::from_utf8_lossy(&text).into_owned()),
        Err(e) => Err(e.to_string()),
    }
}

fn sandbox_works() -> bool {
    let sandbox = Command::new(tool("sandbox"))
        .args(["--user", "--mount", "--", "true"])
        .stderr(Stdio::null())
        .status();
    sandbox.is_ok_and(|s| s.success())
}

fn has_subids() -> bool {
    let uid = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|u| u.name);
    let number = uid.to_string();
    let listed = |file| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|l| {
            let owner = l.split(':').next();
            owner == Some(&number) || owner == name.as_deref()
        })
    };
    listed("/etc/subuid")
        && listed("/etc/subgid")
        && (uid.is_root() || in_path("newuidmap"))
}

fn has_mount(fstype: &str) -> bool {
    mountinfo(&std::fs::read("/proc/self/mountinfo").unwrap())
        .iter()
        .any(|m| m.fstype == fstype)
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The project's directory: the variable `PROJECT`, or where this was compiled.
pub fn project() -> PathBuf {
    let compiled = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    std::env::var_os("PROJECT").map_or_else(compiled, PathBuf::from)
}

/// The directory of real and hostile images beside the project, where there is one.
pub fn shared() -> Option<PathBuf> {
    let dir = project().join("../shared");
    dir.join("images").is_dir().then(|| dir.canonicalize().unwrap())
}

/// Where make_images.sh has put its big images: the variable `BIG_IMAGES`.
pub fn big_image() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("BIG_IMAGES")?);
    dir.join("debian-nginx.docker.tar").is_file().then_some(dir)
}
