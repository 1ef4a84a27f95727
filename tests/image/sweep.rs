//! Every system call of a run made to fail once, or to be its last: nothing half made is
//! ever seen, and the next run completes it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::DirEntryExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use kit::image::{Image, Layer};
use kit::tree::{Tree, differences, parse, raw};
use kit::{Out, Run, need, tool};

/// Memory and threads, whose failure is not ours to handle, and what cannot fail.
const LEFT_OUT: &str = "arch_prctl brk close execve exit exit_group futex getegid \
     geteuid getpid getrandom gettid getuid madvise mmap mprotect \
     mremap munmap rt_sigaction rt_sigprocmask set_tid_address umask";

/// The calls that take away what is unfinished.
const REMOVAL: &str = "fcntl fstat getdents64 lseek newfstatat openat renameat unlinkat";

/// What a call fails with; the others with EIO and EPERM.
const ERRORS: [(&[&str], &[&str]); 7] = [
    (&["clone", "clone3"], &["EAGAIN"]),
    (&["flock"], &["EINTR", "ENOLCK"]),
    (&["mkdir", "mkdirat", "mknodat", "symlinkat"], &["EDQUOT", "EIO", "ENOSPC"]),
    (&["linkat", "renameat", "renameat2"], &["EDQUOT", "EIO", "ENOSPC"]),
    (&["open", "openat"], &["EDQUOT", "EINTR", "EIO", "EMFILE", "ENOSPC", "EPERM"]),
    (&["openat2"], &["EAGAIN", "EIO", "ENOSYS", "EPERM"]),
    (
        &["fsetxattr", "ftruncate", "pwrite64", "write", "writev"],
        &["EDQUOT", "EINTR", "EIO", "ENOSPC"],
    ),
];

fn errors(call: &str) -> &'static [&'static str] {
    let own = ERRORS.iter().find(|(calls, _)| calls.contains(&call));
    own.map_or(&["EIO", "EPERM"], |(_, errors)| errors)
}

fn lower() -> Layer {
    Layer::default()
        .dir("d", 0o750)
        .file("d/a", 0o4755, "a")
        .file("d/gone", 0o600, "b")
        .symlink("d/s", "a")
        .hardlink("d/h", "d/a")
        .dir("o", 0o1777)
        .file("o/old", 0o644, "")
        .dir("usr/bin", 0o755)
        .symlink("bin", "usr/bin")
}

/// Everything that a layer can have, so that every call is made.
fn image() -> Image {
    let mut sparse = vec![0; 4 << 16];
    sparse[3 << 16] = 1;
    let upper = Layer::default()
        .whiteout("d/gone")
        .opaque("o")
        .file("o/new", 0o644, "new")
        .file("bin/tool", 0o755, "through a link below")
        .hardlink("copied", "d/a")
        .hardlink("forward", "later")
        .dir("x/y/z", 0o755)
        .file("x/y/z/f", 0o644, "")
        .file("x", 0o644, "in the place of a tree")
        .entry("fifo", tar::EntryType::Fifo, 0o644, &[])
        .file("big", 0o644, vec![7; 600 << 10])
        .file("zeros", 0o644, sparse)
        .file("later", 0o644, "after its link");
    let mut with_xattr = tar::Builder::new(Vec::new());
    with_xattr
        .append_pax_extensions([("SCHILY.xattr.user.note", &b"n"[..]), ("mtime", b"1.5")])
        .unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(1);
    header.set_mode(0o2755);
    with_xattr.append_data(&mut header, "d/a", &b"x"[..]).unwrap();
    Image::default()
        .layer(lower())
        .layer(upper)
        .layer_tar(with_xattr.into_inner().unwrap())
}

/// Another image with the same lowest layer.
fn other() -> Image {
    Image::default().layer(lower()).layer(Layer::default().file("other", 0o644, ""))
}

/// A directory in which an image lies, and what must come of it.
struct Scene {
    dir: tempfile::TempDir,
    /// The image of [`other`] is in `box` at first.
    upon_another: bool,
    /// From a pipe, compressed as a whole: a temporary file is made.
    piped: bool,
    /// The layers' names, with what is in them.
    layers: BTreeMap<String, Tree>,
    calls: BTreeMap<String, usize>,
}

