//! A profile from docker's JSON: OCI's `linux.seccomp` with what docker and podman add.

use std::borrow::Cow;

use common::Fail;
use common::fail::quote;
use common::json::{Document, Object};

use super::action::{self, Action, MAX_ERRNO};
use super::arch::{Arch, FOREIGN};
use super::condition::{Condition, Op};
use super::profile::{Family, Flag, Group, Profile, When};
use super::rules::DEFAULT_ERRNO;
use crate::sets::{self, CapSet};

/// Reads it. A key that we do not know could be a rule that we do not follow.
///
/// # Errors
/// What is not as it should be, with its name.
pub(super) fn read(document: &Document) -> Result<Profile<'_>, Fail> {
    let top = document.object()?;
    only(
        top,
        &[
            "defaultAction",
            "defaultErrnoRet",
            "defaultErrno",
            "architectures",
            "archMap",
            "syscalls",
            "flags",
            "listenerPath",
            "listenerMetadata",
        ],
    )?;
    let errno = errno(top, "defaultErrnoRet", "defaultErrno")?;
    let default = action(top, "defaultAction", errno)?;
    let groups = top.objects("syscalls")?.into_iter().map(group);
    let flags = top.strings("flags")?.into_iter().map(|name| flag(top, name));
    Ok(Profile {
        default,
        arches: families(top)?,
        groups: groups.collect::<Result<_, _>>()?,
        flags: flags.collect::<Result<_, _>>()?,
    })
}

fn only(object: Object<'_>, known: &[&str]) -> Result<(), Fail> {
    let is_known = |key: &str| known.iter().any(|name| name.eq_ignore_ascii_case(key));
    let is_remark = |key: &str| key == "comment" || key.starts_with(['_', '$']);
    match object.keys().find(|key| !is_known(key) && !is_remark(key)) {
        Some(key) => Err(object
            .document()
            .fail(format!("{} is no key of a seccomp profile", quote(key)))),
        None => Ok(()),
    }
}

fn wrong(object: Object<'_>, reason: String) -> Fail {
    object.document().fail(reason)
}

fn action(object: Object<'_>, key: &str, errno: u16) -> Result<Action, Fail> {
    let name = object.wanted(key)?;
    Action::parse(name, errno).map_err(|reason| wrong(object, reason))
}

/// By name or by number; podman writes both, and reads the name.
fn errno(object: Object<'_>, number: &str, name: &str) -> Result<u16, Fail> {
    let ret = match object.get(number)? {
        None => DEFAULT_ERRNO,
        Some(_) => u16::try_from(object.number(number)?)
            .ok()
            .filter(|ret| *ret <= MAX_ERRNO)
            .ok_or_else(|| wrong(object, format!("'{number}' is above {MAX_ERRNO}")))?,
    };
    match object.string(name)?.filter(|name| !name.is_empty()) {
        None => Ok(ret),
        Some(name) => action::errno(name)
            .or_else(|| name.parse().ok().filter(|ret| *ret <= MAX_ERRNO))
            .ok_or_else(|| wrong(object, format!("{} is no errno", quote(name)))),
    }
}

fn flag(object: Object<'_>, name: &str) -> Result<Flag, Fail> {
    match name {
        "SECCOMP_FILTER_FLAG_TSYNC" => Ok(Flag::Tsync),
        "SECCOMP_FILTER_FLAG_LOG" => Ok(Flag::Log),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(Flag::SpecAllow),
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => Ok(Flag::WaitKillableRecv),
        _ => Err(wrong(object, format!("{} is no flag", quote(name)))),
    }
}

/// Those of ours; another that exists is passed over.
fn arch(object: Object<'_>, name: &str) -> Result<Option<Arch>, Fail> {
    match Arch::ALL.into_iter().find(|arch| arch.name() == name) {
        None if !FOREIGN.contains(&name) => {
            Err(wrong(object, format!("{} is no architecture", quote(name))))
        }
        found => Ok(found),
    }
}

fn families(top: Object<'_>) -> Result<Vec<Family>, Fail> {
    let list = |object: Object<'_>, key: &str| -> Result<Vec<Arch>, Fail> {
        let names = object.strings(key)?.into_iter();
        let found =
            names.map(|name| arch(object, name)).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().flatten().collect())
    };
    let listed = list(top, "architectures")?;
    let map = top.objects("archMap")?;
    if map.is_empty() {
        return Ok(vec![Family { machine: None, arches: listed }]);
    }
    if !top.list("architectures")?.is_empty() {
        let reason = "it has both 'architectures' and 'archMap'".to_owned();
        return Err(wrong(top, reason));
    }
    let mut families = Vec::new();
    for entry in map {
        only(entry, &["architecture", "subArchitectures"])?;
        let machine = arch(entry, entry.wanted("architecture")?)?;
        let arches = list(entry, "subArchitectures")?;
        families.extend(machine.map(|of| Family { machine: Some(of), arches }));
    }
    Ok(families)
}

