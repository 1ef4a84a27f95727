#!/bin/sh
# test.sh: all tests that this user may run; as root, also as an ordinary user.
#
# What the machine lacks is skipped only where it is named below, and every skip is listed
# at the end. As root the unprivileged tests run again as uid 65534 (nobody).
set -eu
cd "$(dirname "$0")/.."

target=target/x86_64-unknown-linux-musl/debug
SKIP_LOG=$(mktemp)
export SKIP_LOG
chmod 666 "$SKIP_LOG"
trap 'rm -f "$SKIP_LOG"' EXIT

if ! cargo nextest --version >/dev/null 2>&1; then
    echo "test: installing cargo-nextest into .tools (once, some minutes)" >&2
    root=$PWD/.tools
    (cd / && CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$root" cargo-nextest)
    PATH="$root/bin:$PATH"
fi

cargo build --workspace --bins

# What may be missing here, by key of tests/src/need.rs.
skips="shared,big-image,docker"
for program in bwrap nsenter unshare setpriv umoci capsh python3 strace; do
    command -v "$program" >/dev/null || skips="$skips,program:$program"
done
grep -q ' - cgroup ' /proc/self/mountinfo || skips="$skips,cgroup-v1"
grep -q ' - cgroup2 ' /proc/self/mountinfo || skips="$skips,cgroup-v2"

if [ "$(id -u)" != 0 ]; then
    grep -q "^\($(id -un)\|$(id -u)\):" /etc/subuid 2>/dev/null || skips="$skips,subuid"
    "$target/sandbox" --user --mount -- true 2>/dev/null || skips="$skips,userns"
    ALLOW_SKIP="$skips,root" cargo nextest run --workspace
else
    grep -q "^\(root\|0\):" /etc/subuid 2>/dev/null || skips="$skips,subuid"
    ALLOW_SKIP="$skips,user" cargo nextest run --workspace --profile root
    echo
    echo "== again as an ordinary user (nobody)"
    tests/as-nobody.sh "$skips,root"
fi

if [ -s "$SKIP_LOG" ]; then
    echo
    echo "== skipped, since the machine lacks something:"
    sort "$SKIP_LOG" | uniq
fi
