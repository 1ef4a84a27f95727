#!/bin/sh
# cg.sh - what cg-limit must do, on whatever cgroup layout this machine has.
#
#   cg.sh [CG-LIMIT]
#
# Prints "ok WHAT" or "FAILED WHAT: WHY" a line; status 1 when anything failed. Made to run
# in a virtual machine (tests/vm) as root and as a user with a delegated group, with
# nothing there but busybox; also runs on the host. Ends no process but its own.
# shellcheck disable=SC2016 # What stands in single quotes is the command's to expand.
set -u
cg=${1:-cg-limit}
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
failed=0

ok() { echo "ok $1"; }
no() { echo "FAILED $1: $2"; failed=1; }
# is WHAT GOT WANTED
is() { if [ "$2" = "$3" ]; then ok "$1"; else no "$1" "got '$2', not '$3'"; fi; }
# has WHAT TEXT PATTERN
has() { case $2 in *$3*) ok "$1" ;; *) no "$1" "no '$3' in '$2'" ;; esac; }

# Every cg-limit group in every cgroup file system.
groups() {
	awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) ~ /^cgroup/) print $5 }' \
		/proc/self/mountinfo | while read -r mount; do find "$mount" -name 'cg-limit.*'; done
}
# The file of the group that CONTROLLER's limits are in, as the command sees it.
where='where() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$STATUS"; }'

STATUS=$tmp/status
export STATUS
before=$(groups)

out=$("$cg" --memory 32M --pids 20 --status-fd 9 9>"$STATUS" -- \
	sh -c "$where"'; m=$(where memory); p=$(where pids)
		cat "$m/memory.max" 2>/dev/null || cat "$m/memory.limit_in_bytes"; cat "$p/pids.max"
		grep -c $$ "$m/cgroup.procs"' 2>&1 | tr '\n' ' ')
is "limits are set before the command runs, and it is in the group" "$out" "33554432 20 1 "

"$cg" --memory 32M --swap 0 -- tail /dev/zero >"$tmp/out" 2>&1
if [ $? = 125 ] && grep -q swapaccount "$tmp/out"; then
	ok "swap that is not counted is refused ($(cat "$tmp/out"))"
	"$cg" --memory 32M -- tail /dev/zero >"$tmp/out" 2>&1
fi
(exec "$cg" --memory 32M -- tail /dev/zero) >"$tmp/out" 2>&1
is "a hog is killed" $? 137
has "and it is said why" "$(cat "$tmp/out")" "memory limit 32 MiB reached, a process was killed"

out=$("$cg" --memory 32M -- sh -c 'tail /dev/zero; echo went on' 2>/dev/null)
has "a hog below the command is killed, and the command goes on" "$out" "went on"

out=$("$cg" --pids 4 -- sh -c 'for i in 1 2 3 4 5 6; do sleep 5 & done; echo not reached' 2>&1)
has "a fork too many fails" "$out" "ork"

if out=$("$cg" --cpus 1.5 --status-fd 9 9>"$STATUS" -- \
	sh -c "$where"'; c=$(where cpu); cat "$c/cpu.max" 2>/dev/null || cat "$c/cpu.cfs_quota_us"' 2>&1); then
	case $out in "150000 100000" | 150000) ok "the cpu quota is written" ;; *) no "the cpu quota is written" "$out" ;; esac
else
	has "a cpu controller that was not delegated is explained" "$out" "cpu controller"
fi

"$cg" --pids 50 -- sh -c 'for i in 1 2 3; do setsid sleep 1000 </dev/null >/dev/null 2>&1 & done; exit 3'
is "the status is the command's" $? 3
is "daemons and groups are gone" "$(groups)" "$before"

"$cg" --pids 50 --status-fd 9 9>"$STATUS" -- sh -c "$where"'; p=$(where pids); mkdir -p "$p/a/b" && mkdir "$p/c"'
is "groups that the command makes can be made" $? 0
is "and are removed" "$(groups)" "$before"

"$cg" --pids 50 -- sh -c 'kill -TERM $$' 2>/dev/null
is "a command that a signal kills" $? 143
"$cg" --pids 50 -- nosuchcommand 2>/dev/null
is "a command that is not there" $? 127
is "leave no group either" "$(groups)" "$before"

mkfifo "$tmp/fifo"
"$cg" --pids 50 -- sh -c 'echo up; exec sleep 1000' >"$tmp/fifo" &
pid=$!
read -r _ <"$tmp/fifo"
kill -TERM $pid
wait $pid 2>/dev/null
is "a signal to cg-limit reaches the command" $? 143
is "and the group goes" "$(groups)" "$before"

"$cg" --pids 50 -- sh -c 'echo up; exec sleep 1000' >"$tmp/fifo" &
pid=$!
exec 8<"$tmp/fifo"
read -r _ <&8
kill -KILL $pid
wait $pid 2>/dev/null
# The end of the pipe is the end of the command.
read -r _ <&8
exec 8<&-
left=$(groups)
if [ "$left" = "$before" ]; then no "kill -9 leaves a group" "there is none"; else ok "kill -9 leaves a group and no process"; fi
# A dead process stays in a v2 group until it is reaped.
tries=0
while "$cg" --gc && [ "$(groups)" != "$before" ] && [ $tries -lt 50 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
is "--gc removes it" "$(groups)" "$before"

"$cg" --memory 8M --parent /proc -- true 2>"$tmp/out"
is "a parent that is no cgroup is refused" "$?: $(cat "$tmp/out")" "125: cg-limit: cannot use parent '/proc': not a directory of a cgroup hierarchy with controllers"

exit $failed
