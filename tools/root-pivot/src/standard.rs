//! What docker hides and protects, since 2013 and CVE by CVE: `--std`.

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
}