impl Scene {
    fn new(upon_another: bool, piped: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("image.tar"), image().docker_save("x:1")).unwrap();
        fs::write(dir.path().join("other.tar"), other().docker_save("y:1")).unwrap();
        let (layers, calls) = (BTreeMap::new(), BTreeMap::new());
        let mut scene = Self { dir, upon_another, piped, layers, calls };
        scene.reset();
        let log = scene.path("log");
        let out = scene.strace(&["-o", log.to_str().unwrap()]).run().code(0);
        scene.layers = scene.seen();
        assert_eq!(scene.layers.len(), if upon_another { 4 } else { 3 });
        assert!(out.stderr.is_empty());
        scene.calls = calls_of(&fs::read_to_string(log).unwrap());
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// DIR as it was before.
    fn reset(&self) -> BTreeMap<PathBuf, u64> {
        if self.path("box").exists() {
            fs::remove_dir_all(self.path("box")).unwrap();
        }
        if self.upon_another {
            let _ = self.unpack(Run::tool("img-unpack"), "other.tar").run().ok();
        }
        self.names()
    }

    fn unpack(&self, run: Run, image: &str) -> Run {
        let run = run.cwd(self.dir.path());
        let root = nix::unistd::geteuid().is_root();
        let run =
            run.args(if root { &[][..] } else { &["--squash-ids", "--skip-devices"] });
        if !(self.piped && image == "image.tar") {
            return run.args([image, "box"]);
        }
        let level = flate2::Compression::fast();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
        gzip.write_all(&fs::read(self.path(image)).unwrap()).unwrap();
        run.args(["-", "box"]).stdin(gzip.finish().unwrap())
    }

    fn strace(&self, options: &[&str]) -> Run {
        let run = Run::program("strace").args(["-f", "-qq"]).args(options);
        self.unpack(run.arg(tool("img-unpack")), "image.tar")
    }

    /// What is in the layers that are there under their names.
    fn seen(&self) -> BTreeMap<String, Tree> {
        let all = fs::read_dir(self.path("box/layers")).into_iter().flatten();
        let all = all.map(|entry| entry.unwrap());
        let is_layer =
            |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let names =
            all.filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())));
        names
            .filter(|(name, _)| is_layer(name))
            .map(|(name, path)| (name, parse(&raw(&path))))
            .collect()
    }

    /// All names in DIR and DIR/layers, with their inodes.
    fn names(&self) -> BTreeMap<PathBuf, u64> {
        let list =
            |dir: &str| fs::read_dir(self.path(dir)).into_iter().flatten().flatten();
        let all = list("").chain(list("box")).chain(list("box/layers"));
        let is_ours = |path: &Path| path.starts_with(self.path("box"));
        let all = all.filter(|entry| is_ours(&entry.path()));
        all.map(|entry| (entry.path(), entry.ino())).collect()
    }

    /// After a run that failed all is as it was before, but where it had only to tell.
    fn is_as_before(&self, before: &BTreeMap<PathBuf, u64>, story: &str) {
        let mut now = self.names();
        // strace counts by thread: what would remove it fails too. The next run does it.
        let is_removal =
            REMOVAL.split(' ').any(|call| story.contains(&format!("={call}:")));
        if is_removal {
            now.retain(|path, _| !path.to_string_lossy().contains("/.tmp-"));
        }
        let is_complete = now.len() == 4 + 2 * self.layers.len();
        if is_removal && !is_complete {
            let is_ours =
                |path: &Path| path.ends_with("box") || path.ends_with("box/layers");
            now.retain(|path, _| before.contains_key(path) || !is_ours(path));
        }
        assert!(is_complete || now == *before, "{story}: {before:#?} {now:#?}");
    }

    /// After a run that was disturbed, and after the next one.
    fn judge(&self, story: &str) {
        self.compare("half a layer", story);
        let out = self.unpack(Run::tool("img-unpack"), "image.tar").run();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success() && said.is_empty(), "the next run: {story}: {said}");
        let count = self.compare("the next run", story);
        assert_eq!(count, self.layers.len(), "{story}");
        let names = self.names();
        assert_eq!(names.len(), 4 + 2 * self.layers.len(), "{story}: {names:?}");
    }

    /// Each layer that is there under its name is whole; how many there are.
    fn compare(&self, what: &str, story: &str) -> usize {
        let seen = self.seen();
        for (name, tree) in &seen {
            let known = &self.layers[name];
            assert_eq!(differences(tree, known), [""; 0], "{what}: {story}: {name}");
        }
        seen.len()
    }

    /// A run with something injected into a call, and what is left of it.
    fn disturb(&self, call: &str, inject: &str) -> Out {
        let trace = format!("trace={call}");
        let mut options = vec!["-o", "/dev/null", "-e", &trace, "-e", inject];
        if !inject.contains("signal") {
            // Faster, but strace 6.1 sends no signals so.
            options.push("--seccomp-bpf");
        }
        self.strace(&options).run()
    }

    /// Makes each call fail in each way, at places that are spread over the run.
    fn fail(&self) {
        let mut refused = 0;
        for (call, count) in &self.calls {
            let (places, errors) = (samples(*count, 6), errors(call));
            for i in 0..places.len().max(errors.len()) {
                let (n, error) = (places[i % places.len()], errors[i % errors.len()]);
                let inject = format!("inject={call}:error={error}:when={n}");
                let before = self.reset();
                let out = self.disturb(call, &inject);
                refused += usize::from(!out.status.success());
                end(&out, &inject);
                self.is_as_before(&before, &inject);
                self.judge(&inject);
            }
        }
        assert!(refused > 50, "only {refused} failures");
    }

    /// Makes each call the last, at places that are spread over the run.
    fn kill(&self) {
        let mut killed = 0;
        for (call, count) in &self.calls {
            for n in samples(*count, 4) {
                let inject = format!("inject={call}:signal=SIGKILL:when={n}");
                self.reset();
                let out = self.disturb(call, &inject);
                // Which thread does a layer differs: it may not make so many calls.
                let is_killed = out.status.signal() == Some(kit::run::SIGKILL);
                assert!(is_killed || out.status.success(), "{inject}: {}", out.status);
                killed += usize::from(is_killed);
                self.judge(&inject);
            }
        }
        assert!(killed > 50, "only {killed} kills");
    }
}

