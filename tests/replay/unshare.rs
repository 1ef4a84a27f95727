//! `ns-run` in the place of unshare(1).

use kit::need;
use kit::replay::{Known, Line, Replay, corpus};

use crate::place::{Place, user};

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

        let subids = "root:500000:65536\n65534:500000:65536\n";
        let user = user(65534);

        replay(&mut all, &Place::new(subids, &[]), "root");
        replay(&mut all, &Place::new(subids, &user.each_ref().map(|w| &**w)), "uid1000");

        all.finish(true);
    }
}
