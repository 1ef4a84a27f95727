//! What somebody calls an image, a platform, a member, a digest, a user.
#![no_main]

use common::passwd::Who;
use img_unpack::digest::Digest;
use img_unpack::members::Name;
use img_unpack::platform::{self, Platform};
use img_unpack::refname::Wanted;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (one, other) = text.split_once('\n').unwrap_or((text, "latest"));
    let Ok(wanted) = one.parse::<Wanted>();
    wanted.is(other);
    wanted.place();
    if let Some(name) = Name::member(other.as_bytes()) {
        wanted.is_config(&name);
    }
    if let Ok(platform) = platform::parse(one) {
        assert_eq!(platform.rank(&platform), Some(0), "{platform}");
        Platform::here().takes(&platform);
    }
    if let Ok(digest) = Digest::parse(one) {
        assert_eq!(digest.to_string(), one);
    }
    if let Some(name) = Name::member(one.as_bytes()) {
        let parts = |name: &Name| name.as_bytes().to_vec();
        let inside = |name: &Name| {
            parts(name).split(|b| *b == b'/').all(|p| !matches!(p, b"" | b"." | b".."))
        };
        assert!(inside(&name));
        if let Some(target) = Name::beside(&name, other.as_bytes()) {
            assert!(inside(&target));
        }
    }
    let _ = Who::parse(one);
});
