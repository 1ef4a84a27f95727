complete -c ovl-mount -l image -d 'Mount the layers that img-unpack put into a directory' -r -F
complete -c ovl-mount -l layers -d 'Mount the layers a file lists, bottom first; - is stdin' -r -F
complete -c ovl-mount -l lower -d 'Mount a directory as a layer; the topmost is named first' -r -F
complete -c ovl-mount -l rw -d 'Keep changes in DIR/upper, with DIR/work beside it' -r -F
complete -c ovl-mount -l upper -d 'Keep changes in a directory' -r -F
complete -c ovl-mount -l work -d 'The work directory that belongs to --upper' -r -F
complete -c ovl-mount -l tmpfs -d 'Keep changes in memory, gone with the mount' -r
complete -c ovl-mount -s 0 -l null -d 'End the names in the list with NUL, not with newline'
complete -c ovl-mount -l ro -d 'Allow no changes, as without any of these four'
complete -c ovl-mount -l explain -d 'Print the plan as system calls and do nothing'
complete -c ovl-mount -s h -l help -d 'Print help'
complete -c ovl-mount -s V -l version -d 'Print version'
