#!/bin/sh
# bind.sh - each limit that cg-limit sets is shown to bind, not only to be written.
#
#   bind.sh [CG-LIMIT]
#
# On any layout, as root, with busybox or GNU tools. What the machine has no hardware or
# kernel for is told as "SKIPPED WHAT: WHY". Times are lower bounds: a slow machine is fine.
# shellcheck disable=SC2016,SC2086,SC2094 # what stands in single quotes is the command's to expand
set -u
cg=${1:-cg-limit}
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
failed=0

ok() { echo "ok $1"; }
no() { echo "FAILED $1: $2"; failed=1; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else no "$1" "got '$2', not '$3'"; fi; }
# true WHAT CONDITION-OF-TEST...
true_() { what=$1; shift; if [ "$@" ]; then ok "$what"; else no "$what" "not: $*"; fi; }
# field SECTION KEY: of the report.
field() { sed -n "s/.*\"$1\":{[^}]*\"$2\":\([0-9]*\).*/\1/p" "$tmp/report"; }
key() { sed -n "s/.*\"$1\":\([a-z0-9]*\).*/\1/p" "$tmp/report"; }
limited() { "$cg" --report "$tmp/report" "$@" 2>"$tmp/said"; }
v2=
[ ! -e /sys/fs/cgroup/cgroup.controllers ] || v2=1

# Memory: the hungry program of the seed, 10 MB at a time, and somebody beside it.
sleep 1000 &
beside=$!
killed() { sed -n 's/^oom_kill //p' /proc/vmstat; }
before=$(killed)
limited --memory 100000000 --swap 0 --oom-status 99 -- sh -c 'exec tail /dev/zero'
is "memory: a hungry program is killed at 100 MB" "$? $(key oom-killed) $(key signal)" "99 true 9"
true_ "memory: and had no more" "$(field memory peak)" -le 100000000
is "memory: nothing else was killed" "$(($(killed) - before))$(kill -0 $beside && echo alive)" 1alive
kill $beside
limited --memory 60M --swap 0 -- dd if=/dev/zero of=/dev/null bs=30M count=1
is "memory: what fits goes on" $? 0

if [ "$v2" ]; then
	limited --memory-high 8M --memory 64M --swap 0 -- dd if=/dev/zero of=/dev/null bs=12M count=1
	is "memory-high: slows down and kills nothing" $? 0
	true_ "memory-high: and was reached" "$(field memory high)" -gt 0
fi
out=$("$cg" --memory 16M --swap 0 --oom-group -- sh -c 'tail /dev/zero; sleep 1000' 2>/dev/null; echo $?)
is "oom-group: all are killed" "$out" 137

# Not zeros: Linux 6.12 gives those back instead of swapping them.
if grep -q '^/dev' /proc/swaps; then
	limited --memory 16M --swap 16M -- dd if=/dev/urandom of=/dev/null bs=24M count=1
	is "swap: what does not fit is swapped" $? 0
	limited --memory 16M --swap 4M -- dd if=/dev/urandom of=/dev/null bs=24M count=1
	is "swap: up to the limit" $? 137
	limited --memory 16M --memory-swap 32M -- dd if=/dev/urandom of=/dev/null bs=24M count=1
	is "memory-swap: is the total" $? 0
	limited --memory 16M --memory-swap 20M -- dd if=/dev/urandom of=/dev/null bs=24M count=1
	is "memory-swap: and no more" $? 137
	if [ ! "$v2" ]; then
		limited --memory 16M --swappiness 0 --swap 16M -- dd if=/dev/urandom of=/dev/null bs=14M count=1
		is "swappiness: 0 swaps nothing that fits" $? 0
	fi
else
	echo "SKIPPED swap: no swap here"
fi

# CPU time: a fifth of a CPU takes five times as long.
spin='i=0; while [ $i -lt $1 ]; do i=$((i + 1)); done'
for limits in "--cpus 0.2" "--cpu-quota 4000 --cpu-period 20000"; do
	limited $limits --account cpu --timeout 1 -- sh -c "$spin" sh 100000000
	is "$limits: was in the way" "$? $([ "$(field cpu throttled)" -gt 0 ] && echo throttled)" "124 throttled"
	# At most a period more than its share.
	true_ "$limits: no more than a fifth of the time" "$(field cpu usage-us)" -le $(($(key wall-us) / 5 + 100000))
