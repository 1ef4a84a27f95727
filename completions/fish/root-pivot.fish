complete -c root-pivot -l proc -d 'Mount proc on /proc' -r
complete -c root-pivot -l cgroup -d 'Mount the cgroups on /sys/fs/cgroup, ro or rw' -r
complete -c root-pivot -l bind -d 'Show a file or directory of the caller\'s in the new root' -r
complete -c root-pivot -l tmpfs -d 'Mount a tmpfs in the new root' -r
complete -c root-pivot -l volume -d 'Show a directory that is made, and filled, if need be' -r
complete -c root-pivot -l volumes -d 'Where volumes are that are named by one word' -r -F
complete -c root-pivot -l file -d 'Show a file with this text, or what a descriptor gives' -r
complete -c root-pivot -l resolv -d 'Give a copy of the caller\'s /etc/resolv.conf, or of FILE' -r
complete -c root-pivot -l hosts -d 'Give an /etc/hosts: new, the caller\'s, or a copy of FILE' -r
complete -c root-pivot -l add-host -d 'Add a line to it' -r
complete -c root-pivot -l mask -d 'Hide a file or directory of the new root' -r
complete -c root-pivot -l ro-path -d 'Make a file or directory of the new root read-only' -r
complete -c root-pivot -l image -d 'Hand the config of what img-unpack made on to img-exec' -r -F
complete -c root-pivot -l std -d 'Mount /proc, /sys, /run, /tmp; hide what docker hides'
complete -c root-pivot -l sys -d 'Mount sysfs on /sys, read-only'
complete -c root-pivot -l run -d 'Mount a tmpfs on /run'
complete -c root-pivot -l tmp -d 'Mount a tmpfs on /tmp'
complete -c root-pivot -l hostname-file -d 'Give an /etc/hostname with the host name'
complete -c root-pivot -l read-only -d 'Make the new root read-only, but not what is mounted in it'
complete -c root-pivot -l explain -d 'Print the plan as system calls and do nothing'
complete -c root-pivot -s h -l help -d 'Print help'
complete -c root-pivot -s V -l version -d 'Print version'
