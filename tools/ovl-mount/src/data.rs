//! The oldest way: mount(2) with all options in one string.
//!
//! The kernel cuts that string off at 4095 bytes and says nothing, so it is measured here.
//! Layers are named by their descriptors' numbers, from inside /proc/self/fd: 500 of them
//! take 2000 bytes, however long their paths.

use std::fmt::Write;
use std::os::fd::AsRawFd;

use common::mount::Mount;
use common::{Context, Fail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::MsFlags;
use nix::sys::stat::Mode;

use crate::plan::Xattrs;
use crate::stack::{Layer, Place, SOURCE, Stack, Writable, here};

/// mount(2) takes a page, of which the last byte ends the string.
const MOST: usize = 4095;

/// Mounts it on its place.
pub(crate) fn mount(
    stack: &Stack<'_>,
    place: &Place<'_>,
) -> Result<Result<Mount, Errno>, Fail> {
    let data = options(stack);
    if data.len() > MOST {
        let text = format_args!(
            "cannot mount an overlay of {} layers: its options take {} bytes",
            stack.lowers.len(),
            data.len()
        );
        return Err(Fail::new(text)
            .hint(format_args!("this kernel takes {MOST}, Linux 6.7 any number")));
    }
    let back = here().failed_to("open the directory")?;
    nix::unistd::chdir("/proc/self/fd").cannot("enter", "/proc/self/fd")?;
    let target = place.fd.as_raw_fd().to_string();
    let (source, flags) = (Some(SOURCE), MsFlags::MS_NODEV);
    let done = nix::mount::mount(
        source,
        target.as_str(),
        Some(c"overlay"),
        flags,
        Some(data.as_str()),
    );
    nix::unistd::fchdir(back).failed_to("return to the directory")?;
    if let Err(errno) = done {
        return Ok(Err(errno));
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mounted =
        openat(AT_FDCWD, place.path, flags, Mode::empty()).cannot("open", place.path)?;
    Ok(Ok(Mount::from(mounted)))
}

fn options(stack: &Stack<'_>) -> String {
    let number = |layer: &Layer| layer.fd.as_raw_fd().to_string();
    let join = |layers: &[Layer], between: &str| {
        layers.iter().map(number).collect::<Vec<_>>().join(between)
    };
    let mut data = format!("lowerdir={}", join(stack.lowers, ":"));
    for layer in stack.data {
        // Writing to a String cannot fail.
        let _ = write!(data, "::{}", number(layer));
    }
    if let Some(Writable { upper, work, .. }) = stack.upper {
        let _ = write!(data, ",upperdir={},workdir={}", number(upper), number(work));
    }
    if stack.xattrs == Xattrs::User {
        data.push_str(",userxattr");
    }
    for setting in stack.settings {
        let text = setting.to_string();
        let _ = match (text.split_once('='), text.contains(',')) {
            (Some((key, value)), true) => write!(data, ",{key}=\"{value}\""),
            _ => write!(data, ",{text}"),
        };
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::option::{Setting, list};

    fn layers(count: usize) -> Vec<Layer> {
        let open = || std::fs::File::open("/").unwrap().into();
        (0..count).map(|n| Layer { path: n.to_string().into(), fd: open() }).collect()
    }

    #[test]
    fn layers_are_numbers_and_commas_are_quoted() {
        let all = layers(3);
        let settings: Vec<Setting> =
            list("index=off,context=\"a,b\",volatile").unwrap().0;
        let stack = Stack {
            lowers: &all[..2],
            data: &all[2..],
            upper: None,
            xattrs: Xattrs::User,
            settings: &settings,
        };

        let n: Vec<_> = all.iter().map(|layer| layer.fd.as_raw_fd()).collect();
        assert_eq!(
            options(&stack),
            format!(
                "lowerdir={}:{}::{},userxattr,index=off,context=\"a,b\",volatile",
                n[0], n[1], n[2]
            )
        );
    }
}
