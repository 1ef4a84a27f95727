#!/bin/sh
# cg-v2.sh - where cg-limit makes its group on pure v2, as root, and what it says if it cannot.
#
# Changes cgroups that are not its own: for the virtual machine only (tests/vm/run).
# Prints "ok WHAT" or "FAILED WHAT: WHY" a line; status 1 when anything failed.
# shellcheck disable=SC2016 # What stands in single quotes is the command's to expand.
set -u
root=/sys/fs/cgroup
failed=0
is() { if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAILED $1: got '$2', not '$3'"; failed=1; fi; }
# The command's cgroup, with what differs from run to run cut out.
where='sed "s/^0:://; s/cg-limit[.0-9a-f]*/CG/g" /proc/self/cgroup'
# refused WHAT MESSAGE ARG...
refused() {
	what=$1 wanted=$2
	shift 2
	got=$("$@" 2>&1 | sed 's/cg-limit\.[.0-9a-f]*/CG/g')
	is "$what" "$got" "cg-limit: $wanted"
}

[ "$(sed 's/^0:://' /proc/self/cgroup)" = / ] && [ -e $root/cgroup.controllers ] || exit 2
mkdir -p $root/slice/scope $root/free
echo 0 >$root/slice/scope/cgroup.procs

is "the group is beside ours" "$(cg-limit --memory 32M --cpus 0.5 -- sh -c "$where")" /slice/CG
is "controllers are enabled on the way, only those" "$(cat $root/slice/cgroup.subtree_control)" "cpu memory"

echo 40M >$root/slice/scope/memory.max
limits=$(cg-limit --memory 1G --cpus 2 --status-fd 1 true | sed 's/.*"limits":{\(.*\)},.*/\1/')
is "the limit of the group that is left goes along" "$limits" \
	'"memory.max":41943040,"cpu.max":"200000 100000"'
echo max >$root/slice/scope/memory.max

out=$(cg-limit --memory 32M -- sh -c "cg-limit --memory 64M --pids 9 -- sh -c '$where; cg-limit --pids 8 -- sh -c \"\$0\"' '$where'; $where" | tr '\n' ' ')
is "one in another is below it" "$out" "/slice/CG/CG /slice/CG/CG/CG /slice/CG/processes "
cg-limit --memory 32M -- sh -c 'cg-limit --memory 64M -- tail /dev/zero 2>/dev/null; exit 4' 2>/tmp/said
is "and within its limit" "$?: $(sed 's/ (peak.*//; /^Killed$/d' /tmp/said)" \
	"4: cg-limit: memory limit 32 MiB reached, a process was killed"
cg-limit --memory 32M -- sh -c 'setsid cg-limit --pids 8 -- sh -c "echo up >/tmp/up; sleep 1000 & sleep 1000" & until [ -e /tmp/up ]; do :; done'
is "and ends with it" "$?$(find $root -name 'cg-limit.*')" 0

cg-limit --pids 30 -- sh -c 'd='$root'$(sed s/^0::// /proc/self/cgroup); mkdir $d/f; sleep 1000 & echo $! >$d/f/cgroup.procs
	echo 1 >$d/f/cgroup.freeze; exit 5'
is "a frozen group is removed as well" "$?$(find $root -name 'cg-limit.*')" 5

is "a parent that is named is used" "$(cg-limit --parent $root/free --pids 3 -- sh -c "$where")" /free/CG
refused "a parent with processes" "cannot enable memory in '$root/slice/scope/cgroup.subtree_control': Device or resource busy; the group has processes, name another with --parent" \
	cg-limit --parent $root/slice/scope --memory 9M true
mkdir -p $root/threads/part
echo threaded >$root/threads/part/cgroup.type
refused "a threaded parent" "cannot start a process in '$root/threads/CG': Operation not supported on transport endpoint; the group above is threaded, see cgroups(7)" \
	cg-limit --parent $root/threads --pids 3 true
echo 0 >$root/free/cgroup.max.descendants
refused "a parent that may have no more groups" "cannot make a group in '$root/free': Try again; see cgroup.max.descendants and cgroup.max.depth above" \
	cg-limit --parent $root/free --pids 3 true
echo max >$root/free/cgroup.max.descendants

refused "a user without a group" "cannot make a group in '$root/slice': Permission denied; run as root, or in a group of yours: systemd-run --user --scope -p Delegate=yes …" \
	su -s /bin/sh user -c 'cg-limit --pids 3 true'
chown -R user $root/free
refused "a user with a group elsewhere" "cannot start a process in '$root/free/CG': Permission denied; '$root/cgroup.procs' must be yours to write; run as root, or in a group of yours: systemd-run --user --scope -p Delegate=yes …" \
	su -s /bin/sh user -c "cg-limit --parent $root/free --pids 3 true"
refused "a file system that is read-only" "cannot make a group in '$root/slice': Read-only file system; the cgroup file system must be mounted read-write" \
	unshare -m sh -c "mount -o remount,bind,ro $root && cg-limit --pids 3 true"
refused "no file system at all" "cannot use the memory controller: no mounted cgroup file system shows the group of this process; mount it, or name a group with --parent" \
	unshare -m sh -c "umount -l $root && cg-limit --memory 9M true"

is "nothing is left" "$(find $root -name 'cg-limit.*')" ""
exit $failed
