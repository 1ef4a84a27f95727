complete -c root-pivot -l bind -d 'Show a file or directory of the caller\'s in the new root' -r
complete -c root-pivot -l tmpfs -d 'Mount a tmpfs in the new root' -r
complete -c root-pivot -l mask -d 'Hide a file or directory of the new root' -r
complete -c root-pivot -l ro-path -d 'Make a file or directory of the new root read-only' -r
complete -c root-pivot -l std -d 'Mount the next four, and hide what docker hides'
complete -c root-pivot -l proc -d 'Mount proc on /proc'
complete -c root-pivot -l sys -d 'Mount sysfs on /sys, read-only'
complete -c root-pivot -l run -d 'Mount a tmpfs on /run'
complete -c root-pivot -l tmp -d 'Mount a tmpfs on /tmp'
complete -c root-pivot -l read-only -d 'Make the new root read-only, but not what is mounted in it'
complete -c root-pivot -l explain -d 'Print the plan as system calls and do nothing'
complete -c root-pivot -s h -l help -d 'Print help'
complete -c root-pivot -s V -l version -d 'Print version'
