#!/bin/sh
# as-nobody.sh SKIPS: the unprivileged tests once more, as uid 65534 with subordinate ids.
#
# Builds as root, runs the tests as nobody in a private mount namespace, where /etc/subuid
# and /etc/subgid have a line for it; nothing of the machine is changed.
set -eu
cd "$(dirname "$0")/.."
skips=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
echo 'nobody:500000:65536' >"$work/subid"
# The checkout may lie where only root can go: the tests run from a copy of the binaries.
cargo nextest archive --workspace --archive-file "$work/tests.tar.zst" >/dev/null 2>&1
cat >"$work/run" <<'R'
#!/bin/sh
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all -- "$@"
R
chmod 755 "$work/run"
# shellcheck disable=SC2016 # expanded by the inner shell
CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUNNER=$work/run \
    ALLOW_SKIP=$skips WORK=$work \
    unshare --mount sh -euc '
        touch /etc/subuid /etc/subgid
        mount --bind "$WORK/subid" /etc/subuid
        mount --bind "$WORK/subid" /etc/subgid
        exec cargo nextest run --archive-file "$WORK/tests.tar.zst" --extract-to "$WORK"
    '
