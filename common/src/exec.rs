//! execve(2) of a program by name or path, and why it could not be run.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::fail::quote;
use crate::inroot::kind;
use crate::{Fail, sys};

/// Where execvp(3) looks when there is no PATH.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// What becomes of an executable file that is neither a program nor begins with `#!`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmarked {
    /// The shell runs it, as execvp(3) has it.
    Shell,
    /// It is refused, as docker has it.
    Refused,
}

/// Why a program was not run, and which file that was about.
#[derive(Debug)]
pub(crate) struct NotRun {
    error: Errno,
    file: Option<PathBuf>,
}

impl From<Errno> for NotRun {
    fn from(error: Errno) -> Self {
        Self { error, file: None }
    }
}

impl NotRun {
    /// Whether there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        self.error == Errno::ENOENT
    }

    /// In one line, with env(1)'s status: 127 not found, else 126.
    pub(crate) fn fail(self, program: &OsStr) -> Fail {
        let status = if self.is_missing() { 127 } else { 126 };
        let fail = Fail::cannot("run", program, self.error.desc()).status(status);
        match self.file.and_then(|file| reason(&file, self.error)) {
            Some(reason) => fail.hint(reason),
            None => fail,
        }
    }
}

/// execvp(3): a name with a slash is a path, another is looked for in PATH of `env`.
pub(crate) fn exec_path(
    program: &OsStr,
    argv: &[CString],
    env: &[&CStr],
    unmarked: Unmarked,
) -> NotRun {
    let name = program.as_bytes();
    if name.is_empty() {
        return Errno::ENOENT.into();
    }
    let run = |path: &[u8]| NotRun {
        error: exec_file(path, argv, env, unmarked),
        file: Some(OsStr::from_bytes(path).into()),
    };
    if name.contains(&b'/') {
        return run(name);
    }
    let path = env.iter().find_map(|e| e.to_bytes().strip_prefix(b"PATH="));
    let mut passed_over = Vec::new();
    for dir in path.unwrap_or(DEFAULT_PATH).split(|b| *b == b':') {
        let dir = if dir.is_empty() { b".".as_slice() } else { dir };
        let tried = run(&[dir, b"/", name].concat());
        if matches!(tried.error, Errno::ENOENT | Errno::EACCES) {
            passed_over.push(tried);
        } else if !matches!(tried.error, Errno::ENOTDIR | Errno::ENAMETOOLONG) {
            return tried;
        }
    }
    // A file that was there and lacks something was found, a directory was not.
    let is_file = |tried: &NotRun| {
        tried.file.as_deref().and_then(look).is_some_and(|file| !file.is_dir())
    };
    passed_over.into_iter().find(is_file).unwrap_or(Errno::ENOENT.into())
}

fn exec_file(path: &[u8], argv: &[CString], env: &[&CStr], unmarked: Unmarked) -> Errno {
    let Ok(file) = CString::new(path) else { return Errno::EINVAL };
    let error = sys::execveat(AT_FDCWD, &file, argv, env);
    let is_script =
        || look(Path::new(OsStr::from_bytes(path))).is_some_and(|f| !f.is_elf());
    if error != Errno::ENOEXEC || unmarked == Unmarked::Refused || !is_script() {
        return error;
    }
    let mut shell = vec![c"sh".to_owned(), file];
    shell.extend(argv.iter().skip(1).cloned());
    sys::execveat(AT_FDCWD, c"/bin/sh", &shell, env)
}

/// What the error of execve(2) means for a file that is there.
fn reason(path: &Path, error: Errno) -> Option<String> {
    let file = look(path)?;
    let missing =
        |what: &str, name: &OsStr| format!("its {what} {} is missing", quote(name));
    let fixed = |reason: &str| Some(reason.to_owned());
    if error == Errno::ENOENT {
        return match (file.interpreter(), file.loader()) {
            (Some(name), _) => Some(missing("interpreter", name)),
            (None, Some(name)) => Some(missing("loader", name)),
            (None, None) => {
                fixed("the file is there but its interpreter or loader is not")
            }
        };
    }
    let is_blocked = |of: bool| error == Errno::EACCES && of;
    if error == Errno::ENOEXEC && file.is_elf() {
        fixed("it is a program for another kind of machine")
    } else if error == Errno::ENOEXEC && file.head.is_empty() {
        fixed("it is empty or cannot be read")
    } else if error == Errno::ENOEXEC {
        fixed("it is no program and has no #! line: name its interpreter")
    } else if is_blocked(file.is_dir()) {
        fixed("it is a directory")
    } else if is_blocked(file.stat.st_mode & 0o111 == 0) {
        fixed("it is not executable: chmod +x")
    } else if is_blocked(file.is_noexec) {
        fixed("its file system is mounted noexec")
    } else {
        None
    }
}

