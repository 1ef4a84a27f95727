//! `--bind SRC:DST[:OPTIONS]`: what is the caller's, shown in the new root.

use std::ffi::OsStr;
use std::path::PathBuf;

use common::idmapped::{self, IdMapped};
use common::mount::{Attr, Depth, Propagation};

use crate::attribute;
use crate::inside::{Inside, inside, key_value, options, parts};

const FORM: &str = "not SRC:DST or SRC:DST:OPTIONS";

/// A file or directory and where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// A path of the caller's.
    pub source: PathBuf,
    /// Where it is shown.
    pub at: Inside,
    /// How.
    pub how: How,
}

/// How what is bound is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct How {
    /// Attributes that are added to those where it comes from.
    pub attr: Attr,
    /// Whether what is mounted in it is shown too.
    pub depth: Depth,
    /// Whether mounts of the caller's come in later, and go out.
    pub propagation: Propagation,
    /// Whose ids its files show.
    pub idmap: Option<IdMapped>,
}

impl Default for How {
    /// As docker's `-v` has it.
    fn default() -> Self {
        let propagation = Propagation::Private;
        Self { attr: Attr::NONE, depth: Depth::Tree, propagation, idmap: None }
    }
}

impl How {
    /// Reads the options.
    ///
    /// # Errors
    /// When one of them is not known.
    pub fn read(text: &OsStr) -> Result<Self, String> {
        let mut how = Self::default();
        for option in options(text) {
            match key_value(option) {
                (b"rec", None) => how.depth = Depth::Tree,
                (b"norec", None) => how.depth = Depth::One,
                (b"private", None) => how.propagation = Propagation::Private,
                (b"slave", None) => how.propagation = Propagation::Slave,
                (b"shared", None) => how.propagation = Propagation::Shared,
                (b"idmap", Some(map)) => how.idmap = Some(idmapped::parse(map)?),
                (word, None) => {
                    how.attr = attribute::after(how.attr, word).ok_or_else(unknown)?;
                }
                _ => return Err(unknown()),
            }
        }
        Ok(how)
    }
}

fn unknown() -> String {
    "not an option of ro, rec, norec, nosuid, nodev, noexec, nosymfollow, idmap=MAP, private, slave, shared"
        .to_owned()
}

/// Reads `SRC:DST[:OPTIONS]`.
///
/// # Errors
/// When it is something else.
pub fn bind(text: &OsStr) -> Result<Bind, String> {
    let parts = parts(text, 3);
    let (source, at, how) = match parts.as_slice() {
        [source, at] => (source, at, How::default()),
        [source, at, options] => (source, at, How::read(options)?),
        _ => return Err(FORM.to_owned()),
    };
    if source.is_empty() {
        return Err(FORM.to_owned());
    }
    Ok(Bind { source: source.into(), at: inside(at)?, how })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn how(options: &str) -> Result<How, String> {
        How::read(options.as_ref())
    }

    #[test]
    fn a_bind_is_two_names_and_perhaps_options() {
        let bound = |attr| Bind {
            source: "/srv".into(),
            at: Inside("a".into()),
            how: How { attr, ..How::default() },
        };

        assert_eq!(bind("/srv:/a".as_ref()), Ok(bound(Attr::NONE)));
        assert_eq!(bind("/srv:/a:ro".as_ref()), Ok(bound(Attr::RDONLY)));
        assert_eq!(bind("/srv:/a:ro,rw".as_ref()), Ok(bound(Attr::NONE)));
        for text in ["", "/srv", ":/a", "/srv:", "/srv:/", "/srv:/a:rw,x", "/a:/b:ro:c"] {
            assert!(bind(text.as_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_are_not_utf8_are_names() {
        let bind = bind(OsStr::from_bytes(b"/caf\xe9\\::/x\xff")).unwrap();

        assert_eq!(bind.source.as_os_str().as_bytes(), b"/caf\xe9:");
        assert_eq!(bind.at.0.as_os_str().as_bytes(), b"x\xff");
    }

    #[test]
    fn each_option_has_its_word() {
        let all = how("nosuid,nodev,noexec,nosymfollow,norec,slave").unwrap();

        let attr = Attr::NOSUID.and(Attr::NODEV).and(Attr::NOEXEC).and(Attr::NOSYMFOLLOW);
        let propagation = Propagation::Slave;
        assert_eq!(all, How { attr, depth: Depth::One, propagation, idmap: None });
        assert!(how("idmap=0:1000:1").unwrap().idmap.is_some());
        assert_eq!(how("norec,rec,shared,private,"), Ok(How::default()));
        for text in ["ro=1", "idmap", "idmap=", "idmap=x", "rslave", "z"] {
            assert!(how(text).is_err(), "{text}");
        }
    }

    #[test]
    fn any_text_is_read_or_refused() {
        const WORDS: [&str; 12] = [
            "/a", ":", ",", "ro", "\\", "idmap=", "0:1:2", "+", "..", "norec", "=", "\n",
        ];
        arbtest::arbtest(|u| {
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=9)? {
                text.push_str(u.choose(&WORDS)?);
            }
            if let Ok(bind) = bind(text.as_ref()) {
                assert!(
                    !bind.source.as_os_str().is_empty() && bind.at.depth() > 0,
                    "{text}"
                );
            }
            Ok(())
        });
    }
}
