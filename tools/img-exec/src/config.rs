//! What an image's config.json says about the process: image-spec, config.md.
//!
//! Read as docker reads it: the case of a key does not matter (jib writes manifests in
//! lower case), null is as good as missing, a bare string is a list of one word. What is
//! not asked for is skipped and not kept. A key that is there twice is refused, since two
//! readers could take it for two images (CVE-2021-41190).

use std::fmt;

use serde_core::de::{
    Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// As large as any tool accepts one; an image's config is a few kilobytes.
pub const LIMIT: u64 = 4 << 20;

/// The part of the config that makes a process; what is missing is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `USER[:GROUP]`, names or numbers.
    pub user: String,
    /// `NAME=VALUE` mostly, in the image's order.
    pub env: Vec<String>,
    /// The words in front.
    pub entrypoint: Vec<String>,
    /// The words behind, which arguments replace.
    pub cmd: Vec<String>,
    /// The directory to start in.
    pub working_dir: String,
}

impl Config {
    /// Reads it from JSON that anybody may have written.
    ///
    /// # Errors
    /// The reason: no JSON, nested too deeply, a value of another type, a key twice.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let top: Object = match serde_json::from_slice(text) {
            Ok(Value::Object(top)) => top,
            Ok(_) => return Err("not a JSON object".to_owned()),
            Err(e) => return Err(format!("not JSON: {e}")),
        };
        let config = match top.get("config")? {
            Value::Null => return Ok(Self::default()),
            Value::Object(config) => config,
            Value::Text(_) | Value::List(_) | Value::Other => {
                return Err("'config' is not an object".to_owned());
            }
        };
        Ok(Self {
            user: config.string("User")?,
            env: config.strings("Env")?,
            entrypoint: config.strings("Entrypoint")?,
            cmd: config.strings("Cmd")?,
            working_dir: config.string("WorkingDir")?,
        })
    }
}

/// The keys that are read, wherever they stand.
const KEYS: [&str; 6] = ["config", "User", "Env", "Entrypoint", "Cmd", "WorkingDir"];

/// JSON, as much of it as a config is made of.
enum Value {
    Null,
    Text(String),
    List(Vec<String>),
    Object(Object),
    /// Nothing that a config can have where it is looked for.
    Other,
}