/// A file as it is found after the kernel has refused to run it.
struct Found {
    stat: FileStat,
    is_noexec: bool,
    /// Its first bytes; none where they cannot be read.
    head: Vec<u8>,
}

/// The kernel reads no more of a `#!` line, and loaders are named in the first page.
const HEAD: u64 = 4096;

fn look(path: &Path) -> Option<Found> {
    let place = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let stat = fstat(&place).ok()?;
    let is_noexec =
        fstatvfs(place.as_fd()).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOEXEC));
    let mut head = Vec::new();
    // To open a pipe or a device is to use it.
    if kind(&stat) == SFlag::S_IFREG {
        let file = File::open(path).map(|file| file.take(HEAD).read_to_end(&mut head));
        if !matches!(file, Ok(Ok(_))) {
            head.clear();
        }
    }
    Some(Found { stat, is_noexec, head })
}

impl Found {
    fn is_dir(&self) -> bool {
        kind(&self.stat) == SFlag::S_IFDIR
    }

    fn is_elf(&self) -> bool {
        self.head.starts_with(b"\x7fELF")
    }

    /// The program of a `#!` line.
    fn interpreter(&self) -> Option<&OsStr> {
        let line = self.head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
        let word = line.trim_ascii().split(|b| matches!(b, b' ' | b'\t')).next()?;
        Some(OsStr::from_bytes(word))
    }

    /// PT_INTERP of an ELF file, elf(5).
    fn loader(&self) -> Option<&OsStr> {
        const PT_INTERP: usize = 3;
        if !self.is_elf() {
            return None;
        }
        let wide = match self.head.get(4..6)? {
            [2, 1] => true,
            [1, 1] => false,
            _ => return None,
        };
        // e_phoff, e_phentsize, e_phnum; then p_offset and p_filesz of each header.
        let [table, size, count] =
            if wide { [(32, 8), (54, 2), (56, 2)] } else { [(28, 4), (42, 2), (44, 2)] };
        let [offset, length] = if wide { [(8, 8), (32, 8)] } else { [(4, 4), (16, 4)] };
        let [table, size, count] = [table, size, count].map(|f| self.number(0, f));
        let (table, size, count) = (table?, size?, count?);
        for index in 0..count {
            let header = index.checked_mul(size)?.checked_add(table)?;
            if self.number(header, (0, 4))? == PT_INTERP {
                let start = self.number(header, offset)?;
                let end = start.checked_add(self.number(header, length)?)?;
                let name = self.head.get(start..end)?.split(|b| *b == 0).next()?;
                return Some(OsStr::from_bytes(name));
            }
        }
        None
    }

    /// A little-endian field `(at, len)` of a header.
    fn number(&self, header: usize, (at, len): (usize, usize)) -> Option<usize> {
        let start = header.checked_add(at)?;
        let bytes = self.head.get(start..start.checked_add(len)?)?;
        let value = bytes.iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        usize::try_from(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(head: &[u8]) -> Found {
        Found { head: head.to_vec(), ..look(Path::new("/")).unwrap() }
    }

    #[test]
    fn the_interpreter_of_a_script_is_its_first_word() {
        for (head, name) in [
            ("#!/bin/sh\nx", "/bin/sh"),
            ("#! /usr/bin/env -S x\n", "/usr/bin/env"),
            ("#!/bin/tab\tx", "/bin/tab"),
            ("#!/bin/dos\r\n", "/bin/dos"),
            ("#!", ""),
        ] {
            let file = found(head.as_bytes());
            assert_eq!(file.interpreter().unwrap(), name, "{head}");
        }
        assert_eq!(found(b"echo #!").interpreter(), None);
    }

    #[test]
    fn the_loader_of_a_program_of_either_width_is_read() {
        let elf = |class: u8, table: (usize, &[u8]), fields: &[(usize, &[u8])]| {
            let mut head = vec![0; 256];
            head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
            for (at, bytes) in fields.iter().chain([&table]) {
                head[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            found(&head)
        };
        let name = (200, b"/lib/ld.so\0".as_slice());
        let wide = elf(
            2,
            (32, &[64]),
            &[
                (54, &[56]),
                (56, &[2]),
                (64, &[1]),
                (120, &[3]),
                (128, &[200]),
                (152, &[11]),
                name,
            ],
        );
        let narrow = elf(
            1,
            (28, &[52]),
            &[(42, &[32]), (44, &[1]), (52, &[3]), (56, &[200]), (68, &[11]), name],
        );

        assert_eq!(wide.loader().unwrap(), "/lib/ld.so");
        assert_eq!(narrow.loader().unwrap(), "/lib/ld.so");
    }

    #[test]
    fn any_head_is_read_without_a_panic() {
        arbtest::arbtest(|u| {
            let mut head = b"\x7fELF".to_vec();
            head.extend(u.arbitrary::<Vec<u8>>()?);
            let file = found(&head);
            let _ = (file.loader(), file.interpreter());
            Ok(())
        });
    }
}
