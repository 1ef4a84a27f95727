complete -c img-unpack -l ref -d 'Choose an image of several by its name' -r
complete -c img-unpack -l platform -d 'Choose the image for another machine than this' -r
complete -c img-unpack -l store -d 'Keep layers where other images find them' -r -F
complete -c img-unpack -l strip-components -d 'Take leading parts off the names in a root file system' -r
complete -c img-unpack -l max-size -d 'Refuse an image that unpacks to more bytes' -r
complete -c img-unpack -l max-files -d 'Refuse an image that has more files' -r
complete -c img-unpack -l max-layers -d 'Refuse an image that has more layers' -r
complete -c img-unpack -l max-ratio -d 'Refuse what unpacks to more times its size' -r
complete -c img-unpack -l status-fd -d 'Write a JSON record of each layer to a descriptor' -r
complete -c img-unpack -l print -d 'Print `layers`, `json`, `sh` or `none` when all is done' -r -f -a "layers\t'The layers\' directories, bottom first'
json\t'image.json'
sh\t'Assignments for sh(1)'
none\t'Nothing'"
complete -c img-unpack -l list -d 'Print which images there are and do nothing'
complete -c img-unpack -l flat -d 'Make one root file system instead of layers'
complete -c img-unpack -l gc -d 'Remove the layers that no image uses'
complete -c img-unpack -l rootfs -d 'Take IMAGE for a root file system as it is'
complete -c img-unpack -l squash-ids -d 'Make all files the caller\'s own'
complete -c img-unpack -l skip-devices -d 'Leave device nodes out'
complete -c img-unpack -l sync -d 'Wait until all is on the disk'
complete -c img-unpack -s q -l quiet -d 'Show no progress on a terminal'
complete -c img-unpack -s 0 -l null -d 'End what is printed with NUL instead of a newline'
complete -c img-unpack -l explain -d 'Print the plan as system calls and do nothing'
complete -c img-unpack -s h -l help -d 'Print help'
complete -c img-unpack -s V -l version -d 'Print version'
