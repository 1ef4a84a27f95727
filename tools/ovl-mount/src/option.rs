//! Options of overlayfs: which were asked for, which exclude each other, and whether the
//! kernel kept them.

use std::fmt;

/// `KEY` or `KEY=VALUE`, as in mount(8) and fsconfig(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// Its value; none for a flag.
    pub value: Option<String>,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        self.value.as_ref().map_or(Ok(()), |value| write!(f, "={value}"))
    }
}

/// Those of one `-o`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List(pub Vec<Setting>);

/// What names layers: those are opened by us and handed over by descriptor.
const LAYERS: [(&str, &str); 6] = [
    ("lowerdir", "--lower"),
    ("lowerdir+", "--lower"),
    ("datadir+", "--data-only"),
    ("upperdir", "--upper"),
    ("workdir", "--work"),
    ("ro", "--ro"),
];

/// The kernel takes a value of so many bytes, fsconfig(2).
const MOST_VALUE: usize = 255;

/// Reads `KEY[=VALUE][,…]`, values with commas in double quotes as in mount(8).
///
/// # Errors
/// The reason, without the text itself, which the argument parser names.
pub fn list(text: &str) -> Result<List, String> {
    let mut quoted = false;
    let comma = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    let all: Vec<_> = text.split(comma).map(setting).collect::<Result<_, _>>()?;
    if quoted { Err("a quote without its end".to_owned()) } else { Ok(List(all)) }
}

fn setting(text: &str) -> Result<Setting, String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.replace('"', ""))),
        None => (text, None),
    };
    if key.is_empty() {
        return Err("not KEY or KEY=VALUE".to_owned());
    }
    if let Some((_, ours)) = LAYERS.iter().find(|(name, _)| *name == key) {
        return Err(format!("{key} is what {ours} is for"));
    }
    if text.contains('\0') || value.as_ref().is_some_and(|v| v.len() > MOST_VALUE) {
        return Err("more than the kernel takes".to_owned());
    }
    Ok(Setting { key: key.to_owned(), value })
}

/// Each name once, as it was set last.
pub fn last_of_each(all: impl IntoIterator<Item = Setting>) -> Vec<Setting> {
    let mut kept: Vec<Setting> = Vec::new();
    for setting in all {
        kept.retain(|known| known.key != setting.key);
        kept.push(setting);
    }
    kept
}

/// A name and the values that are meant; none for any.
type Which = (&'static str, &'static [&'static str]);

/// What the kernel refuses together, and says only in its log; overlayfs.rst.
pub const CONFLICTS: [(Which, Which); 5] = [
    (("userxattr", &[]), ("metacopy", &["on"])),
    (("userxattr", &[]), ("redirect_dir", &["on", "off", "follow"])),
    (("metacopy", &["on"]), ("redirect_dir", &["off", "follow", "nofollow"])),
    (("nfs_export", &["on"]), ("index", &["off"])),
    (("nfs_export", &["on"]), ("metacopy", &["on"])),
];

/// What does nothing without a place for changes, which the kernel passes over.
const WRITES: [Which; 4] = [
    ("volatile", &[]),
    ("index", &["on"]),
    ("uuid", &["on"]),
    ("fsync", &["strict", "volatile"]),
];

fn find(all: &[Setting], (key, values): Which) -> Option<&Setting> {
    let is_meant = |value: &Option<String>| {
        values.is_empty() || value.as_deref().is_some_and(|v| values.contains(&v))
    };
    all.iter().find(|setting| setting.key == key && is_meant(&setting.value))
}

/// Two settings that exclude each other.
pub fn conflict(all: &[Setting]) -> Option<(&Setting, &Setting)> {
    CONFLICTS.iter().find_map(|(one, other)| Some((find(all, *one)?, find(all, *other)?)))
}

/// A setting that takes a place for changes.
pub fn writes(all: &[Setting]) -> Option<&Setting> {
    WRITES.iter().find_map(|which| find(all, *which))
}

/// What can be silently turned off, and the module's parameter that is its default.
const REVOKED: [Which; 5] = [
    ("index", &["on"]),
    ("metacopy", &["on"]),
    ("nfs_export", &["on"]),
    ("redirect_dir", &["on"]),
    ("verity", &["on", "require"]),
];

/// What was asked for and is not among the options of the mount that was made.
///
/// `shown` is the last field of mountinfo, where overlayfs leaves out what is the default;
/// `is_default` tells whether an option is on by default.
pub fn revoked<'s>(
    asked: &'s [Setting],
    shown: &str,
    is_default: impl Fn(&str) -> bool,
) -> Option<&'s Setting> {
    let holds = |setting: &Setting| {
        let shown = shown.split(',').filter_map(|option| option.split_once('='));
        let mut value =
            shown.filter(|(key, _)| *key == setting.key).map(|(_, value)| value);
        match value.next() {
            Some(value) => setting.value.as_deref() == Some(value),
            None => is_default(&setting.key),
        }
    };
    REVOKED.iter().filter_map(|which| find(asked, *which)).find(|setting| !holds(setting))
}

