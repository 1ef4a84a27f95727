#!/bin/sh
# all.sh - everything about cg-limit that one boot can show (tests/vm/suite).
#
#   all.sh [SCRIPT]...
#
# Runs each as root, then cg.sh as an ordinary user with a group of his own.
failed=0
# Swap, so that limits of it can be reached.
if [ -b /dev/ram0 ]; then mkswap /dev/ram0 >/dev/null && swapon /dev/ram0; fi
export BIND_HUGE=1
for script; do
	echo "== $script"
	$script || failed=1
done
echo "== cg.sh as an ordinary user"
# His own shell is in the group; ours stays where it is.
sh -c 'exec delegated /bin/cg.sh' || failed=1
exit $failed
