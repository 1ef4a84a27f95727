//! passwd(5) and group(5) of a root file system that may be an attacker's, without NSS.
//!
//! The rules are docker's: a user that is all digits is a uid whether it has a line or
//! not, the first line that matches counts, and the supplementary groups are those that
//! list the user unless a group was named.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};

use crate::fail::{Reason, quote};
use crate::inroot::{Root, kind};
use crate::{Context, Fail, bounded, parse};

/// More than any host has; a group file without end is CVE-2026-47262.
const LIMIT: u64 = 4 << 20;

/// A line of passwd(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User<'t> {
    /// Login name.
    pub name: &'t OsStr,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory, may be empty.
    pub home: &'t OsStr,
    /// Login shell, may be empty.
    pub shell: &'t OsStr,
}

/// A line of group(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'t> {
    /// Its name.
    pub name: &'t OsStr,
    /// Group id.
    pub gid: u32,
    members: &'t [u8],
}

impl Group<'_> {
    /// Whether a user is listed as a member.
    pub fn has(&self, user: &OsStr) -> bool {
        self.members.split(|b| *b == b',').any(|name| name == user.as_bytes())
    }
}

/// The users of a passwd file; a line without valid ids is left out.
///
/// docker and runc read an id that is no number as 0, which makes a typing error root.
pub fn users(text: &[u8]) -> impl Iterator<Item = User<'_>> {
    lines(text).filter_map(|mut fields| {
        let name = OsStr::from_bytes(fields.next()?);
        let (uid, gid) = (id(fields.nth(1)?)?, id(fields.next()?)?);
        let home = OsStr::from_bytes(fields.nth(1).unwrap_or_default());
        let shell = OsStr::from_bytes(fields.next().unwrap_or_default());
        Some(User { name, uid, gid, home, shell })
    })
}

/// The groups of a group file; a line without a valid id is left out.
pub fn groups(text: &[u8]) -> impl Iterator<Item = Group<'_>> {
    lines(text).filter_map(|mut fields| {
        let name = OsStr::from_bytes(fields.next()?);
        let gid = id(fields.nth(1)?)?;
        Some(Group { name, gid, members: fields.next().unwrap_or_default() })
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
    text.split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .map(|line| line.split(|b| *b == b':'))
}

fn id(field: &[u8]) -> Option<u32> {
    parse::id(std::str::from_utf8(field).ok()?).ok()
}

/// A user, by name or number, and perhaps a group: `www-data`, `33`, `33:adm`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// Name or number; empty stands for uid 0.
    pub user: OsString,
    /// Name or number of the group, where it is not the user's own.
    pub group: Option<OsString>,
}

impl Who {
    /// Reads `USER[:GROUP]`; what is left empty counts as not given.
    ///
    /// # Errors
    /// When there is a second colon or a number that is no id (CVE-2024-40635).
    pub fn parse(text: &str) -> Result<Self, String> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        if group.contains(':') {
            return Err("not of the form USER:GROUP".to_owned());
        }
        for part in [user, group].into_iter().filter(|p| is_number(p.as_ref())) {
            parse::id(part)?;
        }
        let group = (!group.is_empty()).then(|| group.into());
        Ok(Self { user: user.into(), group })
    }

    /// As [`Who::parse`], for a command line, where a variable that is not set must not
    /// mean root.
    ///
    /// # Errors
    /// When no user is named.
    pub fn named(text: &str) -> Result<Self, String> {
        let who = Self::parse(text)?;
        if who.user.is_empty() { Err("no user is named".to_owned()) } else { Ok(who) }
    }
}

/// A group for a command line: a name, or a number that is an id.
///
/// # Errors
/// When it is neither.
pub fn group_name(text: &str) -> Result<OsString, String> {
    if text.is_empty() {
        return Err("no group is named".to_owned());
    }
    if is_number(text.as_ref()) {
        parse::id(text)?;
    }
    Ok(text.into())
}

fn is_number(word: &OsStr) -> bool {
    !word.is_empty() && word.as_bytes().iter().all(u8::is_ascii_digit)
}

