//! The kernel's own file systems in a new root, and what docker hides of them and protects,
//! since 2013 and CVE by CVE: `--std`.

use common::mount::Attr;

use crate::cli::Cli;
use crate::inside::Inside;
use crate::step::Fresh;

/// Hidden where they exist: they tell of the host, or let a device be driven.
pub const MASKED: [&str; 12] = [
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/devices/virtual/powercap",
    "sys/firmware",
];

/// Read-only where they exist: they set things that the whole host has in common.
pub const PROTECTED: [&str; 5] =
    ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// Where each processor has a directory `thermal_throttle`, hidden as well.
pub const PROCESSORS: &str = "sys/devices/system/cpu";

/// The options of proc(5), and whether it is read-only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proc {
    /// What the kernel is told.
    pub options: Vec<(&'static str, String)>,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// Whether cgroups can be made and moved into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroups {
    /// No.
    ReadOnly,
    /// In a cgroup namespace of one's own.
    Writable,
}

/// Reads `hidepid=…,subset=pid,gid=N,ro`.
///
/// # Errors
/// When it is something else.
pub fn proc(text: &str) -> Result<Proc, String> {
    let mut proc = Proc::default();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let key = match (key, value) {
            ("ro", "") if !option.contains('=') => {
                proc.read_only = true;
                continue;
            }
            (
                "hidepid",
                "0" | "1" | "2" | "4" | "off" | "noaccess" | "invisible" | "ptraceable",
            ) => "hidepid",
            ("subset", "pid") => "subset",
            ("gid", gid) => {
                common::parse::id(gid)?;
                "gid"
            }
            _ => {
                return Err(
                    "not an option of hidepid=MODE, subset=pid, gid=GID, ro".into()
                );
            }
        };
        proc.options.push((key, value.to_owned()));
    }
    Ok(proc)
}

/// Reads `ro` or `rw`.
///
/// # Errors
/// When it is something else.
pub fn cgroups(text: &str) -> Result<Cgroups, String> {
    match text {
        "ro" => Ok(Cgroups::ReadOnly),
        "rw" => Ok(Cgroups::Writable),
        _ => Err("not ro or rw".to_owned()),
    }
}

/// Those that are asked for, in this order.
pub(crate) fn mounts(cli: &Cli) -> Vec<Fresh> {
    let device_free = Attr::NOSUID.and(Attr::NODEV);
    let data = device_free.and(Attr::NOEXEC);
    let read_only = |is| if is { data.and(Attr::RDONLY) } else { data };
    let fresh = |fstype, source, at: &str, attr| Fresh {
        fstype,
        source,
        at: Inside(at.into()),
        attr,
        options: Vec::new(),
    };
    let with_mode = |mut fresh: Fresh, mode: &str| {
        fresh.options.push(("mode", mode.to_owned()));
        fresh
    };
    let proc = cli.proc.clone().or_else(|| cli.std.then(Proc::default));
    let proc = proc.map(|Proc { options, read_only: is }| Fresh {
        options,
        ..fresh("proc", "proc", "proc", read_only(is))
    });
    let sys = (cli.std || cli.sys).then(|| fresh("sysfs", "sys", "sys", read_only(true)));
    let cgroup = cli.cgroup.map(|which| {
        let attr = read_only(which == Cgroups::ReadOnly);
        fresh("cgroup2", "cgroup", "sys/fs/cgroup", attr)
    });
    let tmpfs = |asked, name, mode| {
        (cli.std || asked)
            .then(|| with_mode(fresh("tmpfs", name, name, device_free), mode))
    };
    let run = tmpfs(cli.run, "run", "755");
    let tmp = tmpfs(cli.tmp, "tmp", "1777");
    [proc, sys, cgroup, run, tmp].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_in_proc_or_sys() {
        for table in [MASKED.as_slice(), &PROTECTED] {
            assert!(table.is_sorted());
            assert!(
                table.iter().all(|p| p.starts_with("proc/") || p.starts_with("sys/"))
            );
        }
    }

    #[test]
    fn proc_has_the_options_of_its_man_page() {
        let all = proc("hidepid=invisible,subset=pid,gid=7,ro").unwrap();

        let options = [("hidepid", "invisible"), ("subset", "pid"), ("gid", "7")];
        assert_eq!(all.options, options.map(|(k, v)| (k, v.to_owned())));
        assert!(all.read_only);
        assert_eq!(proc(""), Ok(Proc::default()));
        for bad in ["hidepid=3", "hidepid", "subset=all", "gid=x", "ro=1", "ro=", "rw"] {
            assert!(proc(bad).is_err(), "{bad}");
        }
    }
}
