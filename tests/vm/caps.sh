#!/bin/sh
# caps.sh - what cap-drop must do on a kernel that has AppArmor (tests/vm).
#
# Prints "ok WHAT" or "FAILED WHAT: WHY" a line; status 1 when anything failed.
set -u
failed=0
# is WHAT GOT WANTED
is() {
	if [ "$2" = "$3" ]; then echo "ok $1"; else
		echo "FAILED $1: got '$2', not '$3'"
		failed=1
	fi
}

is 'AppArmor is there' "$(ls -d /proc/self/attr/apparmor)" /proc/self/attr/apparmor
is 'a profile is given to the command' \
	"$(cap-drop --apparmor-profile unconfined -- cat /proc/self/attr/apparmor/current)" unconfined
is 'it is written, read back, and then the rest is done' \
	"$(cap-drop --apparmor-profile unconfined --keep kill --uid 1000 -- id -u)" 1000
is 'a profile that is not loaded is refused and nothing is run' \
	"$(cap-drop --apparmor-profile no_such -- echo ran 2>&1)" \
	"cap-drop: cannot set the AppArmor profile 'no_such': No such file or directory; the kernel must run AppArmor and have the profile loaded"
is 'a label of SELinux is refused where there is none' \
	"$(cap-drop --selinux-label a:b:c -- echo ran 2>&1)" \
	"cap-drop: cannot set the SELinux label 'a:b:c': Invalid argument; the kernel must run SELinux and its policy know the label"
exit "$failed"
