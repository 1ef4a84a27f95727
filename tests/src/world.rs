//! The world as a program at the end of a chain sees it: what `probe` printed.

use serde_json::Value;

use crate::Run;

/// The mounts of a whole chain, as [`World::tree`] tells them.
pub const CHAIN_TREE: &str = "\
/ overlay
/dev tmpfs
/dev/null devtmpfs
/dev/zero devtmpfs
/dev/full devtmpfs
/dev/random devtmpfs
/dev/urandom devtmpfs
/dev/tty devtmpfs
/dev/pts devpts
/dev/shm tmpfs
/proc proc
/sys sysfs
/run tmpfs
/tmp tmpfs";

/// The options of ns-run and ns-enter for a kind of namespaces. Not `--pid`, which takes a
/// fork, and not `--user`, which the others need.
pub const NAMESPACES: [(&str, &str); 6] = [
    ("--mount", "mnt"),
    ("--ipc", "ipc"),
    ("--uts", "uts"),
    ("--net", "net"),
    ("--cgroup", "cgroup"),
    ("--time", "time"),
];

/// Everything `probe` can tell, by topic.
#[derive(Debug, Clone, PartialEq)]
pub struct World(pub Value);

impl World {
    /// What a program sees that the test starts itself.
    pub fn here() -> Self {
        Self::of(Run::tool("probe"))
    }

    /// What a program sees below `sandbox` with these flags and nothing else.
    pub fn sandboxed(flags: &[&str]) -> Self {
        Self::of(Run::sandboxed(flags, "probe"))
    }

    /// What a program sees at the end of a chain; the run must end in `probe`.
    ///
    /// # Panics
    /// When it fails or says anything on stderr.
    #[track_caller]
    pub fn of(run: Run) -> Self {
        let text = run.run().ok();
        let mut world: Value = serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("no JSON ({e}): {text}"));
        // Worlds are compared by what is set, whatever the order.
        world["env"].as_array_mut().unwrap().sort_by_key(Value::to_string);
        Self(world)
    }

    /// The topics in which this world differs from another, without those that differ
    /// between any two processes (pid, argv …).
    ///
    /// # Panics
    /// When one of them is no object.
    pub fn changed_from(&self, other: &Self) -> Vec<String> {
        let every = ["pid", "ppid", "pgid", "sid", "cwd", "cwd-stat", "argv", "comm"];
        let (mine, theirs) = (self.0.as_object().unwrap(), other.0.as_object().unwrap());
        let differs = |key: &&String| mine.get(*key) != theirs.get(*key);
        mine.keys()
            .filter(differs)
            .filter(|k| !every.contains(&k.as_str()))
            .cloned()
            .collect()
    }

    /// A value by its path, `caps.bnd`.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, path: &str) -> Value {
        path.split('.').fold(self.0.clone(), |at, key| {
            at.get(key).cloned().unwrap_or_else(|| panic!("no {key} in {path}"))
        })
    }

    /// The mount points with their types, in order: `/proc proc`.
    ///
    /// # Panics
    /// When the probe did not see /proc.
    pub fn mounts(&self) -> Vec<String> {
        let all = self.get("mounts");
        all.as_array()
            .unwrap()
            .iter()
            .map(|m| {
                format!(
                    "{} {}",
                    m["target"].as_str().unwrap(),
                    m["fstype"].as_str().unwrap()
                )
            })
            .collect()
    }

    /// The mounts as lines, and apart from them those in /proc and /sys, which hide
    /// something there.
    pub fn tree(&self) -> (String, Vec<String>) {
        let hides = |m: &String| m.starts_with("/proc/") || m.starts_with("/sys/");
        let (hiding, tree): (Vec<_>, Vec<_>) = self.mounts().into_iter().partition(hides);
        (tree.join("\n"), hiding)
    }
}
