//! What docker and podman made of an image, recorded, to compare `img-exec` with.
//!
//! tests/peer/img-exec.jsonl has one case a line: an image, the options of `docker run`,
//! and what the process saw. `./just peer-docker` runs the engines and writes the answers.

use serde_json::{Map, Value, json};
use tar::EntryType;

use crate::image::{Image, Layer};

/// Who the table's processes are unless a case says otherwise.
const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv/web:/bin/false\n";
const GROUP: &str = "root:x:0:\nadm:x:4:web,root\nweb:x:34:\nvideo:x:44:web\n";
/// docker's default.
pub const PATH: &str =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables that the caller of docker and of img-exec has.
pub const CALLER: [(&str, &str); 3] = [
    ("CALLER", "its value"),
    ("TERM", "vt100"),
    ("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
];

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Case(pub Map<String, Value>);

impl Case {
    /// Reads the table.
    ///
    /// # Panics
    /// When a line is no JSON object.
    pub fn table(text: &str) -> Vec<Self> {
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(|line| Self(serde_json::from_str(line).expect(line))).collect()
    }

    /// What it is about.
    pub fn name(&self) -> &str {
        self.0["case"].as_str().unwrap()
    }

    /// `docker run`'s options.
    pub fn options(&self) -> Vec<String> {
        self.words("run")
    }

    /// Whether it is about capabilities, and each engine has its own answer.
    pub fn is_on_caps(&self) -> bool {
        self.0.get("see").and_then(Value::as_str) == Some("caps")
    }

    /// What follows the image's name.
    pub fn args(&self) -> Vec<String> {
        self.words("args")
    }

    fn words(&self, key: &str) -> Vec<String> {
        let words = self.0.get(key).and_then(Value::as_array).into_iter().flatten();
        words.map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    /// Whether the process is to have a terminal.
    pub fn has_terminal(&self) -> bool {
        self.0.get("tty").is_some()
    }

    /// The `--env-file`, to be found as `env-file` in the directory of the run.
    pub fn env_file(&self) -> Option<&str> {
        self.0.get("env-file").and_then(Value::as_str)
    }

    /// The image: the probe, users, and what the case has in other places.
    pub fn image(&self, probe: &[u8]) -> Image {
        let base = Layer::default()
            .dir("bin", 0o755)
            .file("bin/probe", 0o755, probe)
            .hardlink("bin/sh", "bin/probe")
            .dir("etc", 0o755)
            .file("etc/passwd", 0o644, PASSWD)
            .file("etc/group", 0o644, GROUP)
            .dir("proc", 0o755);
        let mut image = Image::default().layer(base);
        if let Some(files) = self.0.get("files").and_then(Value::as_object) {
            image = image.layer(files.iter().fold(Layer::default(), add));
        }
        let config = self.0.get("config").and_then(Value::as_object);
        let config = || config.into_iter().flatten();
        if !config().any(|(key, _)| key.eq_ignore_ascii_case("Entrypoint")) {
            image = image.set("Entrypoint", json!(["/bin/probe"]));
        }
        config().fold(image, |image, (key, value)| image.set(key, value.clone()))
    }
}

/// `dir/` with its mode, `link@` with its target, `fifo|`, or a file with its text, which
/// may be pieces with repeat counts.
fn add(layer: Layer, (name, value): (&String, &Value)) -> Layer {
    if let Some(name) = name.strip_suffix('/') {
        let mode = u32::from_str_radix(value.as_str().unwrap(), 8).unwrap_or(0o755);
        return layer.dir(name, mode);
    }
    if let Some(name) = name.strip_suffix('@') {
        return layer.symlink(name, value.as_str().unwrap());
    }
    if let Some(name) = name.strip_suffix('|') {
        return layer.entry(name, EntryType::Fifo, 0o644, &[]);
    }
    let mode = if name.contains("bin/") { 0o755 } else { 0o644 };
    layer.file(name, mode, text(value))
}

fn text(value: &Value) -> String {
    let Value::Array(pieces) = value else { return value.as_str().unwrap().to_owned() };
    let mut all = String::new();
    let mut last = "";
    for piece in pieces {
        if let Some(count) = piece.as_u64() {
            all.extend(std::iter::repeat_n(last, usize::try_from(count).unwrap() - 1));
        } else {
            last = piece.as_str().unwrap();
            all.push_str(last);
        }
    }
    all
}

/// What the probe saw of its capabilities, as masks.
///
/// # Panics
/// When the probe did not print a world.
pub fn seen_caps(probe: &str) -> Value {
    let world: Value = serde_json::from_str(probe).expect(probe);
    let mut caps = world["caps"].clone();
    caps["no-new-privs"] = world["no-new-privs"].clone();
    caps
}

/// What the probe saw, without what is the same in every case that says nothing of it.
///
/// # Panics
/// When the probe did not print a world.
pub fn seen(probe: &str) -> Value {
    let world: Value = serde_json::from_str(probe).expect(probe);
    let first = |key: &str| {
        let field = world[key].as_str().unwrap();
        field.split('\t').next().unwrap_or_default().to_owned()
    };
    let groups = world["groups"].as_str().unwrap().trim().to_owned();
    let mut all = Map::new();
    let mut differs = |key: &str, value: &Value, usual: Value| {
        if *value != usual {
            all.insert(key.to_owned(), value.clone());
        }
    };
    differs("argv", &world["argv"], json!(["/bin/probe"]));
    differs("env", &world["env"], json!([PATH, "HOSTNAME=box", "HOME=/root"]));
    differs("cwd", &world["cwd"], json!("/"));
    differs("cwd-stat", &world["cwd-stat"], json!("755 0:0"));
    differs("ids", &format!("{}:{}", first("uid"), first("gid")).into(), json!("0:0"));
    differs("groups", &groups.into(), json!("0 4"));
    Value::Object(all)
}

/// That nothing was run, with the status and what was said.
pub fn refusal(status: i32, said: &str) -> Value {
    json!({ "status": status, "said": said.trim() })
}

/// Whether podman saw what docker saw, but for what it always does its own way: the words
/// and status of a refusal, two variables more, all of them in no order, no group of its
/// own in the supplementary ones, a root directory of mode 555.
///
/// # Panics
/// When an answer is no object.
pub fn alike(podman: &Value, docker: &Value) -> bool {
    let [podman, docker] = [podman, docker].map(|answer| {
        let mut answer = answer.clone();
        if answer.get("status").is_some() {
            return json!("refused");
        }
        if let Some(env) = answer.get_mut("env").and_then(Value::as_array_mut) {
            env.retain(|e| e != "TERM=xterm" && e != "container=podman");
            env.sort_by_key(Value::to_string);
        }
        let gid =
            answer["ids"].as_str().and_then(|ids| ids.split(':').nth(1)).unwrap_or("0");
        let groups = answer["groups"].as_str().unwrap_or("0 4").split(' ');
        let others: Vec<_> = groups.filter(|g| *g != gid && !g.is_empty()).collect();
        answer["groups"] = others.join(" ").into();
        let usual = json!(["HOME=/root", "HOSTNAME=box", PATH]);
        if answer.get("cwd-stat").is_some_and(|stat| stat == "555 0:0") {
            answer.as_object_mut().unwrap().remove("cwd-stat");
        }
        if answer.get("env").is_none_or(|env| *env == usual) {
            answer["env"] = Value::Null;
        }
        answer
    });
    podman == docker
}
