complete -c ns-enter -s t -l target -d 'The process: PID, PID:INODE, fd:N, file:, cgroup:, netns:' -r
complete -c ns-enter -s m -l mount -d 'Enter the mount namespace' -r
complete -c ns-enter -s u -l uts -d 'Enter the UTS namespace: host and domain name' -r
complete -c ns-enter -s i -l ipc -d 'Enter the IPC namespace' -r
complete -c ns-enter -s n -l net -d 'Enter the network namespace' -r
complete -c ns-enter -s N -l net-socket -d 'Enter the network namespace of the process\'s socket' -r
complete -c ns-enter -s p -l pid -d 'Enter the pid namespace' -r
complete -c ns-enter -s C -l cgroup -d 'Enter the cgroup namespace' -r
complete -c ns-enter -s U -l user -d 'Enter the user namespace and become its root' -r
complete -c ns-enter -s T -l time -d 'Enter the time namespace' -r
complete -c ns-enter -s S -l setuid -d 'Become this user: uid, name or follow' -r
complete -c ns-enter -s G -l setgid -d 'Become this gid and leave all other groups' -r
complete -c ns-enter -s r -l root -d 'Change to the process\'s root directory, or to DIR' -r -F
complete -c ns-enter -s w -l wd -d 'Change to the process\'s working directory, or to DIR' -r -F
complete -c ns-enter -s W -l wdns -d 'Change to this working directory inside' -r -F
complete -c ns-enter -l mount-proc -d 'Mount a proc for COMMAND alone' -r -F
complete -c ns-enter -s a -l all -d 'Enter every namespace that is not ours already'
complete -c ns-enter -l user-parent -d 'Enter the parent of the user namespace instead'
complete -c ns-enter -l for-children -d 'Enter the pid and time namespaces that its children get'
complete -c ns-enter -l preserve-credentials -d 'Keep uid, gid and groups, also with --user'
complete -c ns-enter -l keep-caps -d 'Keep the capabilities that --user gives, over the exec'
complete -c ns-enter -s e -l env -d 'Take the process\'s environment'
complete -c ns-enter -s F -l no-fork -d 'Become COMMAND without a fork, outside the pid namespace'
complete -c ns-enter -s c -l join-cgroup -d 'Join the process\'s cgroups'
complete -c ns-enter -s Z -l follow-context -d 'Take the process\'s SELinux context'
complete -c ns-enter -l explain -d 'Print the plan as system calls and do nothing'
complete -c ns-enter -s h -l help -d 'Print help'
complete -c ns-enter -s V -l version -d 'Print version'
