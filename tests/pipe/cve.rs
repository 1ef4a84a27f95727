//! Holes that other container tools had, each by its number: first the way that they went,
//! in a shell, which the image fools; then ours, which it does not.

mod chain;
mod devices;
mod mounts;
mod sources;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kit::{Out, Run, tool};
use tempfile::TempDir;

/// Where everything is done in private: user, mounts, processes.
const PRIVATE: &[&str] = &["--user", "--mount", "--pid"];

/// The host's own programs, shown in the image for a shell there.
const PROGRAMS: [&str; 4] = ["/bin", "/lib", "/lib64", "/usr"];

/// An image in `root/`, and beside it `host/`, which is none of its business.
struct Arena(TempDir);

impl Arena {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["root", "host"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("host/file"), "of the host's\n").unwrap();
        fs::copy(tool("probe"), dir.path().join("root/probe")).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Something of the image that leads to the host.
    fn link(self, at: &str, to: &str) -> Self {
        let at = self.path(&format!("root/{at}"));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(to, at).unwrap();
        self
    }

    /// A directory of the image.
    fn dir(self, name: &str) -> Self {
        fs::create_dir_all(self.path(&format!("root/{name}"))).unwrap();
        self
    }

    /// A shell script, as others do it.
    fn naive(&self, script: &str) -> Out {
        let run = Run::tool("sandbox").args(PRIVATE).args(["--", "sh", "-ec", script]);
        run.cwd(self.0.path()).env("HOST", self.path("host")).run()
    }

    /// A tool of ours.
    fn run(&self, words: &str) -> Run {
        let mut words = words.split_whitespace();
        let run = Run::tool("sandbox").args(PRIVATE).args(["--net", "--"]);
        let run = run.arg(tool(words.next().unwrap())).args(words);
        run.cwd(self.0.path())
    }

    /// A shell script in the image behind root-pivot with these options.
    fn pivot(&self, options: &str, script: &str) -> Out {
        let run = self.run(&format!("root-pivot {options}"));
        let dirs = PROGRAMS.into_iter().filter(|dir| Path::new(dir).exists());
        let run =
            dirs.fold(run, |run, dir| run.arg("--bind").arg(format!("{dir}:{dir}:ro")));
        run.args(["root", "/bin/sh", "-c", script]).run()
    }

    /// All that is in `host/`: names, kinds, modes, contents.
    fn host(&self) -> String {
        let script = "cd \"$0\"; find . -printf '%P %y %m\\n' | sort; find . -type f -exec cat {} +";
        Run::program("sh").args(["-ec", script]).arg(self.path("host")).run().ok()
    }

    /// That others are fooled, and that ours are not: nothing of the host changes, and what
    /// is said begins so, or nothing fails. The naive script ends well when it was fooled.
    fn fools(self, naive: &str, ours: impl Fn(&Self) -> Out, refusal: Option<&str>) {
        let before = self.host();

        let out = ours(&self);

        assert_eq!(self.host(), before);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        match refusal {
            Some(refusal) => {
                assert!(said.starts_with(refusal) && said.lines().count() == 1, "{said}");
                let _ = out.code(125);
            }
            None => drop(out.ok()),
        }
        let _ = self.naive(naive).code(0);
    }
}
