//! Files of Landlock's rules, and the text of its events.
#![no_main]

use cap_drop::landlock::rule;
use cap_drop::landlock::{Effort, Ruleset};
use cap_drop::trace::events::Events;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut events = Events::default();
    text.chunks(7).for_each(|piece| events.feed(piece));
    let mut whole = Events::default();
    whole.feed(text);
    assert_eq!(events.seen(), whole.seen());

    let Ok(rules) = rule::file(text) else { return };
    let Ok(set) = Ruleset::new(&rules) else { return };
    for abi in 0..12 {
        let best = set.clone().fit(abi, Effort::Best).expect("less will do");
        assert!(best.handled.without(set.handled).is_empty());
        let granted = best.paths.iter().map(|path| path.rights);
        let granted = granted.chain(best.ports.iter().map(|(rights, _)| *rights));
        assert!(
            granted.into_iter().all(|rights| rights.without(best.handled).is_empty())
        );
        if let Ok(hard) = set.clone().fit(abi, Effort::Hard) {
            assert_eq!(hard, set);
        }
    }
});
