//! Capabilities as capsh and getpcaps read and print them: cap_text_formats(7).
#![no_main]

use cap_drop::libcap::{Iab, Sets, capability, known, name, number};
use cap_drop::sets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (count, text) = (input.0 % 65, input.1);
    if let Some(sets) = Sets::parse(text, count) {
        let printed = sets.text(count);
        assert_eq!(Sets::parse(printed.as_bytes(), count), Some(sets), "{printed}");
    }
    if let Some(iab) = Iab::parse(text) {
        let printed = iab.text(64);
        assert_eq!(Iab::parse(printed.as_bytes()), Some(iab), "{printed}");
    }
    if let Some(one) = capability(text) {
        assert_eq!(capability(name(one).as_bytes()), Some(one));
        assert!(known(64).and(sets::CapSet::one(one)) == sets::CapSet::one(one));
    }
    if let Some(found) = number(text) {
        assert_eq!(number(found.to_string().as_bytes()), Some(found));
    }
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(set) = sets::parse(text)
    {
        assert_eq!(sets::parse(&set.to_string()), Ok(set));
    }
});