fn group(entry: Object<'_>) -> Result<Group<'_>, Fail> {
    only(
        entry,
        &["name", "names", "action", "errnoRet", "errno", "args", "includes", "excludes"],
    )?;
    let mut names = entry.strings("names")?;
    let name = entry.string("name")?.filter(|name| !name.is_empty());
    if name.is_some() && !names.is_empty() {
        return Err(wrong(entry, "an entry has both 'name' and 'names'".to_owned()));
    }
    names.extend(name);
    let errno = errno(entry, "errnoRet", "errno")?;
    let args = entry.objects("args")?.into_iter().map(condition);
    Ok(Group {
        names: names.into_iter().map(Cow::Borrowed).collect(),
        action: action(entry, "action", errno)?,
        conditions: args.collect::<Result<_, _>>()?,
        only: when(entry, "includes")?,
        unless: when(entry, "excludes")?,
    })
}

fn condition(arg: Object<'_>) -> Result<Condition, Fail> {
    only(arg, &["index", "value", "valueTwo", "op"])?;
    let index = u8::try_from(arg.number("index")?).ok().filter(|index| *index < 6);
    let index = index.ok_or_else(|| arg.wrong("index"))?;
    let number = |key| arg.get(key)?.map_or(Ok(0), |_| arg.number(key));
    let (first, second) = (number("value")?, number("valueTwo")?);
    let op = Op::parse(arg.wanted("op")?, first).map_err(|reason| wrong(arg, reason))?;
    let value = if matches!(op, Op::Masked(_)) { second } else { first };
    Ok(Condition::new(index, op, value))
}

fn when(entry: Object<'_>, key: &str) -> Result<When, Fail> {
    let Some(object) = entry.object(key)? else { return Ok(When::default()) };
    only(object, &["caps", "arches", "minKernel"])?;
    let names = object.strings("caps")?.into_iter();
    // One that we do not know is in no bounding set of ours.
    let caps = names.map(|name| sets::parse(name).unwrap_or(CapSet::UNKNOWN));
    Ok(When {
        caps: caps.fold(CapSet::NONE, CapSet::or),
        arches: object.strings("arches")?.into_iter().map(str::to_owned).collect(),
        kernel: match object.string("minKernel")? {
            None | Some("") => None,
            Some(text) => Some(version(text).ok_or_else(|| object.wrong("minKernel"))?),
        },
    })
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse("p.json".to_owned(), text.into()).unwrap()
    }

    fn refused(text: &str) -> String {
        read(&document(text)).unwrap_err().text
    }

    /// A profile with one entry that says this as well.
    fn entry(text: &str) -> String {
        let top = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"#;
        format!(r#"{top}"names": ["socket"], "action": "SCMP_ACT_ALLOW", {text}}}]}}"#)
    }

    #[test]
    fn everything_that_docker_and_podman_write_is_understood() {
        let document = document(
            r#"{
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "defaultErrno": "ENOSYS",
                "archMap": [
                    {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                    {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}
                ],
                "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [{
                    "name": "socket", "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "errno": "EINVAL",
                    "args": [
                        {"index": 0, "value": 16, "valueTwo": 0, "op": "SCMP_CMP_EQ"},
                        {"index": 2, "value": 255, "valueTwo": 9, "op": "SCMP_CMP_MASKED_EQ"}
                    ],
                    "comment": "why", "includes": {"minKernel": "4.8", "arches": ["amd64"]},
                    "excludes": {"caps": ["CAP_AUDIT_WRITE", "CAP_OF_TOMORROW"]}
                }, {"names": [], "Action": "SCMP_ACT_KILL", "args": null}]
            }"#,
        );

        let profile = read(&document).unwrap();

        let ofx86 = Family { machine: Some(Arch::X86_64), arches: vec![Arch::X86] };
        assert_eq!(profile.default, Action::Errno(38));
        assert_eq!(profile.arches, [ofx86]);
        assert_eq!(profile.flags, [Flag::Log]);
        let [socket, nothing] = &*profile.groups else { panic!("two entries") };
        assert_eq!(socket.names, ["socket"]);
        assert_eq!(socket.action, Action::Errno(22));
        assert_eq!(
            socket.conditions,
            [Condition::new(0, Op::Eq, 16), Condition::new(2, Op::Masked(255), 9)]
        );
        let only = When {
            kernel: Some((4, 8)),
            arches: vec!["amd64".to_owned()],
            ..When::default()
        };
        assert_eq!(socket.only, only);
        let caps = sets::parse("audit_write").unwrap().or(CapSet::UNKNOWN);
        assert_eq!(socket.unless, When { caps, ..When::default() });
        assert_eq!((nothing.names.len(), nothing.action), (0, Action::KillThread));
    }

    #[test]
    fn what_would_not_be_followed_is_refused_by_its_name() {
        for (text, reason) in [
            ("[]".to_owned(), "not an object"),
            ("{}".to_owned(), "'defaultAction' is not what it should be"),
            (
                r#"{"defaultAction": "SCMP_ACT_TRACE"}"#.to_owned(),
                "SCMP_ACT_TRACE takes a tracer, and nothing here traces COMMAND",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscall": []}"#.to_owned(),
                "'syscall' is no key of a seccomp profile",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["X86"]}"#.to_owned(),
                "'X86' is no architecture",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["LOG"]}"#.to_owned(),
                "'LOG' is no flag",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
                    "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}"#
                    .to_owned(),
                "it has both 'architectures' and 'archMap'",
            ),
            (entry(r#""exludes": {}"#), "'exludes' is no key of a seccomp profile"),
            (entry(r#""name": "read""#), "an entry has both 'name' and 'names'"),
            (entry(r#""errnoRet": 4096"#), "'errnoRet' is above 4095"),
            (entry(r#""errno": "EWHAT""#), "'EWHAT' is no errno"),
            (
                entry(r#""args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]"#),
                "'index' is not what it should be",
            ),
            (
                entry(r#""args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]"#),
                "'value' is not what it should be",
            ),
            (
                entry(r#""args": [{"index": 0, "value": 0, "op": "EQ"}]"#),
                "'EQ' is no operator",
            ),
            (
                entry(r#""includes": {"minKernel": "4"}"#),
                "'minKernel' is not what it should be",
            ),
            (
                entry(r#""excludes": {"cap": []}"#),
                "'cap' is no key of a seccomp profile",
            ),
        ] {
            assert_eq!(refused(&text), format!("cannot read 'p.json': {reason}"));
        }
    }
}
