#!/bin/sh
# size.sh BINARIES: fails when a release binary is larger than its budget.
set -eu
bin=$1 status=0
for tool in tools/*/ capsh; do
    name=$(basename "$tool")
    size=$(stat -c %s "$bin/$name")
    # cap-drop is setpriv and getpcaps too, and has a compiler with five tables of system calls.
    case $name in img-unpack) budget=1500000 ;; cap-drop) budget=1000000 ;; *) budget=800000 ;; esac
    printf '%-11s %8d of %8d bytes\n' "$name" "$size" "$budget"
    [ "$size" -le "$budget" ] || status=1
done
exit $status
