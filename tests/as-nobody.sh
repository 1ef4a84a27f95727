#!/bin/sh
# as-nobody.sh SKIPS TEST-COMMAND…: runs the tests as uid 65534 with subordinate ids.
#
# Built as root, run as nobody: in a private mount namespace /etc/subuid and /etc/subgid
# have a line for it, and the machine is not changed. The checkout may lie where only root
# can go, so binaries and what the tests read are copied.
set -eu
cd "$(dirname "$0")/.."
WORK=$(mktemp -d) ALLOW_SKIP=$1
shift
trap 'rm -rf "$WORK"' EXIT
target=target/x86_64-unknown-linux-musl/debug
mkdir -p "$WORK/debug/deps" "$WORK/project" "$WORK/shared" "$WORK/big"
find "$target" -maxdepth 1 -type f -perm -u+x -exec cp {} "$WORK/debug/" \;
cp -r README.md examples man completions "$WORK/project/"
echo 'nobody:500000:65536' >"$WORK/subid"
cat >"$WORK/run" <<'R'
#!/bin/sh
# run BINARY [ARG]…: as nobody, from the copy.
copy=$WORK/debug/deps/$(basename "$1")
if ! [ -e "$copy" ]; then
    cp "$1" "$copy.$$"
    mv "$copy.$$" "$copy"
fi
shift
cd "$WORK"
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all -- "$copy" "$@"
R
chmod -R go+rX "$WORK"
chmod 755 "$WORK/run"
PROJECT=$WORK/project
CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUNNER=$WORK/run
export WORK ALLOW_SKIP PROJECT CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUNNER
# shellcheck disable=SC2016 # expanded by the inner shell
unshare --mount sh -euc '
    if [ -e /etc/subuid ] && [ -e /etc/subgid ] && command -v newuidmap >/dev/null; then
        mount --bind "$WORK/subid" /etc/subuid
        mount --bind "$WORK/subid" /etc/subgid
    else
        ALLOW_SKIP=$ALLOW_SKIP,subuid
    fi
    if [ -d ../shared/images ]; then mount --bind ../shared "$WORK/shared"; fi
    if [ -n "${BIG_IMAGES:-}" ]; then mount --bind "$BIG_IMAGES" "$WORK/big" && BIG_IMAGES=$WORK/big; fi
    exec "$@"
' sh "$@"