/// One that could be silently turned off.
pub fn revocable(asked: &[Setting]) -> Option<&Setting> {
    REVOKED.iter().find_map(|which| find(asked, *which))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Vec<Setting> {
        list(text).unwrap().0
    }

    #[test]
    fn options_are_split_at_commas_outside_of_quotes() {
        let all = settings(r#"userxattr,uuid=off,context="u:r:t:s0:c1,c2",x=a=b"#);

        let shown: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["userxattr", "uuid=off", "context=u:r:t:s0:c1,c2", "x=a=b"]);
    }

    #[test]
    fn what_is_no_option_or_has_one_of_our_own_is_refused() {
        for (text, reason) in [
            ("", "not KEY or KEY=VALUE"),
            ("=x", "not KEY or KEY=VALUE"),
            ("a,", "not KEY or KEY=VALUE"),
            ("lowerdir=/a", "lowerdir is what --lower is for"),
            ("index=on,upperdir=u", "upperdir is what --upper is for"),
            ("context=\"a", "a quote without its end"),
        ] {
            assert_eq!(list(text), Err(reason.to_owned()), "{text}");
        }
        assert!(list(&format!("a={}", "x".repeat(255))).is_ok());
        assert!(list(&format!("a={}", "x".repeat(256))).is_err());
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let all = last_of_each(settings("index=on,xino=off,index=off"));

        assert_eq!(all, settings("xino=off,index=off"));
    }

    #[test]
    fn reading_what_was_printed_is_the_identity() {
        arbtest::arbtest(|u| {
            let text: String = u.arbitrary()?;
            if let Ok(List(all)) = list(&text) {
                let quoted = |s: &Setting| match &s.value {
                    Some(value) => format!("{}=\"{value}\"", s.key),
                    None => s.key.clone(),
                };
                // A quote in a key stays there.
                if all.iter().all(|s| !s.key.contains('"')) {
                    let printed: Vec<_> = all.iter().map(quoted).collect();
                    assert_eq!(list(&printed.join(",")), Ok(List(all)));
                }
            }
            Ok(())
        });
    }

    #[test]
    fn settings_conflict_in_any_order() {
        for text in ["metacopy,userxattr,metacopy=on", "redirect_dir=follow,metacopy=on"]
        {
            let all = last_of_each(settings(text));

            assert!(conflict(&all).is_some(), "{text}");
        }
        assert_eq!(
            conflict(&settings("userxattr,redirect_dir=nofollow,metacopy=off")),
            None
        );
        assert_eq!(writes(&settings("index=off,xino=on")), None);
        assert!(writes(&settings("volatile")).is_some());
    }

    #[test]
    fn an_option_that_the_kernel_dropped_is_found() {
        let asked = settings("index=on,metacopy=on,volatile,xino=on");

        assert_eq!(
            revoked(&asked, "rw,lowerdir=a,index=on,metacopy=on", |_| false),
            None
        );
        assert_eq!(revoked(&asked, "rw,metacopy=on", |_| false), asked.first());
        assert_eq!(revoked(&asked, "rw", |_| true), None);
        assert_eq!(revoked(&asked, "rw,index=off", |_| true), asked.first());
        assert_eq!(revocable(&settings("volatile,index=off")), None);
    }
}
