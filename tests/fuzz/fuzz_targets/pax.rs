//! The records of an extended header: sizes, times, attributes, sparse maps, ACLs.
#![no_main]

use img_unpack::pax::{Records, number, time};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    img_unpack::fuzz::pax(data);
    let (_, nanos) = time(data).unwrap_or_default();
    assert!(nanos < 1_000_000_000);
    number(data);
    if let Ok(records) = Records::parse(data) {
        let size: usize =
            records.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(size <= data.len());
    }
});
