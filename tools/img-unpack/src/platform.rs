//! `os/arch[/variant]` in the words of Go, as images use them.

use std::fmt;

/// What an image was built for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64` …
    pub arch: String,
    /// `v7`, `v8` …, empty for none.
    pub variant: String,
}

impl Platform {
    /// This machine's.
    pub fn here() -> Self {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { os: "linux".into(), arch: arch.into(), variant: String::new() }
    }

    /// Whether an image for `other` is what is wanted.
    pub fn takes(&self, other: &Self) -> bool {
        // arm64 without a variant is v8, image-spec, image-index.md.
        let variant = |p: &Self| match (p.arch.as_str(), p.variant.as_str()) {
            ("arm64", "") => "v8".to_owned(),
            (_, variant) => variant.to_owned(),
        };
        self.os == other.os
            && self.arch == other.arch
            && (self.variant.is_empty() || variant(self) == variant(other))
    }

    /// Not a platform: what BuildKit calls its attestations.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.arch == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

/// `os/arch[/variant]` from the command line.
///
/// # Errors
/// When it is anything else.
pub fn parse(text: &str) -> Result<Platform, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (os, arch, variant) = match parts.as_slice() {
        [os, arch] => (*os, *arch, ""),
        [os, arch, variant] if !variant.is_empty() => (*os, *arch, *variant),
        _ => ("", "", ""),
    };
    if os.is_empty() || arch.is_empty() {
        return Err("not a platform such as linux/amd64 or linux/arm/v7".to_owned());
    }
    Ok(Platform { os: os.into(), arch: arch.into(), variant: variant.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_without_a_variant_takes_every_variant() {
        let takes = |a: &str, b: &str| parse(a).unwrap().takes(&parse(b).unwrap());

        assert!(takes("linux/arm", "linux/arm/v7"));
        assert!(takes("linux/arm64/v8", "linux/arm64"));
        assert!(!takes("linux/arm/v7", "linux/arm/v6"));
        assert!(!takes("linux/amd64", "windows/amd64"));
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/", "a/b/c/d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
