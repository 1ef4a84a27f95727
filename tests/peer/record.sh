#!/bin/sh
# record.sh TABLE: asks docker and podman again what the images of a table do.
#
# dockerd is started by hand in mount and pid namespaces that end with this script, whatever
# happens; its data lie on a tmpfs there, its cgroups below one that is removed.
set -eu
table=$(realpath "$1")
here=$(cd "$(dirname "$0")/../.." && pwd)
bin=$here/target/x86_64-unknown-linux-musl/debug
name=peer-$$
work=$(mktemp -d)
cleanup() {
    for top in /sys/fs/cgroup /sys/fs/cgroup/*; do
        if [ -d "$top/$name" ]; then
            find "$top/$name" -depth -type d -exec rmdir {} +
        fi
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
export TMPDIR="$work"
# shellcheck disable=SC2016 # expanded by the inner shell
"$bin/sandbox" --mount --pid -- sh -euc '
    mount -t proc proc /proc
    mount -t tmpfs tmpfs "$TMPDIR"
    exec "$@"
' sh "$bin/record-peers" "$table" "$name"
