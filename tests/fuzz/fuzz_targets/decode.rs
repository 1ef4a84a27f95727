//! Compressed bytes, of all kinds: it ends, in bounded memory (-rss_limit_mb).
#![no_main]

use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 16 << 20;

fuzz_target!(|data: &[u8]| {
    assert!(img_unpack::fuzz::decode(data, LIMIT) <= LIMIT);
});
