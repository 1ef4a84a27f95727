complete -c ns-run -s m -l mount -d 'Make a new mount namespace, kept by FILE' -r
complete -c ns-run -s u -l uts -d 'Make a new UTS namespace: host and domain name' -r
complete -c ns-run -s i -l ipc -d 'Make a new IPC namespace' -r
complete -c ns-run -s n -l net -d 'Make a new network namespace' -r
complete -c ns-run -s p -l pid -d 'Make a new pid namespace, for children: see --fork' -r
complete -c ns-run -s U -l user -d 'Make a new user namespace' -r
complete -c ns-run -s C -l cgroup -d 'Make a new cgroup namespace' -r
complete -c ns-run -s T -l time -d 'Make a new time namespace' -r
complete -c ns-run -l join -d 'Join a namespace that is there: KIND=FILE or KIND=PID' -r
complete -c ns-run -l persist -d 'Keep all new namespaces by files in this directory' -r -F
complete -c ns-run -l kill-child -d 'Send the child this signal when ns-run dies; implies --fork' -r
complete -c ns-run -l mount-proc -d 'Mount a new proc; implies --mount' -r -F
complete -c ns-run -l mount-binfmt -d 'Mount a new binfmt_misc; implies --user --mount' -r
complete -c ns-run -s l -l load-interp -d 'Register an interpreter; implies --mount-binfmt' -r
complete -c ns-run -l propagation -d 'Set how mounts spread: private, slave, shared, unchanged' -r -f -a "private\t'Neither way'
slave\t'Only in'
shared\t'Both ways'
unchanged\t'As it was'"
complete -c ns-run -s R -l root -d 'Change the root directory' -r -F
complete -c ns-run -s w -l wd -d 'Change the working directory, after the root' -r -F
complete -c ns-run -l map-user -d 'Map the own uid to this one; implies --user' -r
complete -c ns-run -l map-group -d 'Map the own gid to this one; implies --user' -r
complete -c ns-run -l map-users -d 'Map uids: auto, subids, all, I:O:N or O,I,N' -r
complete -c ns-run -l map-groups -d 'Map gids: auto, subids, all, I:O:N or O,I,N' -r
complete -c ns-run -l owner -d 'Let this user own the namespace; implies --user' -r
complete -c ns-run -l setgroups -d 'Set the rule for setgroups(2) inside: allow or deny' -r -f -a "allow\t'As usual'
deny\t'For good: user_namespaces(7)'"
complete -c ns-run -s S -l setuid -d 'Become this user last of all; also --uid' -r
complete -c ns-run -s G -l setgid -d 'Become this group and leave all others; also --gid' -r
complete -c ns-run -l groups -d 'Set the supplementary groups' -r
complete -c ns-run -l monotonic -d 'Set the monotonic clock off by seconds' -r
complete -c ns-run -l boottime -d 'Set the boot clock off by seconds' -r
complete -c ns-run -l hostname -d 'Set the host name; implies --uts' -r
complete -c ns-run -l domainname -d 'Set the NIS domain name; implies --uts' -r
complete -c ns-run -l setup -d 'Run a shell command as root of the namespaces first' -r
complete -c ns-run -l whitelist-env -d 'Start COMMAND with these variables only' -r
complete -c ns-run -l wait-fd -d 'Wait for a byte or the end of this descriptor' -r
complete -c ns-run -l ready-fd -d 'Write a line to this descriptor when all is set up' -r
complete -c ns-run -l status-fd -d 'Write pid and namespaces as JSON to this descriptor' -r
complete -c ns-run -l pid-file -d 'Write COMMAND\'s process id to this file' -r -F
complete -c ns-run -l try-user -d 'Make a new user namespace where it can be made'
complete -c ns-run -l try-mount -d 'Make a new mount namespace where it can be made'
complete -c ns-run -l try-pid -d 'Make a new pid namespace where it can be made'
complete -c ns-run -l try-ipc -d 'Make a new IPC namespace where it can be made'
complete -c ns-run -l try-uts -d 'Make a new UTS namespace where it can be made'
complete -c ns-run -l try-net -d 'Make a new network namespace where it can be made'
complete -c ns-run -l try-cgroup -d 'Make a new cgroup namespace where it can be made'
complete -c ns-run -l try-time -d 'Make a new time namespace where it can be made'
complete -c ns-run -s f -l fork -d 'Run COMMAND as a child and end as it ends'
complete -c ns-run -l init -d 'Be the init process that reaps; implies --fork'
complete -c ns-run -l forward-signals -d 'Forward signals, as always; implies --fork'
complete -c ns-run -l die-with-parent -d 'Kill COMMAND when the process that started ns-run dies'
complete -c ns-run -l new-session -d 'Give COMMAND a session without terminal; implies --fork'
complete -c ns-run -s r -l map-root-user -d 'Become root inside; implies --user'
complete -c ns-run -s c -l map-current-user -d 'Keep the own ids inside; implies --user'
complete -c ns-run -l map-auto -d 'Map the own subordinate ids from 0 on'
complete -c ns-run -l map-subids -d 'Map the own subordinate ids to themselves'
complete -c ns-run -l keep-caps -d 'Keep the capabilities of the user namespace over the exec'
complete -c ns-run -l lo -d 'Bring loopback up or fail'
complete -c ns-run -l no-lo -d 'Leave loopback down'
complete -c ns-run -l disable-userns -d 'Forbid user namespaces inside'
complete -c ns-run -l clear-env -d 'Start COMMAND without the variables of the environment'
complete -c ns-run -l explain -d 'Print the plan as system calls and do nothing'
complete -c ns-run -s h -l help -d 'Print help'
complete -c ns-run -s V -l version -d 'Print version'
