// Package process is the reader for processes that have no cgroup of their own: where the host does not let Plimsoll
// make cgroups, a process service's replicas are measured from /proc/PID/stat (proc(5)), each with everything it
// has started; and Plimsoll itself, alone, since what it starts are the replicas.
//
// A replica is its first process, all descendants of it, and all processes of its process group and session. What was
// once part of it stays so until it ends, even if its parent died. CPU time of processes that ended is not lost: the
// kernel adds it to the parent that waited for them, and what no parent was given the reader carries itself,
// so that the counters never go backwards.
//
// CPU time comes in hundredths of a second. Memory is resident set size, summed up: pages that processes share are
// counted in each.
package process
