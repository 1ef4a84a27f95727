//! A whole container, by the chain and by others, in turn: minimum and median of spawn to
//! exit, and the median of each round's ratio to the chain.
//!
//! All run a static no-op and make the same mounts, with a user namespace where they can;
//! only the chain and `one-process` stack three layers, the others have one directory.

use std::ffi::CString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Context, Fail};
use nix::mount::{MntFlags, umount2};

use crate::medium;
use crate::startup::{once, prepare, quiet, words};

/// A way to a container: its name, and what is run, `@tool` being one of this build.
const WAYS: &[[&str; 2]] = &[
    [
        "the chain, with masks, cap-drop and img-exec",
        "@ns-run -Urmnpuif --hostname box -- ovl-mount --image box --tmpfs root -- mkdev root/dev -- \
         root-pivot --std root -- cap-drop --profile docker --no-new-privs -- img-exec",
    ],
    ["the same by one process", "@one-process --std root LAYERS -- /bin/guest"],
    [
        "the chain, no more than sillycon does",
        "@ns-run -Urmnpuif --hostname box -- ovl-mount --image box --tmpfs root -- mkdev root/dev -- \
         root-pivot --proc --sys --run --tmp root -- /bin/guest",
    ],
    ["the same by one process", "@one-process root LAYERS -- /bin/guest"],
    [
        "bwrap, without layers, sysfs, masks",
        "bwrap --unshare-all --bind flat / --proc /proc --dev /dev --tmpfs /run --tmpfs /tmp --cap-drop ALL /bin/noop",
    ],
    ["crun run", "crun --root crun --cgroup-manager=disabled run --bundle bundle bench"],
    ["runc run", "runc --root runc run --bundle bundle bench"],
    [
        "a shell script with unshare and mount",
        "unshare --user --map-root-user --mount --net --ipc --pid --uts --fork sh -e script",
    ],
    [
        "podman run",
        "podman --root podman --runroot podman-run --storage-driver vfs --cgroup-manager cgroupfs \
         run --rm --network none --rootfs FLAT /bin/noop",
    ],
];

/// A container by shell: what sillycon does, without unpacking. The old root stays.
const SCRIPT: &str = r#"
mount -t tmpfs work work
mkdir work/upper work/work work/root
mount -t overlay -o "userxattr,lowerdir=$LAYERS,upperdir=work/upper,workdir=work/work" root work/root
cd work/root
mkdir -p proc sys run tmp dev
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sys sys
mount -t tmpfs -o nosuid,nodev,mode=755 run run
mount -t tmpfs -o nosuid,nodev tmp tmp
mount -t tmpfs -o nosuid dev dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o nosuid,noexec devpts dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs dev/shm
ln -s /proc/self/fd dev/fd
for n in 0 1 2; do ln -s "/proc/self/fd/$n" "dev/std$n"; done
ln -s pts/ptmx dev/ptmx
hostname box
pivot_root . tmp
cd /
exec /bin/guest
"#;

/// Namespaces are taken apart after the end of their last process: nobody is to pay for
/// what the one before has left.
const PAUSE: Duration = Duration::from_millis(20);

/// The table.
pub(crate) fn table(here: &Path, work: &Path, runs: u32) -> Result<String, Fail> {
    prepare(work, &here.join("noop").display().to_string())?;
    bundle(work)?;
    nix::unistd::chdir(work).cannot("enter", work)?;
    if nix::unistd::geteuid().is_root() {
        medium::private()?;
        // crun refuses a system that has both versions.
        let _ = umount2("/sys/fs/cgroup/unified", MntFlags::MNT_DETACH);
    }
    let layers = layers(work)?;
    std::fs::write("script", SCRIPT.replace("$LAYERS", &layers.join(":")))
        .cannot("write", "script")?;
    let mut ways: Vec<Way> = WAYS
        .iter()
        .map(|[name, line]| {
            let words = argv(line, here, work, &layers);
            Ok(Way { name, argv: self::words(&words)?, times: Vec::new() })
        })
        .collect::<Result<_, Fail>>()?;
    let quiet = quiet().failed_to("open /dev/null")?;
    // Who fails once does not run here.
    let runs_here: Vec<bool> =
        ways.iter().map(|way| once(&way.argv, &quiet).is_some()).collect();
    for _ in 0..runs {
        for (way, _) in ways.iter_mut().zip(&runs_here).filter(|(_, runs)| **runs) {
            std::thread::sleep(PAUSE);
            way.times.extend(once(&way.argv, &quiet));
        }
    }
    Ok(text(&ways, usize::try_from(runs).unwrap_or(usize::MAX)))
}