done
# Weights: ten times the share on one CPU.
both() {
	"$cg" --cpuset-cpus 0 $1 --account cpu --timeout 2 --report "$tmp/a" -- sh -c "$spin" sh 100000000 2>/dev/null &
	"$cg" --cpuset-cpus 0 $2 --account cpu --timeout 2 --report "$tmp/b" -- sh -c "$spin" sh 100000000 2>/dev/null
	wait $!
	for f in a b; do cp "$tmp/$f" "$tmp/report"; field cpu usage-us; done | tr '\n' ' '
}
# They start one after the other, on a busy machine half a second apart: what they do not
# have together is shared by nobody.
more() { what=$1; set -- $2; true_ "$what ($1 us against $2 us)" "$1" -gt $(($2 * 13 / 10)); }
more "cpu-weight: ten times the weight gets more of the time" "$(both '--cpu-weight 1000' '--cpu-weight 100')"
more "cpu-shares: so do shares" "$(both '--cpu-shares 4096' '--cpu-shares 256')"
if "$cg" --cpu-weight idle true 2>/dev/null; then
	more "cpu-weight idle: gets what is left" "$(both '--cpu-weight 100' '--cpu-weight idle')"
else
	echo "SKIPPED cpu-weight idle: no cpu.idle in this kernel"
fi

last=$(($(grep -c ^processor /proc/cpuinfo) - 1))
out=$("$cg" --cpuset-cpus $last --cpuset-mems 0 -- sed -n 's/^Cpus_allowed_list:\t//p; s/^Mems_allowed_list:\t//p' /proc/self/status | tr '\n' ' ')
is "cpuset-cpus, cpuset-mems: no other may be used" "$out" "$last 0 "
out=$("$cg" --cpuset-cpus $last -- sh -c 'taskset -p 1 $$ >/dev/null 2>&1; sed -n "s/^Cpus_allowed_list:\t//p" /proc/self/status')
is "cpuset-cpus: also not by asking" "$out" "$last"

"$cg" --pids 3 -- sh -c 'sleep 9 & sleep 9 & sleep 9 & echo not reached' >"$tmp/out" 2>"$tmp/said"
is "pids: the fourth task is one too many" "$(cat "$tmp/out")$(grep -c 'limit of 3 tasks reached, [0-9]* could not be started' "$tmp/said")" 1

