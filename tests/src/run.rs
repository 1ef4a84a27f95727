//! Runs a program in a fixed environment and looks at how it ended.

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use expect_test::Expect;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tempfile::TempDir;

/// The path of a binary of this workspace, as built for these tests.
///
/// # Panics
/// When it was not built: `cargo build --workspace --all-targets` does.
pub fn tool(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join(name);
    assert!(path.is_file(), "{} is not built: cargo build --workspace", path.display());
    path
}

/// A program to be run, with no file above 2, `LC_ALL=C` and a directory of its own.
pub struct Run {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    tmp: Place,
    cwd: Option<PathBuf>,
    timeout: Duration,
}

impl Run {
    /// A tool of ours.
    pub fn tool(name: &str) -> Self {
        Self::program(tool(name))
    }

    /// Any program.
    pub fn program(program: impl AsRef<OsStr>) -> Self {
        // An ordinary user's PATH may lack what tests need of sbin.
        let mut path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        path.push(":/usr/sbin:/sbin");
        let fixed = [("PATH", path), ("LC_ALL", "C".into()), ("HOME", "/".into())];
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: fixed.map(|(k, v)| (k.into(), v)).into(),
            stdin: Vec::new(),
            tmp: Place(tempfile::Builder::new().prefix("bm-").tempdir().unwrap()),
            cwd: None,
            timeout: Duration::from_secs(20),
        }
    }

    /// A tool of ours below `sandbox`, which takes `--user`, `--mount`, `--pid`, `--net` …
    pub fn sandboxed(flags: &[&str], name: &str) -> Self {
        Self::tool("sandbox").args(flags).arg("--").arg(tool(name))
    }

    /// A shell script in a mount namespace whose mounts are shared, as most systems' are.
    pub fn shared_mounts(script: &str) -> Self {
        Self::tool("sandbox")
            .args(["--mount", "--", "sh", "-ec"])
            .arg(format!("mount --make-rshared /; {script}"))
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.into(), value.as_ref().to_owned()));
        self
    }

    /// Puts the directory of the built tools first in PATH.
    #[must_use]
    pub fn tools_in_path(self) -> Self {
        let dir = tool("probe").parent().unwrap().to_owned();
        let path = std::env::join_paths(
            std::iter::once(dir)
                .chain(std::env::split_paths("/usr/sbin:/usr/bin:/sbin:/bin")),
        );
        self.env("PATH", path.unwrap())
    }

    /// Gives it something to read.
    #[must_use]
    pub fn stdin(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.stdin = data.into();
        self
    }

    /// Starts it in another directory than its own temporary one.
    #[must_use]
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.cwd = Some(dir.as_ref().to_owned());
        self
    }

    /// Lets it take longer than 20 s.
    #[must_use]
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout = Duration::from_secs(seconds);
        self
    }

    /// Its temporary directory, where it starts; goes away with the last of it.
    pub fn tmp(&self) -> &Path {
        self.tmp.0.path()
    }

    /// The command, for a test that needs more than [`Run::run`].
    pub fn command(&self) -> Command {
        // What the test runner itself was given stays with it.
        for fd in (3..64).filter(|fd| common::sys::open_flags(*fd).is_ok()) {
            // One of another thread's may be closed by now.
            let _ = common::sys::set_cloexec(fd, true);
        }
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .current_dir(self.cwd.as_deref().unwrap_or(self.tmp.0.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it takes longer than its time; it is killed then.
    pub fn run(self) -> Out {
        let mut child = self.command().spawn().unwrap_or_else(|e| {
            panic!("cannot start {}: {e}", self.program.display());
        });
        let mut stdin = child.stdin.take().unwrap();
        let data = self.stdin.clone();
        let feeder = std::thread::spawn(move || {
            // A program that does not read its input is no failure.
            let _ = stdin.write_all(&data);
        });
        let stdout = reader(child.stdout.take().unwrap());
        let stderr = reader(child.stderr.take().unwrap());
        let status = wait(&mut child, self.timeout);
        feeder.join().unwrap();
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        let mut words = vec![self.program.display().to_string()];
        words.extend(self.args.iter().map(|a| a.display().to_string()));
        let status = status.unwrap_or_else(|| {
            let stderr = String::from_utf8_lossy(&stderr);
            panic!(
                "did not end in {:?}: {}\nstderr: {stderr}",
                self.timeout,
                words.join(" ")
            )
        });
        Out { status, stdout, stderr, words, tmp: self.tmp }
    }
}

fn reader(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// Waits on a pidfd; kills the whole group when the time is over.
fn wait(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    let pid = i32::try_from(child.id()).unwrap();
    let pidfd = common::sys::pidfd_open(pid).unwrap();
    let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(&pidfd), PollFlags::POLLIN)];
    let in_time = poll(&mut fds, PollTimeout::try_from(timeout).unwrap()).unwrap() > 0;
    if !in_time {
        nix::sys::signal::killpg(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::SIGKILL,
        )
        .unwrap();
    }
    let status = child.wait().unwrap();
    in_time.then_some(status)
}

/// A directory that goes away even where an image's directories in it are read-only.
struct Place(TempDir);

impl Drop for Place {
    fn drop(&mut self) {
        if !nix::unistd::geteuid().is_root() {
            unlock(self.0.path());
        }
    }
}

fn unlock(dir: &Path) {
    // What is not ours stays as it is.
    let _ = std::fs::set_permissions(dir, Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            unlock(&entry.path());
        }
    }
}

