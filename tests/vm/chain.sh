#!/bin/sh
# chain.sh - the whole chain and each tool of it on this kernel, for the virtual machine.
set -u
failed=0
is() { if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAILED $1: got '$2', not '$3'"; failed=1; fi; }
work=$(mktemp -d)
cd "$work" || exit 2
demo-image demo.tar
img-unpack --quiet demo.tar box/ >/dev/null
is "img-unpack: layers" $? 0
mkdir root
cg-limit --memory 64M --pids 50 -- \
ns-run --mount --pid --ipc --uts --net --cgroup --fork --hostname box -- \
ovl-mount --image box/ --tmpfs root/ -- \
mkdev root/dev -- \
root-pivot --std root/ -- \
cap-drop --profile docker --no-new-privs -- \
img-exec >out 2>said
is "the chain as root" "$? $(sed -n 's/^hostname *//p; s/^bounding set *//p; s/^no_new_privs *//p; s,^/etc/motd *,,p' out | tr '\n' ' ')$(cat said)" \
	"0 box 00000000a80425fb 1 from layer 3, the top "
chmod 755 "$work"
# One root file system: a tmpfs has no user.* attributes before Linux 6.6, which a user's
# own layers need.
cat >rootless.sh <<'EOS'
#!/bin/sh
cd "$1/mine" || exit
exec ns-run --user --map-root-user --mount --pid --ipc --uts --net --cgroup --fork --hostname box -- \
	ovl-mount --image flat/ root/ -- mkdev root/dev -- root-pivot --std root/ -- \
	cap-drop --profile docker --no-new-privs -- img-exec
EOS
chmod 755 rootless.sh
mkdir mine
img-unpack --quiet --print=none --flat demo.tar mine/flat/
mkdir mine/flat/rootfs/dev mine/flat/rootfs/proc mine/flat/rootfs/sys mine/flat/rootfs/run 2>/dev/null
chown -R 1000 mine
su -s /bin/sh user -c "$work/rootless.sh $work" >out 2>said
is "the chain as an ordinary user" "$? $(sed -n 's/^hostname *//p; s/^no_new_privs *//p; s,^/etc/motd *,,p' out | tr '\n' ' ')$(cat said)" \
	"0 box 1 from layer 3, the top "

# One by one, where older kernels need other ways.
out=$(ns-run --mount --pid --fork --mount-proc -- sh -c 'echo $$; exit 3')
is "ns-run: namespaces, and back to the status" "$? $out" "3 1"
is "ns-run: an id map" "$(ns-run --user --map-root-user -- sed 's/ \+/ /g' /proc/self/uid_map)" " 0 0 1"
ns-run --mount --uts --fork --hostname there -- sleep 1000 &
pid=$!
until child=$(cat /proc/$pid/task/$pid/children 2>/dev/null) && [ -n "$child" ] && grep -q sleep "/proc/${child% }/cmdline"; do :; done
is "ns-enter: by pid" "$(ns-enter -t "${child% }" --uts -- hostname)" there
kill "${child% }"
wait $pid 2>/dev/null
mkdir lower upper upper/rw merged
echo below >lower/file
is "ovl-mount: layers" "$(ns-run --mount -- ovl-mount --lower lower --rw upper/rw merged -- sh -c 'cat merged/file; echo above >merged/file; cat merged/file lower/file' | tr '\n' ' ')" "below above below "
is "mkdev: a fresh /dev" "$(ns-run --mount -- sh -c 'mkdir d && mount -t tmpfs t d && mkdev d && echo x >d/null && ls d | wc -l')" "$(ns-run --mount -- sh -c 'mkdir -p e && mount -t tmpfs t e && mkdev e && ls e | wc -l')"
is "cap-drop: sets" "$(cap-drop --keep none --no-new-privs -- sed -n 's/^CapBnd:\t//p; s/^NoNewPrivs:\t//p' /proc/self/status | tr '\n' ' ')" "0000000000000000 1 "
is "cap-drop: a user" "$(cap-drop --user user -- id -u)" 1000
exit $failed
