//! What an image's config says about the process: image-spec, config.md.

use common::Fail;
use serde_json::{Map, Value, json};

use crate::json::{Document, Object};

/// The part of a config that scripts want; what is missing is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `NAME=VALUE` mostly, in the image's order.
    pub env: Vec<String>,
    /// The words in front.
    pub entrypoint: Vec<String>,
    /// The words behind.
    pub cmd: Vec<String>,
    /// The directory to start in.
    pub working_dir: String,
    /// `USER[:GROUP]`, names or numbers.
    pub user: String,
    /// Names and values.
    pub labels: Vec<(String, String)>,
    /// `PORT/PROTOCOL`.
    pub exposed_ports: Vec<String>,
    /// Directories that outlive a container.
    pub volumes: Vec<String>,
    /// What ends the process, `SIGTERM` where it is empty.
    pub stop_signal: String,
    /// How to tell whether it works: docker's, as it is but for the spelling of the keys.
    pub healthcheck: Option<Value>,
}

impl Config {
    /// Reads it from a whole config.
    ///
    /// # Errors
    /// A value of another type, which docker would not read either.
    pub fn read(document: &Document) -> Result<Self, Fail> {
        let Some(object) = document.object()?.object("config")? else {
            return Ok(Self::default());
        };
        let text =
            |key| Ok::<_, Fail>(object.string(key)?.unwrap_or_default().to_owned());
        Ok(Self {
            env: words(&object, "Env")?,
            entrypoint: words(&object, "Entrypoint")?,
            cmd: words(&object, "Cmd")?,
            working_dir: text("WorkingDir")?,
            user: text("User")?,
            labels: labels(&object)?,
            exposed_ports: keys(&object, "ExposedPorts")?,
            volumes: keys(&object, "Volumes")?,
            stop_signal: text("StopSignal")?,
            healthcheck: healthcheck(&object)?,
        })
    }

    /// As it stands in image.json: always the same keys.
    pub fn json(&self) -> Value {
        let labels = self.labels.iter().map(|(k, v)| (k.clone(), v.clone().into()));
        json!({
            "env": self.env,
            "entrypoint": self.entrypoint,
            "cmd": self.cmd,
            "working-dir": self.working_dir,
            "user": self.user,
            "labels": labels.collect::<Map<_, Value>>(),
            "exposed-ports": self.exposed_ports,
            "volumes": self.volumes,
            "stop-signal": self.stop_signal,
            "healthcheck": self.healthcheck,
        })
    }
}

/// A list; a bare string is a list of that one word, as docker has always read it.
fn words(object: &Object<'_>, key: &str) -> Result<Vec<String>, Fail> {
    if let Some(Value::String(word)) = object.get(key)? {
        return Ok(vec![word.clone()]);
    }
    Ok(object.strings(key)?.into_iter().map(str::to_owned).collect())
}

/// The keys of an object whose values say nothing.
fn keys(object: &Object<'_>, key: &str) -> Result<Vec<String>, Fail> {
    let names = object.object(key)?.map(|set| set.keys().map(str::to_owned).collect());
    Ok(names.unwrap_or_default())
}

fn labels(object: &Object<'_>) -> Result<Vec<(String, String)>, Fail> {
    let Some(labels) = object.object("Labels")? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for (name, value) in labels.entries() {
        let value = value.as_str().ok_or_else(|| object.wrong("Labels"))?;
        all.push((name.to_owned(), value.to_owned()));
    }
    Ok(all)
}

fn healthcheck(object: &Object<'_>) -> Result<Option<Value>, Fail> {
    const NUMBERS: [(&str, &str); 5] = [
        ("Interval", "interval"),
        ("Timeout", "timeout"),
        ("StartPeriod", "start-period"),
        ("StartInterval", "start-interval"),
        ("Retries", "retries"),
    ];
    let Some(check) = object.object("Healthcheck")? else { return Ok(None) };
    let mut all = Map::new();
    all.insert("test".to_owned(), words(&check, "Test")?.into());
    for (key, own) in NUMBERS {
        let value = check.get(key)?;
        if value.is_some_and(|v| v.as_i64().is_none()) {
            return Err(check.wrong(key));
        }
        all.insert(own.to_owned(), value.cloned().unwrap_or_else(|| 0.into()));
    }
    Ok(Some(Value::Object(all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let document = Document::parse("c".into(), text.into()).map_err(|f| f.text)?;
        Config::read(&document).map_err(|f| f.text)
    }

    #[test]
    fn a_config_is_told_under_our_keys() {
        let config = read(
            r#"{"config": {"Env": ["A=1"], "Cmd": "sh -c x", "ExposedPorts": {"80/tcp": {}},
                "Labels": {"l": "it's"}, "Volumes": null, "Healthcheck":
                {"Test": ["NONE"], "Interval": 5}}}"#,
        );

        assert_eq!(
            config.unwrap().json(),
            json!({
                "env": ["A=1"], "entrypoint": [], "cmd": ["sh -c x"], "working-dir": "",
                "user": "", "labels": {"l": "it's"}, "exposed-ports": ["80/tcp"],
                "volumes": [], "stop-signal": "", "healthcheck": {
                    "test": ["NONE"], "interval": 5, "timeout": 0, "start-period": 0,
                    "start-interval": 0, "retries": 0
                },
            })
        );
    }

    #[test]
    fn nothing_is_empty_and_another_type_is_refused() {
        for text in ["{}", r#"{"config": null}"#, r#"{"config": {"Env": null}}"#] {
            assert_eq!(read(text), Ok(Config::default()), "{text}");
        }
        for (text, key) in [
            (r#"{"config": 1}"#, "config"),
            (r#"{"config": {"Env": {}}}"#, "Env"),
            (r#"{"config": {"Labels": {"a": 1}}}"#, "Labels"),
            (r#"{"config": {"Volumes": ["/a"]}}"#, "Volumes"),
            (r#"{"config": {"Healthcheck": {"Retries": "x"}}}"#, "Retries"),
        ] {
            let reason = format!("cannot read 'c': '{key}' is not what it should be");
            assert_eq!(read(text), Err(reason), "{text}");
        }
    }
}
