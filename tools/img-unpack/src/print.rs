//! What goes to standard output when all is done.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use common::Fail;
use serde_json::Value;

use crate::cli::Print;
use crate::config::Config;
use crate::manifest::Image;

/// The text, each record ended as the caller wants it.
///
/// # Errors
/// What a shell cannot hold; [`check`] tells before anything is done.
pub(crate) fn text(
    what: Print,
    null: bool,
    layers: &[PathBuf],
    (image, summary): (&Image, &Value),
) -> Result<Vec<u8>, Fail> {
    let end = if null { 0 } else { b'\n' };
    let mut text = Vec::new();
    match what {
        Print::Layers => text = list(layers, null),
        Print::Json => {
            text = format!("{summary:#}").into_bytes();
            text.push(end);
        }
        Print::Sh => {
            let layers: Vec<_> =
                layers.iter().map(|l| l.as_os_str().as_bytes()).collect();
            text = shell(&layers, &image.process)?;
            if null {
                text.push(0);
            }
        }
        Print::None => {}
    }
    Ok(text)
}

/// Paths, each ended by a newline or a NUL.
pub(crate) fn list(paths: &[PathBuf], null: bool) -> Vec<u8> {
    let end: &[u8] = if null { b"\0" } else { b"\n" };
    paths
        .iter()
        .flat_map(|path| [path.as_os_str().as_bytes(), end])
        .flatten()
        .copied()
        .collect()
}

/// Whether it can be printed at all.
///
/// # Errors
/// A NUL, which no shell's variable can hold.
pub(crate) fn check(what: Print, config: &Config) -> Result<(), Fail> {
    if what == Print::Sh { shell(&[], config).map(|_| ()) } else { Ok(()) }
}

/// Assignments that sh(1) may evaluate: whatever the image says, nothing of it is run,
/// and nothing of it reaches a program's environment.
fn shell(layers: &[&[u8]], config: &Config) -> Result<Vec<u8>, Fail> {
    let list = |words: &[String]| words.iter().map(|w| quoted(w.as_bytes())).collect();
    let labels = config.labels.iter().map(|(k, v)| quoted(format!("{k}={v}").as_bytes()));
    let lists: [(&str, Vec<Vec<u8>>); 7] = [
        ("LAYERS", layers.iter().map(|l| quoted(l)).collect()),
        ("ENV", list(&config.env)),
        ("ENTRYPOINT", list(&config.entrypoint)),
        ("CMD", list(&config.cmd)),
        ("LABEL", labels.collect()),
        ("EXPOSE", list(&config.exposed_ports)),
        ("VOLUME", list(&config.volumes)),
    ];
    let words = [
        ("WORKDIR", &config.working_dir),
        ("USER", &config.user),
        ("STOPSIGNAL", &config.stop_signal),
    ];
    let values = lists
        .into_iter()
        .map(|(name, words)| (name, words.join(&b' ')))
        .chain(words.map(|(name, word)| (name, word.clone().into_bytes())));
    // Unset first: a variable that the caller exports, as USER is, would hand the image's
    // value on to every program, and a shell runs the file that ENV names.
    let mut names = b"unset".to_vec();
    let mut text = Vec::new();
    for (name, value) in values {
        if value.contains(&0) {
            let why = "it has a NUL, which no shell can hold";
            return Err(Fail::cannot("print", name, why));
        }
        names.extend([b" ", name.as_bytes()].concat());
        text.extend([name.as_bytes(), b"=", &quoted(&value), b"\n"].concat());
    }
    names.push(b'\n');
    Ok([names, text].concat())
}

/// A word for sh(1), as it is where no shell could take it for more.
fn quoted(word: &[u8]) -> Vec<u8> {
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./:,+@%=".contains(b);
    // zsh takes a word that begins with an equals sign for a command's path.
    let is_word = word.first().is_some_and(|first| *first != b'=');
    if is_word && word.iter().all(is_plain) {
        return word.to_vec();
    }
    let inner: Vec<&[u8]> = word.split(|b| *b == b'\'').collect();
    [b"'", inner.join(&br"'\''"[..]).as_slice(), b"'"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_go_without_quotes() {
        for (word, expected) in [
            ("box/layers/0a", "box/layers/0a"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$(id)", "'$(id)'"),
            ("~", "'~'"),
            ("A=1", "A=1"),
            ("=ls", "'=ls'"),
            ("\n", "'\n'"),
        ] {
            assert_eq!(quoted(word.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn a_nul_is_told_before_anything_is_done() {
        let config = Config { cmd: vec!["a\0b".into()], ..Config::default() };

        let fail = check(Print::Sh, &config).unwrap_err();

        assert_eq!(
            fail.text,
            "cannot print 'CMD': it has a NUL, which no shell can hold"
        );
        assert!(check(Print::Json, &config).is_ok());
    }
}
