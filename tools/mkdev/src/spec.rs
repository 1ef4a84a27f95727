//! A CDI specification: the devices of a vendor as JSON, cdi/SPEC.md of the Container Device
//! Interface.
//!
//! A specification may ask for more than nodes: mounts, hooks, variables. Those are other
//! links' work or nobody's, so they are refused unless the caller says to leave them out.

use std::path::{Path, PathBuf};

use common::fail::quote;
use serde_json::{Map, Value};

use crate::device::{Access, Asked, Device, Kind, Name};

/// What is wanted of a specification.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// The names of devices; none for the only one.
    pub devices: &'w [String],
    /// Whatever is no node is left out.
    pub nodes_only: bool,
}

/// The nodes of a specification, in its order.
///
/// # Errors
/// The reason, for the caller to say with the file's name.
pub fn nodes(text: &[u8], wanted: Wanted<'_>) -> Result<Vec<Asked>, String> {
    let spec: Value = serde_json::from_slice(text).map_err(|_| {
        "it is not JSON: of YAML, the vendor's generator makes JSON too".to_owned()
    })?;
    let version = spec.get("cdiVersion").and_then(Value::as_str).unwrap_or_default();
    if !["0.", "1."].iter().any(|known| version.starts_with(known)) {
        return Err(format!("its cdiVersion is {}, not 0.x or 1.x", shown(version)));
    }
    let devices = list(spec.get("devices"), "devices")?;
    let mut edits: Vec<&Map<String, Value>> = Vec::new();
    edits.extend(edits_of(&spec)?);
    for device in chosen(devices, wanted.devices)? {
        edits.extend(edits_of(device)?);
    }
    if !wanted.nodes_only {
        no_more_than_nodes(&edits)?;
    }
    let mut all = Vec::new();
    for edit in edits {
        for node in list(edit.get("deviceNodes"), "deviceNodes")? {
            all.push(asked(node)?);
        }
    }
    if all.is_empty() {
        return Err("it has no device nodes".to_owned());
    }
    Ok(all)
}

fn name(device: &Value) -> &str {
    device.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The devices of those names; without any, the only one.
fn chosen<'s>(devices: &'s [Value], wanted: &[String]) -> Result<Vec<&'s Value>, String> {
    let names = || devices.iter().map(|d| shown(name(d))).collect::<Vec<_>>().join(", ");
    if wanted.is_empty() {
        return match devices {
            [only] => Ok(vec![only]),
            _ => Err(format!("it has {}: choose by --spec-device", names())),
        };
    }
    let find = |wanted: &String| {
        let found = devices.iter().find(|device| name(device) == wanted);
        found.ok_or_else(|| format!("it has no {}, but {}", shown(wanted), names()))
    };
    wanted.iter().map(find).collect()
}

fn edits_of(of: &Value) -> Result<Option<&Map<String, Value>>, String> {
    match of.get("containerEdits") {
        None | Some(Value::Null) => Ok(None),
        Some(edits) => edits
            .as_object()
            .map(Some)
            .ok_or_else(|| "its containerEdits are no object".to_owned()),
    }
}

fn list<'s>(value: Option<&'s Value>, what: &str) -> Result<&'s [Value], String> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(value) => value
            .as_array()
            .map(Vec::as_slice)
            .ok_or_else(|| format!("its {what} are no list")),
    }
}

/// Names what else is asked for, with what does it.
fn no_more_than_nodes(edits: &[&Map<String, Value>]) -> Result<(), String> {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let keys = edits.iter().flat_map(|edit| edit.iter());
    let mut others: Vec<String> = keys
        .filter(|(key, value)| *key != "deviceNodes" && !is_empty(value))
        .map(|(key, _)| shown(key))
        .collect();
    others.sort();
    others.dedup();
    if others.is_empty() {
        return Ok(());
    }
    let all = others.join(", ");
    Err(format!(
        "it asks for {all} too, which mkdev does not do; --nodes-only leaves that out"
    ))
}

fn asked(node: &Value) -> Result<Asked, String> {
    let text = |key| node.get(key).and_then(Value::as_str);
    let path = text("path").ok_or("a device node of it has no path")?;
    let name = Path::new(path)
        .is_absolute()
        .then(|| Name::parse(Path::new(path)))
        .flatten()
        .ok_or_else(|| format!("its node {} is not below /dev", shown(path)))?;
    let bad = |key: &str| format!("its node {} has a wrong {key}", shown(path));
    let number = |key: &str| match node.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| bad(key)),
    };
    let kind = match text("type") {
        None | Some("") => None,
        Some("c" | "u") => Some(Kind::Character),
        Some("b") => Some(Kind::Block),
        Some(_) => return Err(bad("type")),
    };
    let device = match (kind, number("major")?, number("minor")?) {
        (Some(kind), Some(major), Some(minor)) => {
            Some(Device { kind, major: major.into(), minor: minor.into() })
        }
        (_, None | Some(0), None | Some(0)) => None,
        _ => return Err(bad("type or number")),
    };
    let access = match text("permissions") {
        None | Some("") => Access::ALL,
        Some(text) => Access::parse(text.as_bytes()).ok_or_else(|| bad("permissions"))?,
    };
    let mode = number("fileMode")?;
    if mode.is_some_and(|mode| mode > 0o777) {
        return Err(bad("fileMode"));
    }
    let host =
        PathBuf::from(text("hostPath").filter(|path| !path.is_empty()).unwrap_or(path));
    if !host.is_absolute() {
        return Err(bad("hostPath"));
    }
    Ok(Asked {
        host,
        name,
        access,
        device,
        mode,
        owner: (number("uid")?, number("gid")?),
    })
}