/// The members whose keys are read, in the order of the text.
struct Object(Vec<(&'static str, Value)>);

impl Object {
    /// A member; null where there is none.
    fn get(&self, key: &str) -> Result<&Value, String> {
        let mut all = self.0.iter().filter(|(known, _)| *known == key);
        match (all.next(), all.next()) {
            (None, _) => Ok(&Value::Null),
            (Some((_, value)), None) => Ok(value),
            (Some(_), Some(_)) => Err(format!("'{key}' is there twice")),
        }
    }

    fn string(&self, key: &str) -> Result<String, String> {
        match self.get(key)? {
            Value::Null => Ok(String::new()),
            Value::Text(text) => Ok(text.clone()),
            Value::List(_) | Value::Object(_) | Value::Other => {
                Err(format!("'{key}' is not a string"))
            }
        }
    }

    fn strings(&self, key: &str) -> Result<Vec<String>, String> {
        match self.get(key)? {
            Value::Null => Ok(Vec::new()),
            Value::Text(word) => Ok(vec![word.clone()]),
            Value::List(words) => Ok(words.clone()),
            Value::Object(_) | Value::Other => {
                Err(format!("'{key}' is not a list of strings"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut words = Vec::new();
        let mut are_words = true;
        while let Some(value) = list.next_element()? {
            match value {
                Value::Text(word) => words.push(word),
                Value::Null | Value::List(_) | Value::Object(_) | Value::Other => {
                    are_words = false;
                }
            }
        }
        Ok(if are_words { Value::List(words) } else { Value::Other })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            match key {
                Some(key) => members.push((key, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Object(Object(members)))
    }
}

/// A key of [`KEYS`], or another.
struct Key(Option<&'static str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Key, E> {
        Ok(Key(KEYS.into_iter().find(|key| key.eq_ignore_ascii_case(text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_read() {
        let text =
            br#"{"os": "linux", "config": {"User": "1000:1000", "Env": ["A=1", "F"],
            "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["new\nline", ""],
            "WorkingDir": "/srv/my dir", "Volumes": {"/data": {}}}}"#;
        let words =
            |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();

        assert_eq!(
            Config::parse(text),
            Ok(Config {
                user: "1000:1000".into(),
                env: words(&["A=1", "F"]),
                entrypoint: words(&["/bin/sh", "-c"]),
                cmd: words(&["new\nline", ""]),
                working_dir: "/srv/my dir".into(),
            })
        );
    }

    #[test]
    fn nothing_and_null_are_empty_and_a_bare_string_is_one_word() {
        for text in
            ["{}", r#"{"config": null}"#, r#"{"config": {"Env": null, "User": null}}"#]
        {
            assert_eq!(Config::parse(text.as_bytes()), Ok(Config::default()), "{text}");
        }
        let one = Config::parse(br#"{"config": {"Cmd": "/bin/sh -c x"}}"#).unwrap();
        assert_eq!(one.cmd, ["/bin/sh -c x"]);
    }

    #[test]
    fn what_is_no_config_is_refused_with_the_reason() {
        let deep = format!("{{\"config\": {}", "[".repeat(100_000));
        for (text, reason) in [
            ("[]", "not a JSON object"),
            (r#"{"config": 1}"#, "'config' is not an object"),
            (r#"{"config": {"User": 0}}"#, "'User' is not a string"),
            (r#"{"config": {"Env": {"A": "1"}}}"#, "'Env' is not a list of strings"),
            (r#"{"config": {"Cmd": ["sh", 1]}}"#, "'Cmd' is not a list of strings"),
            (r#"{"config": {"Cmd": ["sh", null]}}"#, "'Cmd' is not a list of strings"),
            (r#"{"config": {"User": "a", "user": "b"}}"#, "'User' is there twice"),
            (r#"{"config": null, "Config": {}}"#, "'config' is there twice"),
            ("{} {}", "not JSON: trailing characters at line 1 column 4"),
            ("", "not JSON: EOF while parsing a value at line 1 column 0"),
            (&deep, "not JSON: recursion limit exceeded at line 1 column 138"),
        ] {
            assert_eq!(Config::parse(text.as_bytes()), Err(reason.to_owned()));
        }
    }

    #[test]
    fn the_case_of_a_key_does_not_matter_and_what_is_not_asked_for_is_skipped() {
        let text = br#"{"CONFIG": {"USER": "u", "workingdir": "/w", "Healthcheck": {"Cmd": [1]},
            "Tty": true, "Memory": 1e3}, "container_config": {"User": "x"}, "history": [[{}]]}"#;

        let config = Config::parse(text).unwrap();

        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("u", "/w"));
        assert_eq!(config.cmd, Vec::<String>::new());
    }

    #[test]
    fn whatever_is_read_is_what_a_full_parser_finds() {
        let strings = |value: &serde_json::Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|w| w.as_str().map(str::to_owned)).collect()
        };
        arbtest::arbtest(|u| {
            const PARTS: [&str; 16] = [
                "{",
                "}",
                "[",
                "]",
                ",",
                ":",
                "\"config\"",
                "\"User\"",
                "\"Cmd\"",
                "\"x\"",
                "null",
                "1",
                "\"\\u00e4\"",
                "true",
                "-0.5e2",
                " ",
            ];
            let mut text = "{\"config\":{\"Cmd\":[\"".to_owned();
            for _ in 0..u.int_in_range(0..=8)? {
                text.push_str(u.choose(&PARTS)?);
            }
            text.push_str("\"]}}");
            let full = serde_json::from_str::<serde_json::Value>(&text);
            match (Config::parse(text.as_bytes()), full) {
                (Ok(config), Ok(full)) => {
                    assert_eq!(
                        Some(config.cmd),
                        strings(&full["config"]["Cmd"]),
                        "{text}"
                    );
                }
                (Err(_), Ok(full)) => {
                    assert!(
                        strings(&full["config"]["Cmd"]).is_none()
                            || text.contains("User"),
                        "{text}"
                    );
                }
                (Ok(_), Err(e)) => panic!("{text}: {e}"),
                (Err(_), Err(_)) => {}
            }
            Ok(())
        });
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        arbtest::arbtest(|u| {
            let _ = Config::parse(u.arbitrary()?);
            Ok(())
        });
    }
}