/// What a user is for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, the primary one first (CVE-2022-36109), each once.
    pub groups: Vec<u32>,
    /// Home directory; `/` where none is known.
    pub home: OsString,
}

impl Account {
    /// Looks a user up by docker's rules.
    ///
    /// # Errors
    /// When a name is in neither file.
    pub fn find(who: &Who, passwd: &[u8], group: &[u8]) -> Result<Self, Fail> {
        let number = if who.user.is_empty() { Some(0) } else { id(who.user.as_bytes()) };
        let user =
            users(passwd).find(|u| number.map_or(u.name == who.user, |n| u.uid == n));
        let Some(uid) = user.map(|u| u.uid).or(number) else {
            return Err(unknown("user", &who.user, "/etc/passwd"));
        };
        let mut account = match &user {
            Some(user) => Self::of(user, group),
            None => Self { uid, gid: 0, groups: vec![0], home: "/".into() },
        };
        if let Some(wanted) = &who.group {
            account.gid = find_group(wanted, group)?;
            account.groups = vec![account.gid];
        }
        Ok(account)
    }

    /// Of a line of passwd(5), with the groups that list the user: getgrouplist(3).
    pub fn of(user: &User<'_>, group: &[u8]) -> Self {
        let mut all = vec![user.gid];
        for other in groups(group).filter(|g| g.has(user.name)) {
            add(&mut all, other.gid);
        }
        let home = if user.home.is_empty() { OsStr::new("/") } else { user.home };
        Self { uid: user.uid, gid: user.gid, groups: all, home: home.to_owned() }
    }

    /// One more supplementary group, by name or number; gives its gid.
    ///
    /// # Errors
    /// When there is no group of that name.
    pub fn add_group(&mut self, wanted: &OsStr, group: &[u8]) -> Result<u32, Fail> {
        let gid = find_group(wanted, group)?;
        add(&mut self.groups, gid);
        Ok(gid)
    }
}

fn add(groups: &mut Vec<u32>, gid: u32) {
    if !groups.contains(&gid) {
        groups.push(gid);
    }
}

/// A group by name or number.
///
/// # Errors
/// When there is no group of that name.
pub fn find_group(wanted: &OsStr, group: &[u8]) -> Result<u32, Fail> {
    let number = id(wanted.as_bytes());
    let by_name = || groups(group).find(|g| g.name == wanted).map(|g| g.gid);
    number.or_else(by_name).ok_or_else(|| unknown("group", wanted, "/etc/group"))
}

fn unknown(what: &str, name: &OsStr, file: &str) -> Fail {
    Fail::new(format_args!("cannot find {what} {}: not in {file}", quote(name)))
        .hint("a number needs no line there")
}

/// Reads a file of the root's /etc: never outside it, never a device or a pipe, never
/// without end (CVE-2024-9676, CVE-2026-47262); one that is not there is empty.
pub fn read(root: &Root, name: &str) -> Result<Vec<u8>, Fail> {
    let path = format!("/etc/{name}");
    let file = match open_regular(root, &path) {
        Err(Reason::Errno(Errno::ENOENT | Errno::ENOTDIR)) => return Ok(Vec::new()),
        other => other.cannot("read", &path)?,
    };
    let text = bounded::read(file, LIMIT, 4096).cannot("read", &path)?;
    let large = || format!("larger than {} MiB", LIMIT >> 20);
    text.ok_or_else(|| Fail::cannot("read", path, large()))
}

