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

/// What Rust calls an architecture, and Go; where both say the same it is left out.
const ARCHES: [(&str, &str); 12] = [
    ("x86_64", "amd64"),
    ("x86", "386"),
    ("aarch64", "arm64"),
    ("powerpc", "ppc"),
    ("powerpc64", "ppc64"),
    ("loongarch64", "loong64"),
    ("riscv32", "riscv"),
    ("mips32r6", "mips"),
    ("mips64r6", "mips64"),
    ("mips", "mips"),
    ("mips64", "mips64"),
    ("arm", "arm"),
];

/// Where Go has another name for the other byte order.
const LITTLE: [(&str, &str); 3] =
    [("ppc64", "ppc64le"), ("mips", "mipsle"), ("mips64", "mips64le")];
const BIG: [(&str, &str); 2] = [("arm", "armbe"), ("arm64", "arm64be")];

/// Other spellings, as containerd takes them: name, architecture and variant.
const SPELLINGS: [(&str, &str, &str); 7] = [
    ("x86_64", "amd64", ""),
    ("x86-64", "amd64", ""),
    ("i386", "386", ""),
    ("i686", "386", ""),
    ("aarch64", "arm64", ""),
    ("armhf", "arm", "v7"),
    ("armel", "arm", "v6"),
];

/// Architectures that may be named without a system.
const KNOWN: [&str; 11] = [
    "amd64", "386", "arm64", "arm", "ppc64le", "ppc64", "s390x", "riscv64", "loong64",
    "mips64le", "mips64",
];

impl Platform {
    /// This machine's.
    pub fn here() -> Self {
        let arch = go_arch(std::env::consts::ARCH, cfg!(target_endian = "little"));
        let variant = if arch == "arm" {
            let uname = nix::sys::utsname::uname();
            uname.map_or("", |u| arm_variant(&u.machine().to_string_lossy()))
        } else {
            ""
        };
        Self { os: "linux".into(), arch: arch.into(), variant: variant.into() }
    }

    /// How well an image for `other` serves, 0 best; none where it does not run.
    ///
    /// An older variant does where there is none newer, as containerd's platforms.Only
    /// has it; what leaves its variant out is taken for the oldest that is common.
    pub fn rank(&self, other: &Self) -> Option<usize> {
        if self.os != other.os || self.arch != other.arch {
            return None;
        }
        let (own, of) = (level(self), level(other));
        match of.and_then(|of| own?.checked_sub(of)) {
            Some(older) => Some(older),
            None => (own.is_none() && self.variant == other.variant).then_some(0),
        }
    }

    /// Whether an image for `other` runs, as far as its config tells: many configs leave
    /// the variant out that the index has.
    pub fn takes(&self, other: &Self) -> bool {
        let unsaid = other.variant.is_empty() && self.arch == other.arch;
        (unsaid && self.os == other.os) || self.rank(other).is_some()
    }

    /// Not a platform: what BuildKit calls its attestations.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.arch == "unknown"
    }
}

/// What Go calls an architecture of Rust's.
fn go_arch(rust: &str, is_little: bool) -> &str {
    let find = |table: &[(&'static str, &'static str)], name: &str| {
        table.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
    };
    let arch = find(&ARCHES, rust).unwrap_or(rust);
    let other = if is_little { find(&LITTLE, arch) } else { find(&BIG, arch) };
    other.unwrap_or(arch)
}

/// uname(2) says `armv6l`, `armv7l`, or `armv8l` on a 64-bit kernel.
fn arm_variant(machine: &str) -> &'static str {
    let variants = [("armv8", "v8"), ("armv7", "v7"), ("armv6", "v6"), ("armv5", "v5")];
    let found = variants.iter().find(|(start, _)| machine.starts_with(start));
    match found {
        Some((_, variant)) => variant,
        None if machine == "aarch64" => "v8",
        None => "v7",
    }
}

