//! What an image's config.json says about the process: image-spec, config.md.

use serde_json::Value;

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
    /// The reason: no JSON, nested too deeply, or a value of another type.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let json: Value =
            serde_json::from_slice(text).map_err(|e| format!("not JSON: {e}"))?;
        if !json.is_object() {
            return Err("not a JSON object".to_owned());
        }
        let config = match json.get("config") {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(config) if config.is_object() => config,
            Some(_) => return Err("'config' is not an object".to_owned()),
        };
        Ok(Self {
            user: string(config, "User")?,
            env: strings(config, "Env")?,
            entrypoint: strings(config, "Entrypoint")?,
            cmd: strings(config, "Cmd")?,
            working_dir: string(config, "WorkingDir")?,
        })
    }
}

fn string(config: &Value, key: &str) -> Result<String, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("'{key}' is not a string")),
    }
}

/// A list; a bare string is a list of that one word, as docker has always read it.
fn strings(config: &Value, key: &str) -> Result<Vec<String>, String> {
    let bad = || format!("'{key}' is not a list of strings");
    match config.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(word)) => Ok(vec![word.clone()]),
        Some(Value::Array(words)) => words
            .iter()
            .map(|word| word.as_str().map(str::to_owned).ok_or_else(bad))
            .collect(),
        Some(_) => Err(bad()),
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
            ("", "not JSON: EOF while parsing a value at line 1 column 0"),
            (&deep, "not JSON: recursion limit exceeded at line 1 column 138"),
        ] {
            assert_eq!(Config::parse(text.as_bytes()), Err(reason.to_owned()));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        arbtest::arbtest(|u| {
            let _ = Config::parse(u.arbitrary()?);
            Ok(())
        });
    }
}
