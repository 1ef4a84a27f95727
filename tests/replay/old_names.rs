//! `capsh`, and cap-drop in the place of setpriv(1) and getpcaps(1).

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kit::need;
use kit::replay::{Known, Replay, Seen, corpus, see};
use kit::{Run, tool};

use crate::place::user;

/// The names, and where the peers are.
const NAMES: [&str; 3] = ["capsh", "setpriv", "getpcaps"];

/// What is another than with capsh, and meant.
pub(crate) const CAPSH: [Known; 2] = [
    Known {
        topic: "env",
        words: &["--user"],
        why: "USER is set as the man page says, where it was not set before as well",
    },
    Known {
        topic: "stdout",
        words: &["--suggest"],
        why: "each capability is explained in words of our own",
    },
];

/// What is another than with setpriv, and meant.
pub(crate) const SETPRIV: [Known; 4] = [
    Known {
        topic: "env",
        words: &["--reset-env"],
        why: "2.38 knows no login.defs, 2.43 does",
    },
    Known {
        topic: "stderr",
        words: &["--keep-groups", "--init-groups", "--clear-groups"],
        why: "2.43 names the two that cannot be combined",
    },
    Known {
        topic: "code",
        words: &["--bounding-set"],
        why: "without CAP_SETPCAP the peer drops nothing and says nothing",
    },
    Known { topic: "stdout", words: &["-V", "--version"], why: "the version is our own" },
];

/// Two directories with the same names in them, and `probe`.
pub(crate) struct Names {
    dir: tempfile::TempDir,
    user: Vec<String>,
}

impl Names {
    /// `user` is put before all command lines.
    pub(crate) fn new(user: &[String]) -> Self {
        let dir = tempfile::Builder::new().prefix("bm-names-").tempdir().unwrap();
        let at = dir.path();
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["ours", "theirs"] {
            std::fs::create_dir(at.join(name)).unwrap();
        }
        for name in ["capsh", "cap-drop"] {
            std::fs::copy(tool(name), at.join("ours").join(name)).unwrap();
        }
        for name in ["setpriv", "getpcaps"] {
            symlink("cap-drop", at.join("ours").join(name)).unwrap();
        }
        for name in NAMES {
            symlink(peer(name), at.join("theirs").join(name)).unwrap();
        }
        std::fs::copy(tool("probe"), at.join("probe")).unwrap();
        Self { dir, user: user.to_vec() }
    }

    /// A line for the shell, where `true` stands for `probe`.
    pub(crate) fn run(&self, side: &str, line: &str) -> Seen {
        let probe = self.dir.path().join("probe").display().to_string();
        let line: String = line
            .split_inclusive([' ', '"', '\''])
            .map(|word| match word.trim_end_matches([' ', '"', '\'']) {
                "true" => word.replace("true", &probe),
                _ => word.to_owned(),
            })
            .collect();
        self.shell(side, &line)
    }

    /// A line for the shell, as it is.
    fn shell(&self, side: &str, line: &str) -> Seen {
        let bin = self.dir.path().join("bin");
        let _ = std::fs::remove_file(&bin);
        symlink(side, &bin).unwrap();
        let system = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let path = format!("{}:{system}", bin.display());
        let shell = ["/bin/sh", "-c", line].map(str::to_owned);
        let words = [&self.user[..], &shell].concat();
        see(Run::program(&words[0]).args(&words[1..]).env("PATH", path).cwd("/"))
    }

    /// Compares both.
    pub(crate) fn compare(&self, replay: &mut Replay<'_>, line: &str) {
        let (ours, theirs) = (self.run("ours", line), self.run("theirs", line));
        replay.compare(line, &ours, &theirs);
        // The list of the options is in words of our own.
        if !theirs.said.starts_with("usage:") {
            replay.compare_words(line, &ours, &theirs);
        }
    }

    /// Compares ours alone with a code that is known from elsewhere; of `true` itself, which
    /// a line may allow to be run and nothing else.
    fn expect(&self, replay: &mut Replay<'_>, line: &str, code: i32) {
        replay.expect_code(line, &self.shell("ours", line), code);
    }
}

/// What makes an ordinary user, whatever setpriv is in PATH.
pub(crate) fn nobody() -> Vec<String> {
    let mut words = user(65534).to_vec();
    peer("setpriv").display().to_string().clone_into(&mut words[0]);
    words
}

/// Where a peer is: below `PEERS`, where that is set, for another than is installed.
fn peer(name: &str) -> PathBuf {
    let elsewhere = std::env::var_os("PEERS").map(|dir| Path::new(&dir).join(name));
    let installed = ["/usr/bin", "/usr/sbin"].map(|dir| Path::new(dir).join(name));
    let mut all = elsewhere.into_iter().chain(installed);
    all.find(|path| path.is_file()).unwrap_or_else(|| panic!("no {name}"))
}

mod root {
    use super::*;

    #[test]
    fn every_line_with_capsh_does_the_same_as_root_and_as_an_ordinary_user() {
        need!("root", "shared", "program:setpriv", "program:capsh");
        let mut all = Replay::new(&CAPSH);
        let (root, user) = (Names::new(&[]), Names::new(&nobody()));

        for line in corpus("capsh") {
            root.compare(&mut all, &line.argv);
            user.compare(&mut all, &line.argv);
        }

        all.finish(true);
    }

    #[test]
    fn every_line_with_setpriv_does_the_same_as_root_and_as_an_ordinary_user() {
        need!("root", "shared", "program:setpriv");
        let mut all = Replay::new(&SETPRIV);
        let (root, user) = (Names::new(&[]), Names::new(&nobody()));

        for line in corpus("setpriv") {
            let installed = line.column("exit (installed 2.38.1)");
            let newest = line.column("exit (HEAD 2.43.devel)");
            if installed == newest {
                root.compare(&mut all, &line.argv);
                user.compare(&mut all, &line.argv);
            } else {
                root.expect(&mut all, &line.argv, newest.parse().unwrap());
            }
        }

        // Of another peer than is installed, not every one is seen.
        all.finish(std::env::var_os("PEERS").is_none());
    }
}
