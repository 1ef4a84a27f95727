//! `sha256:HEX`, the names of everything in an image.

use std::fmt;

use sha2::Digest as _;

/// A checked digest: nothing else ever becomes a path (CVE-2024-3727).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads the grammar of image-spec, descriptor.md.
    ///
    /// # Errors
    /// The reason, without the text itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(hex) = text.strip_prefix("sha256:") else {
            let known = text.starts_with("sha512:") || text.starts_with("blake3:");
            let why = if known { "only sha256 is supported" } else { "not a digest" };
            return Err(why.to_owned());
        };
        Self::from_hex(hex).ok_or_else(|| "not a digest".to_owned())
    }

    /// 64 lower-case hexadecimal digits.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let digit = |c: u8| match c {
            b'0'..=b'9' => c.checked_sub(b'0'),
            b'a'..=b'f' => c.checked_sub(b'a')?.checked_add(10),
            _ => None,
        };
        let mut out = [0; 32];
        let pairs = hex.as_bytes().chunks_exact(2);
        if hex.len() != 64 {
            return None;
        }
        for (byte, pair) in out.iter_mut().zip(pairs) {
            let [high, low] = pair else { return None };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(out))
    }

    /// The digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest that a hasher came to.
    pub fn finish(hasher: sha2::Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// A number from it that fits an offset in a file.
    pub fn offset(&self) -> i64 {
        let start = self.0.iter().take(8);
        start.fold(0_i64, |n, b| n << 8 | i64::from(*b)) & (i64::MAX >> 1)
    }

    /// Without the algorithm: the name of a file.
    pub fn hex(&self) -> String {
        let digit = |n: u8| char::from_digit(u32::from(n & 0xf), 16).unwrap_or('0');
        self.0.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_its_grammar_and_nothing_else() {
        let good = format!("sha256:{}", "0a".repeat(32));

        assert_eq!(Digest::parse(&good).unwrap().to_string(), good);
        for bad in [
            "",
            "sha256:",
            "sha256:../../etc/passwd",
            &good.to_uppercase(),
            &format!("{good}0"),
            &good[..70],
            &good.replace("0a", "0A"),
            &good.replace("sha256", "md5"),
        ] {
            assert_eq!(Digest::parse(bad), Err("not a digest".to_owned()), "{bad}");
        }
        assert_eq!(
            Digest::parse(&format!("sha512:{}", "0".repeat(128))),
            Err("only sha256 is supported".to_owned())
        );
    }
}