# Disks: a megabyte at half of it a second takes a second and a half.
disk=
for name in nullb0 vda sda nvme0n1; do head -c 1 /dev/$name >/dev/null 2>&1 && disk=/dev/$name && break; done
if [ "$disk" ]; then
	read_='dd if=$0 of=/dev/null bs=65536 count=16 iflag=direct 2>/dev/null'
	# slow WHAT COMMAND OPTION...
	slow() {
		what=$1 command=$2
		shift 2
		limited "$@" -- sh -c "$command" $disk
		is "$what takes more than a second" "$? $([ "$(key wall-us)" -gt 1000000 ] && echo slow)" "0 slow"
	}
	slow "read-bps: a megabyte" "$read_" --read-bps $disk:512K
	slow "read-iops: sixteen reads" "$read_" --read-iops $disk:8
	slow "IOReadBandwidthMax: it" "$read_" -p "IOReadBandwidthMax=$disk 512K"
	if [ $disk = /dev/nullb0 ]; then
		write='dd of=$0 if=/dev/zero bs=65536 count=16 oflag=direct 2>/dev/null'
		slow "write-bps: a megabyte" "$write" --write-bps $disk:512K
		slow "write-iops: sixteen writes" "$write" --write-iops $disk:8 --account io
		is "account io: all writes are counted" "$(field io write-bytes)" 1048576
	fi
	if [ -e /sys/block/${disk#/dev/}/queue/scheduler ] && grep -q bfq /sys/block/${disk#/dev/}/queue/scheduler; then
		kept=$(sed 's/.*\[\(.*\)\].*/\1/' /sys/block/${disk#/dev/}/queue/scheduler)
		echo bfq >/sys/block/${disk#/dev/}/queue/scheduler
		is "io-weight: is kept by BFQ" "$("$cg" --io-weight 50 --explain true | grep -c 'bfq.weight=.*50')$("$cg" --io-weight 50 true && echo set)" 1set
		echo "$kept" >/sys/block/${disk#/dev/}/queue/scheduler
	else
		echo "SKIPPED io-weight: no BFQ here"
	fi
else
	echo "SKIPPED read-bps, write-bps, read-iops, write-iops: no disk here"
fi

# Huge pages: as many as fit.
pages=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
if [ "${BIND_HUGE:-}" ] && echo 4 >$pages && [ "$(cat $pages)" = 4 ] && mkdir "$tmp/huge" && mount -t hugetlbfs none "$tmp/huge"; then
	"$cg" --hugetlb 2M:4M -- fallocate -l 4194304 "$tmp/huge/a" 2>/dev/null
	is "hugetlb: two pages fit into 4 MiB" $? 0
	rm -f "$tmp/huge/a"
	"$cg" --hugetlb 2M:4M -- fallocate -l 6291456 "$tmp/huge/b" 2>/dev/null
	true_ "hugetlb: and no third" $? -ne 0
	umount "$tmp/huge"
else
	echo "SKIPPED hugetlb: no pages to be had here"
fi

out=$("$cg" --device-allow 'c 10:200 rw' -- sh -c 'echo >/dev/null && echo std; head -c 1 /dev/kmsg >/dev/null' 2>/dev/null; echo $?)
is "device-allow: the usual devices and no others" "$out" "std
1"
out=$("$cg" --device-deny /dev/zero:r -- sh -c 'head -c 1 /dev/zero >/dev/null || echo denied; head -c 0 /dev/full && echo rest' 2>/dev/null | tr '\n' ' ')
is "device-deny: that one" "$out" "denied rest "
out=$("$cg" --devices none --device-allow /dev/null:rw -- sh -c 'echo >/dev/null && echo null; echo >/dev/tty0 || head -c 1 /dev/zero' 2>/dev/null | tr '\n' ' ')
is "devices none: nothing but what is allowed" "$out" "null "

if "$cg" --max-descendants 1 --account pids true 2>/dev/null; then
	out=$("$cg" --max-descendants 1 --status-fd 9 9>"$tmp/status" -- sh -c 'd=$(sed -n "s/.*\"cgroup\":\"\([^\"]*\)\".*/\1/p" "$0"); mkdir $d/a && mkdir $d/b 2>/dev/null || echo one' "$tmp/status")
	is "max-descendants: one group and no second" "$out" one
	out=$("$cg" --max-depth 1 --status-fd 9 9>"$tmp/status" -- sh -c 'd=$(sed -n "s/.*\"cgroup\":\"\([^\"]*\)\".*/\1/p" "$0"); mkdir $d/a && mkdir $d/a/b 2>/dev/null || echo flat' "$tmp/status")
	is "max-depth: one level and no second" "$out" flat
else
	echo "SKIPPED max-descendants, max-depth: no cgroup v2 here"
fi
if [ "$v2" ] && [ $last -gt 0 ] && out=$("$cg" --parent /sys/fs/cgroup --cpuset-cpus $last --cpuset-partition root -- sh -c 'sed -n "s/^Cpus_allowed_list:\t//p" /proc/1/status' 2>"$tmp/said"); then
	case $out in "$last" | *[-,]"$last") no "cpuset-partition" "process 1 may use $out" ;; *) ok "cpuset-partition: others lose its CPUs (process 1 has $out)" ;; esac
elif [ "$v2" ]; then
	echo "SKIPPED cpuset-partition: $(cat "$tmp/said")"
fi

# A group with a name: limits that are changed bind, what is frozen stands still.
"$cg" --name bind-$$ --pids 20 --memory 64M --swap 0 -- sh -c 'while :; do echo >>"$0"; sleep 0.01; done' "$tmp/count" &
pid=$!
until [ -s "$tmp/count" ]; do :; done
"$cg" --name bind-$$ --freeze
one=$(wc -c <"$tmp/count")
sleep 0.3
true_ "freeze: nothing happens" "$(wc -c <"$tmp/count")" -eq "$one"
"$cg" --name bind-$$ --thaw
until [ "$(wc -c <"$tmp/count")" -gt "$one" ]; do :; done
ok "thaw: it goes on"
"$cg" --name bind-$$ --update --pids 10 --memory 32M
is "update: new limits are there" "$? $("$cg" --name bind-$$ --stat | grep -c '"limit":33554432')" "0 1"
"$cg" --name bind-$$ --freeze
"$cg" --name bind-$$ --kill
is "kill: what is frozen" $? 0
wait $pid
is "kill: is ended" $? 137
exit $failed
