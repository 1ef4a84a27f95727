#!/bin/sh
# corpus.sh - command lines of others (scripts, issues, manuals), each in its form for cg-limit.
#
#   corpus.sh [CG-LIMIT [CAP-DROP]]
#
# The line above each is the original; elided programs are `true` or `sh`, CPUs that the
# machine has not are those it has. As root, on any layout.
# shellcheck disable=SC2016 # what stands in single quotes is the command's to expand
set -u
cg=${1:-cg-limit} drop=${2:-cap-drop}
tmp=$(mktemp -d) || exit 2
failed=0
last=$(($(grep -c ^processor /proc/cpuinfo) - 1))
report=$tmp/report
# A group that is there already, as cgcreate makes one: where cg-limit makes its own.
place=$("$cg" --account memory --status-fd 1 -- true | sed 's/.*"memory":"\([^"]*\)".*/\1/')
mine=${place%/*}/corpus-$$
mkdir "$mine" || exit 2
trap 'rmdir "$mine"; rm -rf "$tmp"' EXIT

# is STATUS COMMAND...: it ends so, and what was set could be read back.
is() {
	wanted=$1
	shift
	"$@" >"$tmp/out" 2>"$tmp/said"
	got=$?
	if [ $got = "$wanted" ]; then echo "ok $*"; else echo "FAILED $*: $got, not $wanted: $(cat "$tmp/said")" && failed=1; fi
}
# has PATTERN: in what the last one said, printed or reported.
has() { grep -q "$1" "$tmp/out" "$tmp/said" "$report" 2>/dev/null || { echo "FAILED no $1" && failed=1; }; }

# sudo cgset -r memory.limit_in_bytes=75M limited
is 0 "$cg" --memory 75M -- true
# mkdir /sys/fs/cgroup/memory/mem; echo $PPID > /sys/fs/cgroup/memory/mem/tasks; echo 20M > /sys/fs/cgroup/memory/mem/memory.limit_in_bytes
is 0 "$cg" --memory 20M -- true
# systemd-run --property MemoryMax={{memory_in_bytes}} --property CPUQuota={{percentage_of_CPU_time}}% --wait {{executable}}
is 0 "$cg" --property MemoryMax=50000000 --property CPUQuota=50% true
# systemd-run --scope --uid username -p MemoryLimit=100M ./some-app
is 0 "$cg" -p MemoryLimit=100M -- "$drop" --uid 1000 --gid 1000 -- id -u
has 1000
# systemd-run --scope --user -p MemoryMax=1G skrouterd -c ./A.conf
is 0 "$cg" -p MemoryMax=1G sh -c true
# systemd-run --user --scope sh -c 'head -c 500M /dev/zero | sort >/dev/null'
is 0 "$cg" --account memory --report "$report" sh -c 'head -c 5000000 /dev/zero | sort >/dev/null'
has '"peak":[0-9]\{7,\}'
# systemd-run --wait -t --property=MemoryAccounting=1 --property=CPUAccounting=1 --property=IOAccounting=1 dnf upgrade --assumeno
is 0 "$cg" --property=MemoryAccounting=1 --property=CPUAccounting=1 --property=IOAccounting=1 --report "$report" sh -c 'dd if=/dev/zero of=/dev/null bs=1M count=1'
has '"peak":.*"usage-us":'
# sudo systemd-run --slice=NAME.slice --pty --wait --collect -- stress --vm 1 --vm-bytes 20G --vm-hang 60 --vm-keep
is 0 "$cg" --parent "$mine" --account memory -- true
# systemd-run --user --scope --quiet --collect --slice=NAME.slice --same-dir -p MemoryHigh=75% -p MemoryMax=80% -p MemorySwapMax=10% CMD
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	is 0 "$cg" --parent "$mine" -p MemoryHigh=75% -p MemoryMax=80% -p MemorySwapMax=10% true
else
	is 125 "$cg" --parent "$mine" -p MemoryHigh=75% -p MemoryMax=80% -p MemorySwapMax=10% true
	has "cannot set '--memory-high': cgroup v1 has no such limit"
	is 0 "$cg" --parent "$mine" -p MemoryMax=80% -p MemorySwapMax=10% true
fi
# systemd-run --scope -p MemoryMax=500M -p CPUQuota=20% ./heavy_script.sh
is 0 "$cg" -p MemoryMax=500M -p CPUQuota=20% true
# systemd-run --scope -p MemoryMax=4G -p MemoryHigh=3.6G -p MemorySwapMax=0 CMD
is 0 "$cg" -p MemoryMax=4G -p MemorySwapMax=0 true
[ ! -e /sys/fs/cgroup/cgroup.controllers ] || is 0 "$cg" -p MemoryMax=4G -p MemoryHigh=3.6G -p MemorySwapMax=0 true
# systemd-run --scope -p WatchdogSec=5s /bin/sleep 60
is 124 "$cg" --timeout 0.2s sleep 60
has 'timeout of 0.2 s reached'
# systemd-run --user --scope -p "Delegate=yes" -- lxc-start -n app
is 0 "$cg" -p Delegate=yes -p TasksMax=100 -- "$cg" --pids 9 -- true
# systemd-run --user --scope -p MemoryMax=128M -p TasksMax=32 -- CMD
is 0 "$cg" -p MemoryMax=128M -p TasksMax=32 -- true
# systemd-run --user --scope -p CPUQuota=1% -p AllowedCPUs=0 CMD
is 0 "$cg" -p CPUQuota=1% -p AllowedCPUs=0 sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status
has '^0$'
# systemd-run --user --scope -p MemoryMax=57G -p MemorySwapMax=0 CMD
is 0 "$cg" -p MemoryMax=57G -p MemorySwapMax=0 true
# systemd-run --user --scope -p MemoryHigh=28G -p MemoryMax=30G -p MemorySwapMax=2G CMD
is 0 "$cg" -p MemoryMax=30G -p MemorySwapMax=2G true
[ ! -e /sys/fs/cgroup/cgroup.controllers ] || is 0 "$cg" -p MemoryHigh=28G -p MemoryMax=30G -p MemorySwapMax=2G true
# systemd-run --wait --pipe --collect -p MemoryMax=32M fio -name=writes -directory=$MOUNT_PATH -readwrite=randwrite
echo piped >"$tmp/in"
is 0 "$cg" -p MemoryMax=32M cat "$tmp/in"
has piped
# sudo -u ctf-$1 cgexec -g memory:ctflimit ~/${PROG_NAME:-service}
is 0 "$cg" --parent "$mine" --account memory -- "$drop" --uid 1000 --gid 1000 -- id -u
has 1000
# cgexec -g memory:myGroup500 ./req_post_50.sh
is 0 "$cg" --parent "$mine" --account memory true
# cgexec -g memory:tenant-a stress-ng --vm 1 --vm-bytes 200M --timeout 5s; cat /sys/fs/cgroup/tenant-a/memory.events
is 137 sh -c 'exec "$@"' sh "$cg" --memory 20M --swap 0 --timeout 50 --report "$report" -- tail /dev/zero
has '"oom-kill":[1-9]'
# sudo cgset -r cpu.cfs_period_us=100000 cpulowusage; sudo cgset -r cpu.cfs_quota_us=20000 cpulowusage; sudo cgset -r cpu.shares=256 cpulowusage; sudo cgexec -g cpu:cpulowusage python x.py
is 0 "$cg" --cpu-period 100000 --cpu-quota 20000 --cpu-shares 256 true
# cgcreate -g cpu:gpu_workload; cgset -r cpuset.cpus=4-7 gpu_workload; cgexec -g cpu:gpu_workload ./gpu_app
is 0 "$cg" --cpuset-cpus 0-$last true
# cgset -r memory.max=1G tikv-test  # v2;  cgset -r memory.limit_in_bytes=1G tikv-test  # v1
is 0 "$cg" --memory 1G true
# cgexec -g cpu,memory:test1 -g swap:test2 ls -l
is 0 "$cg" --cpus 1 --memory 100M --swap 100M -- ls -l
# sudo cgcreate -a $USER -t $USER -g memory,cpu,pids:mygroup; cgexec -g memory,cpu,pids:mygroup nsjail --config execute.cfg --cgroupv2_mount=/sys/fs/cgroup/mygroup/
is 0 "$cg" --memory 100M --cpus 1 --pids 100 -- "$cg" --memory 50M --pids 10 true
# echo "+memory" > /sys/fs/cgroup/cgroup.subtree_control || true; mkdir -p $CG; echo 12884901888 > $CG/memory.max; echo $$ > $CG/cgroup.procs
is 0 "$cg" --memory 12884901888 true
# T=$(awk '/MemTotal/{print int($2*1024*0.85)}' /proc/meminfo); echo $T > $CG/memory.max; echo $$ > $CG/cgroup.procs
is 0 "$cg" --memory 85% true
# sudo bash -c 'echo $$ > /sys/fs/cgroup/bench16g/cgroup.procs && exec sudo -u $USER bash eval_paired.sh'
is 0 "$cg" --parent "$mine" --account memory -- "$drop" --uid 1000 --gid 1000 -- id -u
has 1000
# podman run -d --pids-limit 512 --memory 1g IMG
is 0 "$cg" --pids-limit 512 --memory 1g true
# docker run --rm --init --network none --read-only --cap-drop ALL --pids-limit 64 --memory 512m --cpus 1 IMG
is 0 "$cg" --pids-limit 64 --memory 512m --cpus 1 -- "$drop" --keep none -- true
# docker run --rm --init --network none --cpus 2 --memory 6g --memory-swap 8g --pids-limit 1024 IMG
is 0 "$cg" --cpus 2 --memory 6g --memory-swap 8g --pids-limit 1024 true
# docker run --memory="25g" --rm IMG rosie.py
is 0 "$cg" --memory="25g" true
# sudo docker run --rm -m 16000m --cpuset-cpus="0-3" scgate_benchmark
is 0 "$cg" -m 16000m --cpuset-cpus="0-$last" true
# docker run -i --rm --net=none -m=64M --memory-swap=64M --pids-limit=32 --cpuset-cpus=1 IMG node executer.js
is 0 "$cg" -m=64M --memory-swap=64M --pids-limit=32 --cpuset-cpus=$last true
# docker run -m 768M --cpuset-cpus=0 IMG
is 0 "$cg" -m 768M --cpuset-cpus=0 true
# nsjail --use_cgroupv2 --cgroup_mem_memsw_max=67108864 ... -- /bin/some-workload
is 0 "$cg" --memory 67108864 --memory-swap 67108864 true
is 125 "$cg" --memory-swap 67108864 true
has 'it is the total of memory and swap, give --memory too'
# sudo ./nsjail -R /bin/ --use_cgroupv2 --cgroup_cpu_ms_per_sec 500 -- /bin/bash -i
is 0 "$cg" --cpu-quota 500000 --cpu-period 1000000 -- sh -c true
# isolate --cg --meta /dev/stdout --run --cg-mem 1000 -- /usr/bin/python3 -c '...' |& grep cg-oom-killed
is 137 sh -c 'exec "$@"' sh "$cg" --memory 1000K --swap 0 --report 1 -- tail /dev/zero
has '"oom-killed":true'
# firejail --cgroup=/sys/fs/cgroup/g1/tasks CMD  (option removed 2022, issue 5200)
is 0 "$cg" --parent "$mine" --account memory true
# ./scripts/mem-limit.sh 12G cargo build --release --locked   (falls back to prlimit/ulimit when systemd-run has no bus)
is 0 "$cg" --memory 12G sh -c true
exit $failed
