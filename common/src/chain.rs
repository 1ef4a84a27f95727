//! Becoming COMMAND, also when the root it was found in is gone.
//!
//! Before a link changes the root or the mount namespace it keeps the directory that it
//! was itself started from, as a detached, read-only, nosuid clone: `..` leads nowhere,
//! nothing can be opened for writing (CVE-2019-5736, CVE-2024-21626). A COMMAND whose
//! bare name is one of ours is started from there and never from the image. What is
//! handed on stands in the variable `BORDMITTEL` (`tools=5,image=6`), which the first
//! COMMAND that is not one of ours gets no more than the descriptors.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::exec::{NotRun, Unmarked, exec_path};
use crate::fail::{Hint, quote};
use crate::inroot::kind;
use crate::sealed::{is_sealed, own_directory, own_file, seal};
use crate::spawn::{Held, Start};
use crate::{Context, Fail, cli, sys};

/// The names that mean a tool of ours wherever they stand as a bare COMMAND.
pub const LINKS: [&str; 11] = [
    "cap-drop",
    "cg-limit",
    "img-exec",
    "img-unpack",
    "mkdev",
    "net-link",
    "ns-enter",
    "ns-run",
    "ovl-mount",
    "root-pivot",
    "svc-plan",
];

const VARIABLE: &str = "BORDMITTEL";

/// What one link hands to the next beside the caller's own descriptors.
#[derive(Debug, Default)]
pub struct Chain {
    /// The clone of the tools' directory.
    tools: Option<OwnedFd>,
    /// Where no clone can be made: the links that the command line names, one by one.
    links: Vec<(&'static str, OwnedFd)>,
    /// The root is about to change: nothing else is a tool of ours from here.
    is_kept: bool,
    /// The config.json of the image that was mounted.
    pub image: Option<OwnedFd>,
    /// The process that waits for this one: a pidfd.
    pub parent: Option<OwnedFd>,
    /// `--status-fd` of this and earlier links.
    status: Vec<OwnedFd>,
    /// The signals that COMMAND is to have again.
    held: Option<Held>,
}

/// Whether a word is the bare name of one of our tools.
pub fn link_name(word: &OsStr) -> Option<&'static str> {
    LINKS.into_iter().find(|name| word == *name)
}

impl Chain {
    /// Takes over what the link before handed on; close-on-exec from here.
    pub fn inherit() -> Result<Self, Fail> {
        let mut chain = Self::default();
        let given = sys::environ().into_iter().find_map(|e| value(e, VARIABLE));
        for item in given.unwrap_or("").split(',').filter(|i| !i.is_empty()) {
            chain.take(item).map_err(|reason| {
                Fail::cannot("take over", format!("{VARIABLE}={item}"), reason)
                    .hint(format_args!("unset {VARIABLE}"))
            })?;
        }
        Ok(chain)
    }

    fn take(&mut self, item: &str) -> Result<(), String> {
        let (key, number) = item.split_once('=').ok_or("no descriptor")?;
        let adopted = sys::adopt(cli::fd(number)?).map_err(|e| e.desc().to_owned())?;
        match key {
            "tools" if is_sealed(&adopted) => self.tools = Some(adopted),
            "tools" => return Err("not a read-only, nosuid mount".to_owned()),
            "image" => self.image = Some(adopted),
            "parent" => self.parent = Some(adopted),
            "status" => self.status.push(adopted),
            other => match link_name(OsStr::new(other)) {
                Some(name) => self.links.push((name, adopted)),
                None => return Err("not known".to_owned()),
            },
        }
        Ok(())
    }

