complete -c mkdev -l shm -d 'Limit the size of /dev/shm' -r
complete -c mkdev -l bind -d 'Bind the host\'s device nodes instead of making new ones'
complete -c mkdev -l mknod -d 'Make device nodes, which takes real root'
complete -c mkdev -l explain -d 'Print the plan as system calls and do nothing'
complete -c mkdev -s h -l help -d 'Print help'
complete -c mkdev -s V -l version -d 'Print version'
