#!/bin/sh
# demo.sh [IMAGE.tar [CMD [ARG]...]]: runs an image in a container, each link explained.
#
# Without IMAGE it packs a small one around a static program. Works as root and as an
# ordinary user; the tools are taken from PATH.
# shellcheck disable=SC2086 # $ids, $limit and $as_owner are lists of words
set -eu

work=$(mktemp -d)
as_owner='' as_seen_by=''
# What was unpacked with subordinate ids belongs to them.
trap '$as_owner rm -rf "$work/box" || :; rm -rf "$work"' EXIT

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
stage() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
# Shows what a link is about to do, in the kernel's own words.
plan() {
    printf '%s$ %s%s\n' "$bold" "$*" "$plain"
    tool=$1
    shift
    $as_seen_by "$tool" --explain "$@" | sed 's/^/    /'
}

if [ $# -gt 0 ]; then
    image=$(realpath "$1")
    shift
else
    image=$work/demo.tar
    demo-image "$image"
fi
cd "$work"

# Who can keep the owners of an image's files? Root, and who has subordinate ids.
ids='--map-root-user --map-auto' squash=
if ns-run --user $ids -- true 2>/dev/null; then
    as_owner="ns-run --user $ids --"
else
    ids='--map-root-user'
    if [ "$(id -u)" != 0 ]; then
        squash='--squash-ids --skip-devices'
        echo "(no subordinate ids, see subuid(5): all files will belong to you)"
    fi
fi
limit='cg-limit --memory 256M --pids 128 --'
reason=$($limit true 2>&1) || limit=

stage "1. the image is an archive of archives: one tar a layer, and a config"
as_seen_by=$as_owner
plan img-unpack $squash "$image" box/
as_seen_by=
$as_owner img-unpack $squash "$image" box/ >/dev/null

stage "2. resources: a cgroup"
if [ -n "$limit" ]; then
    plan cg-limit --memory 256M --pids 128 true
else
    printf '    left out here: %s\n' "$reason"
fi

stage "3. a world of its own: namespaces"
plan ns-run --user $ids --mount --pid --ipc --uts --net --fork --hostname box true

stage "4. a root file system: the layers, stacked, and a scratch one on top"
plan ovl-mount --image box/ --tmpfs root/

stage "5. devices"
plan mkdev root/dev

stage "6. the stack becomes the root, and the old root is gone"
plan root-pivot --std root/

stage "7. fewer privileges"
plan cap-drop --profile docker --no-new-privs true

stage "8. the image's own environment, user, directory and command"
plan img-exec --config box/ -- "$@"

stage "all of it, as one command line"
cat <<T
    img-unpack image.tar box/
    ${limit:+$limit }ns-run --user $ids --mount --pid --ipc --uts --net --fork --hostname box -- \\
    ovl-mount --image box/ --tmpfs root/ -- mkdev root/dev -- root-pivot --std root/ -- \\
    cap-drop --profile docker --no-new-privs -- img-exec -- $*

T
$limit ns-run --user $ids --mount --pid --ipc --uts --net --fork --hostname box -- \
    ovl-mount --image box/ --tmpfs root/ -- mkdev root/dev -- root-pivot --std root/ -- \
    cap-drop --profile docker --no-new-privs -- img-exec -- "$@"