    /// Keeps the tools within reach; to be called before the root or mounts change.
    ///
    /// Does nothing where the rest of the command line names no tool of ours.
    pub fn keep_tools(&mut self, command: &[OsString]) -> Result<(), Fail> {
        let named: Vec<_> = command.iter().filter_map(|word| link_name(word)).collect();
        if named.is_empty() || self.tools.is_some() || !self.links.is_empty() {
            return Ok(());
        }
        self.is_kept = true;
        let home = own_directory()?;
        if let Ok(clone) = seal(&home) {
            self.tools = Some(clone);
            return Ok(());
        }
        for name in named {
            let path = home.join(name);
            let fd = open(&path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
            match fd {
                Ok(fd) => self.links.push((name, fd)),
                Err(Errno::ENOENT) => {}
                Err(e) => return Err(e).cannot("open", path),
            }
        }
        Ok(())
    }

    /// Keeps the config.json of an image that img-unpack made, for img-exec: its path is out
    /// of reach once the root has changed.
    pub fn keep_image(&mut self, dir: &Path) -> Result<(), Fail> {
        let path = dir.join("config.json");
        // Not to wait for the other end of a pipe.
        let flags =
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = open(&path, flags, Mode::empty()).cannot("open", &path)?;
        if kind(&fstat(&file).cannot("read", &path)?) != SFlag::S_IFREG {
            return Err(Fail::cannot("open", &path, "not a regular file"));
        }
        self.image = Some(file);
        Ok(())
    }

    /// Keeps a `--status-fd` open for later links and closed for the last COMMAND.
    pub fn carry_status(&mut self, fd: RawFd) -> Result<(), Fail> {
        let known = self.status.iter().any(|s| s.as_raw_fd() == fd);
        let mode = sys::open_flags(fd).cannot("use status descriptor", fd.to_string())?;
        if mode & libc::O_ACCMODE == libc::O_RDONLY {
            let reason = Errno::EBADF.desc();
            return Err(Fail::cannot("use status descriptor", fd.to_string(), reason));
        }
        if fd > 2 && !known {
            let adopted =
                sys::adopt(fd).cannot("use status descriptor", fd.to_string())?;
            self.status.push(adopted);
        }
        Ok(())
    }

    /// Goes on in a child.
    pub fn begin(&mut self, start: Start) {
        self.parent = Some(start.parent);
        self.held = start.held;
    }

    /// All that it keeps open.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let single = [&self.tools, &self.image, &self.parent].into_iter().flatten();
        let links = self.links.iter().map(|(_, fd)| fd);
        single.chain(links).chain(&self.status).map(AsRawFd::as_raw_fd).collect()
    }

    /// With the signals that COMMAND is to have.
    fn released<T>(&self, exec: impl FnOnce() -> T) -> Result<T, Fail> {
        match &self.held {
            Some(held) => held.release_for_exec(exec).failed_to("restore signals"),
            None => Ok(exec()),
        }
    }

    /// Becomes COMMAND with the environment as it is.
    pub fn exec(self, command: &[OsString]) -> Result<Infallible, Fail> {
        self.exec_with(command, &sys::environ())
    }

    /// Becomes the user's shell as a login shell: `-` and its name are argv\[0\].
    pub fn exec_shell(self, shell: &OsStr) -> Result<Infallible, Fail> {
        self.exec_shell_with(shell, &sys::environ())
    }

    /// As [`Chain::exec_shell`], with an environment of `NAME=VALUE` strings.
    pub fn exec_shell_with(
        self,
        shell: &OsStr,
        env: &[&CStr],
    ) -> Result<Infallible, Fail> {
        let mut name = OsString::from("-");
        name.push(cli::basename(shell));
        let argv = c_strings(&[name])?;
        let env = without_ours(env);
        let exec = || exec_path(shell, &argv, &env, Unmarked::Shell);
        Err(self.released(exec)?.fail(shell))
    }

    /// Whether this program was started from the clone of its directory.
    pub fn is_sealed(&self) -> bool {
        self.tools.is_some()
    }

    /// Starts this program again from a clone of its directory, so that it cannot be
    /// overwritten through /proc/PID/exe: CVE-2019-5736.
    pub fn start_sealed(mut self, args: &[OsString]) -> Result<Infallible, Fail> {
        let file = own_file()?;
        let name = c_name(cli::basename(file.as_os_str()).as_bytes())?;
        let tools = seal(&own_directory()?)
            .cannot("seal", &file)
            .hint("install it where only its own user can write")?;
        self.tools = Some(tools);
        let variable = self.hand_on()?;
        let mut env = without_ours(&sys::environ());
        env.extend(variable.as_deref());
        let dir = self.tools.as_ref().map_or(AT_FDCWD, AsFd::as_fd);
        let error = sys::execveat(dir, &name, &c_strings(args)?, &env);
        Err::<Infallible, _>(error).cannot("start again", &file)
    }

    /// Becomes COMMAND with an environment of `NAME=VALUE` strings.
    ///
    /// A tool that has no COMMAND is done: status 0.
    pub fn exec_with(
        self,
        command: &[OsString],
        env: &[&CStr],
    ) -> Result<Infallible, Fail> {
        let Some(program) = command.first() else { return Err(Fail::done()) };
        let argv = c_strings(command)?;
        let Some(name) = link_name(program) else {
            let env = without_ours(env);
            let exec = || exec_path(program, &argv, &env, Unmarked::Shell);
            return Err(self.released(exec)?.fail(program));
        };
        let not_run = self.released(|| self.exec_link(name, &argv, env))??;
        let is_missing = not_run.is_missing();
        let fail = not_run.fail(program);
        Err(if is_missing {
            fail.hint(format_args!("{} must lie beside the other tools", quote(name)))
        } else {
            fail
        })
    }

