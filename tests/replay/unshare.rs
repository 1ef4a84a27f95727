//! `ns-run` in the place of unshare(1).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kit::replay::{Known, Line, Replay, Seen, corpus, see};
use kit::{Run, need, tool};

/// What is another than with unshare, and meant.
const KNOWN: [Known; 3] = [
    Known {
        topic: "uid-map",
        words: &["--map-auto", "--map-users=auto"],
        why: "2.38 loses the last id of a range with a hole, 2.43 does not",
    },
    Known {
        topic: "gid-map",
        words: &["--map-auto", "--map-groups=auto"],
        why: "the same",
    },
    Known {
        topic: "pdeathsig",
        words: &["--fork", "-f", "--kill-child", "--forward-signals"],
        why: "COMMAND does not outlive the one that waits for it",
    },
];

/// Where the command lines of one test run: their files, and ns-run called unshare.
struct Place {
    dir: tempfile::TempDir,
    unshare: PathBuf,
    /// The command that is put before both, with the world they run in.
    before: Vec<String>,
}

impl Place {
    fn new(user: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("bm-peer-").tempdir().unwrap();
        let at = dir.path();
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["dir", "rootfs/proc", "tools"] {
            std::fs::create_dir_all(at.join(name)).unwrap();
        }
        for name in ["ns-run", "probe"] {
            std::fs::copy(tool(name), at.join("tools").join(name)).unwrap();
        }
        std::fs::write(at.join("file"), "").unwrap();
        let unshare = at.join("tools/unshare");
        std::os::unix::fs::symlink("ns-run", &unshare).unwrap();
        std::fs::write(at.join("subid"), "root:500000:65536\n65534:500000:65536\n")
            .unwrap();
        let sandbox = tool("sandbox").display().to_string();
        let here = at.display().to_string();
        let world = [&sandbox, "--mount", "--", "sh", "-ec", WORLD, &here];
        let before = [&world[..], user].concat();
        let before = before.into_iter().map(str::to_owned).collect();
        Self { dir, unshare, before }
    }

    fn words(&self, argv: &str) -> Vec<String> {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        argv.split_whitespace()
            .map(|word| {
                word.replace("<FILE>", &at("file"))
                    .replace("<DIR>", &at("dir"))
                    .replace("<ROOTFS>", &at("rootfs"))
                    .replace("<SUB>", "500000")
            })
            .collect()
    }

    fn run(&self, program: &Path, argv: &str) -> Seen {
        let mut line = self.before.clone();
        line.push(program.display().to_string());
        line.extend(self.words(argv));
        line.push(self.dir.path().join("tools/probe").display().to_string());
        see(Run::program(&line[0]).args(&line[1..]).cwd("/"))
    }

    fn ours(&self, argv: &str) -> Seen {
        self.run(&self.unshare, argv)
    }

    fn theirs(&self, argv: &str) -> Seen {
        self.run(Path::new("/usr/bin/unshare"), argv)
    }
}

/// A mount namespace like the system's, where both users have the same subordinate ids.
const WORLD: &str = "mount --make-rshared /; \
    for file in uid gid; do mount --bind \"$0/subid\" /etc/sub$file; done; exec \"$@\"";

fn as_root() -> Place {
    Place::new(&[])
}

fn as_user() -> Place {
    Place::new(&[
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
    ])
}

/// What the peer of the corpus did, where the one that is installed is too old for it.
fn expected(line: &Line, who: &str) -> Option<i32> {
    let newest = line.column(&format!("works-as-{who}-HEAD"));
    let newest = if newest.is_empty() {
        line.column(&format!("works-as-{who}-HEAD(2.43-devel)"))
    } else {
        newest
    };
    let installed = line.column(&format!("works-as-{who}-2.38.1"));
    let code = i32::from(newest != "yes");
    (newest != installed).then_some(code)
}

fn replay(replay: &mut Replay<'_>, place: &Place, who: &str) {
    for line in corpus("unshare") {
        let ours = place.ours(&line.argv);
        match expected(&line, who) {
            Some(code) => replay.expect_code(&line.argv, &ours, code),
            None => replay.compare(&line.argv, &ours, &place.theirs(&line.argv)),
        }
    }
}

mod root {
    use super::*;

    #[test]
    fn every_line_of_the_corpus_does_the_same_as_root_and_as_an_ordinary_user() {
        need!(
            "root",
            "shared",
            "program:unshare",
            "program:setpriv",
            "program:newuidmap"
        );
        let mut all = Replay::new(&KNOWN);

        replay(&mut all, &as_root(), "root");
        replay(&mut all, &as_user(), "uid1000");

        all.finish(true);
    }
}
