complete -c ns-enter -s t -l target -d 'The process whose namespaces to enter' -r
complete -c ns-enter -s S -l setuid -d 'Become this uid' -r
complete -c ns-enter -s G -l setgid -d 'Become this gid and leave all other groups' -r
complete -c ns-enter -s a -l all -d 'Enter every namespace that is not ours already'
complete -c ns-enter -s m -l mount -d 'Enter the mount namespace'
complete -c ns-enter -s u -l uts -d 'Enter the UTS namespace: host and domain name'
complete -c ns-enter -s i -l ipc -d 'Enter the IPC namespace'
complete -c ns-enter -s n -l net -d 'Enter the network namespace'
complete -c ns-enter -s p -l pid -d 'Enter the pid namespace'
complete -c ns-enter -s C -l cgroup -d 'Enter the cgroup namespace'
complete -c ns-enter -s U -l user -d 'Enter the user namespace and become its root'
complete -c ns-enter -s T -l time -d 'Enter the time namespace'
complete -c ns-enter -l preserve-credentials -d 'Keep uid, gid and groups, also with --user'
complete -c ns-enter -s r -l root -d 'Change to the process\'s root directory'
complete -c ns-enter -s w -l wd -d 'Change to the process\'s working directory'
complete -c ns-enter -s F -l no-fork -d 'Become COMMAND without a fork, outside the pid namespace'
complete -c ns-enter -l explain -d 'Print the plan as system calls and do nothing'
complete -c ns-enter -s h -l help -d 'Print help'
complete -c ns-enter -s V -l version -d 'Print version'
