#!/bin/sh
# test.sh: all tests that this user may run; as root, also as an ordinary user.
#
# What the machine lacks is skipped only where it is named below, and every skip is listed
# at the end. Runs on cargo-nextest where it is installed, else on `cargo test`.
set -eu
cd "$(dirname "$0")/.."

target=target/x86_64-unknown-linux-musl/debug
log=$(mktemp -d)
chmod 777 "$log"
trap 'rm -rf "$log"' EXIT
SKIP_LOG=$log/skips
export SKIP_LOG
umask 0
: >"$SKIP_LOG"
umask 022

if cargo nextest --version >/dev/null 2>&1; then
    user='cargo nextest run --workspace' root="cargo nextest run --workspace --profile root"
else
    # Tests of a binary in turn: the cgroup tests must not meet each other.
    user='cargo test --workspace -- --test-threads=1 --skip root::' root='cargo test --workspace -- --test-threads=1'
fi

cargo build --quiet --workspace --bins

# What may be missing here, by key of tests/src/need.rs.
skips="shared,big-image,system-mounts"
for program in bwrap nsenter unshare setpriv umoci skopeo capsh setcap getent python3 strace xz bzip2 zstd lz4 dash bash flock fuse-overlayfs \
    arch-chroot autopkgtest-virt-unshare busybox mmdebstrap reprotest; do
    command -v "$program" >/dev/null || skips="$skips,program:$program"
done
[ -r /dev/fuse ] && [ -w /dev/fuse ] || skips="$skips,fuse"
file=/usr/share/containers/seccomp.json
[ -e $file ] || skips="$skips,file:$file"
grep -q ' trace_event_raw_event_cap_capable$' /proc/kallsyms || skips="$skips,cap-capable"
grep -q 'sys_landlock_restrict_self$' /proc/kallsyms || skips="$skips,landlock"
# Where the emulator is, a boot is required, with what it needs of the network: a kernel.
command -v qemu-system-x86_64 >/dev/null || skips="$skips,vm"
grep -q ' - cgroup ' /proc/self/mountinfo || skips="$skips,cgroup-v1"
grep -q ' - cgroup2 ' /proc/self/mountinfo || skips="$skips,cgroup-v2"

if [ "$(id -u)" != 0 ]; then
    grep -q "^\($(id -un)\|$(id -u)\):" /etc/subuid 2>/dev/null || skips="$skips,subuid"
    command -v newuidmap >/dev/null || skips="$skips,subuid"
    "$target/sandbox" --user --mount -- true 2>/dev/null || skips="$skips,userns"
    ALLOW_SKIP="$skips,root" $user
else
    grep -q "^\(root\|0\):" /etc/subuid 2>/dev/null || skips="$skips,subuid"
    # shellcheck disable=SC2086 # command lines
    tests/in-copy.sh root "$skips,user" $root
    echo
    echo "== again as an ordinary user (nobody)"
    # shellcheck disable=SC2086
    tests/in-copy.sh nobody "$skips,root,fuse" $user
fi

if [ -s "$SKIP_LOG" ]; then
    echo
    echo "== skipped, since the machine lacks something:"
    # What needs an ordinary user ran as one, above.
    sort -u "$SKIP_LOG" | sed '/needs user: this is root/d'
fi
