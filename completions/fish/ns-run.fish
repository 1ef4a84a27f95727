complete -c ns-run -l mount-proc -d 'Mount a new proc; implies --mount' -r -F
complete -c ns-run -l propagation -d 'Set how mounts spread: private, slave, shared, unchanged' -r -f -a "private\t'Neither way'
slave\t'Only in'
shared\t'Both ways'
unchanged\t'As it was'"
complete -c ns-run -l map-user -d 'Map the own uid to this one; implies --user' -r
complete -c ns-run -l map-group -d 'Map the own gid to this one; implies --user' -r
complete -c ns-run -l map-users -d 'Map uids: auto, subids, all, I:O:N or O,I,N' -r
complete -c ns-run -l map-groups -d 'Map gids: auto, subids, all, I:O:N or O,I,N' -r
complete -c ns-run -l setgroups -d 'Set the rule for setgroups(2) inside: allow or deny' -r -f -a "allow\t'As usual'
deny\t'For good: user_namespaces(7)'"
complete -c ns-run -l hostname -d 'Set the host name; implies --uts' -r
complete -c ns-run -l status-fd -d 'Write pid and namespaces as JSON to this descriptor' -r
complete -c ns-run -s m -l mount -d 'Make a new mount namespace'
complete -c ns-run -s u -l uts -d 'Make a new UTS namespace: host and domain name'
complete -c ns-run -s i -l ipc -d 'Make a new IPC namespace'
complete -c ns-run -s n -l net -d 'Make a new network namespace'
complete -c ns-run -s p -l pid -d 'Make a new pid namespace, for children: see --fork'
complete -c ns-run -s U -l user -d 'Make a new user namespace'
complete -c ns-run -s C -l cgroup -d 'Make a new cgroup namespace'
complete -c ns-run -s T -l time -d 'Make a new time namespace'
complete -c ns-run -s f -l fork -d 'Run COMMAND as a child and end as it ends'
complete -c ns-run -s r -l map-root-user -d 'Become root inside; implies --user'
complete -c ns-run -s c -l map-current-user -d 'Keep the own ids inside; implies --user'
complete -c ns-run -l map-auto -d 'Map the own subordinate ids from 0 on'
complete -c ns-run -l lo -d 'Bring loopback up or fail'
complete -c ns-run -l no-lo -d 'Leave loopback down'
complete -c ns-run -l explain -d 'Print the plan as system calls and do nothing'
complete -c ns-run -s h -l help -d 'Print help'
complete -c ns-run -s V -l version -d 'Print version'