/// The variant as a number, on architectures whose variants contain each other.
fn level(of: &Platform) -> Option<usize> {
    let default = match of.arch.as_str() {
        "arm" => 7,
        "arm64" => 8,
        "amd64" => 1,
        _ => return None,
    };
    match of.variant.strip_prefix('v').unwrap_or(&of.variant) {
        "" => Some(default),
        // v8.1 … of arm64 are beside the levels.
        number => number.parse().ok().filter(|n| (1..100).contains(n)),
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

/// `os/arch[/variant]`, or one of them, from the command line.
///
/// # Errors
/// When it is anything else.
pub fn parse(text: &str) -> Result<Platform, String> {
    let text = text.to_ascii_lowercase();
    let parts: Vec<&str> = text.split('/').collect();
    let here = Platform::here();
    let (os, arch, variant) = match parts.as_slice() {
        [one @ ("linux" | "windows" | "darwin" | "freebsd")] => {
            (*one, here.arch.as_str(), "")
        }
        [one]
            if KNOWN.contains(one) || SPELLINGS.iter().any(|(name, ..)| name == one) =>
        {
            ("linux", *one, "")
        }
        [os, arch] => (*os, *arch, ""),
        [os, arch, variant] if !variant.is_empty() => (*os, *arch, *variant),
        _ => ("", "", ""),
    };
    if os.is_empty() || arch.is_empty() {
        return Err("not a platform such as linux/amd64 or linux/arm/v7".to_owned());
    }
    let known = SPELLINGS.iter().find(|(name, ..)| *name == arch);
    let (arch, default) =
        known.map_or((arch, ""), |(_, arch, variant)| (*arch, *variant));
    let variant = if variant.is_empty() { default } else { variant };
    Ok(Platform { os: os.into(), arch: arch.into(), variant: variant.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(wanted: &str, image: &str) -> Option<usize> {
        parse(wanted).unwrap().rank(&parse(image).unwrap())
    }

    #[test]
    fn an_older_variant_serves_where_there_is_none_newer() {
        for (wanted, image, expected) in [
            ("linux/arm/v7", "linux/arm/v7", Some(0)),
            ("linux/arm/v7", "linux/arm", Some(0)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v7", "linux/arm/v5", Some(2)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/arm", "linux/arm/v6", Some(1)),
            ("linux/arm", "linux/arm/v8", None),
            ("linux/arm/v8", "linux/arm/v7", Some(1)),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm64/v8", "linux/arm64", Some(0)),
            ("linux/arm64", "linux/arm/v8", None),
            ("linux/amd64", "linux/amd64/v3", None),
            ("linux/amd64/v3", "linux/amd64/v2", Some(1)),
            ("linux/amd64/v3", "linux/amd64", Some(2)),
            ("linux/amd64", "windows/amd64", None),
            ("linux/mips/softfloat", "linux/mips/softfloat", Some(0)),
            ("linux/mips/softfloat", "linux/mips", None),
        ] {
            assert_eq!(rank(wanted, image), expected, "{wanted} takes {image}");
        }
    }

    #[test]
    fn a_config_without_a_variant_is_believed() {
        let takes = |a: &str, b: &str| parse(a).unwrap().takes(&parse(b).unwrap());

        assert!(takes("linux/arm/v6", "linux/arm"));
        assert!(!takes("linux/arm/v6", "linux/arm/v7"));
        assert!(!takes("linux/arm/v6", "linux/arm64"));
    }

    #[test]
    fn one_word_and_other_spellings_are_understood() {
        for (text, expected) in [
            ("arm64", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
        }
        assert_eq!(parse("linux").unwrap().arch, Platform::here().arch);
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "amiga", "linux/", "/amd64", "linux/arm/", "a/b/c/d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_linux_of_rust_has_its_name_in_go() {
        for (rust, little, big) in [
            ("x86_64", "amd64", "amd64"),
            ("x86", "386", "386"),
            ("aarch64", "arm64", "arm64be"),
            ("arm", "arm", "armbe"),
            ("powerpc64", "ppc64le", "ppc64"),
            ("powerpc", "ppc", "ppc"),
            ("mips", "mipsle", "mips"),
            ("mips64", "mips64le", "mips64"),
            ("mips32r6", "mipsle", "mips"),
            ("mips64r6", "mips64le", "mips64"),
            ("riscv32", "riscv", "riscv"),
            ("riscv64", "riscv64", "riscv64"),
            ("s390x", "s390x", "s390x"),
            ("loongarch64", "loong64", "loong64"),
            ("sparc64", "sparc64", "sparc64"),
        ] {
            assert_eq!((go_arch(rust, true), go_arch(rust, false)), (little, big));
        }
    }

    #[test]
    fn an_arm_kernel_tells_its_variant() {
        for (machine, variant) in
            [("armv6l", "v6"), ("armv7l", "v7"), ("armv8l", "v8"), ("aarch64", "v8")]
        {
            assert_eq!(arm_variant(machine), variant);
        }
    }
}
