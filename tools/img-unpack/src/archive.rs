//! The archive that an image comes in: members by name, never by a path of the host's.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::fail::{Hint, quote};
use common::inroot::kind;
use common::{Context, Fail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::decode::{self, Coding};
use crate::entry::Kind;
use crate::members::{Members, Name};
use crate::tar::{Input, Reader, bad};

/// `docker save` of a hundred images has some ten thousand.
const MAX_MEMBERS: usize = 1 << 20;

/// What an image is read from.
#[derive(Debug)]
pub(crate) enum Archive {
    /// A tar that can be seeked in, and where its members are.
    Tar { file: Arc<File>, index: HashMap<Name, Member>, path: PathBuf },
    /// An OCI layout as a directory.
    Directory { dir: OwnedFd, path: PathBuf },
}

/// A member of a tar.
#[derive(Debug, Clone)]
pub(crate) enum Member {
    File {
        offset: u64,
        size: u64,
        twice: bool,
    },
    /// A symbolic or hard link, as a name inside the archive.
    Link(Name),
    Other,
}

/// What an archive that is copied may become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes, `--max-size`.
    pub(crate) size: u64,
    /// Times its compressed size, `--max-ratio`.
    pub(crate) ratio: u64,
}

/// A part of a file.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl Archive {
    /// Opens an image; what cannot be seeked in is copied to a file without a name.
    pub(crate) fn open(
        image: &Path,
        scratch: &Path,
        limits: Limits,
    ) -> Result<Self, Fail> {
        if image == Path::new("-") {
            let stdin = io::stdin();
            let fd = stdin.as_fd().try_clone_to_owned().cannot("read", image)?;
            return Self::open_file(File::from(fd), image, scratch, limits);
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let fd = open(image, flags, Mode::empty()).cannot("open", image)?;
        if kind(&fstat(&fd).cannot("read", image)?) == SFlag::S_IFDIR {
            return Ok(Self::Directory { dir: fd, path: image.to_owned() });
        }
        Self::open_file(File::from(fd), image, scratch, limits)
    }

    fn open_file(
        mut file: File,
        image: &Path,
        scratch: &Path,
        limits: Limits,
    ) -> Result<Self, Fail> {
        let mut first = Vec::new();
        let start = file.stream_position().ok();
        let read = (&mut file).take(8).read_to_end(&mut first);
        read.cannot("read", image)?;
        let coding = decode::sniff(&first).map_err(|unread| {
            let reason = format!("compressed with {}", unread.name);
            let hint = format!("{} {} | img-unpack - DIR", unread.program, quote(image));
            Fail::cannot("read", image, reason).hint(hint)
        })?;
        let seekable = start.filter(|_| coding == Coding::Plain);
        let mut file = if let Some(start) = seekable {
            file.seek(SeekFrom::Start(start)).cannot("read", image)?;
            file
        } else {
            let whole = BufReader::with_capacity(1 << 17, first.chain(file));
            spool(whole, coding, image, (scratch, limits))?
        };
        let start = file.stream_position().cannot("read", image)?;
        let index = index(&file, start).cannot("read", image)?;
        Ok(Self::Tar { file: Arc::new(file), index, path: image.to_owned() })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Tar { path, .. } | Self::Directory { path, .. } => path,
        }
    }

    /// Where a member's bytes are.
    pub(crate) fn blob(&self, name: &Name) -> Result<Blob, Fail> {
        let found = self.member(name);
        if found.is_ok() {
            return found;
        }
        // skopeo's `dir:` has the same blobs without directories.
        let flat = name.flat();
        flat.iter().find_map(|name| self.member(name).ok()).map_or(found, Ok)
    }

    fn member(&self, name: &Name) -> Result<Blob, Fail> {
        let missing = || Fail::cannot("read", name.shown(), "it is not in the archive");
        match self {
            Self::Tar { file, index, .. } => match follow(index, name) {
                Some(Member::File { offset, size, .. }) => {
                    Ok(Blob { file: Arc::clone(file), offset: *offset, size: *size })
                }
                Some(Member::Link(_) | Member::Other) | None => Err(missing()),
            },
            Self::Directory { dir, .. } => {
                let fd = beneath(dir.as_fd(), name).cannot("open", name.shown())?;
                let stat = fstat(&fd).cannot("read", name.shown())?;
                if kind(&stat) != SFlag::S_IFREG {
                    return Err(Fail::cannot("read", name.shown(), "it is no file"));
                }
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                Ok(Blob { file: Arc::new(File::from(fd)), offset: 0, size })
            }
        }
    }
}