/// It ends well, or with one line.
fn end(out: &Out, inject: &str) {
    let said = String::from_utf8_lossy(&out.stderr);
    let story = format!("{inject}: {}: {said}", out.status);
    let lines = match out.status.code() {
        Some(0) => 0,
        Some(125) => 1,
        _ => panic!("{story}"),
    };
    // The line itself may be the write of its thread that fails.
    let is_mute = inject.contains("=write:") && said.is_empty();
    assert!(said.lines().count() == lines || is_mute, "{story}");
}

/// From 1 to `count`, at most so many, the first and the last among them.
fn samples(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (1..=count).collect();
    }
    (0..most).map(|i| 1 + i * (count - 1) / (most - 1)).collect()
}

/// How often each call is made by the thread that makes it most: strace(1) counts by thread.
fn calls_of(log: &str) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            *counts.entry((thread, name)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, name), count) in counts {
        // strace(1) has no name for what is younger than itself.
        if !LEFT_OUT.split(' ').any(|left| left == name) && !name.starts_with("syscall_")
        {
            let known = most.entry(name.to_owned()).or_default();
            *known = count.max(*known);
        }
    }
    most
}

#[test]
fn a_system_call_that_fails_leaves_nothing_half_made() {
    need!("program:strace");
    Scene::new(false, false).fail();
}

#[test]
fn a_run_that_is_killed_is_completed_by_the_next_one() {
    need!("program:strace");
    Scene::new(false, true).kill();
}

/// Makes images in file systems of all sizes.
const SMALL: &str = r#"
mkdir small
for options in $SIZES; do
    mount -t tmpfs -o "$options" none small
    "$UNPACK" image.tar small/box >/dev/null 2>said
    echo "$? $(wc -l <said) $(ls -A small | wc -l) $options"
    umount small
done
"#;

mod root {
    use super::*;

    #[test]
    fn a_system_call_that_fails_leaves_the_other_image_as_it_was() {
        need!("root", "program:strace");
        Scene::new(true, true).fail();
    }

    #[test]
    fn a_run_that_is_killed_leaves_other_images_whole() {
        need!("root", "program:strace");
        Scene::new(true, false).kill();
    }
}

mod userns {
    use super::*;

    #[test]
    fn a_file_system_that_is_too_small_in_any_way_is_left_as_it_was() {
        need!("userns");
        let sizes = (1..50).map(|pages| format!("size={}k", pages * 20));
        let inodes = (1..50).map(|inodes| format!("size=8m,nr_inodes={inodes}"));
        let all: Vec<_> = sizes.chain(inodes).collect();
        let run =
            Run::tool("sandbox").args(["--user", "--mount", "--", "sh", "-c", SMALL]);
        let run = run.env("SIZES", all.join(" ")).env("UNPACK", tool("img-unpack"));
        fs::write(run.tmp().join("image.tar"), image().docker_save("x:1")).unwrap();

        let text = run.run().ok();

        let ends: Vec<_> =
            text.lines().map(|l| l.split_once(" size").unwrap().0).collect();
        let is_either = |end: &&str| matches!(*end, "0 0 1" | "125 1 0");
        assert!(ends.iter().all(is_either), "{text}");
        let good = ends.iter().filter(|end| **end == "0 0 1").count();
        assert!((10..80).contains(&good), "{text}");
    }
}