/// A line of the table.
struct Way {
    name: &'static str,
    argv: Vec<CString>,
    times: Vec<Duration>,
}

fn argv(line: &str, here: &Path, work: &Path, layers: &[String]) -> Vec<String> {
    let word = |word: &str| -> Vec<String> {
        match (word, word.strip_prefix('@')) {
            ("LAYERS", _) => layers.to_vec(),
            ("FLAT", _) => vec![work.join("flat").display().to_string()],
            (_, Some(tool)) => vec![here.join(tool).display().to_string()],
            (word, None) => vec![word.to_owned()],
        }
    };
    line.split_whitespace().flat_map(word).collect()
}

/// The layers that img-unpack made, top first as the kernel has them.
fn layers(work: &Path) -> Result<Vec<String>, Fail> {
    let record = work.join("box/image.json");
    let text = std::fs::read(&record).cannot("read", &record)?;
    let record: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| Fail::cannot("read", record, e))?;
    let all = record.get("layers").and_then(|all| all.as_array()).into_iter().flatten();
    let dir = |layer: &serde_json::Value| -> Option<String> {
        let id = layer.get("diff-id")?.as_str()?.strip_prefix("sha256:")?;
        let path: PathBuf = ["box", "layers", id].iter().collect();
        Some(path.display().to_string())
    };
    let mut all: Vec<_> = all.filter_map(dir).collect();
    all.reverse();
    Ok(all)
}

/// What crun and runc read: the same mounts, masks and namespaces.
fn bundle(work: &Path) -> Result<(), Fail> {
    let mount = |at: &str, kind: &str, options: &[&str]| serde_json::json!({ "destination": at, "type": kind, "source": kind, "options": options });
    let id = serde_json::json!([{ "containerID": 0, "hostID": nix::unistd::geteuid().as_raw(), "size": 1 }]);
    let namespaces: Vec<_> = ["pid", "network", "ipc", "uts", "mount", "user"]
        .map(|kind| serde_json::json!({ "type": kind }))
        .into();
    let quiet = ["nosuid", "nodev", "noexec"];
    let config = serde_json::json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 }, "args": ["/bin/noop"], "cwd": "/",
            "env": ["PATH=/bin"], "noNewPrivileges": true,
            "capabilities": { "bounding": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"] },
        },
        "root": { "path": work.join("flat") },
        "hostname": "box",
        "mounts": [
            mount("/proc", "proc", &quiet),
            mount("/sys", "sysfs", &["nosuid", "nodev", "noexec", "ro"]),
            mount("/run", "tmpfs", &["nosuid", "nodev", "mode=755"]),
            mount("/tmp", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "nodev", "noexec", "mode=1777"]),
        ],
        "linux": {
            "uidMappings": id, "gidMappings": id, "namespaces": namespaces,
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
        },
    });
    let dir = work.join("bundle");
    for dir in [&dir, &work.join("work"), &work.join("flat/sys")] {
        std::fs::create_dir_all(dir).cannot("make", dir)?;
    }
    let path = dir.join("config.json");
    std::fs::write(&path, config.to_string()).cannot("write", path)
}

fn text(ways: &[Way], runs: usize) -> String {
    let mut text = format!(
        "{:<46} {:>7} {:>7}   of the chain\n",
        "spawn to exit, us", "min", "median"
    );
    let chain = ways.first().map(|way| way.times.clone()).unwrap_or_default();
    for Way { name, times, .. } in ways {
        // Writing to a String cannot fail.
        let _ = if times.len() < runs {
            writeln!(text, "{name:<46} does not run here")
        } else {
            let pairs = times.iter().zip(&chain);
            let mut ratios: Vec<_> = pairs
                .map(|(own, chain)| own.as_secs_f64() / chain.as_secs_f64())
                .collect();
            ratios.sort_by(f64::total_cmp);
            let mut sorted = times.clone();
            sorted.sort();
            let us =
                |at: usize| sorted.get(at).map_or(f64::NAN, |t| t.as_secs_f64() * 1e6);
            let ratio = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
            writeln!(
                text,
                "{name:<46} {:>7.0} {:>7.0}   {ratio:.2}",
                us(0),
                us(sorted.len() / 2)
            )
        };
    }
    text
}