/// Opens a file that is read from its start to its end.
pub(crate) fn open_plain(image: &Path) -> Result<File, Fail> {
    if image == Path::new("-") {
        let fd = io::stdin().as_fd().try_clone_to_owned().cannot("read", image)?;
        return Ok(File::from(fd));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let fd = open(image, flags, Mode::empty()).cannot("open", image)?;
    if kind(&fstat(&fd).cannot("read", image)?) == SFlag::S_IFDIR {
        return Err(Fail::cannot("read", image, Errno::EISDIR.desc())
            .hint("--rootfs takes a tar archive"));
    }
    Ok(File::from(fd))
}

impl Members for Archive {
    fn size(&self, name: &Name) -> Option<u64> {
        self.blob(name).ok().map(|blob| blob.size)
    }

    fn document(&self, name: &Name, max: u64) -> Result<Vec<u8>, Fail> {
        // Which of two would be read is up to the reader: that is an attack, or a bug.
        if let Self::Tar { index, .. } = self
            && let Some(Member::File { twice: true, .. }) = follow(index, name)
        {
            return Err(Fail::cannot("read", name.shown(), "it is in the archive twice"));
        }
        let blob = self.blob(name)?;
        if blob.size > max {
            let reason = format!("it has {} bytes, more than {max}", blob.size);
            return Err(Fail::cannot("read", name.shown(), reason));
        }
        let mut data = vec![0; usize::try_from(blob.size).unwrap_or(0)];
        blob.file.read_exact_at(&mut data, blob.offset).cannot("read", name.shown())?;
        Ok(data)
    }

    fn has_any(&self, test: &dyn Fn(&Name) -> bool) -> bool {
        match self {
            Self::Tar { index, .. } => index.keys().any(test),
            Self::Directory { .. } => false,
        }
    }

    fn shown(&self) -> String {
        quote(self.path())
    }
}

/// Follows links among the members; equal layers are links to one in older archives.
fn follow<'i>(index: &'i HashMap<Name, Member>, name: &Name) -> Option<&'i Member> {
    let mut member = index.get(name)?;
    for _ in 0..8 {
        match member {
            Member::Link(target) => member = index.get(target)?,
            Member::File { .. } | Member::Other => return Some(member),
        }
    }
    None
}

/// Opens a blob of an OCI layout: no link is followed, nothing is waited for.
fn beneath(dir: BorrowedFd<'_>, name: &Name) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    loop {
        return match openat2(dir, name.as_bytes(), how) {
            Err(Errno::EAGAIN) => continue,
            Err(Errno::ENOSYS | Errno::EPERM) => {
                // A filter hides openat2(2): part by part then.
                let mut here = dir.try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
                for part in name.as_bytes().split(|b| *b == b'/') {
                    let flags = flags | OFlag::O_NOFOLLOW;
                    here = nix::fcntl::openat(&here, part, flags, Mode::empty())?;
                }
                Ok(here)
            }
            other => other,
        };
    }
}

