//! ns-enter in the place of nsenter(1): command lines of scripts that nobody here wrote, and
//! ones put together at random.

use std::os::unix::fs::PermissionsExt;

use kit::replay::{Known, Line, Replay, Seen, corpus, see};
use kit::{Run, need, tool};

use crate::Target;

/// What is another than with nsenter, and meant.
const KNOWN: [Known; 1] = [Known {
    topic: "pdeathsig",
    words: &["-p", "--pid", "--pi", "-a", "--all"],
    why: "COMMAND does not outlive the one that waits for it",
}];

/// What else is another where options meet that no script has together.
const AT_RANDOM: [Known; 9] = [
    Known { topic: "pdeathsig", words: &["-p", "-a"], why: "as above" },
    Known {
        topic: "cwd",
        words: &["-r"],
        why: "no directory outside of the root is left",
    },
    Known { topic: "cwd", words: &["-w"], why: "the last working directory counts" },
    Known {
        topic: "cwd",
        words: &["-a"],
        why: "a mount namespace that is ours already is not entered",
    },
    Known {
        topic: "cwd-stat",
        words: &["-r"],
        why: "no directory outside of the root is left",
    },
    Known { topic: "cwd-stat", words: &["-w"], why: "the last working directory counts" },
    Known {
        topic: "cwd-stat",
        words: &["-a"],
        why: "a mount namespace that is ours already is not entered",
    },
    Known {
        topic: "pgid",
        words: &["-a"],
        why: "a pid namespace that is ours already takes no fork",
    },
    Known {
        topic: "works",
        words: &["-a", "-U"],
        why: "a namespace that is ours, or that denies setgroups, does not matter",
    },
];

/// Where the command lines run, with two processes to enter and the tool called nsenter.
struct Place {
    dir: tempfile::TempDir,
    /// `<P>`: all namespaces but the user's.
    root: Target,
    /// `<U>`: with a user namespace, of this test's user.
    user: Target,
}

impl Place {
    fn new(root: &[&str], user: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("bm-peer-").tempdir().unwrap();
        let all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), all).unwrap();
        for name in ["ns-enter", "probe"] {
            std::fs::copy(tool(name), dir.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink("ns-enter", dir.path().join("nsenter")).unwrap();
        Self { dir, root: Target::new(root), user: Target::new(user) }
    }

    fn run(&self, program: &str, argv: &str) -> Seen {
        let dir = self.dir.path().display().to_string();
        let uts = format!("/proc/{}/ns/uts", self.root.pid);
        let net = format!("/proc/{}/ns/net", self.root.pid);
        let words = argv.split_whitespace().map(|word| {
            word.replace("<P>", &self.root.pid)
                .replace("<U>", &self.user.pid)
                .replace("<UTSF>", &uts)
                .replace("<NETF>", &net)
                .replace("<DIR>", &dir)
        });
        // A user of the machine is in /.
        see(Run::program(program).args(words).arg(format!("{dir}/probe")).cwd("/"))
    }

    fn ours(&self, argv: &str) -> Seen {
        self.run(&self.dir.path().join("nsenter").display().to_string(), argv)
    }

    fn theirs(&self, argv: &str) -> Seen {
        self.run("nsenter", argv)
    }
}

/// What nsenter of 2.43 did, where the one that is installed is too old for it.
fn expected(line: &Line) -> Option<i32> {
    let newest = line.column("works-as-root-HEAD(2.43-devel)");
    let is_known = newest == line.column("works-as-root-2.38.1");
    (!is_known).then(|| i32::from(newest != "yes"))
}

