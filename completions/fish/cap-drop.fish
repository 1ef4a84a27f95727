complete -c cap-drop -l drop -d 'Drop these capabilities' -r
complete -c cap-drop -l keep -d 'Keep at most these, or none, and drop all others' -r
complete -c cap-drop -l add -d 'Keep these beside those of --profile or in spite of --drop' -r
complete -c cap-drop -l profile -d 'Keep at most the set of docker, podman, none or a file' -r
complete -c cap-drop -l from-file-caps -d 'Keep at most the capabilities that FILE has' -r -F
complete -c cap-drop -l bounding -d 'Leave just these in the bounding set' -r
complete -c cap-drop -l inh -d 'Make just these inheritable' -r
complete -c cap-drop -l ambient -d 'Let just these live over the exec of any user' -r
complete -c cap-drop -l user -d 'Become this user, looked up in /etc/passwd' -r
complete -c cap-drop -l uid -d 'Set the user id' -r
complete -c cap-drop -l gid -d 'Set the group id' -r
complete -c cap-drop -l groups -d 'Set the supplementary groups' -r
complete -c cap-drop -l securebits -d 'Set the securebits: names, +NAME,-NAME or none' -r
complete -c cap-drop -l pdeathsig -d 'Send COMMAND this signal when its parent dies, or clear' -r
complete -c cap-drop -l dumpable -d 'Whether COMMAND may dump core: yes or no' -r -f -a "yes\t'It is to be so'
no\t'It is not'"
complete -c cap-drop -l umask -d 'Set the mode bits that new files lack' -r
complete -c cap-drop -l rlimit -d 'Set a resource limit, as nofile=1024 or nofile=64:1024' -r
complete -c cap-drop -l oom-score-adj -d 'Set how soon COMMAND is killed when memory runs out' -r
complete -c cap-drop -l nice -d 'Set the nice value, -20 to 19' -r
complete -c cap-drop -l root -d 'Change the root directory, and the working directory to it' -r -F
complete -c cap-drop -l selinux-label -d 'Run COMMAND under this SELinux label' -r
complete -c cap-drop -l apparmor-profile -d 'Run COMMAND under this AppArmor profile' -r
complete -c cap-drop -l seccomp -d 'Allow system calls as docker does or a profile says' -r
complete -c cap-drop -l seccomp-bpf -d 'Install a filter of BPF from a file or a descriptor' -r
complete -c cap-drop -l landlock -d 'Allow by Landlock, as rx:/usr, connect:443 or scope' -r
complete -c cap-drop -l landlock-profile -d 'Allow what the lines of a file say' -r -F
complete -c cap-drop -l trace -d 'Tell which capabilities COMMAND uses: events or bisect' -r -f -a "events\t'By what the kernel checks'
bisect\t'By running it several times'"
complete -c cap-drop -l status-fd -d 'Write them to this descriptor as JSON' -r
complete -c cap-drop -l print -d 'Print the privileges that result: text or json' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c cap-drop -l pid -d 'Look at these processes instead of running anything' -r
complete -c cap-drop -l has -d 'End with 0 if all of SET:LIST,… are there, else with 1' -r
complete -c cap-drop -l decode -d 'Print the names in a mask of /proc/PID/status' -r
complete -c cap-drop -l describe -d 'Print what a capability allows' -r
complete -c cap-drop -l clear-groups -d 'Leave no supplementary group'
complete -c cap-drop -l init-groups -d 'Set the groups that list the user, and the gid'
complete -c cap-drop -l getent -d 'Ask getent for names that the files do not have'
complete -c cap-drop -l no-new-privs -d 'Let no exec grant privileges: setuid bits and file caps'
complete -c cap-drop -l reset-env -d 'Start COMMAND with an environment of the user\'s own'
complete -c cap-drop -l landlock-best-effort -d 'Forbid by Landlock as much as this kernel can'
complete -c cap-drop -l tree -d 'Look at all processes, or those below --pid, as a tree'
complete -c cap-drop -l explain -d 'Print the plan as system calls and do nothing'
complete -c cap-drop -s h -l help -d 'Print help'
complete -c cap-drop -s V -l version -d 'Print version'
