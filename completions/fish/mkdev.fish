complete -c mkdev -l shm -d 'Limit the size of /dev/shm' -r
complete -c mkdev -l device -d 'Add a device of the host\'s, or a directory of them' -r
complete -c mkdev -l from-spec -d 'Add the devices of a CDI specification in JSON' -r -F
complete -c mkdev -l spec-device -d 'Choose a device of the specification by its name' -r
complete -c mkdev -l bind -d 'Bind the host\'s device nodes instead of making new ones'
complete -c mkdev -l mknod -d 'Make device nodes, which takes real root'
complete -c mkdev -l in-place -d 'Populate DIR itself, not a tmpfs that is mounted there'
complete -c mkdev -l minimal -d 'Leave out pts, ptmx and shm'
complete -c mkdev -l mqueue -d 'Mount the POSIX message queues'
complete -c mkdev -l console -d 'Let console be the caller\'s terminal'
complete -c mkdev -l nodes-only -d 'Leave out what else the specification asks for'
complete -c mkdev -l explain -d 'Print the plan as system calls and do nothing'
complete -c mkdev -s h -l help -d 'Print help'
complete -c mkdev -s V -l version -d 'Print version'
