//! Every limit: what it is called here, by docker and by systemd, what it takes, and which
//! files of v1 and v2 it goes to, in the order in which they are written.

use crate::convert;
use crate::row::{Row, To, row};
use crate::{asked, device, parse};

/// The table.
#[rustfmt::skip]
pub static TABLE: &[Row] = &[
    row("memory", "SIZE|N%|max", "Limit memory; what does not fit is swapped or killed", "memory", parse::memory)
        .systemd(&[("MemoryMax", parse::memory), ("MemoryLimit", parse::memory)])
        .v1(To::By("memory.limit_in_bytes", convert::memory_limit))
        .v2(To::By("memory.max", convert::memory_max)),
    row("memory-high", "SIZE|N%|max", "Slow down and reclaim above this much memory", "memory", parse::memory)
        .systemd(&[("MemoryHigh", parse::memory)])
        .v2(To::Bytes("memory.high")),
    row("memory-low", "SIZE|N%|max", "Reclaim this much memory after that of others", "memory", parse::memory)
        .docker(&["memory-reservation"])
        .systemd(&[("MemoryLow", parse::memory)])
        .v1(To::By("memory.soft_limit_in_bytes", convert::soft_limit))
        .v2(To::Bytes("memory.low")),
    row("memory-min", "SIZE|N%|max", "Never reclaim this much memory", "memory", parse::memory)
        .systemd(&[("MemoryMin", parse::memory)])
        .v2(To::Bytes("memory.min")),
    row("swap", "SIZE|N%|max", "Limit swap, beside memory", "memory", parse::memory)
        .systemd(&[("MemorySwapMax", parse::memory)])
        .v1(To::By("memory.memsw.limit_in_bytes", convert::memsw_of_swap))
        .v2(To::By("memory.swap.max", convert::swap_max)),
    row("memory-swap", "SIZE|max", "Limit memory and swap together, as docker does", "memory", parse::size)
        .v1(To::By("memory.memsw.limit_in_bytes", convert::memsw_of_total))
        .v2(To::By("memory.swap.max", convert::swap_max_of_total)),
    row("swap-high", "SIZE|max", "Slow down above this much swap", "memory", parse::size)
        .v2(To::Bytes("memory.swap.high")),
    row("zswap", "SIZE|N%|max", "Limit compressed swap in memory", "memory", parse::memory)
        .systemd(&[("MemoryZSwapMax", parse::memory)])
        .v2(To::Bytes("memory.zswap.max")),
    row("swappiness", "N", "Prefer to swap (200) or to drop cache (0)", "memory", parse::swappiness)
        .docker(&["memory-swappiness"])
        .v1(To::File("memory.swappiness"))
        .v2(To::Not("vm.swappiness is for the whole machine")),
    row("oom-group", "", "When memory runs out, kill all and not one", "memory", parse::switch)
        .systemd(&[("OOMPolicy", parse::oom_policy), ("MemoryOOMGroup", parse::switch)])
        .v1(To::Watch)
        .v2(To::File("memory.oom.group")),
    row("oom-kill-disable", "", "When memory runs out, wait and kill nothing", "memory", parse::switch)
        .v1(To::By("memory.oom_control", convert::oom_control))
        .v2(To::Not("--memory-high slows down instead")),
    row("cpus", "N|N%|max", "Limit CPU time, in CPUs", "cpu", parse::cpus)
        .systemd(&[("CPUQuota", parse::cpus)])
        .v1(To::By("cpu.cfs_quota_us", convert::cfs))
        .v2(To::By("cpu.max", convert::cpu_max)),
    row("cpu-quota", "USEC|max", "Limit CPU time in a period", "cpu", parse::quota)
        .v1(To::By("cpu.cfs_quota_us", convert::cfs))
        .v2(To::By("cpu.max", convert::cpu_max)),
    row("cpu-period", "USEC", "Count CPU time over this long; 100000", "cpu", parse::period)
        .systemd(&[("CPUQuotaPeriodSec", parse::period_time)])
        .v1(To::By("cpu.cfs_period_us", convert::cfs))
        .v2(To::By("cpu.max", convert::cpu_max)),
    row("cpu-burst", "USEC", "Let unused CPU time be used later", "cpu", parse::micros)
        .v1(To::File("cpu.cfs_burst_us"))
        .v2(To::File("cpu.max.burst")),
    row("cpu-weight", "N|idle", "Share contended CPU time by weight; 100", "cpu", parse::weight_or_idle)
        .systemd(&[("CPUWeight", parse::weight_or_idle)])
        .v1(To::By("cpu.shares", convert::shares_of_weight))
        .v2(To::By("cpu.weight", convert::cpu_weight)),
    row("cpu-shares", "N", "The same in the unit of docker and v1; 1024", "cpu", parse::shares)
        .systemd(&[("CPUShares", parse::shares)])
        .v1(To::File("cpu.shares"))
        .v2(To::By("cpu.weight", convert::weight_of_shares)),
    row("cpu-uclamp-min", "PERCENT", "Have the CPU run at least this fast", "cpu", parse::percent)
        .both("cpu.uclamp.min"),
    row("cpu-uclamp-max", "PERCENT", "Have the CPU run at most this fast", "cpu", parse::percent)
        .both("cpu.uclamp.max"),
    row("cpu-rt-period", "USEC", "Count real-time CPU time over this long", "cpu", parse::micros)
        .v1(To::File("cpu.rt_period_us")),
    row("cpu-rt-runtime", "USEC", "Allow this much real-time CPU time", "cpu", parse::micros)
        .v1(To::File("cpu.rt_runtime_us")),
    row("cpuset-cpus", "LIST", "Run on these CPUs only", "cpuset", parse::list)
        .systemd(&[("AllowedCPUs", parse::list_of_words)])
        .both("cpuset.cpus"),
    row("cpuset-mems", "LIST", "Take memory of these nodes only", "cpuset", parse::list)
        .systemd(&[("AllowedMemoryNodes", parse::list_of_words)])
        .both("cpuset.mems"),
    row("cpuset-partition", "TYPE", "Take the CPUs from all others: root or isolated", "cpuset", parse::partition)
        .v1(To::Not("--set cpuset.cpu_exclusive=1 comes near"))
        .v2(To::File("cpuset.cpus.partition")),
    row("io-weight", "N", "Share contended disks by weight; 100", "io", parse::weight)
        .systemd(&[("IOWeight", parse::weight)])
        .v1(To::By("blkio.bfq.weight", convert::blkio_of_weight))
        .v2(To::By("io.bfq.weight, io.weight", convert::io_weight)),
    row("io-weight-device", "PATH:N", "The same for one disk", "io", parse::disk_weight)
        .docker(&["blkio-weight-device"])
        .systemd(&[("IODeviceWeight", parse::disk_weight)])
        .v1(To::By("blkio.bfq.weight_device", convert::blkio_weight_device))
        .v2(To::By("io.bfq.weight, io.weight", convert::io_weight_device)),
    row("blkio-weight", "N", "Share disks in the unit of docker and v1; 500", "io", parse::blkio_weight)
        .systemd(&[("BlockIOWeight", parse::blkio_weight)])
        .v1(To::By("blkio.bfq.weight", convert::blkio_weight))
        .v2(To::By("io.bfq.weight, io.weight", convert::weight_of_blkio)),
    row("read-bps", "PATH:SIZE|max", "Limit bytes read of a disk in a second", "io", parse::disk_bytes)
        .docker(&["device-read-bps"])
        .systemd(&[("IOReadBandwidthMax", parse::disk_bytes_of_1000)])
        .v1(To::Throttle("blkio.throttle.read_bps_device"))
        .v2(To::Io("rbps")),
    row("write-bps", "PATH:SIZE|max", "Limit bytes written to a disk in a second", "io", parse::disk_bytes)
        .docker(&["device-write-bps"])
        .systemd(&[("IOWriteBandwidthMax", parse::disk_bytes_of_1000)])
        .v1(To::Throttle("blkio.throttle.write_bps_device"))
        .v2(To::Io("wbps")),
    row("read-iops", "PATH:N|max", "Limit reads of a disk in a second", "io", parse::disk_count)
        .docker(&["device-read-iops"])
        .systemd(&[("IOReadIOPSMax", parse::disk_count)])
        .v1(To::Throttle("blkio.throttle.read_iops_device"))
        .v2(To::Io("riops")),
    row("write-iops", "PATH:N|max", "Limit writes to a disk in a second", "io", parse::disk_count)
        .docker(&["device-write-iops"])
        .systemd(&[("IOWriteIOPSMax", parse::disk_count)])
        .v1(To::Throttle("blkio.throttle.write_iops_device"))
        .v2(To::Io("wiops")),
    row("io-latency", "PATH:TIME", "Slow others down when a disk answers later", "io", parse::disk_time)
        .systemd(&[("IODeviceLatencyTargetSec", parse::disk_time)])
        .v2(To::By("io.latency", convert::io_latency)),
    row("pids", "N|N%|max", "Limit the number of tasks", "pids", parse::tasks)
        .docker(&["pids-limit"])
        .systemd(&[("TasksMax", parse::tasks)])
        .both("pids.max"),
    row("hugetlb", "PAGE:SIZE|max", "Limit memory in huge pages of a size", "hugetlb", parse::huge)
        .v1(To::Huge("limit_in_bytes"))
        .v2(To::Huge("max")),
    row("rdma", "DEV:LIMITS", "Limit handles and objects of an RDMA device", "rdma", parse::rdma)
        .both("rdma.max"),
    row("misc", "NAME:N|max", "Limit a resource such as sev", "misc", parse::misc)
        .both("misc.max"),
    row("devices", "none|std|all", "Allow these devices; std with --device-allow", "devices", device::policy)
        .systemd(&[("DevicePolicy", device::policy)])
        .v1(To::Devices)
        .v2(To::Devices),
    row("device-allow", "RULE", "Allow a device: 'c 1:3 rwm' or /dev/null:rw", "devices", device::allow)
        .docker(&["device-cgroup-rule"])
        .systemd(&[("DeviceAllow", device::allow)])
        .v1(To::Devices)
        .v2(To::Devices),
    row("device-deny", "RULE", "Deny a device; of all rules the last one decides", "devices", device::deny)
        .v1(To::Devices)
        .v2(To::Devices),
    row("max-depth", "N|max", "Limit how deep groups below may go", "cgroup", parse::count)
        .v2(To::File("cgroup.max.depth")),
    row("max-descendants", "N|max", "Limit the number of groups below", "cgroup", parse::count)
        .v2(To::File("cgroup.max.descendants")),
    row("account", "LIST", "Count memory, cpu, io, pids without a limit", "", parse::account)
        .v1(To::By("", convert::nothing))
        .v2(To::By("", convert::nothing)),
    row("set", "FILE=VALUE", "Write any other file of the group", "", asked::raw)
        .v1(To::By("", convert::raw))
        .v2(To::By("", convert::raw)),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_there_once() {
        let mut seen = BTreeSet::new();
        for row in TABLE {
            let systemd = row.systemd.iter().map(|(name, _)| name);
            for name in std::iter::once(&row.name).chain(row.docker).chain(systemd) {
                assert!(seen.insert(*name), "{name} twice");
            }
        }
    }

    #[test]
    fn what_a_limit_needs_is_written_before_it() {
        let at = |name: &str| TABLE.iter().position(|row| row.name == name).unwrap();

        // memsw may not be below the limit, a partition is of CPUs, a burst of a quota.
        assert!(at("memory") < at("swap") && at("memory") < at("memory-swap"));
        assert!(at("cpuset-cpus") < at("cpuset-partition"));
        assert!(at("cpus") < at("cpu-burst"));
        assert!(at("cpu-rt-period") < at("cpu-rt-runtime"));
    }
}
