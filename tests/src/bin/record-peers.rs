//! `record-peers TABLE CGROUP`: asks docker and podman again what the table's images do,
//! and writes their answers into it. tests/peer/record.sh starts it, and ends what is left.
#![no_main]

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Context, Fail};
use kit::Run;
use kit::peer::{CALLER, Case, alike, refusal, seen, seen_caps};
use serde_json::Value;

common::entry!("record-peers", run);

#[allow(clippy::needless_pass_by_value, reason = "as entry! calls it")]
fn run(args: Vec<OsString>) -> Result<Infallible, Fail> {
    let [_, table, cgroup] = args.as_slice() else {
        return Err(Fail::new("usage: record-peers TABLE CGROUP"));
    };
    let text = fs::read_to_string(table).cannot("read", table)?;
    let work = tempfile::tempdir().failed_to("make a directory")?;
    let engines =
        [Engine::docker(work.path(), cgroup)?, Engine::podman(work.path(), cgroup)];
    let probe = fs::read(beside("probe")?).failed_to("read the probe")?;
    let mut lines = String::new();
    for mut case in Case::table(&text) {
        let archive = case.image(&probe).docker_save("peer:latest");
        let [docker, podman] = engines.each_ref().map(|e| e.answer(&case, &archive));
        case.0.insert("docker".to_owned(), docker.clone());
        // podman is the second opinion: kept where it is another.
        if !case.is_on_caps() && alike(&podman, &docker) {
            case.0.remove("podman");
        } else {
            case.0.insert("podman".to_owned(), podman);
        }
        lines.push_str(&Value::Object(case.0).to_string());
        lines.push('\n');
    }
    fs::write(table, lines).cannot("write", table)?;
    Err(Fail::done())
}

/// Another program of this workspace.
fn beside(name: &str) -> Result<PathBuf, Fail> {
    let exe = std::env::current_exe().failed_to("find this program")?;
    Ok(exe.with_file_name(name))
}

/// A program that runs images.
struct Engine {
    program: &'static str,
    flags: Vec<String>,
    run: Vec<String>,
    work: PathBuf,
}

impl Engine {
    /// docker, with a daemon of its own.
    fn docker(work: &Path, cgroup: &OsString) -> Result<Self, Fail> {
        let path = |name: &str| work.join(name);
        // What the machine has in /etc/docker is not meant.
        fs::write(path("daemon.json"), "{}").cannot("write", path("daemon.json"))?;
        let log = fs::File::create(path("log")).failed_to("make a log")?;
        let socket = format!("unix://{}", path("sock").display());
        Command::new("dockerd")
            .arg("--config-file")
            .arg(path("daemon.json"))
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .args(["-H", &socket, "--bridge=none", "--iptables=false"])
            .args(["--ip6tables=false", "--ip-forward=false", "--ip-masq=false"])
            .args(["--exec-opt=native.cgroupdriver=cgroupfs", "--cgroup-parent"])
            .arg(cgroup)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .failed_to("start dockerd")?;
        let flags = vec!["-H".to_owned(), socket];
        let engine =
            Self { program: "docker", flags, run: Vec::new(), work: work.to_owned() };
        for _ in 0..200 {
            if engine.command(&["version"]).run().status.success() {
                return Ok(engine);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = fs::read_to_string(work.join("log")).unwrap_or_default();
        let last = log.lines().last().unwrap_or_default();
        Err(Fail::new(format_args!("cannot start dockerd: {last}")))
    }

    /// podman, in directories of its own.
    fn podman(work: &Path, cgroup: &OsString) -> Self {
        let dir = |name: &str| work.join(name).display().to_string();
        let flags = ["--root", &dir("podman"), "--runroot", &dir("podman-run")]
            .into_iter()
            .chain(["--tmpdir", &dir("podman-tmp"), "--cgroup-manager", "cgroupfs"])
            .chain(["--storage-driver", "vfs", "--events-backend", "none"])
            // crun refuses a machine of both cgroup versions.
            .chain(["--runtime", "runc"])
            .map(str::to_owned)
            .collect();
        let run = vec![format!("--cgroup-parent=/{}", cgroup.display())];
        Self { program: "podman", flags, run, work: work.to_owned() }
    }

    fn command(&self, words: &[&str]) -> Run {
        let run = Run::program("timeout")
            .args(["--kill-after=1", "10", self.program])
            .args(&self.flags)
            .args(words);
        CALLER.into_iter().fold(run, |run, (key, value)| run.env(key, value))
    }

    fn answer(&self, case: &Case, archive: &[u8]) -> Value {
        let loaded = self.command(&["load"]).stdin(archive).run();
        if !loaded.status.success() {
            return refusal(125, &String::from_utf8_lossy(&loaded.stderr));
        }
        let run = self.command(&["run", "--rm", "--network=none", "--hostname=box"]);
        if let Some(text) = case.env_file() {
            let _ = fs::write(run.tmp().join("env-file"), text);
        }
        let run = run.args(&self.run).args(case.has_terminal().then_some("-t"));
        let run = run.args(case.options()).arg("peer:latest").args(case.args());
        let out = run.timeout(60).run();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if matches!(out.status.code(), None | Some(124 | 137)) {
            return refusal(-1, "nothing: it hangs");
        }
        if out.status.success() {
            let text = text(&out.stdout).replace('\r', "");
            return if case.is_on_caps() { seen_caps(&text) } else { seen(&text) };
        }
        let said = text(&out.stderr).replace(&self.work.display().to_string(), "$TMP");
        // The last lines are "Run 'docker run --help' for more information".
        let said = said.lines().find(|line| line.contains("rror") || line.contains(':'));
        refusal(out.status.code().unwrap_or(-1), &without_ids(said.unwrap_or_default()))
    }
}

/// Ids of containers and temporary names differ each time.
fn without_ids(text: &str) -> String {
    let shown = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        if word.len() == 64 || digits > 5 { "ID".to_owned() } else { word.to_owned() }
    };
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            word.push(c);
        } else {
            out.push_str(&shown(&std::mem::take(&mut word)));
            out.push(c);
        }
    }
    out + &shown(&word)
}
