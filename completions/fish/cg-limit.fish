complete -c cg-limit -s m -l memory -d 'Limit memory; what does not fit is swapped or killed' -r
complete -c cg-limit -l memory-high -d 'Slow down and reclaim above this much memory' -r
complete -c cg-limit -l memory-low -d 'Reclaim this much memory after that of others' -r
complete -c cg-limit -l memory-min -d 'Never reclaim this much memory' -r
complete -c cg-limit -l swap -d 'Limit swap, beside memory' -r
complete -c cg-limit -l memory-swap -d 'Limit memory and swap together, as docker does' -r
complete -c cg-limit -l swap-high -d 'Slow down above this much swap' -r
complete -c cg-limit -l zswap -d 'Limit compressed swap in memory' -r
complete -c cg-limit -l swappiness -d 'Prefer to swap (200) or to drop cache (0)' -r
complete -c cg-limit -l cpus -d 'Limit CPU time, in CPUs' -r
complete -c cg-limit -l cpu-quota -d 'Limit CPU time in a period' -r
complete -c cg-limit -l cpu-period -d 'Count CPU time over this long; 100000' -r
complete -c cg-limit -l cpu-burst -d 'Let unused CPU time be used later' -r
complete -c cg-limit -l cpu-weight -d 'Share contended CPU time by weight; 100' -r
complete -c cg-limit -s c -l cpu-shares -d 'The same in the unit of docker and v1; 1024' -r
complete -c cg-limit -l cpu-uclamp-min -d 'Have the CPU run at least this fast' -r
complete -c cg-limit -l cpu-uclamp-max -d 'Have the CPU run at most this fast' -r
complete -c cg-limit -l cpu-rt-period -d 'Count real-time CPU time over this long' -r
complete -c cg-limit -l cpu-rt-runtime -d 'Allow this much real-time CPU time' -r
complete -c cg-limit -l cpuset-cpus -d 'Run on these CPUs only' -r
complete -c cg-limit -l cpuset-mems -d 'Take memory of these nodes only' -r
complete -c cg-limit -l cpuset-partition -d 'Take the CPUs from all others: root or isolated' -r
complete -c cg-limit -l io-weight -d 'Share contended disks by weight; 100' -r
complete -c cg-limit -l io-weight-device -d 'The same for one disk' -r
complete -c cg-limit -l blkio-weight -d 'Share disks in the unit of docker and v1; 500' -r
complete -c cg-limit -l read-bps -d 'Limit bytes read of a disk in a second' -r
complete -c cg-limit -l write-bps -d 'Limit bytes written to a disk in a second' -r
complete -c cg-limit -l read-iops -d 'Limit reads of a disk in a second' -r
complete -c cg-limit -l write-iops -d 'Limit writes to a disk in a second' -r
complete -c cg-limit -l io-latency -d 'Slow others down when a disk answers later' -r
complete -c cg-limit -l pids -d 'Limit the number of tasks' -r
complete -c cg-limit -l hugetlb -d 'Limit memory in huge pages of a size' -r
complete -c cg-limit -l rdma -d 'Limit handles and objects of an RDMA device' -r
complete -c cg-limit -l misc -d 'Limit a resource such as sev' -r
complete -c cg-limit -l devices -d 'Allow these devices; std with --device-allow' -r
complete -c cg-limit -l device-allow -d 'Allow a device: \'c 1:3 rwm\' or /dev/null:rw' -r
complete -c cg-limit -l device-deny -d 'Deny a device; of all rules the last one decides' -r
complete -c cg-limit -l max-depth -d 'Limit how deep groups below may go' -r
complete -c cg-limit -l max-descendants -d 'Limit the number of groups below' -r
complete -c cg-limit -l account -d 'Count memory, cpu, io, pids without a limit' -r
complete -c cg-limit -l set -d 'Write any other file of the group' -r
complete -c cg-limit -s p -l property -d 'Set a limit by systemd\'s name for it; repeatable' -r
complete -c cg-limit -l parent -d 'Make the group in this cgroup directory; repeatable' -r -F
complete -c cg-limit -l name -d 'Call the group so, to be found by the options below' -r
complete -c cg-limit -l timeout -d 'Kill all of the group after this time, status 124' -r
complete -c cg-limit -l kill-after -d 'On timeout ask COMMAND to end, and kill after this time' -r
complete -c cg-limit -l oom-status -d 'Exit with N when a process was killed for lack of memory' -r
complete -c cg-limit -l report -d 'Write what was used and what happened as JSON' -r -F
complete -c cg-limit -l status-fd -d 'Write the groups and limits to this descriptor as JSON' -r
complete -c cg-limit -l oom-group -d 'When memory runs out, kill all and not one'
complete -c cg-limit -l oom-kill-disable -d 'When memory runs out, wait and kill nothing'
complete -c cg-limit -l evacuate -d 'Make the group below our own, whose processes move aside'
complete -c cg-limit -l scope -d 'Have systemd make a scope of ours first, and work in there'
complete -c cg-limit -l exec -d 'Do not wait and clean up: become COMMAND in the group'
complete -c cg-limit -l update -d 'Change the limits of the group called NAME'
complete -c cg-limit -l freeze -d 'Stop all processes of the group called NAME'
complete -c cg-limit -l thaw -d 'Let them go on'
complete -c cg-limit -l kill -d 'Kill them and remove the group'
complete -c cg-limit -l stat -d 'Print what the group called NAME has used, as JSON'
complete -c cg-limit -l check -d 'Print which limits would work here, and why not'
complete -c cg-limit -l gc -d 'Remove the empty groups that killed cg-limits left'
complete -c cg-limit -l explain -d 'Print the plan as system calls and do nothing'
complete -c cg-limit -s h -l help -d 'Print help'
complete -c cg-limit -s V -l version -d 'Print version'
