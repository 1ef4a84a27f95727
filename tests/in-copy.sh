#!/bin/sh
# in-copy.sh USER SKIPS TEST-COMMAND…: runs the tests as root or as nobody, from a copy.
#
# Built as root where the checkout is, which may be a directory that only root can enter,
# or one that a test hides: the binaries are run from a copy that everybody can reach. As
# nobody (uid 65534) they have subordinate ids: in a private mount namespace /etc/subuid
# and /etc/subgid have a line for it. The machine is not changed.
set -eu
cd "$(dirname "$0")/.."
RUN_AS=$1 ALLOW_SKIP=$2
shift 2
WORK=$(mktemp -d -p /var/tmp)
trap 'rm -rf "$WORK"' EXIT
target=target/x86_64-unknown-linux-musl/debug
mkdir -p "$WORK/debug/deps" "$WORK/project" "$WORK/shared" "$WORK/big"
find "$target" -maxdepth 1 -type f -perm -u+x -exec cp {} "$WORK/debug/" \;
cp -r README.md examples man completions "$WORK/project/"
mkdir "$WORK/project/tests"
cp -r tests/vm "$WORK/project/tests/"
echo 'nobody:500000:65536' >"$WORK/subid"
cat >"$WORK/run" <<'R'
#!/bin/sh
# run BINARY [ARG]…: the copy of it.
copy=$WORK/debug/deps/$(basename "$1")
if ! [ -e "$copy" ]; then
    cp "$1" "$copy.$$"
    mv "$copy.$$" "$copy"
fi
shift
if [ "$RUN_AS" = root ]; then
    exec "$copy" "$@"
fi
cd "$WORK"
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all -- "$copy" "$@"
R
chmod -R go+rX "$WORK"
chmod 755 "$WORK/run"
CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUNNER=$WORK/run
export RUN_AS WORK ALLOW_SKIP CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUNNER
if [ "$RUN_AS" = root ]; then
    "$@"
    exit
fi
PROJECT=$WORK/project
export PROJECT
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
