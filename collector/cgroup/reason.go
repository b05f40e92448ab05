package cgroup

import (
	"errors"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/metric"
)

// reason is why a sample was lost; its text is a label of the own metrics and of gaps.
type reason uint8

const (
	fine        reason = iota
	gone               // the cgroup, or its controller, was removed
	permission         // the kernel refused
	parse              // the text is not what the kernel writes
	overflow           // a number that cannot be: beyond 2^62
	ioError            // any other error of a system call
	clock              // the wall clock was stepped between two ticks
	limit              // more cgroups than are followed
	descriptors        // the process may open no more files
	numReasons
)

var reasonNames = [numReasons]string{"", metric.GapGone, metric.GapPermission, "parse", "overflow", "io", "clock", "limit", "descriptors"}

func (r reason) String() string { return reasonNames[r] }

// reasonOf classifies an error of open, read, stat or inotify.
func reasonOf(err error) reason {
	var no unix.Errno
	if !errors.As(err, &no) {
		return ioError
	}
	switch no {
	case unix.ENODEV, unix.ENOENT, unix.ENOTDIR:
		return gone
	case unix.EACCES, unix.EPERM:
		return permission
	case unix.EMFILE, unix.ENFILE:
		return descriptors
	}
	return ioError
}