fn open_regular(root: &Root, path: &str) -> Result<File, Reason> {
    let is_regular = |fd: &dyn AsFd| -> Result<bool, Errno> {
        Ok(kind(&fstat(fd.as_fd())?) == SFlag::S_IFREG)
    };
    // Looked at before it is opened for reading: to open a device is to use it.
    if !is_regular(&root.resolve(path, OFlag::O_PATH)?)? {
        return Err(Reason::Text("not a regular file".to_owned()));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = root.resolve(path, flags)?;
    if !is_regular(&file)? {
        return Err(Reason::Text("not a regular file".to_owned()));
    }
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"# people\nroot:x:0:0:root:/root:/bin/sh\n\
        typo:x:1o:10::/:/bin/sh\n+::::::\nwww:x:33:33:www:/var/www:/bin/false\n\
        \nwww:x:34:34::/second:\n  bare:x:7:8\nmax:x:4294967295:1::/:\n12:x:50:50::/twelve:\n";
    const GROUP: &[u8] = b"root:x:0:\nbin:x:1:root,www\nwww:x:33:www\nadm:x:4:www,root\nadm2:x:4:www\nwwwx:x:9:wwwx\n";

    fn find(text: &str) -> Result<(u32, u32, Vec<u32>, String), String> {
        let who = Who::parse(text)?;
        let account = Account::find(&who, PASSWD, GROUP).map_err(|f| f.text)?;
        let home = account.home.to_string_lossy().into_owned();
        Ok((account.uid, account.gid, account.groups, home))
    }

    #[test]
    fn users_are_found_by_dockers_rules() {
        for (text, uid, gid, groups, home) in [
            ("", 0, 0, vec![0, 1, 4], "/root"),
            ("root", 0, 0, vec![0, 1, 4], "/root"),
            ("0", 0, 0, vec![0, 1, 4], "/root"),
            ("www", 33, 33, vec![33, 1, 4], "/var/www"),
            ("33", 33, 33, vec![33, 1, 4], "/var/www"),
            ("033", 33, 33, vec![33, 1, 4], "/var/www"),
            ("33:", 33, 33, vec![33, 1, 4], "/var/www"),
            ("33:adm", 33, 4, vec![4], "/var/www"),
            ("www:77", 33, 77, vec![77], "/var/www"),
            (":adm", 0, 4, vec![4], "/root"),
            ("bare", 7, 8, vec![8], "/"),
            ("1234", 1234, 0, vec![0], "/"),
            ("12", 12, 0, vec![0], "/"),
        ] {
            assert_eq!(find(text), Ok((uid, gid, groups, home.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_found_is_told_and_never_becomes_root() {
        let error = |text| find(text).unwrap_err();

        assert_eq!(
            error("typo"),
            "cannot find user 'typo': not in /etc/passwd; a number needs no line there"
        );
        assert_eq!(
            error("www:none"),
            "cannot find group 'none': not in /etc/group; a number needs no line there"
        );
        for text in
            ["max", "+", "-1", "4294967295", "4294967296", "1:2:3", "0:4294967296"]
        {
            assert!(find(text).is_err(), "{text}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_no_id_is_minus_one() {
        arbtest::arbtest(|u| {
            let text: Vec<u8> = u.arbitrary()?;
            assert!(users(&text).all(|l| l.uid != u32::MAX && l.gid != u32::MAX));
            assert!(groups(&text).all(|l| l.gid != u32::MAX));
            Ok(())
        });
    }

    #[test]
    fn a_link_a_pipe_and_an_endless_file_are_refused_and_a_missing_one_is_empty() {
        let dir = std::env::temp_dir().join(format!("passwd-{}", std::process::id()));
        let etc = dir.join("etc");
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::write(dir.join("inside"), "in").unwrap();
        std::os::unix::fs::symlink("/inside", etc.join("link")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", etc.join("out")).unwrap();
        nix::unistd::mkfifo(&etc.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        File::create(etc.join("large")).unwrap().set_len(LIMIT + 1).unwrap();
        let root = Root::open(&dir).unwrap();
        let text = |name| read(&root, name).map_err(|f| f.text);

        let got = ["link", "out", "none", "pipe", "large"].map(text);

        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(
            got,
            [
                Ok(b"in".to_vec()),
                Ok(Vec::new()),
                Ok(Vec::new()),
                Err("cannot read '/etc/pipe': not a regular file".to_owned()),
                Err("cannot read '/etc/large': larger than 4 MiB".to_owned()),
            ]
        );
    }
}
