//! Files that are written for the new root: on a tmpfs of their own, so that nothing of ROOT
//! is overwritten, and what the program in the new root writes there goes with it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

use common::fail::Hint;
use common::mount::{Attr, Depth, Mount};
use common::{Context, Fail, entry};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod};

use crate::file::Given;
use crate::fill::Filler;
use crate::make::NEEDS_RIGHT;

const NAME: &str = "file";

impl Filler {
    /// Writes a file and shows it at its place.
    pub(crate) fn give(&mut self, given: &Given, text: &[u8]) -> Result<(), Fail> {
        let at = &given.at;
        let place = self.file_place(at)?;
        let options = [("source", "file"), ("mode", "755"), ("nr_inodes", "3")];
        let attr = Attr::NOSUID.and(Attr::NODEV);
        let tmpfs = Mount::new("tmpfs", options, attr)
            .cannot("make file", at.absolute())
            .hint_on(Errno::EPERM, NEEDS_RIGHT)?;
        let file = write(&tmpfs, given.mode, text).cannot("write", at.absolute())?;
        let shown = self.lift(&tmpfs, &file).cannot("mount on", at.absolute())?;
        self.attach(shown, place.as_fd(), at)
    }

    /// A mount of one file of a file system. Before Linux 6.15 the kernel clones attached
    /// mounts only: this one is so for a moment, on the root, where nothing is looked up
    /// through it.
    fn lift(&self, tmpfs: &Mount, file: &OwnedFd) -> Result<Mount, Errno> {
        match Mount::clone_fd(file.as_fd(), Depth::One) {
            Err(Errno::EINVAL) => {}
            other => return other,
        }
        tmpfs.attach(self.top().as_fd())?;
        let clone = Mount::clone_fd(file.as_fd(), Depth::One);
        tmpfs.take_away().and(clone)
    }
}

fn write(tmpfs: &Mount, mode: u32, text: &[u8]) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = openat(tmpfs, NAME, flags, Mode::S_IRUSR)?;
    entry::write_all(file.as_raw_fd(), text)?;
    fchmod(&file, Mode::from_bits_truncate(mode))?;
    // Not the writable one: nothing is to be open when the root is the new one.
    openat(tmpfs, OsStr::new(NAME), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
}
