//! What somebody calls a device, and a vendor's specification of devices.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;

use libfuzzer_sys::fuzz_target;
use mkdev::device::{Asked, asked};
use mkdev::spec::{Wanted, nodes};

fuzz_target!(|data: &[u8]| {
    let [kind, text @ ..] = data else { return };
    if kind & 1 == 0 {
        match asked(OsStr::from_bytes(text)) {
            Ok(one) => is_below_dev(&one),
            Err(why) => fuzz::is_one_line(&why),
        }
        return;
    }
    let (name, spec) = match text.iter().position(|byte| *byte == 0) {
        Some(at) => (String::from_utf8_lossy(&text[..at]).into_owned(), &text[at + 1..]),
        None => (String::new(), text),
    };
    let names = [name];
    let devices = if names[0].is_empty() { &[][..] } else { &names };
    match nodes(spec, Wanted { devices, nodes_only: kind & 2 != 0 }) {
        Ok(all) => {
            assert!(!all.is_empty());
            all.iter().for_each(is_below_dev);
        }
        Err(why) => fuzz::is_one_line(&why),
    }
});

fn is_below_dev(asked: &Asked) {
    let mut parts = asked.name.0.components();
    assert!(parts.clone().next().is_some());
    assert!(parts.all(|part| matches!(part, Component::Normal(_))));
    assert!(asked.host.is_absolute());
    assert!(asked.mode.is_none_or(|mode| mode <= 0o777));
}
