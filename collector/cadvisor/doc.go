// Package cadvisor is the full reader: everything that the catalogue knows about the containers of one
// node and about the node itself, read by cAdvisor's library. It is the only importer of
// github.com/google/cadvisor/lib, whose types stop here.
//
// The library's readers are used (lib/container/libcontainer, lib/container/common, lib/machine, lib/fs),
// its manager is not. The manager keeps a goroutine, two timers and a cache for each cgroup, samples each at
// a time of its own, tells of errors only in its log, and can neither be stopped wholly (its container
// goroutines and an inotify watcher stay) nor run twice in one process, since its settings are flags of
// the process. Driven by our own tick, the same readers give every sample the time at which it was taken,
// every failure a reason, and leave nothing running.
//
// What the library does not have for a cgroup outside a runtime it knows is read here, once a tick: the
// network of a container (by a process in it), processes, threads and file descriptors, the kills for want
// of memory, and the node's load and pressure.
package cadvisor
