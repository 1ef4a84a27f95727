//! The words for mount attributes, as mount(8) has them.

use common::mount::Attr;

/// What a word does to an attribute.
type Word = (&'static str, Attr, Is);

/// Whether the attribute is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Set,
    Clear,
}

const WORDS: [Word; 10] = [
    ("dev", Attr::NODEV, Is::Clear),
    ("exec", Attr::NOEXEC, Is::Clear),
    ("nodev", Attr::NODEV, Is::Set),
    ("noexec", Attr::NOEXEC, Is::Set),
    ("nosuid", Attr::NOSUID, Is::Set),
    ("nosymfollow", Attr::NOSYMFOLLOW, Is::Set),
    ("ro", Attr::RDONLY, Is::Set),
    ("rw", Attr::RDONLY, Is::Clear),
    ("suid", Attr::NOSUID, Is::Clear),
    ("symfollow", Attr::NOSYMFOLLOW, Is::Clear),
];

/// The attributes after a word, of which the last counts; nothing where it is another word.
///
/// What is cleared is not added: what a bind takes from where it comes from it keeps.
pub fn after(attr: Attr, word: &[u8]) -> Option<Attr> {
    let (_, named, is) = WORDS.iter().find(|(name, ..)| name.as_bytes() == word)?;
    Some(match is {
        Is::Set => attr.and(*named),
        Is::Clear => Attr(attr.0 & !named.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_an_attribute_counts() {
        assert!(WORDS.is_sorted_by_key(|(name, ..)| name));
        let all = |words: &[&str]| {
            words
                .iter()
                .fold(Attr::NONE, |attr, word| after(attr, word.as_bytes()).unwrap())
        };

        assert_eq!(all(&["ro", "noexec", "rw"]), Attr::NOEXEC);
        assert_eq!(all(&["rw", "ro"]), Attr::RDONLY);
        assert_eq!(after(Attr::NONE, b"RO"), None);
    }
}