/// A name of the file's, quoted and of bearable length.
fn shown(text: &str) -> String {
    quote(text.chars().take(240).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Wanted<'_> = Wanted { devices: &[], nodes_only: false };

    fn spec(edits: &str) -> Vec<u8> {
        format!(
            r#"{{"cdiVersion":"0.6.0","kind":"vendor.com/net","devices":[{{"name":"tun",
            "containerEdits":{edits}}}]}}"#
        )
        .into()
    }

    fn node(node: &str) -> Result<Asked, String> {
        nodes(&spec(&format!(r#"{{"deviceNodes":[{node}]}}"#)), ALL)
            .map(|mut all| all.pop().unwrap())
    }

    #[test]
    fn a_node_is_read_with_all_that_it_may_say() {
        let full = r#"{"path":"/dev/net/tun","hostPath":"/dev/tun0","type":"c","major":10,
            "minor":200,"fileMode":438,"permissions":"rw","uid":1,"gid":2}"#;

        assert_eq!(
            node(full),
            Ok(Asked {
                host: "/dev/tun0".into(),
                name: Name::own("net/tun"),
                access: Access::ALL,
                device: Some(Device { kind: Kind::Character, major: 10, minor: 200 }),
                mode: Some(0o666),
                owner: (Some(1), Some(2)),
            })
        );
        let plain = node(r#"{"path":"/dev/kvm"}"#).unwrap();
        assert_eq!((plain.host, plain.device), ("/dev/kvm".into(), None));
    }

    #[test]
    fn a_node_that_is_wrong_is_named() {
        for (text, reason) in [
            (r#"{"path":"/etc/passwd"}"#, "its node '/etc/passwd' is not below /dev"),
            (r#"{"path":"/dev/../etc"}"#, "its node '/dev/../etc' is not below /dev"),
            (r#"{"path":"x"}"#, "its node 'x' is not below /dev"),
            (r#"{}"#, "a device node of it has no path"),
            (r#"{"path":"/dev/x","type":"p"}"#, "its node '/dev/x' has a wrong type"),
            (r#"{"path":"/dev/x","major":"1"}"#, "its node '/dev/x' has a wrong major"),
            (
                r#"{"path":"/dev/x","major":1}"#,
                "its node '/dev/x' has a wrong type or number",
            ),
            (
                r#"{"path":"/dev/x","fileMode":2541}"#,
                "its node '/dev/x' has a wrong fileMode",
            ),
            (
                r#"{"path":"/dev/x","permissions":"x"}"#,
                "its node '/dev/x' has a wrong permissions",
            ),
            (
                r#"{"path":"/dev/x","hostPath":"x"}"#,
                "its node '/dev/x' has a wrong hostPath",
            ),
        ] {
            assert_eq!(node(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_node_is_refused_by_name_or_left_out_by_order() {
        let text = spec(
            r#"{"deviceNodes":[{"path":"/dev/x"}],"hooks":[{}],"mounts":[{}],"env":["A=1"],
            "additionalGids":[],"intelRdt":{"closID":"x"}}"#,
        );

        assert_eq!(
            nodes(&text, ALL).unwrap_err(),
            "it asks for 'env', 'hooks', 'intelRdt', 'mounts' too, which mkdev does not do; --nodes-only leaves that out"
        );
        let some = nodes(&text, Wanted { nodes_only: true, ..ALL });
        assert_eq!(some.unwrap().len(), 1);
    }

    #[test]
    fn one_of_several_devices_is_chosen_by_name() {
        let text = br#"{"cdiVersion":"1.0.0","containerEdits":{"deviceNodes":[{"path":"/dev/ctl"}]},
            "devices":[{"name":"a","containerEdits":{"deviceNodes":[{"path":"/dev/a"}]}},
            {"name":"b","containerEdits":{"deviceNodes":[{"path":"/dev/b"}]}}]}"#;
        let names = |devices: &[&str]| {
            let devices: Vec<String> = devices.iter().map(|d| (*d).to_owned()).collect();
            let all = nodes(text, Wanted { devices: &devices, nodes_only: false })?;
            Ok(all
                .into_iter()
                .map(|node| node.name.0.display().to_string())
                .collect::<Vec<_>>())
        };

        assert_eq!(names(&["b"]), Ok(vec!["ctl".to_owned(), "b".to_owned()]));
        assert_eq!(
            names(&[]),
            Err("it has 'a', 'b': choose by --spec-device".to_owned())
        );
        assert_eq!(names(&["c"]), Err("it has no 'c', but 'a', 'b'".to_owned()));
    }

    #[test]
    fn what_is_no_specification_is_told_why() {
        for (text, reason) in [
            (
                "cdiVersion: 1",
                "it is not JSON: of YAML, the vendor's generator makes JSON too",
            ),
            ("{}", "its cdiVersion is '', not 0.x or 1.x"),
            (r#"{"cdiVersion":"2.0"}"#, "its cdiVersion is '2.0', not 0.x or 1.x"),
            (r#"{"cdiVersion":"1.0","devices":1}"#, "its devices are no list"),
        ] {
            assert_eq!(nodes(text.as_bytes(), ALL), Err(reason.to_owned()));
        }
        assert_eq!(
            nodes(&spec("[]"), ALL),
            Err("its containerEdits are no object".to_owned())
        );
        assert_eq!(nodes(&spec("{}"), ALL), Err("it has no device nodes".to_owned()));
    }
}
