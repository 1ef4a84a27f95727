//! Paths inside a root file system that an attacker made, resolved by descriptor.
//!
//! Symbolic links and `..` stay inside the root as if it were `/` already; magic links
//! (/proc/PID/fd) are refused. The kernel does it by openat2(2) (Linux 5.6); where a
//! filter hides that call, a walk over O_PATH descriptors does the same.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};

type Result<T> = std::result::Result<T, Errno>;

/// As many links as the kernel follows in one path, path_resolution(7).
const MAX_LINKS: usize = 40;

/// Of a file that is created; the umask has its say.
const NEW_FILE: Mode = Mode::from_bits_truncate(0o666);

/// The root directory that paths are resolved in.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Root {
    fn from(dir: OwnedFd) -> Self {
        Self(dir)
    }
}

impl Root {
    /// Opens the root itself, a path of the host's.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        open(path, flags, Mode::empty()).map(Self)
    }

    /// Opens what a path means inside the root; `O_CLOEXEC` is added.
    ///
    /// # Errors
    /// Those of openat2(2); `ELOOP` for a magic link too.
    pub fn resolve(&self, path: impl AsRef<Path>, flags: OFlag) -> Result<OwnedFd> {
        let path = rooted(path.as_ref());
        let created =
            if flags.contains(OFlag::O_CREAT) { NEW_FILE } else { Mode::empty() };
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .mode(created)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        loop {
            return match openat2(&self.0, path, how) {
                // A rename went on beside us; the kernel asks to look again.
                Err(Errno::EAGAIN) => continue,
                Err(Errno::ENOSYS | Errno::EPERM) => self.walk(path, flags),
                other => other,
            };
        }
    }

    /// A directory inside the root, as an `O_PATH` descriptor.
    pub fn dir(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.resolve(path, OFlag::O_PATH | OFlag::O_DIRECTORY)
    }

    /// The directory that holds the last part of a path, and that part's name.
    ///
    /// # Errors
    /// `EINVAL` where the path has no such part (`/`, `a/..`).
    pub fn parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr)> {
        let name = path.file_name().ok_or(Errno::EINVAL)?;
        let dir = path.parent().unwrap_or(Path::new(""));
        Ok((self.dir(dir)?, name))
    }

    /// A directory inside the root, made with its parents where they are missing.
    ///
    /// # Errors
    /// `ENOTDIR` where a part is something else, a link to nowhere included.
    pub fn make_dirs(&self, path: &Path, mode: Mode) -> Result<OwnedFd> {
        match self.dir(path) {
            Err(Errno::ENOENT) => {}
            other => return other,
        }
        let name = path.file_name().ok_or(Errno::ENOENT)?;
        let above = self.make_dirs(path.parent().unwrap_or(Path::new("")), mode)?;
        match mkdirat(&above, name, mode) {
            Ok(()) | Err(Errno::EEXIST) => child_dir(above.as_fd(), name),
            Err(e) => Err(e),
        }
    }

    /// [`Root::resolve`] without openat2(2).
    fn walk(&self, path: &Path, flags: OFlag) -> Result<OwnedFd> {
        let mut above: Vec<OwnedFd> = Vec::new();
        let mut here = self.0.try_clone().map_err(|_| Errno::EMFILE)?;
        let mut todo: VecDeque<OsString> = parts(path);
        let mut links = 0_usize;
        while let Some(part) = todo.pop_front() {
            if part == ".." {
                here = above.pop().unwrap_or(here);
                continue;
            }
            let last = todo.is_empty();
            let step = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let next = match openat(&here, part.as_os_str(), step, Mode::empty()) {
                Err(Errno::ENOENT) if last && flags.contains(OFlag::O_CREAT) => {
                    return open_last(here.as_fd(), &part, flags);
                }
                other => other?,
            };
            if kind(&fstat(&next)?) != SFlag::S_IFLNK {
                if last {
                    return open_last(here.as_fd(), &part, flags);
                }
                above.push(std::mem::replace(&mut here, next));
                continue;
            }
            if last && flags.contains(OFlag::O_NOFOLLOW) {
                return open_last(here.as_fd(), &part, flags);
            }
            links = links.saturating_add(1);
            // procfs has magic links, and no others that lead anywhere we want to go.
            let magic = nix::sys::statfs::fstatfs(&next)?.filesystem_type()
                == nix::sys::statfs::PROC_SUPER_MAGIC;
            if links > MAX_LINKS || magic {
                return Err(Errno::ELOOP);
            }
            let target = readlinkat(&next, "")?;
            if Path::new(&target).is_absolute() {
                above.clear();
                here = self.0.try_clone().map_err(|_| Errno::EMFILE)?;
            }
            for part in parts(Path::new(&target)).into_iter().rev() {
                todo.push_front(part);
            }
        }
        openat(&here, ".", flags | OFlag::O_CLOEXEC, Mode::empty())
    }
}

/// The end of a walk: the last part itself, which is no link or is wanted as one.
fn open_last(dir: BorrowedFd<'_>, name: &OsStr, flags: OFlag) -> Result<OwnedFd> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, name, flags, NEW_FILE)
}

/// What kind of file it is: the type bits of its mode.
pub fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// A subdirectory by its plain name, never through a link.
pub fn child_dir(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

/// openat2(2) takes no empty path; `.` is the root.
fn rooted(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A root with links that want to leave it, beside a file of the host's.
    fn hostile() -> (tempfile::TempDir, Root) {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("root/a/b")).unwrap();
        fs::write(top.path().join("secret"), "host").unwrap();
        fs::write(top.path().join("root/secret"), "image").unwrap();
        let link =
            |to: &str, at: &str| symlink(to, top.path().join("root").join(at)).unwrap();
        link("/secret", "absolute");
        link("../../../secret", "a/climb");
        link("/proc/self/root/secret", "magic");
        link("loop", "loop");
        link("a/b", "dir");
        link("nowhere", "dangling");
        let root = Root::open(&top.path().join("root")).unwrap();
        (top, root)
    }

    fn content(fd: OwnedFd) -> String {
        std::io::read_to_string(fs::File::from(fd)).unwrap()
    }

    #[test]
    fn links_stay_inside_the_root_by_either_resolver() {
        let (_top, root) = hostile();
        let read = OFlag::O_RDONLY;

        for path in
            ["absolute", "a/climb", "/../../secret", "dir/../../secret", "dir/../climb"]
        {
            assert_eq!(content(root.resolve(path, read).unwrap()), "image", "{path}");
            assert_eq!(
                content(root.walk(Path::new(path), read).unwrap()),
                "image",
                "{path}"
            );
        }
    }

    #[test]
    fn loops_and_dangling_links_are_errors_by_either_resolver() {
        let (_top, root) = hostile();
        let read = OFlag::O_RDONLY;

        for (path, error) in [
            ("loop", Errno::ELOOP),
            ("dangling", Errno::ENOENT),
            ("magic", Errno::ENOENT),
        ] {
            assert_eq!(root.resolve(path, read).unwrap_err(), error, "{path}");
            assert_eq!(root.walk(Path::new(path), read).unwrap_err(), error, "{path}");
        }
    }

    #[test]
    fn directories_are_made_inside_the_root_only() {
        let (top, root) = hostile();

        root.make_dirs(Path::new("dir/../new/deep"), Mode::S_IRWXU).unwrap();
        let dangling = root.make_dirs(Path::new("dangling/x"), Mode::S_IRWXU);

        assert!(top.path().join("root/a/new/deep").is_dir());
        assert_eq!(dangling.unwrap_err(), Errno::ENOTDIR);
        assert!(!top.path().join("root/nowhere").exists());
    }
}
