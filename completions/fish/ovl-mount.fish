complete -c ovl-mount -l image -d 'Mount the layers that img-unpack put into a directory' -r -F
complete -c ovl-mount -l layers -d 'Mount the layers a file lists, bottom first; - is stdin' -r -F
complete -c ovl-mount -l lower -d 'Mount a directory as a layer; the topmost is named first' -r -F
complete -c ovl-mount -l data-only -d 'Take file contents from a directory, but show no names' -r -F
complete -c ovl-mount -l rw -d 'Keep changes in DIR/upper, with DIR/work beside it' -r -F
complete -c ovl-mount -l upper -d 'Keep changes in a directory' -r -F
complete -c ovl-mount -l work -d 'The work directory that belongs to --upper' -r -F
complete -c ovl-mount -l tmpfs -d 'Keep changes in memory, gone with the mount' -r
complete -c ovl-mount -l metacopy -d 'Copy up attributes without the contents [on, off]' -r -f -a "on\t''
off\t''"
complete -c ovl-mount -l redirect-dir -d 'Let directories be renamed [on, off, follow, nofollow]' -r -f -a "on\t''
off\t''
follow\t''
nofollow\t''"
complete -c ovl-mount -l xino -d 'Make inode numbers unique and stable [on, off, auto]' -r -f -a "on\t''
off\t''
auto\t''"
complete -c ovl-mount -l index -d 'Keep hard links together when copied up [on, off]' -r -f -a "on\t''
off\t''"
complete -c ovl-mount -l verity -d 'Check fs-verity digests of contents [on, off, require]' -r -f -a "on\t''
off\t''
require\t''"
complete -c ovl-mount -s o -l option -d 'Give the kernel any other option of overlayfs' -r
complete -c ovl-mount -l idmap -d 'Show the layers\' files with the ids of a map' -r
complete -c ovl-mount -l fd -d 'Hand the mount to COMMAND as a descriptor, mounted nowhere' -r
complete -c ovl-mount -s 0 -l null -d 'End the names in the list with NUL, not with newline'
complete -c ovl-mount -l ro -d 'Allow no changes, as without any of these four'
complete -c ovl-mount -l reset-work -d 'Clear what an earlier overlay left in the work directory'
complete -c ovl-mount -l volatile -d 'Never wait for the disk; a crash ruins the changes'
complete -c ovl-mount -l fuse -d 'Use fuse-overlayfs where the kernel refuses'
complete -c ovl-mount -l explain -d 'Print the plan as system calls and do nothing'
complete -c ovl-mount -s h -l help -d 'Print help'
complete -c ovl-mount -s V -l version -d 'Print version'
