complete -c cg-limit -l memory -d 'Limit memory; what does not fit is swapped or killed' -r
complete -c cg-limit -l swap -d 'Limit swap, beside memory' -r
complete -c cg-limit -l cpus -d 'Limit CPU time, in CPUs' -r
complete -c cg-limit -l pids -d 'Limit the number of tasks' -r
complete -c cg-limit -l parent -d 'Make the group in this cgroup directory; repeatable' -r -F
complete -c cg-limit -l status-fd -d 'Write the groups and limits to this descriptor as JSON' -r
complete -c cg-limit -l gc -d 'Remove the empty groups that killed cg-limits left'
complete -c cg-limit -l explain -d 'Print the plan as system calls and do nothing'
complete -c cg-limit -s h -l help -d 'Print help'
complete -c cg-limit -s V -l version -d 'Print version'
