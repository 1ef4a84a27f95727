//! Names of images: `nginx` is `docker.io/library/nginx:latest`.

use std::convert::Infallible;
use std::str::FromStr;

use crate::members::Name;

/// A name from the command line.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// As it was given.
    pub text: String,
}

impl FromStr for Wanted {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { text: text.to_owned() })
    }
}

impl Wanted {
    /// Whether an archive's name for an image is this one.
    ///
    /// An OCI layout may call an image by its tag alone.
    pub fn is(&self, name: &str) -> bool {
        // podman calls what it built itself localhost/NAME.
        let local = || normal(&format!("localhost/{}", self.text)) == normal(name);
        self.text == name || normal(&self.text) == normal(name) || local()
    }

    /// Its place in the archive, where it is given as `@N`, from 0 as skopeo has it.
    pub fn place(&self) -> Option<usize> {
        let digits = self.text.strip_prefix('@')?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    }

    /// Whether it names the config by its digest, with or without the algorithm.
    pub fn is_config(&self, config: &Name) -> bool {
        let hex = self.text.strip_prefix("sha256:").unwrap_or(&self.text);
        let file = config.as_bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
        let file = file.strip_suffix(b".json").unwrap_or(file);
        let file = file.strip_prefix(b"sha256:").unwrap_or(file);
        hex.len() == 64 && file == hex.as_bytes()
    }
}

/// A name with host, path and tag: distribution/reference, familiar names.
fn normal(name: &str) -> String {
    let (first, rest) = name.split_once('/').unwrap_or(("", name));
    let is_host = first.contains(['.', ':']) || first == "localhost";
    let full = match (first, is_host) {
        ("", _) => format!("docker.io/library/{rest}"),
        ("index.docker.io", _) => format!("docker.io/{rest}"),
        (_, true) => name.to_owned(),
        (_, false) => format!("docker.io/{name}"),
    };
    let last = full.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) { full } else { format!("{full}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_number_behind_an_at() {
        let place = |text: &str| text.parse::<Wanted>().unwrap().place();

        assert_eq!(place("@0"), Some(0));
        assert_eq!(place("@12"), Some(12));
        for text in ["@", "@-1", "@+1", "0", "@99999999999999999999", "a@1"] {
            assert_eq!(place(text), None, "{text}");
        }
    }

    #[test]
    fn short_names_mean_what_docker_means_by_them() {
        let is = |wanted: &str, name: &str| wanted.parse::<Wanted>().unwrap().is(name);

        assert!(is("nginx", "docker.io/library/nginx:latest"));
        assert!(is("nginx:1", "nginx:1"));
        assert!(is("me/app", "docker.io/me/app:latest"));
        assert!(is("localhost/app", "localhost/app:latest"));
        assert!(is("app:1", "localhost/app:1"));
        assert!(!is("localhost/app:1", "app:1"));
        assert!(is("reg:5000/app:1", "reg:5000/app:1"));
        assert!(is("1.2", "1.2"));
        assert!(!is("nginx", "nginx:1"));
        assert!(!is("nginx", "reg:5000/nginx:latest"));
    }
}
