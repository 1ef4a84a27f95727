//! What each limit is on v1 and on v2.

use super::*;

/// What is written, on v1 and on v2, or why nothing is.
fn written(args: &[&str]) -> String {
    let everything = "memory cpu cpuset io pids hugetlb rdma misc";
    let v1: Vec<_> =
        everything.replace("io", "blkio").split(' ').map(str::to_owned).collect();
    let controllers: Vec<&str> =
        v1.iter().map(String::as_str).chain(["devices"]).collect();
    let v1 = vec![
        tree(Version::V1, &controllers, "/v1", "/v1"),
        v2(vec![level("/cg", "", "")]).remove(0),
    ];
    let v2 = v2(vec![level("/cg", everything, everything)]);
    let mut text = String::new();
    for trees in [v1, v2] {
        match plan(args, trees) {
            Ok(plan) => {
                let writes = plan.steps.iter().filter(|step| {
                    matches!(step, Step::Write { .. } | Step::Filter { .. })
                });
                text.extend(writes.map(|s| s.call() + "\n"));
            }
            Err(fail) => text += &(fail.text + "\n"),
        }
    }
    text
}

fn check(args: &[&str], expected: &Expect) {
    expected.assert_eq(&written(args));
}

#[test]
fn memory() {
    check(
        &["--memory=64M", "--memory-high=75%", "--memory-low=1M", "--memory-min=5000"],
        &expect![[r#"
            cannot set '--memory-high': cgroup v1 has no such limit
            memory.max=67108864
            memory.high=805306368
            memory.low=1048576
            memory.min=4096
        "#]],
    );
    check(
        &["--memory=64M", "--memory-low=1M", "--swap=10%"],
        &expect![[r#"
        memory.limit_in_bytes=67108864
        memory.soft_limit_in_bytes=1048576
        memory.memsw.limit_in_bytes=67211264
        memory.max=67108864
        memory.low=1048576
        memory.swap.max=102400
    "#]],
    );
    check(
        &["--memory=64M", "--memory-swap=65M"],
        &expect![[r#"
        memory.limit_in_bytes=67108864
        memory.memsw.limit_in_bytes=68157440
        memory.max=67108864
        memory.swap.max=1048576
    "#]],
    );
    check(
        &["--memory-swap=64M"],
        &expect![[r#"
        cannot use --memory-swap: it is the total of memory and swap, give --memory too
        cannot use --memory-swap: it is the total of memory and swap, give --memory too
    "#]],
    );
    check(
        &["--memory=64M", "--memory-swap=1M"],
        &expect![[r#"
        cannot use --memory-swap: the total of memory and swap is less than --memory
        cannot use --memory-swap: the total of memory and swap is less than --memory
    "#]],
    );
    check(
        &["-m64M", "--memory-swap=-1", "--oom-group"],
        &expect![[r#"
        memory.limit_in_bytes=67108864
        memory.memsw.limit_in_bytes=-1
        memory.max=67108864
        memory.swap.max=max
        memory.oom.group=1
    "#]],
    );
}

#[test]
fn memory_where_the_versions_differ() {
    check(
        &["--swappiness=0", "--memory=1G"],
        &expect![[r#"
            memory.limit_in_bytes=1073741824
            memory.swappiness=0
            cannot set '--swappiness': cgroup v2 has no such limit; vm.swappiness is for the whole machine
        "#]],
    );
    check(
        &["--oom-kill-disable"],
        &expect![[r#"
            memory.oom_control=1
            cannot set '--oom-kill-disable': cgroup v2 has no such limit; --memory-high slows down instead
        "#]],
    );
    check(
        &["--zswap=max", "--swap-high=1M"],
        &expect![[r#"
            cannot set '--swap-high': cgroup v1 has no such limit
            memory.swap.high=1048576
            memory.zswap.max=max
        "#]],
    );
}

#[test]
fn cpus() {
    check(
        &["--cpus=1.5", "--cpu-burst=20000"],
        &expect![[r#"
        cpu.cfs_period_us=100000
        cpu.cfs_quota_us=150000
        cpu.cfs_burst_us=20000
        cpu.max=150000 100000
        cpu.max.burst=20000
    "#]],
    );
    check(
        &["--cpu-quota=20000", "--cpu-period=50000", "--cpu-shares=256"],
        &expect![[r#"
        cpu.cfs_period_us=50000
        cpu.cfs_quota_us=20000
        cpu.shares=256
        cpu.max=20000 50000
        cpu.weight=35
    "#]],
    );
    check(
        &["--cpus=0.5", "--cpu-period=20000"],
        &expect![[r#"
        cpu.cfs_period_us=20000
        cpu.cfs_quota_us=10000
        cpu.max=10000 20000
    "#]],
    );
    check(
        &["--cpus=0.01", "--cpu-period=20000"],
        &expect![[r#"
        cannot limit CPU time to less than 1 ms a period; a longer --cpu-period allows a smaller share
        cannot limit CPU time to less than 1 ms a period; a longer --cpu-period allows a smaller share
    "#]],
    );
}

#[test]
fn cpus_by_weight_and_otherwise() {
    check(
        &["--cpus=2", "--cpu-quota=1000"],
        &expect![[r#"
        cannot use --cpus and --cpu-quota: they say the same
        cannot use --cpus and --cpu-quota: they say the same
    "#]],
    );
    check(
        &["--cpu-quota=max"],
        &expect![[r#"
        cpu.cfs_period_us=100000
        cpu.cfs_quota_us=-1
        cpu.max=max 100000
    "#]],
    );
    check(
        &["--cpu-weight=200"],
        &expect![[r#"
        cpu.shares=2048
        cpu.weight=200
    "#]],
    );
    check(
        &["--cpu-weight=idle"],
        &expect![[r#"
        cpu.idle=1
        cpu.idle=1
    "#]],
    );
    check(
        &["--cpu-uclamp-min=12.5", "--cpu-uclamp-max=max"],
        &expect![[r#"
        cpu.uclamp.min=12.50
        cpu.uclamp.max=100.00
        cpu.uclamp.min=12.50
        cpu.uclamp.max=100.00
    "#]],
    );
    check(
        &["--cpu-rt-runtime=5"],
        &expect![[r#"
            cpu.rt_runtime_us=5
            cannot set '--cpu-rt-runtime': cgroup v2 has no such limit
        "#]],
    );
}

#[test]
fn cpusets() {
    check(
        &["--cpuset-cpus=3,0-1,2", "--cpuset-mems=0"],
        &expect![[r#"
        cpuset.cpus=0-3
        cpuset.mems=0
        cpuset.cpus=0-3
        cpuset.mems=0
    "#]],
    );
    check(
        &["--cpuset-cpus=0", "--cpuset-partition=root"],
        &expect![[r#"
            cannot set '--cpuset-partition': cgroup v1 has no such limit; --set cpuset.cpu_exclusive=1 comes near
            cpuset.cpus=0
            cpuset.cpus.partition=root
        "#]],
    );
}

#[test]
fn disks() {
    let all =
        ["--read-bps=/dev/vda:1M", "--write-iops=/dev/vda:5", "--read-bps=/dev/vda:max"];
    check(
        &all,
        &expect![[r#"
        blkio.throttle.read_bps_device=8:0 1048576
        blkio.throttle.read_bps_device=8:0 0
        blkio.throttle.write_iops_device=8:0 5
        io.max=8:0 rbps=1048576
        io.max=8:0 rbps=max
        io.max=8:0 wiops=5
    "#]],
    );
    check(
        &["--read-bps=/tmp:1M"],
        &expect![[r#"
        cannot limit the disk of '/tmp': its file system is on no disk of its own
        cannot limit the disk of '/tmp': its file system is on no disk of its own
    "#]],
    );
    check(
        &["--io-weight=200", "--io-weight-device=/dev/vda:50"],
        &expect![[r#"
        blkio.bfq.weight=109
        blkio.bfq.weight_device=8:0 50
        io.bfq.weight=default 109
        io.bfq.weight=8:0 50
    "#]],
    );
    check(
        &["--blkio-weight=500"],
        &expect![[r#"
        blkio.bfq.weight=500
        io.bfq.weight=default 500
    "#]],
    );
    check(
        &["--io-latency=/dev/vda:10ms"],
        &expect![[r#"
            cannot set '--io-latency': cgroup v1 has no such limit
            io.latency=8:0 target=10000
        "#]],
    );
}

#[test]
fn the_rest() {
    check(
        &["--pids=10%", "--pids=20"],
        &expect![[r#"
        pids.max=20
        pids.max=20
    "#]],
    );
    check(
        &["--hugetlb=2M:5M", "--hugetlb=1G:max"],
        &expect![[r#"
        hugetlb.2MB.limit_in_bytes=4194304
        hugetlb.1GB.limit_in_bytes=-1
        hugetlb.2MB.max=4194304
        hugetlb.1GB.max=max
    "#]],
    );
    check(
        &["--rdma=mlx5_0:hca_handle=2,hca_object=max", "--misc=sev:4"],
        &expect![[r#"
        rdma.max=mlx5_0 hca_handle=2 hca_object=max
        misc.max=sev 4
        rdma.max=mlx5_0 hca_handle=2 hca_object=max
        misc.max=sev 4
    "#]],
    );
    check(
        &["--device-allow=c 10:200 rw", "--devices=none"],
        &expect![[r#"
        devices.deny=a
        devices.allow=c 10:200 rw
        bpf(BPF_PROG_ATTACH), 16 instructions
    "#]],
    );
    check(
        &["--max-depth=1", "--max-descendants=max"],
        &expect![[r#"
            cgroup.max.depth=1
            cgroup.max.descendants=max
            cgroup.max.depth=1
            cgroup.max.descendants=max
        "#]],
    );
}

#[test]
fn other_names_for_limits() {
    check(
        &["--set", "memory.max=64M", "--set", "blkio.bfq.weight=7"],
        &expect![[r#"
        memory.max=64M
        blkio.bfq.weight=7
        memory.max=64M
        blkio.bfq.weight=7
    "#]],
    );
    check(
        &["-p", "MemoryMax=1M", "-p", "CPUQuota=20%", "-p", "TasksMax=5"],
        &expect![[r#"
            memory.limit_in_bytes=1048576
            cpu.cfs_period_us=100000
            cpu.cfs_quota_us=20000
            pids.max=5
            memory.max=1048576
            cpu.max=20000 100000
            pids.max=5
        "#]],
    );
    check(&["--account=memory,cpu"], &expect![""]);
}
