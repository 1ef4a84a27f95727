//! Options put together at random do the same in both.

use kit::need;
use kit::replay::{Known, Replay};

use crate::place::{Place, user};

/// What is another than with unshare 2.38, and meant.
const KNOWN: [Known; 8] = [
    Known {
        topic: "pdeathsig",
        words: &["--fork", "-f", "--kill-child"],
        why: "COMMAND does not outlive the one that waits for it",
    },
    Known {
        topic: "uid-map",
        words: &["--map-auto"],
        why: "2.38 loses the last id of a range with a hole, 2.43 does not",
    },
    Known { topic: "gid-map", words: &["--map-auto"], why: "the same" },
    Known {
        topic: "uid",
        words: &["--map-auto"],
        why: "whose id is not mapped becomes root of the namespace, not nobody",
    },
    Known { topic: "gid", words: &["--map-auto"], why: "the same" },
    Known {
        topic: "caps",
        words: &["--map-auto"],
        why: "and has root's capabilities after the exec",
    },
    Known {
        topic: "works",
        words: &["--setgid=0"],
        why: "-r -G works where no group can be shed",
    },
    Known {
        topic: "works",
        words: &["--setgroups=deny"],
        why: "it is denied already, and a second time is no failure",
    },
];

/// A line that shows each of them.
const SHOWN: [&str; 5] =
    ["-f", "--map-auto", "--map-auto -r", "-r --setgid=0", "-r --setgroups=deny"];

/// Words of which each is plain to both, also to unshare 2.38.
const WORDS: [&str; 33] = [
    "-m",
    "-u",
    "-i",
    "-n",
    "-p",
    "-U",
    "-C",
    "-T",
    "-f",
    "-r",
    "-c",
    "-r",
    "--fork",
    "--mount",
    "--user",
    "--mount-proc",
    "--mount-proc=<DIR>",
    "--map-root-user",
    "--map-current-user",
    "--map-user=7",
    "--map-group=8",
    "--map-auto",
    "--propagation=slave",
    "--propagation=unchanged",
    "--propagation=shared",
    "--setgroups=deny",
    "--setgroups=allow",
    "--setuid=0",
    "--setgid=0",
    "--keep-caps",
    "--kill-child",
    "--root=/",
    "--wd=/usr",
];

/// Compares what shows the differences, then what comes for some seconds.
fn compare(place: &Place, replay: &mut Replay<'_>, seconds: u64) {
    let mut both = |argv: &str| {
        replay.compare(argv, &place.ours(argv), &place.theirs(argv));
    };
    SHOWN.into_iter().for_each(&mut both);
    arbtest::arbtest(|u| {
        let mut argv = String::new();
        for _ in 0..u.int_in_range(1..=6)? {
            argv = format!("{argv} {}", u.choose(&WORDS)?);
        }
        both(&argv);
        Ok(())
    })
    .budget_ms(seconds * 1000);
}

mod root {
    use super::*;

    #[test]
    fn options_at_random_do_the_same_as_root_and_as_an_ordinary_user() {
        need!("root", "program:unshare", "program:setpriv", "program:newuidmap");
        let subids = "root:500000:65536\n65534:500000:65536\n";
        let user = user(65534);
        let user = Place::new(subids, &user.each_ref().map(|word| &**word));
        let root = Place::new(subids, &[]);
        // `PEER_SECONDS=600` for a longer look.
        let seconds = std::env::var("PEER_SECONDS").ok();
        let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(4);
        let mut all = Replay::new(&KNOWN);

        compare(&root, &mut all, seconds);
        compare(&user, &mut all, seconds);

        all.finish(true);
    }
}
