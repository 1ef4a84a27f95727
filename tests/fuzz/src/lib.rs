//! What several targets need: inputs that get past checksums and digests.

use std::collections::HashMap;

use common::Fail;
use img_unpack::digest::Digest;
use img_unpack::members::{Members, Name};

/// Gives every block that calls itself a header its checksum.
pub fn with_checksums(tar: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    for block in tar.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

/// Documents of an archive, some of which name others by their digests.
pub struct Documents(HashMap<Name, Vec<u8>>);

impl Documents {
    /// Reads documents that a line `---` parts. The first one is called as `first` says; in
    /// each, `@N` stands for the digest and `#N` for the size of document N below it.
    pub fn read(text: &[u8], first: &[&str]) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut parts: Vec<String> =
            text.split("\n---\n").take(9).map(str::to_owned).collect();
        let mut all = HashMap::new();
        for at in (0..parts.len()).rev() {
            let mut part = parts[at].clone();
            for (below, document) in parts.iter().enumerate().skip(at + 1) {
                let digest = Digest::of(document.as_bytes()).to_string();
                part = part.replace(&format!("@{below}"), &digest);
                part = part.replace(&format!("#{below}"), &document.len().to_string());
            }
            let names = [
                format!("blobs/sha256/{}", Digest::of(part.as_bytes()).hex()),
                format!("{at}.json"),
            ];
            for name in names
                .iter()
                .map(String::as_str)
                .chain(first.iter().copied().filter(|_| at == 0))
            {
                all.insert(Name::from(name), part.clone().into_bytes());
            }
            parts[at] = part;
        }
        all.insert(Name::from("layer.tar"), Vec::new());
        Self(all)
    }
}

impl Members for Documents {
    fn size(&self, name: &Name) -> Option<u64> {
        self.0.get(name).map(|document| document.len().try_into().unwrap())
    }

    fn document(&self, name: &Name, max: u64) -> Result<Vec<u8>, Fail> {
        let document = self.0.get(name).ok_or_else(|| Fail::new("not there"))?;
        assert!(max < 1 << 30, "no limit");
        Ok(document.clone())
    }

    fn has_any(&self, test: &dyn Fn(&Name) -> bool) -> bool {
        self.0.keys().any(test)
    }

    fn shown(&self) -> String {
        "'fuzz'".to_owned()
    }
}

/// A failure is one line that is safe to print.
pub fn is_one_line(text: &str) {
    assert!(!text.is_empty() && text.chars().all(|c| !c.is_control()), "{text:?}");
}