/// Puts options together at random and compares what becomes of them.
fn at_random(place: &Place, options: &[&str]) {
    let mut lines = Vec::new();
    arbtest::arbtest(|u| {
        let mut words = vec![*u.choose(&["-t<P>", "-t<U>", "-t<U>", "-t<U>"])?];
        for _ in 0..u.int_in_range(0..=5)? {
            words.push(*u.choose(options)?);
        }
        // 2.38 and 2.43 do not agree on which counts.
        let twice = [("-u", "--uts="), ("-n", "-n/"), ("-U", "-U/")];
        let is_twice = twice.iter().any(|(own, file)| {
            words.contains(own) && words.iter().any(|word| word.starts_with(file))
        });
        if !is_twice {
            lines.push(words.join(" "));
        }
        Ok(())
    })
    .budget_ms(50);
    lines.sort();
    lines.dedup();
    // What costs is running them; the first of each length would be all alike.
    let step = lines.len().div_euclid(150).max(1);
    let mut all = Replay::new(&AT_RANDOM);
    for line in lines.iter().step_by(step) {
        all.compare(line, &place.ours(line), &place.theirs(line));
    }
    all.finish(false);
}

const OPTIONS: [&str; 22] = [
    "-a",
    "-U",
    "-U",
    "-m",
    "-u",
    "-i",
    "-n",
    "-p",
    "-C",
    "-T",
    "-F",
    "-w",
    "-r",
    "-W/proc",
    "--wd=/tmp",
    "-S0",
    "-G0",
    "--preserve-credentials",
    "--preserve-credentials",
    "-n/proc/<U>/ns/net",
    "--uts=/proc/<U>/ns/uts",
    "-U/proc/<U>/ns/user",
];

mod userns {
    use super::*;

    #[test]
    fn options_at_random_do_the_same_in_both() {
        need!("userns", "program:nsenter");
        let place = Place::new(&["-Urmn"], &["-UrmnpuiC"]);

        at_random(&place, &OPTIONS);
    }
}

mod root {
    use super::*;

    #[test]
    fn every_line_of_the_corpus_does_the_same() {
        need!("root", "shared", "program:nsenter");
        let place =
            Place::new(&["-mnpuiC", "--mount-proc"], &["-UrmnpuiC", "--mount-proc"]);
        let mut all = Replay::new(&KNOWN);
        for line in corpus("nsenter") {
            let ours = place.ours(&line.argv);
            match expected(&line) {
                Some(code) => all.expect_code(&line.argv, &ours, code),
                None => all.compare(&line.argv, &ours, &place.theirs(&line.argv)),
            }
        }
        all.finish(true);
    }

    #[test]
    fn what_scripts_have_and_the_corpus_has_not_does_the_same() {
        need!("root", "program:nsenter");
        let place =
            Place::new(&["-mnpuiC", "--mount-proc"], &["-UrmnpuiC", "--mount-proc"]);
        let mut all = Replay::new(&KNOWN);
        for line in [
            "-t <P> --",
            "--target=<P> --all --",
            "-at <P>",
            "-at<P>",
            "--targ <P> --mou --ut --ip --net --pi",
            "-m/proc/<P>/ns/mnt -n/proc/<P>/ns/net",
            "--mount=/proc/<P>/ns/mnt --pid=/proc/<P>/ns/pid -F",
            "-t <P> -m -r -w",
            "-t <P> -m --wd=/ --",
            "-t <P> -m -W/proc",
            "-t <U> -U --preserve",
            "-t <U> -U -S 0 -G 0",
            "-t <U> -a --preserve-credentials -S0",
            "-t <P> -n -S 65534 -G 65534",
            "-t <P> -n -G 5",
            "-t <P> -a -F",
            "-t <P> -T",
            "-t <U> --user -T",
            "--root=/ -t <P> -n",
            "-t <P> -n -Z",
            "-t <P> -x",
            "-t <P> --nope",
            "-t <P> --mount=/nonexistent",
            "-t 0 -n",
            "-t -1 -n",
            "-t x -n",
            "-t 2147483646 -n",
            "-n",
            "-a",
            "-t <U> -a -S 7",
            "-t <P> -w -W",
            "-t",
        ] {
            all.compare(line, &place.ours(line), &place.theirs(line));
        }
        all.finish(true);
    }

    #[test]
    fn options_at_random_do_the_same_in_both_for_root() {
        need!("root", "program:nsenter");
        let place = Place::new(&["-mnuiC"], &["-UrmnpuiC"]);

        at_random(&place, &OPTIONS);
    }
}
