//! Why the kernel did not make namespaces, as far as it can be found out afterwards.

use std::fs;

use common::Fail;
use common::idmap::IdMap;
use common::nstype::Ns;
use common::proc::{mountinfo, status_field, status_mask};
use nix::errno::Errno;

const CAP_SYS_ADMIN: u32 = 21;

/// The rules of this host that may have refused.
#[derive(Debug, Default)]
struct Rules {
    /// `user.max_*_namespaces` of the kinds that were asked for.
    limits: Vec<(&'static str, u64)>,
    /// `kernel.unprivileged_userns_clone` of Debian and Ubuntu.
    userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns` of Ubuntu.
    apparmor: Option<u64>,
    /// The own uid or gid means nothing in the user namespace that we are in.
    unmapped: Option<&'static str>,
    /// Kinds that this kernel does not know.
    missing: Vec<&'static str>,
    /// The root directory is no mount: a chroot.
    in_chroot: bool,
    /// There is no proc to tell more by.
    is_blind: bool,
    /// Seccomp filters are at work.
    filtered: bool,
    /// The capability that every kind but user takes.
    is_admin: bool,
}

/// The failure of clone3(2) or unshare(2), with what can be done about it.
pub(crate) fn refused(kinds: &[Ns], errno: Errno) -> Fail {
    let names: Vec<_> = kinds.iter().map(|ns| ns.kind().file).collect();
    if names.is_empty() {
        return Fail::os("cannot fork", errno);
    }
    let fail =
        Fail::os(format_args!("cannot make namespaces '{}'", names.join(",")), errno);
    match why(kinds, errno, &Rules::read(kinds)) {
        Some(hint) => fail.hint(hint),
        None => fail,
    }
}

fn why(kinds: &[Ns], errno: Errno, rules: &Rules) -> Option<String> {
    if !rules.missing.is_empty() {
        return Some(format!("this kernel has no '{}'", rules.missing.join(",")));
    }
    if matches!(errno, Errno::ENOSPC | Errno::EUSERS) {
        return Some(limits(rules));
    }
    if !matches!(errno, Errno::EPERM | Errno::EACCES) {
        return None;
    }
    let is_new_user = kinds.contains(&Ns::User);
    if let Some(id) = rules.unmapped.filter(|_| is_new_user) {
        return Some(format!("the own {id} is not mapped here, see user_namespaces(7)"));
    }
    let hint = if !is_new_user && !rules.is_admin {
        "it takes CAP_SYS_ADMIN: add --user --map-root-user"
    } else if is_new_user && rules.userns_clone == Some(0) && !rules.is_admin {
        "sysctl kernel.unprivileged_userns_clone is 0"
    } else if is_new_user && rules.in_chroot {
        "no user namespace can be made in a chroot, see user_namespaces(7)"
    } else if is_new_user && rules.is_blind {
        "no proc is here to tell why; a chroot always forbids it"
    } else if rules.filtered {
        "a seccomp filter may forbid it"
    } else if is_new_user && rules.apparmor == Some(1) && !rules.is_admin {
        "sysctl kernel.apparmor_restrict_unprivileged_userns is 1: it takes a profile with userns"
    } else {
        "a security module forbids it"
    };
    Some(hint.to_owned())
}

fn limits(rules: &Rules) -> String {
    let zero = rules.limits.iter().find(|(_, limit)| *limit == 0);
    if let Some((name, _)) = zero {
        return format!("sysctl user.{name} is 0");
    }
    let all: Vec<_> = rules
        .limits
        .iter()
        .map(|(name, limit)| format!("user.{name} ({limit})"))
        .collect();
    format!("a limit is reached: 32 levels, or {}", all.join(", "))
}

impl Rules {
    fn read(kinds: &[Ns]) -> Self {
        let number = |path: &str| -> Option<u64> {
            fs::read_to_string(path).ok()?.trim().parse().ok()
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mounts = mountinfo(&fs::read("/proc/self/mountinfo").unwrap_or_default());
        let has_proc = !status.is_empty();
        let limits = kinds.iter().filter_map(|ns| {
            let name = limit(*ns);
            Some((name, number(&format!("/proc/sys/user/{name}"))?))
        });
        let is_missing = |file: &&str| {
            let path = format!("/proc/self/ns/{file}");
            has_proc && fs::symlink_metadata(path).is_err()
        };
        Self {
            limits: limits.collect(),
            userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            unmapped: unmapped(),
            missing: kinds.iter().map(|ns| ns.kind().file).filter(is_missing).collect(),
            in_chroot: has_proc && !mounts.iter().any(|m| m.target.as_os_str() == "/"),
            is_blind: !has_proc,
            filtered: status_field(&status, "Seccomp") == Some("2"),
            is_admin: status_mask(&status, "CapEff")
                .is_some_and(|mask| mask & 1 << CAP_SYS_ADMIN != 0),
        }
    }
}

/// Which of the own ids is not known in this user namespace, where /proc can tell.
fn unmapped() -> Option<&'static str> {
    let ids = [
        ("uid", "uid_map", nix::unistd::geteuid().as_raw()),
        ("gid", "gid_map", nix::unistd::getegid().as_raw()),
    ];
    let lacks = |(_, file, id): &(&str, &str, u32)| {
        IdMap::own(file).is_ok_and(|map| !map.has_inside(*id))
    };
    ids.into_iter().find(lacks).map(|(name, ..)| name)
}

/// The limit's name in /proc/sys/user, namespaces(7).
fn limit(ns: Ns) -> &'static str {
    match ns {
        Ns::User => "max_user_namespaces",
        Ns::Mount => "max_mnt_namespaces",
        Ns::Pid => "max_pid_namespaces",
        Ns::Ipc => "max_ipc_namespaces",
        Ns::Uts => "max_uts_namespaces",
        Ns::Net => "max_net_namespaces",
        Ns::Cgroup => "max_cgroup_namespaces",
        Ns::Time => "max_time_namespaces",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_zero_is_named() {
        let limits = vec![("max_user_namespaces", 9), ("max_net_namespaces", 0)];
        let rules = Rules { limits, ..Rules::default() };

        let hint = why(&[Ns::User, Ns::Net], Errno::ENOSPC, &rules);

        assert_eq!(hint.unwrap(), "sysctl user.max_net_namespaces is 0");
    }

    #[test]
    fn a_limit_that_may_be_reached_is_told_with_its_value() {
        let limits = vec![("max_user_namespaces", 9)];
        let rules = Rules { limits, ..Rules::default() };

        assert_eq!(
            why(&[Ns::User], Errno::ENOSPC, &rules).unwrap(),
            "a limit is reached: 32 levels, or user.max_user_namespaces (9)"
        );
    }

    #[test]
    fn each_refusal_has_its_hint() {
        let none = Rules::default();
        let debian = Rules { userns_clone: Some(0), ..Rules::default() };
        let chroot = Rules { in_chroot: true, ..Rules::default() };
        let docker = Rules { filtered: true, is_admin: true, ..Rules::default() };
        let ubuntu = Rules { apparmor: Some(1), ..Rules::default() };
        let blind = Rules { is_blind: true, is_admin: true, ..Rules::default() };
        let nobody = Rules { unmapped: Some("gid"), ..Rules::default() };
        let old = Rules { missing: vec!["time"], ..Rules::default() };
        for (kinds, errno, rules, hint) in [
            (
                &[Ns::Net][..],
                Errno::EPERM,
                &none,
                "it takes CAP_SYS_ADMIN: add --user --map-root-user",
            ),
            (
                &[Ns::User],
                Errno::EPERM,
                &debian,
                "sysctl kernel.unprivileged_userns_clone is 0",
            ),
            (
                &[Ns::User],
                Errno::EPERM,
                &chroot,
                "no user namespace can be made in a chroot, see user_namespaces(7)",
            ),
            (
                &[Ns::User],
                Errno::EACCES,
                &ubuntu,
                "sysctl kernel.apparmor_restrict_unprivileged_userns is 1: it takes a profile with userns",
            ),
            (
                &[Ns::User, Ns::Net],
                Errno::EPERM,
                &nobody,
                "the own gid is not mapped here, see user_namespaces(7)",
            ),
            (
                &[Ns::User],
                Errno::EPERM,
                &blind,
                "no proc is here to tell why; a chroot always forbids it",
            ),
            (&[Ns::Net], Errno::EPERM, &docker, "a seccomp filter may forbid it"),
            (&[Ns::Time], Errno::EINVAL, &old, "this kernel has no 'time'"),
        ] {
            assert_eq!(why(kinds, errno, rules).as_deref(), Some(hint));
        }
        assert_eq!(why(&[Ns::User], Errno::EAGAIN, &none), None);
    }
}
