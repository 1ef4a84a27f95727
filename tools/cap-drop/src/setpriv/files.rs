//! /etc/passwd and /etc/group, read when the first name is looked up.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::inroot::Root;
use common::passwd::{self, Account, User};
use common::{Context, Fail};

use super::usage;

/// Both files, each read at most once.
#[derive(Debug, Default)]
pub(super) struct Files {
    passwd: OnceCell<Vec<u8>>,
    group: OnceCell<Vec<u8>>,
}

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) name: OsString,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: OsString,
    pub(super) shell: OsString,
}

impl From<User<'_>> for Login {
    fn from(user: User<'_>) -> Self {
        let User { name, uid, gid, home, shell } = user;
        let [name, home, shell] = [name, home, shell].map(OsStr::to_owned);
        Self { name, uid, gid, home, shell }
    }
}

impl Files {
    #[cfg(test)]
    pub(super) fn of(passwd: &[u8], group: &[u8]) -> Self {
        Self { passwd: passwd.to_vec().into(), group: group.to_vec().into() }
    }

    fn passwd(&self) -> Result<&[u8], Fail> {
        text(&self.passwd, "passwd")
    }

    fn group(&self) -> Result<&[u8], Fail> {
        text(&self.group, "group")
    }

    /// The first line that has the uid.
    pub(super) fn with_uid(&self, uid: u32) -> Result<Option<Login>, Fail> {
        let found = passwd::users(self.passwd()?).find(|user| user.uid == uid);
        Ok(found.map(Login::from))
    }

    /// The groups that a user is listed in, and its own first.
    pub(super) fn groups_of(&self, login: &Login) -> Result<Vec<u32>, Fail> {
        let Login { name, uid, gid, home, shell } = login;
        let user = User { name, uid: *uid, gid: *gid, home, shell };
        Ok(Account::of(&user, self.group()?).groups)
    }

    /// A user by name or number, with its line where it was found by name.
    ///
    /// # Errors
    /// `what` and the word where it is neither.
    pub(super) fn user(
        &self,
        word: &OsStr,
        what: &str,
    ) -> Result<(u32, Option<Login>), Fail> {
        if is_number(word) {
            return Ok((number(word, what)?, None));
        }
        match passwd::users(self.passwd()?).find(|user| user.name == word) {
            Some(user) => Ok((user.uid, Some(user.into()))),
            None => Ok((number(word, what)?, None)),
        }
    }

    /// A group by name or number.
    ///
    /// # Errors
    /// As above.
    pub(super) fn find_group(&self, word: &OsStr, what: &str) -> Result<u32, Fail> {
        if is_number(word) {
            return number(word, what);
        }
        match passwd::groups(self.group()?).find(|group| group.name == word) {
            Some(group) => Ok(group.gid),
            None => number(word, what),
        }
    }
}

fn text<'f>(cell: &'f OnceCell<Vec<u8>>, name: &str) -> Result<&'f [u8], Fail> {
    if let Some(text) = cell.get() {
        return Ok(text);
    }
    let root = Root::open(Path::new("/")).cannot("open", "/");
    let text = root.and_then(|root| passwd::read(&root, name));
    let text = text.map_err(|fail| fail.status(1))?;
    Ok(cell.get_or_init(|| text))
}

fn is_number(word: &OsStr) -> bool {
    !word.is_empty() && word.as_bytes().iter().all(u8::is_ascii_digit)
}

/// An id: the peer cuts off what is larger, and lets -1 stand for "as it is".
fn number(word: &OsStr, what: &str) -> Result<u32, Fail> {
    let text = word.to_string_lossy();
    let digits = text.trim_ascii_start();
    let complaint = format!("{what}: '{text}'");
    let number: i128 = digits.parse().map_err(|_| usage(&complaint))?;
    let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| usage(format_args!("{complaint}: Numerical result out of range")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_before_a_number_and_no_number_is_cut_off() {
        let files = Files::of(b"www:x:33:34::/w:/s\n-x:x:5:5::/:\n", b"adm:x:4:www\n");
        let user = |word: &str| {
            let found = files.user(OsStr::new(word), "failed to parse ruid");
            found.map(|(uid, login)| (uid, login.is_some())).map_err(|f| f.text)
        };
        let refused = |text: &str| Err(format!("failed to parse ruid: {text}"));

        assert_eq!(user("www"), Ok((33, true)));
        assert_eq!(user("33"), Ok((33, false)));
        assert_eq!(user("-x"), Ok((5, true)));
        assert_eq!(user(" +7"), Ok((7, false)));
        assert_eq!(user("www2"), refused("'www2'"));
        assert_eq!(user(""), refused("''"));
        assert_eq!(user("1x"), refused("'1x'"));
        for text in ["-1", "4294967295", "4294967296", "99999999999999999999"] {
            let reason = format!("'{text}': Numerical result out of range");
            assert_eq!(user(text), refused(&reason));
        }
        let adm = files.find_group(OsStr::new("adm"), "x").map_err(|f| f.text);
        assert_eq!(adm, Ok(4));
        let login = files.with_uid(33).unwrap().unwrap();
        assert_eq!(files.groups_of(&login).unwrap(), [34, 4]);
    }
}
