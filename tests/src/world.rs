//! The world as a program at the end of a chain sees it: what `probe` printed.

use serde_json::Value;

use crate::Run;

/// Everything `probe` can tell, by topic.
#[derive(Debug, Clone, PartialEq)]
pub struct World(pub Value);

impl World {
    /// What a program sees that the test starts itself.
    pub fn here() -> Self {
        Self::of(Run::tool("probe"))
    }

    /// What a program sees at the end of a chain; the run must end in `probe`.
    ///
    /// # Panics
    /// When it fails or says anything on stderr.
    #[track_caller]
    pub fn of(run: Run) -> Self {
        let text = run.run().ok();
        Self(
            serde_json::from_str(&text)
                .unwrap_or_else(|e| panic!("no JSON ({e}): {text}")),
        )
    }

    /// The topics in which this world differs from another, without those that differ
    /// between any two processes (pid, argv …).
    ///
    /// # Panics
    /// When one of them is no object.
    pub fn changed_from(&self, other: &Self) -> Vec<String> {
        let every = ["pid", "ppid", "pgid", "sid", "cwd", "argv", "comm"];
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
}
