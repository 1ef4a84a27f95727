//! Where command lines are compared: a world of their own, with files to name.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kit::replay::{Seen, see};
use kit::{Run, tool};

/// Where the command lines of one test run: their files, and ns-run called unshare.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    unshare: PathBuf,
    /// The command that is put before both, with the world they run in.
    before: Vec<String>,
}

impl Place {
    /// `subids` are the lines of /etc/subuid and /etc/subgid; `user` is put before all.
    pub(crate) fn new(subids: &str, user: &[&str]) -> Self {
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
        std::fs::write(at.join("subid"), subids).unwrap();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        let passwd = passwd + "bm:x:1000:1000::/:/bin/sh\n";
        std::fs::write(at.join("passwd"), passwd).unwrap();
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

    /// ns-run as unshare, with `probe` at its end.
    pub(crate) fn ours(&self, argv: &str) -> Seen {
        self.run(&self.unshare, argv)
    }

    /// unshare itself.
    pub(crate) fn theirs(&self, argv: &str) -> Seen {
        self.run(Path::new("/usr/bin/unshare"), argv)
    }
}

/// A mount namespace like the system's, where both users have the same subordinate ids.
const WORLD: &str = "mount --make-rshared /; \
    for file in subuid subgid; do mount --bind \"$0/subid\" /etc/$file; done; \
    mount --bind \"$0/passwd\" /etc/passwd; exec \"$@\"";

/// What makes an ordinary user.
pub(crate) fn user(uid: u32) -> [String; 5] {
    [
        "setpriv".to_owned(),
        format!("--reuid={uid}"),
        format!("--regid={uid}"),
        "--clear-groups".to_owned(),
        "--inh-caps=-all".to_owned(),
    ]
}
