//! manifest.json or index.json, and what they name, to an image; the digests are right.
#![no_main]

use img_unpack::manifest::{Choice, all, find};
use img_unpack::members::Members;
use img_unpack::platform::Platform;
use img_unpack::refname::Wanted;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [kind, text @ ..] = data else { return };
    let first: &[&str] = match kind % 4 {
        0 => &["manifest.json"],
        1 => &["index.json", "oci-layout"],
        2 => &["manifest.json", "index.json"],
        _ => &["repositories", "manifest.json"],
    };
    let documents = fuzz::Documents::read(text, first);
    let wanted =
        [None, Some("latest"), Some("@1"), Some("a/b:c")][usize::from(kind / 4 % 4)];
    let choice = Choice {
        wanted: wanted.and_then(|name| name.parse::<Wanted>().ok()),
        platform: Platform::here(),
        strict: kind & 64 != 0,
    };
    match find(&documents, &choice) {
        Ok(image) => {
            for layer in &image.layers {
                assert!(
                    documents.size(&layer.member).is_some(),
                    "a layer that is not there"
                );
            }
        }
        Err(fail) => fuzz::is_one_line(&fail.text),
    }
    if let Err(fail) = all(&documents) {
        fuzz::is_one_line(&fail.text);
    }
});
