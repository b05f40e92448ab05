// Package cgroup is the fast reader: once a second it reads the CPU time and the memory of every container of
// this machine straight from the kernel's cgroup files, version 1, 2 or a mixture, and hands them on as the
// live lane's batch.
//
// It is cheap because it keeps the files open and only preads them into one buffer: a file is opened once,
// when its cgroup appears. It follows cgroups as they come and go by inotify, and where that is not to be had
// by looking at the directories' link counts; it walks the whole tree only at the start, and compares it
// slowly in the background.
//
// What goes wrong with one file costs that one sample, which is counted by reason; never the tick.
package cgroup
