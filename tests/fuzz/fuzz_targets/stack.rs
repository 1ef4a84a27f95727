//! A list of layers, the record of an image, options of overlayfs.
#![no_main]

use std::path::Component;

use libfuzzer_sys::fuzz_target;
use ovl_mount::layers::{directories, names};
use ovl_mount::option::{conflict, last_of_each, list, revoked, writes};

fuzz_target!(|data: &[u8]| {
    let [kind, text @ ..] = data else { return };
    match kind % 3 {
        0 => {
            let separator = if kind & 4 == 0 { b'\n' } else { 0 };
            for name in names(text, separator) {
                let name = name.into_os_string().into_encoded_bytes();
                assert!(!name.is_empty() && !name.contains(&separator));
            }
        }
        1 => match directories(text) {
            // Looked up on the host: nothing that an image could choose.
            Ok(all) => {
                for directory in all {
                    let parts = std::path::Path::new(&directory).components();
                    assert!(parts.clone().all(|part| part != Component::ParentDir));
                    let last = parts.last().and_then(|part| part.as_os_str().to_str());
                    let is_plain = |b: u8| b.is_ascii_hexdigit() || b == b'-';
                    let last = last.unwrap();
                    assert!(last == "rootfs" || last.bytes().all(is_plain), "{directory}");
                }
            }
            Err(why) => fuzz::is_one_line(&why),
        },
        _ => {
            let text = String::from_utf8_lossy(text);
            let (one, shown) = text.split_once('\n').unwrap_or((&text, ""));
            match list(one) {
                Ok(all) => {
                    let all = last_of_each(all.0);
                    let ours = ["lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"];
                    assert!(all.iter().all(|setting| !ours.contains(&&*setting.key)));
                    let _ = (conflict(&all), writes(&all), revoked(&all, shown, |_| false));
                }
                Err(why) => assert!(!why.is_empty()),
            }
        }
    }
});