/// How a program ended and what it said.
pub struct Out {
    /// Its status.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: Vec<u8>,
    words: Vec<String>,
    tmp: Place,
}

impl Out {
    /// Asserts the exit status.
    ///
    /// # Panics
    /// When it is another.
    #[must_use]
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.story());
        self
    }

    /// Asserts the signal that killed it.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[must_use]
    #[track_caller]
    pub fn signal(self, signal: i32) -> Self {
        assert_eq!(self.status.signal(), Some(signal), "{}", self.story());
        self
    }

    /// Asserts stdout, with the temporary directory shown as `$TMP`.
    #[must_use]
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "reads as a sentence")]
    pub fn stdout(self, expected: Expect) -> Self {
        expected.assert_eq(&self.text(&self.stdout));
        self
    }

    /// Asserts stderr, with the temporary directory shown as `$TMP`.
    #[must_use]
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "reads as a sentence")]
    pub fn stderr(self, expected: Expect) -> Self {
        expected.assert_eq(&self.text(&self.stderr));
        self
    }

    /// Asserts status 0 and an empty stderr, and gives stdout.
    ///
    /// # Panics
    /// When it failed or complained.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status.success() && self.stderr.is_empty(), "{}", self.story());
        self.text(&self.stdout)
    }

    /// Asserts a refusal: the status, one line on stderr, nothing on stdout.
    ///
    /// # Panics
    /// When it is no such refusal.
    #[track_caller]
    pub fn refused(self, code: i32, expected: Expect) {
        let out = self.code(code);
        assert!(out.stdout.is_empty(), "{}", out.story());
        assert_eq!(out.text(&out.stderr).lines().count(), 1, "{}", out.story());
        let _ = out.stderr(expected);
    }

    /// The temporary directory it ran in.
    pub fn tmp(&self) -> &Path {
        self.tmp.0.path()
    }

    fn text(&self, bytes: &[u8]) -> String {
        let tmp = self.tmp.0.path().display().to_string();
        String::from_utf8_lossy(bytes).replace(&tmp, "$TMP")
    }

    fn story(&self) -> String {
        format!(
            "{}\n{}\nstdout: {}\nstderr: {}",
            self.words.join(" "),
            self.status,
            self.text(&self.stdout),
            self.text(&self.stderr)
        )
    }
}

/// `SIGKILL`, `SIGTERM` …, for tests.
pub use libc::{SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1};
