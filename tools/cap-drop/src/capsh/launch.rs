//! The end of the arguments: the shell, or this program again.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use caps::Capability;
use common::spawn::Ended;
use common::{Fail, sys};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::libc;
use nix::unistd::{AccessFlags, access};

use super::child::wait;
use super::sets::raised;
use super::{Session, c_string, fail, own_sets, perror, shown};
use crate::libcap::kernel;

/// What a loader, a C library or a link of ours would act upon.
///
/// glibc takes these from a program that is setuid before it starts; nothing does so for
/// a static one, and what it becomes may be in no need of protection any more.
const UNSAFE: [&str; 14] = [
    "BORDMITTEL",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "LOCPATH",
    "MALLOC_TRACE",
    "NIS_PATH",
    "NLSPATH",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "TMPDIR",
    "TZDIR",
];

fn key(entry: &CStr) -> &[u8] {
    let bytes = entry.to_bytes();
    bytes.split(|b| *b == b'=').next().unwrap_or(bytes)
}

fn is_unsafe(entry: &CStr) -> bool {
    let key = key(entry);
    key.starts_with(b"LD_") || UNSAFE.iter().any(|name| name.as_bytes() == key)
}

pub(super) fn shell(session: &mut Session, text: &[u8]) -> Result<(), Fail> {
    session.shell = c_string(text)?;
    Ok(())
}

#[allow(clippy::unnecessary_wraps, reason = "a row of the table of arguments")]
pub(super) fn no_env(session: &mut Session, _: &[u8]) -> Result<(), Fail> {
    session.keeps_env = true;
    Ok(())
}

pub(super) fn chroot(_: &mut Session, dir: &[u8]) -> Result<(), Fail> {
    let now = own_sets()?;
    kernel::set(&raised(&now, Capability::CAP_SYS_CHROOT))
        .map_err(perror("unable to raise CAP_SYS_CHROOT"))?;
    let done = nix::unistd::chroot(OsStr::from_bytes(dir));
    kernel::set(&now).map_err(perror("unable to lower CAP_SYS_CHROOT"))?;
    let what = format!("Unable to chroot/chdir to [{}]", shown(dir));
    done.and_then(|()| nix::unistd::chdir("/")).map_err(perror(&what))
}

impl Session {
    /// environ(7), with what `--user` has said.
    fn environment(&self) -> Vec<&CStr> {
        let secure = sys::auxv(libc::AT_SECURE) != 0;
        let is_replaced =
            |entry: &CStr| self.set.iter().any(|set| key(set) == key(entry));
        let kept = sys::environ().into_iter();
        let kept = kept.filter(|e| !(is_replaced(e) || secure && is_unsafe(e)));
        kept.chain(self.set.iter().map(CString::as_c_str)).collect()
    }

    /// Becomes a program that has a path.
    fn exec(&self, path: &CStr, args: &[OsString]) -> Result<Infallible, Fail> {
        let mut argv = vec![path.to_owned()];
        for arg in args {
            argv.push(c_string(arg.as_bytes())?);
        }
        let error = sys::execveat(AT_FDCWD, path, &argv, &self.environment());
        let path = shown(path.to_bytes());
        Err(perror(&format!("execve '{path}' failed!"))(error))
    }

    pub(super) fn exec_shell(&self, args: &[OsString]) -> Result<Infallible, Fail> {
        self.exec(&self.shell, args)
    }

    pub(super) fn launch_shell(&self, args: &[OsString]) -> Result<Infallible, Fail> {
        self.launch(&self.shell, args)
    }

    pub(super) fn exec_self(&self, args: &[OsString]) -> Result<Infallible, Fail> {
        self.exec(&self.own_path()?, &self.own_args(args))
    }

    pub(super) fn launch_self(&self, args: &[OsString]) -> Result<Infallible, Fail> {
        self.launch(&self.own_path()?, &self.own_args(args))
    }

    fn own_args(&self, args: &[OsString]) -> Vec<OsString> {
        let quiet = self.quiet.then(|| "--quiet".into());
        quiet.into_iter().chain(args.iter().cloned()).collect()
    }

    /// Where this program is in the root that is the root by now.
    fn own_path(&self) -> Result<CString, Fail> {
        let name = self.name.as_bytes();
        if name.contains(&b'/') {
            return c_string(name);
        }
        let environment = self.environment();
        let path = environment.iter().find_map(|e| e.to_bytes().strip_prefix(b"PATH="));
        let path = path
            .ok_or_else(|| fail("no PATH environment variable found for re-execing"))?;
        let mut all = path.split(|b| *b == b':').filter(|dir| !dir.is_empty());
        let found = all.find_map(|dir| {
            let file = [dir, b"/", name].concat();
            let is_there = access(OsStr::from_bytes(&file), AccessFlags::X_OK).is_ok();
            is_there.then_some(file)
        });
        let missing =
            || fail(format_args!("unable to find executable '{}' in PATH", shown(name)));
        c_string(&found.ok_or_else(missing)?)
    }

    /// Runs a program and ends as it ends.
    fn launch(&self, path: &CStr, args: &[OsString]) -> Result<Infallible, Fail> {
        // A caller that ignores it would have the kernel reap the child unseen.
        let kept = sys::default_signal(libc::SIGCHLD)
            .map_err(perror("failed to create launcher"))?;
        match sys::fork(0, None).map_err(perror("child failed to start"))? {
            None => {
                let _ = sys::restore_signal(libc::SIGCHLD, &kept);
                self.exec(path, args)
            }
            Some((pid, child)) => {
                let ended = wait(&child).map_err(|e: Errno| {
                    perror(&format!("failed to wait for PID={pid}"))(e)
                })?;
                Err(match ended {
                    Ended::Exited(status) => Fail::exit(status),
                    Ended::Killed(signal) => {
                        fail(format_args!("child PID={pid} terminated by signo={signal}"))
                    }
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_hijack_the_program_after_a_setuid_one_is_known() {
        for entry in
            [c"LD_PRELOAD=/x", c"LD_ANYTHING=", c"TZDIR=/x", c"BORDMITTEL=tools=5"]
        {
            assert!(is_unsafe(entry), "{entry:?}");
        }
        for entry in [c"PATH=/bin", c"LDX=", c"HOME=/", c"ENVIRONMENT=1"] {
            assert!(!is_unsafe(entry), "{entry:?}");
        }
    }
}
