complete -c img-exec -l config -d 'Read the config from a file or an unpacked image' -r -F
complete -c img-exec -s u -l user -d 'Become this user instead of the image\'s' -r
complete -c img-exec -s w -l workdir -d 'Start in this directory, made where it is missing' -r -F
complete -c img-exec -s e -l env -d 'Set a variable beside or over the image\'s' -r
complete -c img-exec -l entrypoint -d 'Run this instead of the image\'s Entrypoint and Cmd' -r
complete -c img-exec -l explain -d 'Print the plan as system calls and do nothing'
complete -c img-exec -s h -l help -d 'Print help'
complete -c img-exec -s V -l version -d 'Print version'
