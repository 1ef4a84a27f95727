complete -c img-exec -l config -d 'Read the config from a file, an unpacked image or fd:N' -r -F
complete -c img-exec -s u -l user -d 'Become this user instead of the image\'s' -r
complete -c img-exec -l group-add -d 'Be in this group of the image\'s too' -r
complete -c img-exec -s w -l workdir -d 'Start in this directory, made where it is missing' -r -F
complete -c img-exec -s e -l env -d 'Set a variable; NAME alone takes the caller\'s value' -r
complete -c img-exec -l env-file -d 'Set the variables of a file or fd:N, a line each' -r -F
complete -c img-exec -l entrypoint -d 'Run this instead of the image\'s Entrypoint and Cmd' -r
complete -c img-exec -l explain -d 'Print the plan as system calls and do nothing'
complete -c img-exec -s h -l help -d 'Print help'
complete -c img-exec -s V -l version -d 'Print version'
