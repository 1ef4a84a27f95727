#!/bin/sh
# util-linux.sh TREE DIRECTORY: the tests that util-linux has of unshare and nsenter, with the
# tools of DIRECTORY in their place. TREE is its source, 2.42 or newer, not configured.
set -eu

tree=$(realpath "$1") tools=$(realpath "$2")
[ -d "$tree/tests/ts/unshare" ] || { echo "util-linux.sh: '$1' has no tests/ts/unshare" >&2; exit 125; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a "$tree/." "$work"
mkdir "$work/old"
ln -s "$tools/ns-run" "$work/old/unshare"
ln -s "$tools/ns-enter" "$work/old/nsenter"

# The programs that the tests need, without the build system of a hundred others.
build() {
    program=$1
    shift
    (cd "$work/tests/helpers" && gcc -w -D_GNU_SOURCE -DHAVE_REALLOCARRAY -DHAVE_NANOSLEEP \
        -I../../include -o "$work/$program" "$@")
}
build test_strerror test_strerror.c
build test_sigreceive test_sigreceive.c ../../lib/signames.c ../../lib/strutils.c ../../lib/pwdutils.c
build test_sysinfo -include linux/nsfs.h -DHAVE_UNSHARE -DHAVE_SETNS test_sysinfo.c
echo '#define HAVE_LINUX_NSFS_H 1' >"$work/config.h"

# Sockets of another namespace take a helper that prints tables by libsmartcols.
socket=
if [ -e /usr/include/libsmartcols/libsmartcols.h ] &&
    build test_mkfds -I/usr/include/libsmartcols test_mkfds.c test_mkfds_ppoll.c \
        -Wl,--defsym=scols_table_get_column_by_name=main -Wl,--defsym=scols_line_sprintf=main \
        -lsmartcols 2>/dev/null; then
    socket=nsenter
else
    echo "util-linux.sh: SKIPPED nsenter/enter-via-socket, there is no libsmartcols-dev" >&2
fi

cd "$work/tests"
# shellcheck disable=SC2086 # nothing or one word
PATH="$work/old:$PATH" ./run.sh --use-system-commands unshare $socket lsns/ioctl_ns
