//! What somebody wants to see in a new root: binds, tmpfs, volumes, files, hosts.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;

use libfuzzer_sys::fuzz_target;
use root_pivot::inside::{Inside, inside};
use root_pivot::{bind, file, standard, tmpfs, volume};

/// Below the root, whatever was written.
fn is_inside(Inside(path): &Inside) {
    assert!(path.components().next().is_some());
    assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
}

fuzz_target!(|bytes: &[u8]| {
    let text = OsStr::from_bytes(bytes);
    let _ = inside(text).as_ref().map(is_inside);
    if let Ok(bind) = bind::bind(text) {
        is_inside(&bind.at);
        assert!(!bind.source.as_os_str().is_empty());
    }
    if let Ok(tmpfs) = tmpfs::tmpfs(text) {
        is_inside(&tmpfs.at);
        assert!(!tmpfs.at.is_in_proc());
        assert!(tmpfs.options().iter().all(|(_, value)| !value.contains(',')));
    }
    if let Ok(volume) = volume::volume(text) {
        is_inside(&volume.at);
        assert!(volume.name.file_name().is_some() && !volume.at.is_in_proc());
    }
    if let Ok(given) = file::given(text) {
        is_inside(&given.at);
        assert!(given.mode <= 0o7777 && !given.at.is_in_proc());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let is_plain = |name: &str| !name.contains(char::is_whitespace);
        assert!(file::host(text).is_ok_and(|host| is_plain(&host.name)) || file::host(text).is_err());
        let _ = standard::proc(text);
    }
});
