//! `--dump` and `--list-caps`.

use std::fs;
use std::path::Path;

use common::ids::Ids;
use common::{Fail, sys};

use super::capabilities::name;
use super::{securebits, signal};
use crate::libcap::{kernel, known};
use crate::sets::CapSet;
use crate::state::State;

/// What stands where there is nothing.
const NONE: &str = "[none]";

/// The state, in more detail at a higher level.
pub(super) fn dump(level: u32) -> Result<String, Fail> {
    let ids = Ids::now().map_err(|fail| fail.status(1))?;
    let state = State::read().map_err(|fail| fail.status(1))?;
    let signal = sys::pdeathsig().unwrap_or(0);
    Ok(lines(level, &ids, &state, signal) + &labels())
}

fn lines(level: u32, ids: &Ids, state: &State, death_signal: i32) -> String {
    let mut all = Vec::new();
    let mut line = |least: u32, name: &str, value: String| {
        if level >= least {
            all.push(format!("{name}: {value}\n"));
        }
    };
    let [uid, euid, suid] = ids.uids.map(|id| id.to_string());
    let [gid, egid, sgid] = ids.gids.map(|id| id.to_string());
    let groups: Vec<_> = ids.groups.iter().map(u32::to_string).collect();
    let caps = &state.caps;
    line(1, "uid", uid);
    line(1, "euid", euid);
    line(3, "suid", suid);
    line(1, "gid", gid);
    line(1, "egid", egid);
    line(3, "sgid", sgid);
    line(1, "Supplementary groups", list(&groups));
    line(1, "no_new_privs", u8::from(state.no_new_privs).to_string());
    line(2, "Effective capabilities", names(caps.effective));
    line(2, "Permitted capabilities", names(caps.permitted));
    line(1, "Inheritable capabilities", names(caps.inheritable));
    line(1, "Ambient capabilities", names(caps.ambient));
    line(1, "Capability bounding set", names(caps.bounding));
    line(1, "Securebits", bits(state.securebits.0));
    let signal = match death_signal {
        0 => NONE.to_owned(),
        number => signal::name(number).map_or_else(|| number.to_string(), str::to_owned),
    };
    line(1, "Parent death signal", signal);
    all.concat()
}

fn list(words: &[String]) -> String {
    if words.is_empty() { NONE.to_owned() } else { words.join(",") }
}

fn names(set: CapSet) -> String {
    list(&set.each().map(|(number, _)| name(number)).collect::<Vec<_>>())
}

/// By name, and in one number what has none.
fn bits(bits: u32) -> String {
    // It says nothing of what comes after the exec.
    let shown = bits & !securebits::KEEP_CAPS;
    let is_set = |(bit, _): &(u32, &str)| shown & bit != 0;
    let set = securebits::named().filter(is_set);
    let mut words: Vec<String> = set.map(|(_, name)| name.to_owned()).collect();
    let left = securebits::named().fold(shown, |left, (bit, _)| left & !bit);
    words.extend((left != 0).then(|| format!("{left:#x}")));
    list(&words)
}

/// What security modules say of this process, where they run.
fn labels() -> String {
    let modules = [
        ("/sys/fs/selinux", "SELinux label"),
        ("/sys/kernel/security/apparmor", "AppArmor profile"),
    ];
    let label = |(dir, name): (&str, &str)| {
        let text = Path::new(dir).exists().then(|| fs::read("/proc/self/attr/current"));
        let text = text?.ok()?;
        let text = String::from_utf8_lossy(&text);
        Some(format!("{name}: {}\n", text.trim_end_matches(['\0', '\n'])))
    };
    modules.into_iter().filter_map(label).collect()
}

/// All that the kernel knows, a line each.
pub(super) fn capabilities() -> String {
    let all = known(kernel::count()).each();
    all.flat_map(|(number, _)| [name(number), "\n".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::securebits::Securebits;
    use crate::state::Caps;

    #[test]
    fn the_third_level_shows_all() {
        let ids = Ids { uids: [1, 2, 3], gids: [4, 5, 6], ..Ids::default() };
        let caps = Caps {
            effective: CapSet(1),
            permitted: CapSet(1 << 41 | 3),
            ..Caps::default()
        };
        let securebits = Securebits(0x1813);
        let state = State { caps, securebits, no_new_privs: true };

        expect![[r#"
            uid: 1
            euid: 2
            suid: 3
            gid: 4
            egid: 5
            sgid: 6
            Supplementary groups: [none]
            no_new_privs: 1
            Effective capabilities: chown
            Permitted capabilities: chown,dac_override,cap_41
            Inheritable capabilities: [none]
            Ambient capabilities: [none]
            Capability bounding set: [none]
            Securebits: noroot,noroot_locked,exec_deny_interactive_locked,0x1000
            Parent death signal: KILL
        "#]]
        .assert_eq(&lines(3, &ids, &state, 9));
        assert_eq!(lines(1, &ids, &state, 40).lines().count(), 11);
    }
}