/// Copies a stream, decompressed, to a file that has no name and goes away with us.
fn spool(
    source: impl BufRead + Send,
    coding: Coding,
    image: &Path,
    (scratch, limits): (&Path, Limits),
) -> Result<File, Fail> {
    let here = nearest(scratch);
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let fd = open(&here, flags, Mode::S_IRUSR | Mode::S_IWUSR)
        .cannot("make a temporary file in", &here)
        .hint_on(Errno::EOPNOTSUPP, "give IMAGE as a file that is not compressed")?;
    let mut decoded = decode::decoder(coding, source, limits.ratio);
    let most = limits.size.saturating_add(1);
    // io::copy reads into its buffer, and would have one of 8 KiB of its own.
    let mut file = BufWriter::with_capacity(1 << 17, File::from(fd));
    let copied = io::copy(&mut decoded.as_mut().take(most), &mut file);
    if copied.cannot("read", image)? > limits.size {
        let reason = "it unpacks to more than --max-size";
        return Err(Fail::cannot("read", image, reason));
    }
    let mut file = file
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .cannot("write", &here)?;
    file.rewind().cannot("read", image)?;
    Ok(file)
}

/// The directory itself, or the one it will be made in.
fn nearest(dir: &Path) -> PathBuf {
    if dir.is_dir() {
        return dir.to_owned();
    }
    let above = dir.parent().filter(|p| !p.as_os_str().is_empty());
    above.unwrap_or(Path::new(".")).to_owned()
}

/// One pass over the headers; contents are seeked over.
fn index(file: &File, start: u64) -> io::Result<HashMap<Name, Member>> {
    let end = file.metadata()?.len();
    let source = FileInput { file, at: start, end, buffer: Vec::new(), used: 0 };
    let mut reader = Reader::new(source);
    let mut index = HashMap::new();
    let mut is_first = true;
    loop {
        let entry = match reader.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(index),
            Err(e) if is_first && e.raw_os_error().is_none() => {
                return Err(bad("it is no tar archive"));
            }
            Err(e) => return Err(e),
        };
        is_first = false;
        let Some(name) = Name::member(&entry.path) else { continue };
        let member = match entry.kind {
            Kind::File if entry.sparse.is_none() => {
                let offset = start.saturating_add(reader.position());
                if offset.checked_add(entry.size).is_none_or(|to| to > end) {
                    return Err(bad("it ends inside a file"));
                }
                let twice = matches!(index.get(&name), Some(Member::File { .. }));
                Member::File { offset, size: entry.size, twice }
            }
            Kind::Symlink => link(Name::beside(&name, &entry.link)),
            Kind::HardLink => link(Name::member(&entry.link)),
            Kind::File
            | Kind::Directory
            | Kind::Fifo
            | Kind::Char(..)
            | Kind::Block(..) => Member::Other,
        };
        index.insert(name, member);
        if index.len() > MAX_MEMBERS {
            return Err(bad("it has more than 1048576 members"));
        }
    }
}

fn link(target: Option<Name>) -> Member {
    target.map_or(Member::Other, Member::Link)
}

/// A seekable file, read in small pieces: most of it is skipped.
struct FileInput<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl BufRead for FileInput<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used >= self.buffer.len() {
            self.buffer.resize(4096, 0);
            let n = self.file.read_at(&mut self.buffer, self.at)?;
            self.buffer.truncate(n);
            self.at = self.at.saturating_add(u64::try_from(n).unwrap_or(0));
            self.used = 0;
        }
        Ok(self.buffer.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        self.used = self.used.saturating_add(n);
    }
}

impl Read for FileInput<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl Input for FileInput<'_> {
    fn skip(&mut self, n: u64) -> io::Result<()> {
        let have = self.buffer.len().saturating_sub(self.used);
        if let Ok(n) = usize::try_from(n)
            && n <= have
        {
            self.consume(n);
            return Ok(());
        }
        let have = u64::try_from(have).unwrap_or(0);
        let to = self.at.checked_add(n).and_then(|to| to.checked_sub(have));
        self.at = to
            .filter(|to| *to <= self.end)
            .ok_or_else(|| bad("it ends inside a file"))?;
        self.buffer.clear();
        self.used = 0;
        Ok(())
    }
}