    /// Becomes a program that an image's config names: never a tool of ours, whatever
    /// it is called, and with nothing handed on.
    pub fn exec_image(
        self,
        command: &[OsString],
        env: &[&CStr],
    ) -> Result<Infallible, Fail> {
        let Some(program) = command.first() else { return Err(Fail::done()) };
        let argv = c_strings(command)?;
        Err(exec_path(program, &argv, env, Unmarked::Refused).fail(program))
    }

    fn exec_link(
        &self,
        name: &'static str,
        argv: &[CString],
        env: &[&CStr],
    ) -> Result<NotRun, Fail> {
        let variable = self.hand_on()?;
        let mut env = without_ours(env);
        env.extend(variable.as_deref());
        let file = c_name(name.as_bytes())?;
        if let Some(dir) = &self.tools {
            return Ok(sys::execveat(dir.as_fd(), &file, argv, &env).into());
        }
        if let Some((_, link)) = self.links.iter().find(|(known, _)| *known == name) {
            return Ok(sys::execveat(link.as_fd(), c"", argv, &env).into());
        }
        if self.is_kept || !self.links.is_empty() {
            return Ok(Errno::ENOENT.into());
        }
        // The root is still the caller's: beside this tool, else where PATH says.
        if let Ok(home) = own_directory() {
            let beside = c_name(home.join(name).as_os_str().as_bytes())?;
            let error = sys::execveat(AT_FDCWD, &beside, argv, &env);
            if error != Errno::ENOENT {
                return Ok(error.into());
            }
        }
        Ok(exec_path(OsStr::new(name), argv, &env, Unmarked::Shell))
    }

    /// Makes the descriptors survive the exec and names them in the variable.
    fn hand_on(&self) -> Result<Option<CString>, Fail> {
        let one = |key: &str, fd: &Option<OwnedFd>| {
            fd.as_ref().map(|fd| (key.to_owned(), fd.as_raw_fd()))
        };
        let all: Vec<(String, RawFd)> = one("tools", &self.tools)
            .into_iter()
            .chain(one("image", &self.image))
            .chain(one("parent", &self.parent))
            .chain(self.status.iter().map(|fd| ("status".to_owned(), fd.as_raw_fd())))
            .chain(self.links.iter().map(|(n, fd)| ((*n).to_owned(), fd.as_raw_fd())))
            .collect();
        if all.is_empty() {
            return Ok(None);
        }
        for (_, fd) in &all {
            sys::set_cloexec(*fd, false).failed_to("hand a descriptor on")?;
        }
        let items: Vec<_> = all.iter().map(|(key, fd)| format!("{key}={fd}")).collect();
        c_name(format!("{VARIABLE}={}", items.join(",")).as_bytes()).map(Some)
    }
}

/// An environment without the variable, whoever set it.
fn without_ours<'e>(env: &[&'e CStr]) -> Vec<&'e CStr> {
    let ours = |e: &&CStr| {
        let rest = e.to_bytes().strip_prefix(VARIABLE.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"="))
    };
    env.iter().copied().filter(|e| !ours(e)).collect()
}

fn value(entry: &'static CStr, name: &str) -> Option<&'static str> {
    entry.to_str().ok()?.strip_prefix(name)?.strip_prefix('=')
}

fn c_strings(words: &[OsString]) -> Result<Vec<CString>, Fail> {
    words.iter().map(|word| c_name(word.as_bytes())).collect()
}

fn c_name(bytes: &[u8]) -> Result<CString, Fail> {
    CString::new(bytes)
        .map_err(|_| Fail::cannot("use", OsStr::from_bytes(bytes), "it has a NUL byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_sorted_and_known_by_bare_name_only() {
        assert!(LINKS.is_sorted());
        assert_eq!(link_name(OsStr::new("mkdev")), Some("mkdev"));
        assert_eq!(link_name(OsStr::new("./mkdev")), None);
        assert_eq!(link_name(OsStr::new("unshare")), None);
    }

    #[test]
    fn a_directory_that_is_no_sealed_clone_is_not_taken_for_the_tools() {
        let dir = open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        // `take` adopts the number, and closes it.
        let number = std::os::fd::IntoRawFd::into_raw_fd(dir);

        let reason = Chain::default().take(&format!("tools={number}")).unwrap_err();

        assert_eq!(reason, "not a read-only, nosuid mount");
    }

    #[test]
    fn a_broken_variable_is_refused() {
        for item in ["tools", "tools=x", "tools=-1", "tools=9999", "=7777"] {
            assert!(Chain::default().take(item).is_err(), "{item}");
        }
    }
}
