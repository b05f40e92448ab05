// Package host says where a collector finds the machine's files: its cgroups, its /proc, and its file systems. On the machine itself they
// are at their usual places; in a container they are where somebody mounted them, and what nobody mounted is the container's own. Every
// reader of the collector takes a Host, so that none reads another machine than the others do.
package host
