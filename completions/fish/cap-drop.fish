complete -c cap-drop -l drop -d 'Drop these capabilities' -r
complete -c cap-drop -l keep -d 'Keep at most these, or none, and drop all others' -r
complete -c cap-drop -l profile -d 'Keep at most the set of docker, podman or none' -r -f -a "docker\t'What docker leaves a container'
podman\t'What podman leaves a container'
none\t'No capability'"
complete -c cap-drop -l user -d 'Become this user, looked up in /etc/passwd' -r
complete -c cap-drop -l uid -d 'Set the user id' -r
complete -c cap-drop -l gid -d 'Set the group id' -r
complete -c cap-drop -l groups -d 'Set the supplementary groups' -r
complete -c cap-drop -l clear-groups -d 'Leave no supplementary group'
complete -c cap-drop -l no-new-privs -d 'Let no exec grant privileges: setuid bits and file caps'
complete -c cap-drop -l explain -d 'Print the plan as system calls and do nothing'
complete -c cap-drop -s h -l help -d 'Print help'
complete -c cap-drop -s V -l version -d 'Print version'
