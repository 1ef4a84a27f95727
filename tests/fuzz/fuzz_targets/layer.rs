//! The bytes of a layer's tar to what each entry would do: nothing leaves the root, and
//! nothing is larger than what is there to make it of.
#![no_main]

use img_unpack::fuzz::layer;
use libfuzzer_sys::fuzz_target;

fn is_inside(path: &[u8]) {
    if path.is_empty() {
        return;
    }
    assert!(!path.contains(&0));
    for part in path.split(|byte| *byte == b'/') {
        assert!(!matches!(part, b"" | b"." | b".."), "{}", path.escape_ascii());
    }
}

fuzz_target!(|data: &[u8]| {
    let [strip, tar @ ..] = data else { return };
    let strip = usize::from(strip.saturating_sub(250));
    let mut left = u64::try_from(tar.len()).unwrap();
    for effect in layer(&fuzz::with_checksums(tar), strip) {
        is_inside(&effect.path);
        if let Some(target) = &effect.target {
            is_inside(target);
        }
        left = left.checked_sub(effect.content).expect("content out of nowhere");
        let mut end = 0;
        for (offset, length) in &effect.extents {
            assert!(*offset >= end, "pieces that overlap");
            end = offset.checked_add(*length).unwrap();
            assert!(end <= effect.size, "a piece behind the end");
        }
    }
});
