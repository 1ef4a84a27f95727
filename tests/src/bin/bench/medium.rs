//! Where runs write: a file system that is new for each of them.
//!
//! On an ext4 that was used before, a new inode is looked for past all that were deleted
//! in the last seconds (ext4's `recently_deleted`), which costs ten times the run itself.

use std::path::PathBuf;
use std::process::Command;

use common::{Context, Fail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::Bench;

/// Our mounts are nobody else's business.
pub(crate) fn private() -> Result<(), Fail> {
    unshare(CloneFlags::CLONE_NEWNS)
        .failed_to("make a mount namespace")
        .map_err(|fail| fail.hint("images are unpacked and mounted as root"))?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .cannot("make private", "/")
}

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    Tmpfs,
    /// ext4 on a loop device on a file in /var/tmp.
    Disk,
}

impl Medium {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Disk => "ext4",
        }
    }
}

/// How much a run may write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

/// A new file system; it goes away with the value.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    file: Option<PathBuf>,
}

impl Place {
    pub(crate) fn fresh(bench: &Bench, medium: Medium, room: Room) -> Result<Self, Fail> {
        let dir = bench.work.path().join("mnt");
        match std::fs::create_dir(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => other.cannot("make directory", &dir)?,
        }
        // A peer may hold the image in other forms beside the result.
        let bytes = room.bytes.saturating_mul(4).saturating_add(1 << 30);
        let inodes = room.files.saturating_mul(3).saturating_add(10_000);
        if medium == Medium::Tmpfs {
            let options = format!("size={bytes},nr_inodes={inodes},mode=755");
            let flags = MsFlags::empty();
            mount(Some("bench"), &dir, Some("tmpfs"), flags, Some(options.as_str()))
                .cannot("mount a tmpfs on", &dir)?;
            return Ok(Self { dir, file: None });
        }
        let file = bench.work.path().join("ext4");
        let place = Self { dir, file: Some(file) };
        place.make(bytes, inodes)?;
        Ok(place)
    }

    fn make(&self, bytes: u64, inodes: u64) -> Result<(), Fail> {
        let Some(path) = &self.file else { return Ok(()) };
        let file = std::fs::File::create(path).cannot("make file", path)?;
        file.set_len(bytes).cannot("make room in", path)?;
        let inodes = inodes.to_string();
        let make = ["-q", "-F", "-E", "lazy_itable_init=1,nodiscard", "-N", &inodes];
        command(Command::new("mkfs.ext4").args(make).arg(path))?;
        // Or a kernel thread would write inode tables during the run.
        let options = "loop,noinit_itable,noatime";
        command(Command::new("mount").args(["-o", options]).arg(path).arg(&self.dir))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // podman leaves mounts of its own.
        if umount2(&self.dir, MntFlags::empty()).is_err() {
            let _ = umount2(&self.dir, MntFlags::MNT_DETACH);
        }
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn command(command: &mut Command) -> Result<(), Fail> {
    let name = command.get_program().to_owned();
    let output = command.output().cannot("run", &name)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Fail::cannot("use", &name, said.lines().next().unwrap_or("it failed")))
}
